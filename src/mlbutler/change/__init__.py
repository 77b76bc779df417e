"""The change that is built: what the CI server reports, completed from Git."""
