"""One file a verb: `add_arguments(parser)` and `run(args) -> exit code`. Imported only when it is called."""
