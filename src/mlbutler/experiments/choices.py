"""Limits and choices of an experiment's options."""

from __future__ import annotations

MOST_JOBS, MOST_GPUS, MOST_RETRIES, MOST_TRIALS = 256, 256, 100, 1000
GOALS = ("maximize", "minimize")
LOCAL, JENKINS = "local", "jenkins"
ENGINES = (LOCAL, JENKINS)
"""What runs experiments: this machine, or the agents of a Jenkins controller."""
