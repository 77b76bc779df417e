"""Make file modes bind the project's code where mlbutler runs as root, who could otherwise write into any file.

Files of the work tree that are links to objects of cache and mirror are read-only. That binds an ordinary user, and
root who gave up the capability to override it. As a program, ``file_modes.py COMMAND...``, this gives it up and becomes
the command; it needs nothing but the standard library.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import NoReturn

OVERRIDE = "CAP_DAC_OVERRIDE"
_OVERRIDE, _SET_CAPABILITIES = 1, 8
_PR_CAPBSET_READ, _PR_CAPBSET_DROP = 23, 24
_VERSION = 0x20080522
_FAILED = 126


def bind(folder: Path) -> bool:
    """Return whether file modes bind the project's code in a folder when `prefix` stands before its commands.

    They do not where root's code works on another user's files, or where root cannot give the capability up.
    """
    if not _is_root():
        return True
    try:
        return folder.stat().st_uid == 0 and (not _is_set("CapBnd", _OVERRIDE) or _is_set("CapEff", _SET_CAPABILITIES))
    except (OSError, ValueError):  # not Linux
        return False


def prefix() -> tuple[str, ...]:
    """Return what has to stand before a command so that modes bind it: a program for root, nothing for others."""
    return (sys.executable, "-I", "-S", __file__) if _is_root() else ()


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _is_set(which: str, capability: int) -> bool:
    """Tell whether this process has a capability in one of its sets (proc_pid_status(5))."""
    text = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    found = next((line.partition(":")[2] for line in text.splitlines() if line.startswith(f"{which}:")), "")
    return bool(int(found, 16) >> capability & 1)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def _give_up(capability: int) -> None:
    """Give up a capability (of the first 32) for good, for this process and all that it starts.

    Raises:
        OSError: that is not allowed.
    """
    libc = ctypes.CDLL(None, use_errno=True)

    def check(answer: int) -> int:
        if answer < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return answer

    # A program that root starts gets what is in the bounding set, and what is inheritable.
    if check(libc.prctl(_PR_CAPBSET_READ, ctypes.c_ulong(capability), 0, 0, 0)):
        check(libc.prctl(_PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0))
    header, sets = _Header(_VERSION, 0), (_Sets * 2)()
    check(libc.capget(ctypes.byref(header), sets))
    kept = 0xFFFFFFFF & ~(1 << capability)
    first = sets[0]
    first.effective, first.permitted, first.inheritable = (
        first.effective & kept, first.permitted & kept, first.inheritable & kept,
    )  # fmt: skip
    check(libc.capset(ctypes.byref(header), sets))


def main() -> NoReturn:
    """Become the command in the arguments."""
    command = sys.argv[1:]
    try:
        _give_up(_OVERRIDE)
    except (OSError, AttributeError) as error:
        print(f"mlbutler: root cannot be held to the modes of files: {error}", file=sys.stderr)
        sys.exit(_FAILED)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        sys.exit(127 if isinstance(error, FileNotFoundError) else _FAILED)


if __name__ == "__main__":
    main()
