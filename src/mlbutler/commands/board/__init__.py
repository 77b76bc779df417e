"""Implement `mlbutler board`: the page of all experiments of a repository."""
