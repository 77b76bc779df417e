"""The DVC project: what it records, what is stale, and what is in its work tree."""
