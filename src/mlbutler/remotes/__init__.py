"""A DVC project's remotes: which may be used, with what credentials, and how they are opened."""
