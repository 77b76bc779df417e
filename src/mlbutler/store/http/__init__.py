"""A remote over HTTP."""
