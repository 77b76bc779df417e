"""The stores and servers that tests of the stores have."""

from __future__ import annotations

from tests.store.conftest import cache, connect, make_remote, mirror, remote

__all__ = ["cache", "connect", "make_remote", "mirror", "remote"]
