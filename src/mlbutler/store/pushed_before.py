"""That every artifact of this plan was on the remote when last asked, kept in the clone and beside the mirror.

`remembered` spares the questions; this spares reading what would be asked for. It is believed as long as those
answers are, and not where a remote was found to lack something since (`lacked`). In the clone it is kept for the very
plan it was given for, whose signature covers dvc.lock, every .dvc file and DVC's configuration, the user's and the
machine's too; beside the mirror for the same artifacts on the same remotes, whichever clone has them.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlbutler.atomic import write
from mlbutler.errors import DiskFull
from mlbutler.store import lacked
from mlbutler.store.files import make_folder

if TYPE_CHECKING:
    from mlbutler.project.artifact import Artifact
    from mlbutler.project.planned import Planned

SHARED = Path("mlbutler") / "all-pushed"
_FILE = "pushed.json"
_VERSION = 2
_FORGOTTEN_AFTER = 30 * 86400.0


@dataclass(frozen=True)
class Before:
    """The answer: how many objects of how many artifacts, what was left out and why, how many seconds ago."""

    objects: int
    artifacts: int
    left_out: tuple[tuple[str, str], ...]
    age: float


class PushedBefore:
    """The memory of one clone, and of the builds that share a mirror.

    Args:
        plan: the clone's plan; without it nothing is known and nothing is kept.
        remote: its name, '' for the project's default. lifetime: seconds for which an answer is believed.
        shared: beside the mirror, None without one.
    """

    def __init__(self, plan: Planned, remote: str, lifetime: float, shared: Path | None) -> None:
        self._plan, self._remote, self._lifetime, self._shared = plan, remote, lifetime, shared
        self._file = plan.file.with_name(_FILE)

    def read(self) -> Before | None:
        """The answer, None when there is none that may be believed."""
        try:
            key = self._key()
        except OSError:
            return None
        found = self._read(self._file, key)
        if found is None and (place := self._place()) is not None:
            found = self._read(place, [_VERSION])
        return found

    def _read(self, file: Path, key: list[object]) -> Before | None:
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            if not self._plan.seal.is_sealed(file.name, found):
                return None
            age = time.time() - float(found["asked"])
            if found["key"] != key or not 0 <= age <= self._lifetime:
                return None
            left_out = tuple((str(path), str(why)) for path, why in found["left_out"])
            return Before(int(found["objects"]), int(found["artifacts"]), left_out, age)
        except (OSError, ValueError, KeyError, TypeError, OverflowError):
            return None

    def keep(self, answer: Before) -> None:
        """Remember it; a clone, or a mirror, that cannot be written to is done without."""
        if not math.isfinite(answer.age) or self._lifetime <= 0:
            return
        content = {
            "asked": time.time() - answer.age, "objects": answer.objects, "artifacts": answer.artifacts,
            "left_out": answer.left_out,
        }  # fmt: skip
        with suppress(OSError, DiskFull):
            write(self._file, self._sealed(self._file, {"key": self._key(), **content}))
        if (place := self._place()) is not None:
            with suppress(OSError, DiskFull):
                make_folder(place.parent)
                _forget_old(place.parent)
                write(place, self._sealed(place, {"key": [_VERSION], **content}), durable=False)

    def forget(self, when: float | None = None) -> None:
        """The remote lacks something.

        Args:
            when: it was asked (seconds since the epoch; now); what it is asked later may be kept again.
        """
        with suppress(OSError):
            self._file.unlink()
        lacked.note(self._file.parent, when)
        if self._shared is not None:
            forget_shared(self._shared, when)

    def _sealed(self, file: Path, content: dict[str, object]) -> bytes:
        return json.dumps(self._plan.seal.sealed(file.name, content)).encode()

    def _place(self) -> Path | None:
        artifacts = self._plan.artifacts
        return self._shared / SHARED / f"{artifacts}.json" if self._shared is not None and artifacts else None

    def _key(self) -> list[object]:
        return [_VERSION, self._remote, hashlib.sha256(self._plan.file.read_bytes()).hexdigest()]


def key_of(artifacts: Iterable[Artifact], address: Callable[[str | None], str]) -> str:
    """Tells these artifacts, on these remotes, from all others; '' where one is asked for in a directory.

    Args:
        address: where a remote (None: the project's) is, '' for a directory.
    """
    rows = []
    for artifact in artifacts:
        where = address(artifact.remote) if artifact.pushed else ""
        if artifact.pushed and (not where or artifact.oid is None):
            return ""
        rows.append([artifact.path, artifact.oid, artifact.size, where, artifact.left_out])
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest() if rows else ""


def forget_shared(shared: Path, when: float | None = None) -> None:
    """No build that shares the mirror believes any more what another was told before `when` (now)."""
    lacked.note(shared, when)
    for file in (shared / SHARED).glob("*.json"):
        with suppress(OSError):
            file.unlink()


def _forget_old(folder: Path) -> None:
    for file in folder.iterdir():
        with suppress(OSError):
            if time.time() - file.stat().st_mtime > _FORGOTTEN_AFTER:
                file.unlink()
