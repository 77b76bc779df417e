"""Back up the outputs that DVC deletes before a stage runs and that no cache holds, until the stage has succeeded.

They are metrics and other ``cache: false`` outputs: they are in Git, or nowhere (edits that are not committed). The
backup is in ``.mlbutler/aside`` and outlives a kill: the next run restores it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from mlbutler.errors import DiskFull

_INDEX = "index.json"


class OutputBackup:
    """The backup of one stage's outputs.

    Args:
        root: the project's root. state: the directory ``.mlbutler``.
    """

    def __init__(self, root: Path, state: Path) -> None:
        self._root, self._store = root, state / "aside"

    def backup(self, paths: Sequence[str]) -> None:
        """Back up what exists of `paths` (relative to the root; others are left alone).

        Raises:
            DiskFull: no space is left for it.
        """
        index = {str(number): path for number, path in enumerate(paths) if self._is_inside(path)}
        index = {name: path for name, path in index.items() if os.path.lexists(self._root / path)}
        if not index:
            return
        self._store.mkdir(parents=True, exist_ok=True)
        try:
            for name, path in index.items():
                _copy(self._root / path, self._store / name)
            # Last: without an index, what lies here is the half-made copy of a killed run.
            self._store.joinpath(_INDEX).write_text(json.dumps(index), encoding="utf-8")
        except OSError as error:
            self.discard()
            raise DiskFull(f"The outputs in Git could not be set aside: {error}", "Free some space.") from error

    def restore(self) -> tuple[str, ...]:
        """Restore everything as it was, in place of what is there now; return the paths."""
        restored = []
        for name, path in self._index().items():
            target, kept = self._root / path, self._store / name
            if not os.path.lexists(kept) or not self._is_inside(path):
                continue
            _remove(target)
            with contextlib.suppress(OSError):  # a directory may have become a file: then there is no way back
                target.parent.mkdir(parents=True, exist_ok=True)
                kept.rename(target)
                restored.append(path)
        self.discard()
        return tuple(restored)

    def restore_missing(self) -> tuple[str, ...]:
        """Restore what is missing now, after a kill; return the paths."""
        for name, path in self._index().items():
            if os.path.lexists(self._root / path):
                _remove(self._store / name)
        return self.restore()

    def discard(self) -> None:
        """Delete the backup."""
        shutil.rmtree(self._store, ignore_errors=True)

    def _index(self) -> dict[str, str]:
        try:
            index = json.loads(self._store.joinpath(_INDEX).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        pairs = index.items() if isinstance(index, dict) else ()
        return {name: path for name, path in pairs if name.isdigit() and isinstance(path, str)}

    def _is_inside(self, path: str) -> bool:
        if Path(path).is_absolute() or path in ("", ".") or ".." in Path(path).parts:
            return False
        # A stage may have put a link in the place of a directory.
        return (self._root / path).parent.resolve().is_relative_to(self._root.resolve())


def _copy(source: Path, target: Path) -> None:
    if source.is_dir() and not source.is_symlink():
        shutil.copytree(source, target, symlinks=True, copy_function=_link)
    else:
        _link(str(source), str(target))


def _link(source: str, target: str) -> str:
    # DVC unlinks before the command runs, so a hardlink keeps the old content, at no cost.
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)
    return target


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
