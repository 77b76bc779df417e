"""Publish to reviewers: one comment that is updated in place, and a commit status."""
