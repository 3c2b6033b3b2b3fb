"""The `fundarb` command: `main` finds the verb, `verbs/` holds one small file for each."""
