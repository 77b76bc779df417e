"""That all artifacts were brought when this clone last synced, kept in the clone: what is in place is not read again.

It is believed for the very plan it was given for, whose signature covers DVC's configuration, while each object in the
cache is the file that was seen whole (`mlbutler.store.whole`) and each artifact in the work tree is what was laid out.
To find that out takes a look at every file and no more; manifests are not read, DVC's project is not opened.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlbutler.store.linker import is_fixed, status_of
from mlbutler.store.seal import UNSEALED, Seal

if TYPE_CHECKING:
    from mlbutler.project.signature import Look
    from mlbutler.store.interface import ObjectId
    from mlbutler.store.whole import Whole

_FILE = "brought.json"
_VERSION = 2


@dataclass(frozen=True)
class Brought:
    """What was brought: the artifacts' paths and objects, and how many objects with how many bytes that were in all."""

    paths: tuple[str, ...]
    artifacts: tuple[ObjectId, ...]
    objects: int
    bytes: int


class BroughtBefore:
    """The memory of one clone.

    Args:
        root: the project's root. plan: the file that holds the plan's signature; without it nothing is kept.
        seal: shows that mlbutler wrote it.
    """

    def __init__(self, root: Path, plan: Path, seal: Seal = UNSEALED) -> None:
        self._root, self._plan, self._seal = root, plan, seal
        self._file = plan.with_name(_FILE)

    def read(self, look: Look) -> Brought | None:
        """What was brought and is still in place, None where that is not certain.

        Args:
            look: tells what the work tree holds now.
        """
        from mlbutler.store.interface import ObjectId

        try:
            found, names = _read(self._file)
            if found["key"] != self._key() or not self._seal.is_sealed(_FILE, found):
                return None
            for path, signature in found["paths"].items():
                now = look(self._root, path)
                if now is None or now[0] != signature:
                    return None
            if _digest(Path(found["cache"]), names) != found["digest"]:
                return None
            artifacts = tuple(ObjectId(str(md5)) for md5 in found["artifacts"])
            return Brought(tuple(found["paths"]), artifacts, int(found["objects"]), int(found["bytes"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
            return None

    def keep(
        self,
        paths: Sequence[str],
        artifacts: Sequence[ObjectId],
        objects: Collection[ObjectId],
        cache: Path,
        whole: Whole,
        signatures: Mapping[str, str],
    ) -> None:
        """Remember what was just brought; what cannot be remembered is looked at again the next time.

        Args:
            paths: of the artifacts in the work tree. artifacts: their objects. objects: all that they are made of, each
                once. cache: where these lie. whole: knows the file of each. signatures: of what is at `paths`.
        """
        from mlbutler.atomic import write
        from mlbutler.errors import DiskFull
        from mlbutler.store.whole import size_in

        statuses = {oid.md5: status for oid, status in whole.statuses(objects).items()}
        if len(statuses) != len(objects) or set(paths) != set(signatures):
            return
        names = sorted(statuses)
        with suppress(OSError, DiskFull):
            content = {
                "key": self._key(), "cache": str(cache), "digest": _digest_of((n, statuses[n]) for n in names),
                "paths": dict(signatures), "artifacts": [oid.md5 for oid in artifacts],
                "objects": len(statuses), "bytes": sum(map(size_in, statuses.values())),
            }  # fmt: skip
            text = "\n".join((json.dumps(self._seal.sealed(_FILE, content)), *names))
            write(self._file, text.encode("utf-8", "surrogateescape"), durable=False)

    def forget(self) -> None:
        """The next sync looks at everything."""
        with suppress(OSError):
            self._file.unlink()

    def _key(self) -> list[object]:
        from mlbutler.store.whole import started

        return [_VERSION, started(), hashlib.sha256(self._plan.read_bytes()).hexdigest()]


def _read(file: Path) -> tuple[dict[str, Any], list[str]]:
    head, *names = file.read_text(encoding="utf-8", errors="surrogateescape").split("\n")
    return json.loads(head), names


def _digest(cache: Path, names: Sequence[str]) -> str | None:
    top = f"{cache}/files/md5/"
    entries = []
    for name in names:
        try:
            found = os.stat(f"{top}{name[:2]}/{name[2:]}")  # noqa: PTH116 - for each of 50,000 objects
        except OSError:
            return None
        if not is_fixed(found):
            return None
        entries.append((name, status_of(found)))
    return _digest_of(entries)


def _digest_of(entries: Iterable[tuple[str, str]]) -> str:
    return hashlib.sha256("\n".join(map(" ".join, entries)).encode()).hexdigest()
