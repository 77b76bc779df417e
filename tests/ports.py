"""Ports for what a test starts itself."""

from __future__ import annotations

import random
import socket


def free_port() -> int:
    """Return a port that nobody listens on.

    The machine gives none of these to who takes any: nobody gets it before it is used.
    """
    chosen = random.SystemRandom()
    while True:
        with socket.socket() as probe:
            port = chosen.randrange(20_000, 32_000)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:  # somebody has it
                continue
            return port
