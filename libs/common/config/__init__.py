"""Config: `schema` says what there is, `load` reads files, environment and secrets, `explain` names mistakes."""
