"""Objects by their hashes: cache, mirror and remotes, and what moves between them."""
