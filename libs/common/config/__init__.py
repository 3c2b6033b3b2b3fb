"""`schema` says what there is to set, `load` reads files, environment and secrets, `legs` names the pairs."""
