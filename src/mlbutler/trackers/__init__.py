"""Experiment trackers: results as they list them."""
