"""Where reviewers are told: one comment that is updated in place, and a commit status."""
