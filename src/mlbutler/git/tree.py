"""A file of a commit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)  # of which there is one for each file: see `frozen`
class TreeEntry:
    """Hold one file of a commit: its mode (``100644``, ``160000`` for a submodule), object id and path."""

    mode: str
    oid: str
    path: str
