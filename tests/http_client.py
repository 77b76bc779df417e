"""A client for servers of the tests, which speak no TLS."""

from __future__ import annotations

import functools

import httpx


@functools.cache
def plain() -> httpx.Client:
    """Return a client that uses a connection once.

    What ``httpx.get`` makes for each request reads the certificates of all authorities, which takes 30 ms.
    """
    return httpx.Client(timeout=600, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))
