"""What Linux offers to keep a child process at arm's length; elsewhere these do nothing."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER = 1, 4, 36


def hide_from_children() -> None:
    """Close ``/proc/<us>/environ``, our memory and our open files to other processes of the same user."""
    _prctl(_PR_SET_DUMPABLE, 0)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, so that none slips out of sight."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(signal_number: int) -> None:
    """Be sent this signal when the thread that started us ends, however it ends."""
    _prctl(_PR_SET_PDEATHSIG, signal_number)


def children() -> frozenset[int]:
    """Process ids of our direct children, zombies not counted; empty where /proc is not Linux's."""
    if not sys.platform.startswith("linux"):
        return frozenset()
    own, found = os.getpid(), set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = entry.joinpath("stat").read_bytes()
        except OSError:  # ended meanwhile
            continue
        # The name in parentheses may itself hold spaces and parentheses: count from its end.
        state, parent = stat[stat.rfind(b")") + 1 :].split()[:2]
        if int(parent) == own and state != b"Z":
            found.add(int(entry.name))
    return frozenset(found)


def _prctl(option: int, value: int) -> None:
    if not sys.platform.startswith("linux"):
        return
    try:
        ctypes.CDLL(None, use_errno=True).prctl(option, ctypes.c_ulong(value), 0, 0, 0)
    except (OSError, AttributeError):  # a libc without prctl: this is a second line of defence
        return
