"""A Jenkins controller on the team's own machine: its configuration, and starting and stopping it."""
