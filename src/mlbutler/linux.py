"""Use what Linux offers to isolate a child process and to describe file systems; elsewhere these do nothing."""

from __future__ import annotations

import ctypes
import os
import re
import select
import signal
import sys
import threading
from functools import cache
from pathlib import Path

from mlbutler.frozen import frozen

_PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 4, 36, 38
_CREATE_RULESET, _RESTRICT_SELF = 444, 446  # the same number on every architecture
_VERSION, _WITH_SCOPES, _ABSTRACT_SOCKETS = 1, 6, 1
_KEYCTL = {"x86_64": 250, "aarch64": 219, "riscv64": 219}
_JOIN_SESSION_KEYRING = 1


def hide_from_children() -> None:
    """Close ``/proc/<us>/environ``, our memory and our open files to other processes of the same user."""
    _prctl(_PR_SET_DUMPABLE, 0)


@cache
def interrupt_with_parent() -> None:
    """Send this process SIGTERM once its parent has ended.

    A CI server that aborts a build signals the processes in whose environment it finds a variable of the build's. It
    cannot read ours once it is closed to other processes (`hide_from_children`); that of the shell above it can.
    """
    try:
        parent = os.pidfd_open(os.getppid())
    except (AttributeError, OSError):  # another system, or the parent is outside of this container
        return

    def wait() -> None:
        poll = select.poll()
        poll.register(parent, select.POLLIN)
        poll.poll()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, so that none slips out of sight."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


@cache
def can_cut_abstract_sockets() -> bool:
    """Return whether `cut_abstract_sockets` works here: landlock(7) does it since Linux 6.12."""
    return _syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION) >= _WITH_SCOPES


def cut_abstract_sockets() -> None:
    """Let this process and those that it starts reach no abstract socket but their own, for good."""
    if not can_cut_abstract_sockets():
        return
    ruleset = (ctypes.c_uint64 * 3)(0, 0, _ABSTRACT_SOCKETS)  # accesses to files, to the network, scopes
    descriptor = _syscall(_CREATE_RULESET, ctypes.byref(ruleset), ctypes.c_size_t(ctypes.sizeof(ruleset)), 0)
    if descriptor >= 0:
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)
        _syscall(_RESTRICT_SELF, descriptor, 0)
        os.close(descriptor)


def leave_keyring() -> None:
    """Give this process and those that it starts a session keyring of their own, for good; see keyrings(7).

    No namespace parts the keys of a session, such as a ticket of Kerberos or the password of a mount.
    """
    if (number := _KEYCTL.get(os.uname().machine)) is not None:
        _syscall(number, _JOIN_SESSION_KEYRING, None)


def _syscall(number: int, *arguments: object) -> int:
    if not sys.platform.startswith("linux"):
        return -1
    try:
        return int(ctypes.CDLL(None, use_errno=True).syscall(ctypes.c_long(number), *arguments))
    except (OSError, AttributeError):
        return -1


def children() -> frozenset[int]:
    """Return process ids of our direct children, zombies not counted; empty where /proc is not Linux's."""
    if not sys.platform.startswith("linux"):
        return frozenset()
    own, found = os.getpid(), set()
    for pid in _candidates():
        try:
            stat = Path(f"/proc/{pid}/stat").read_bytes()
        except OSError:  # ended meanwhile
            continue
        # The name in parentheses may itself hold spaces and parentheses: count from its end.
        state, parent = stat[stat.rfind(b")") + 1 :].split()[:2]
        if int(parent) == own and state != b"Z":
            found.add(pid)
    return frozenset(found)


def _candidates() -> set[int]:
    """Return what may be our children: as the kernel lists them, else every process, of which there may be thousands.

    The kernel's list is whole as long as nobody but us takes the children off it, which waiting for them does.
    """
    try:
        lists = [task.joinpath("children").read_bytes() for task in Path("/proc/self/task").iterdir()]
    except OSError:  # a kernel without such lists, or a thread of ours that has ended
        return {int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
    return {int(pid) for listed in lists for pid in listed.split()}


@frozen
class FileSystem:
    """A mounted file system: its `kind`, as the kernel calls it (``ext4``, ``overlay``), and its `mount` point."""

    kind: str
    mount: str


def file_system(path: Path) -> FileSystem | None:
    """Return the file system that holds a path, which exists; None where /proc is not Linux's.

    Format: proc_pid_mountinfo(5). The longest mount point above the path counts, and of equal ones the last, which
    covers the others: device numbers do not do, because btrfs gives each subvolume one of its own.
    """
    try:
        lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    except OSError:
        return None
    real, found = path.resolve(), None
    for line in lines:
        before, _, after = line.partition(b" - ")
        mount = Path(os.fsdecode(re.sub(rb"\\([0-7]{3})", lambda m: bytes([int(m[1], 8)]), before.split()[4])))
        if real.is_relative_to(mount) and (found is None or len(mount.parts) >= len(Path(found.mount).parts)):
            found = FileSystem(os.fsdecode(after.split()[0]), str(mount))
    return found


def _prctl(option: int, value: int) -> None:
    if not sys.platform.startswith("linux"):
        return
    try:
        ctypes.CDLL(None, use_errno=True).prctl(option, ctypes.c_ulong(value), 0, 0, 0)
    except (OSError, AttributeError):  # a libc without prctl: this is a second line of defence
        return
