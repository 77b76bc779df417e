"""What `mlbutler train` and its verbs do."""
