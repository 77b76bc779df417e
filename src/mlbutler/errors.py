"""Every error mlbutler raises on purpose: what went wrong, what to do about it, and the exit code.

Only `cli.py` catches these for the user; everything else lets them rise. A *judgement* (a failed
test, a stale lock, a gate) is not an error: it is a step result whose outcome is ``failed``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlbutler.record import StepResult

EXIT_PASSED = 0
EXIT_JUDGED = 1
EXIT_USAGE = 2
EXIT_OUTSIDE = 3
EXIT_BUG = 70
EXIT_INTERRUPTED = 130


class MlbutlerError(Exception):
    """Base of all expected errors.

    Attributes:
        message: what went wrong, one sentence without the remedy.
        remedy: what the reader can do about it, a sentence or a command.
        exit_code: the process' exit code when this reaches the command line.
        partial: the result of a step (`record.StepResult`) that had done a part of its work, None otherwise.
    """

    exit_code = EXIT_USAGE
    partial: StepResult | None = None

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


class UsageError(MlbutlerError):
    """The command was used wrongly, or where it cannot work (no repository, no project)."""


class NoAddress(UsageError):
    """On a CI server nothing but the clone tells where Git's remote is, and there is a credential to lose."""


class SettingsError(UsageError):
    """A setting is unknown, of the wrong type, or contradicts another."""


class ProjectError(UsageError):
    """The DVC project cannot be read: dvc.yaml, dvc.lock, a .dvc file or a metric file is broken."""


class PathRefused(MlbutlerError):
    """A path that must not be written: it leads through a symbolic link, or into a folder of mlbutler, Git or DVC."""

    exit_code = EXIT_JUDGED


class UnsavedWork(MlbutlerError):
    """Files that no store holds would be replaced or removed: a judgement on the work tree.

    Attributes:
        paths: the first thousand of them, relative to the project's root.
    """

    exit_code = EXIT_JUDGED
    paths: tuple[str, ...] = ()


class GitError(MlbutlerError):
    """A git command failed for a reason the caller did not foresee."""

    exit_code = EXIT_OUTSIDE


class BusyError(MlbutlerError):
    """Another run works in this clone."""

    exit_code = EXIT_OUTSIDE


class OutsideError(MlbutlerError):
    """Something outside failed (remote, forge, agent, disk): worth a retry."""

    exit_code = EXIT_OUTSIDE


class StoreError(OutsideError):
    """A remote, mirror or cache could not be read or written."""


class AccessDenied(StoreError):
    """A remote answered 401 or 403: the credentials are missing, wrong, or not enough."""


class UntrustedRemote(StoreError):
    """A change configures a remote in a way that the target branch does not: it is given no credentials."""

    exit_code = EXIT_USAGE


class CorruptObject(StoreError):
    """What came is not what was asked for: wrong hash, cut short, or a page instead of an object."""


class ForgeError(OutsideError):
    """The forge could not be reached or refused the request."""


class DiskFull(OutsideError):
    """No space is left where something had to be written."""


class Interrupted(MlbutlerError):
    """The user or the CI server asked to stop."""

    exit_code = EXIT_INTERRUPTED
