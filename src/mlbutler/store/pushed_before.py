"""That every artifact of this plan was on the remote when last asked, kept in the clone.

`remembered` spares the questions; this spares reading what would be asked for. It is believed as long as those
answers are, and only for the very plan it was given for, whose signature covers dvc.lock, every .dvc file and DVC's
configuration.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mlbutler.atomic import write
from mlbutler.errors import DiskFull

_FILE = "pushed.json"
_VERSION = 1


@dataclass(frozen=True)
class Before:
    """The answer: how many objects of how many artifacts, what was left out and why, how many seconds ago."""

    objects: int
    artifacts: int
    left_out: tuple[tuple[str, str], ...]
    age: float


class PushedBefore:
    """The memory of one clone.

    Args:
        plan: the file that holds the plan's signature; without it nothing is known and nothing is kept.
        remote: its name, '' for the project's default. lifetime: seconds for which an answer is believed.
    """

    def __init__(self, plan: Path, remote: str, lifetime: float) -> None:
        self._plan, self._remote, self._lifetime = plan, remote, lifetime
        self._file = plan.with_name(_FILE)

    def read(self) -> Before | None:
        """The answer, None when there is none that may be believed."""
        try:
            found = json.loads(self._file.read_text(encoding="utf-8"))
            age = time.time() - float(found["asked"])
            if found["key"] != self._key() or not 0 <= age <= self._lifetime:
                return None
            left_out = tuple((str(path), str(why)) for path, why in found["left_out"])
            return Before(int(found["objects"]), int(found["artifacts"]), left_out, age)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, answer: Before) -> None:
        """Remember it; a clone that cannot be written to is done without."""
        if not math.isfinite(answer.age) or self._lifetime <= 0:
            return
        with suppress(OSError, DiskFull):
            content = {
                "key": self._key(), "asked": time.time() - answer.age, "objects": answer.objects,
                "artifacts": answer.artifacts, "left_out": answer.left_out,
            }  # fmt: skip
            write(self._file, json.dumps(content).encode())

    def forget(self) -> None:
        """The remote turned out to lack something."""
        with suppress(OSError):
            self._file.unlink()

    def _key(self) -> list[object]:
        return [_VERSION, self._remote, hashlib.sha256(self._plan.read_bytes()).hexdigest()]
