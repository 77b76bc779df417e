"""Writing files of the work tree into DVC's state database, so that DVC hashes nothing afterwards."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlbutler.state.fingerprint import Status
from mlbutler.store.interface import ObjectId

_NAMES = {False: "md5", True: "md5-dos2unix"}


class DvcStateWriter:
    """The entries of one artifact in DVC's state database.

    Args:
        repo: an opened `dvc.repo.Repo`. path: the artifact's final place.
        files: path below it ('' for a file) and object of each file.
    """

    def __init__(self, repo: Any, path: Path, files: Mapping[str, ObjectId]) -> None:
        self._repo, self._top, self._files = repo, str(path), files
        self._preregistered: Mapping[str, Status] = {}

    def preregister(self, states: Mapping[str, Status]) -> None:
        """Write entries of files that are being made and will have these statuses.

        DVC compares: one that is another file after all is hashed.
        """
        self._write(states)
        self._preregistered = states

    def commit(self, states: Mapping[str, Status]) -> None:
        """Write entries of files that were made and have these statuses, but for those that `preregister` wrote."""
        self._write({name: status for name, status in states.items() if self._preregistered.get(name) is not status})

    def _write(self, states: Mapping[str, Status]) -> None:
        from dvc_data.hashfile.hash_info import HashInfo

        rows = [
            (
                f"{self._top}{os.sep}{name.replace('/', os.sep)}" if name else self._top,
                HashInfo(_NAMES[self._files[name].legacy], self._files[name].md5),
                {"ino": status.st_ino, "mtime": status.st_mtime, "size": status.st_size},
            )
            for name, status in sorted(states.items())  # as the database keeps them: in any other order it takes longer
        ]
        with suppress(Exception):  # without it DVC hashes the files again, and is right too
            self._repo.state.save_many(rows, self._repo.fs)
