"""Decide what becomes of each file: from what is generated, what is there, and what was generated before."""

from __future__ import annotations

import difflib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from mlbutler.errors import UsageError
from mlbutler.git import Git


class Action(StrEnum):
    """What is done with a file.

    `REPLACE` loses what is there, so mlbutler asks first; `REMOVE` is for files of its own.
    """

    CREATE = "create"
    UNCHANGED = "unchanged"
    REPLACE = "replace"
    MERGE = "merge"
    CONFLICT = "conflict"
    REMOVE = "remove"


@dataclass(frozen=True)
class FileChange:
    """One file: its path from the project's root, what is there (None: nothing), and what it is to become.

    Of a `CONFLICT`, `new` holds both sides between markers, and the file itself stays. `content`: the bytes of a file
    that is no text, whose `old` and `new` are empty.
    """

    path: str
    action: Action
    old: str | None
    new: str
    content: bytes | None = None

    @property
    def after(self) -> str:
        """Return the text that the file has afterwards."""
        return self.old or "" if self.action is Action.CONFLICT else self.new

    @property
    def data(self) -> bytes:
        """Return what is written."""
        return self.new.encode() if self.content is None else self.content

    def diff(self) -> str:
        """Return the unified diff, without the last newline."""
        before = "" if self.old is None else self.old
        lines = difflib.unified_diff(
            before.splitlines(), self.new.splitlines(), "/dev/null" if self.old is None else f"a/{self.path}",
            f"b/{self.path}", lineterm="",
        )  # fmt: skip
        return "\n".join(lines)


def decide_change(
    path: str, root: Path, new: str, before: str | None, merge: Callable[[str, str, str], str | None]
) -> FileChange:
    """Return what becomes of the file `path`.

    Args:
        before: what was generated the last time, None when nothing was, or when it is not to matter.
        merge: (theirs, before, new) -> the merged text, which may hold conflict markers.

    Raises:
        UsageError: the file is no text file.
    """
    old = _read_text(root, path)
    if old is None:
        return FileChange(path, Action.CREATE, None, new)
    if old == new or before == new:  # nothing new to say: edits stay
        return FileChange(path, Action.UNCHANGED, old, old)
    if before is None or old == before:
        return FileChange(path, Action.REPLACE if before is None else Action.MERGE, old, new)
    merged = merge(old, before, new)
    if merged is None:
        return FileChange(path, Action.CONFLICT, old, new)
    action = Action.CONFLICT if "\n<<<<<<< " in f"\n{merged}" else Action.MERGE
    return FileChange(path, Action.UNCHANGED if merged == old else action, old, merged)


def merge(git: Git) -> Callable[[str, str, str], str | None]:
    """Merge one file's texts with Git, with conflict markers where both sides changed the same lines."""

    def merge_texts(ours: str, before: str, new: str) -> str | None:
        with tempfile.TemporaryDirectory(prefix="mlbutler-") as folder:
            names = [Path(folder) / name for name in ("ours", "before", "new")]
            for name, text in zip(names, (ours, before, new), strict=True):
                name.write_bytes(text.encode())
            labels = ["-L", "yours", "-L", "generated before", "-L", "generated now"]
            done = git.run("merge-file", "-p", "--diff3", *labels, *map(str, names), check=False)
            return done.out.decode() if done.code < 128 else None

    return merge_texts


def _read_text(root: Path, path: str) -> str | None:
    try:
        return (root / path).read_bytes().decode()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text.", "Move it away first.") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.", "Move it away first.") from error
