"""A file of a commit, and how a work tree differs from one."""

from __future__ import annotations

from typing import NamedTuple


class TreeEntry(NamedTuple):
    """Hold one file of a commit: its mode (``100644``, ``160000`` for a submodule), object id and path."""

    mode: str
    oid: str
    path: str


class WorkTreeStatus(NamedTuple):
    """Hold the branch that is checked out, None where HEAD is detached, and the files that differ from HEAD."""

    branch: str | None
    changed: tuple[str, ...]
    untracked: tuple[str, ...]
