"""Benchmarks: each case against a named rival, in the same run."""
