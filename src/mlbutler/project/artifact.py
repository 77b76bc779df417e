"""Artifacts of a DVC project as plain data: what dvc.lock and the .dvc files record."""

from __future__ import annotations

from mlbutler.frozen import frozen
from mlbutler.store.interface import ObjectId

NO_REMOTE = "no DVC remote is configured"
UNCACHED = "cache: false (kept in Git, or nowhere)"
"""Why an output that DVC does not keep is left out."""


@frozen
class Artifact:
    """One recorded output (of a stage, or of a .dvc file).

    Attributes:
        path: relative to the project's root, with '/'.
        owner: the stage's name as DVC addresses it, or the path of the .dvc file.
        oid: the object that holds it; None when no hash is recorded.
        size: bytes in all, files: number of files of a directory; None when not recorded.
        cached: DVC keeps it (False: ``cache: false``, Git has it or nobody).
        pushed: DVC would push it (False: ``push: false``, imports, outputs outside the repository).
        left_out: why `cached` or `pushed` is False, in words.
        remote: the name of a remote of its own, None for the project's.
        kind: ``metric``, ``plot`` or ``data``.
    """

    path: str
    owner: str
    oid: ObjectId | None
    size: int | None = None
    files: int | None = None
    cached: bool = True
    pushed: bool = True
    left_out: str = ""
    remote: str | None = None
    kind: str = "data"

    @property
    def directory(self) -> bool:
        """Tell whether it is a directory."""
        return self.oid is not None and self.oid.is_directory
