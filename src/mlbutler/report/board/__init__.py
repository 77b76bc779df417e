"""The page of experiments: all of a repository's in one table, as one file, as JSON and as CSV."""
