"""What a file or directory of the work tree was when it was last laid out, so that it need not be hashed again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from mlbutler.state.fingerprint import Fingerprint, Fingerprints, wait_while_racy
from mlbutler.state.rule import is_valid
from mlbutler.state.segments import Segment

KIND = "hashes"


class Hash(NamedTuple):
    """A hash as DVC records it: algorithm, value, and bytes and files where they are known."""

    algorithm: str
    value: str
    size: int | None
    files: int | None


class HashCache:
    """The memory of one clone.

    Args:
        root: the project's root. fingerprints: shared with all that look at the same files.
    """

    def __init__(self, root: Path, fingerprints: Fingerprints | None = None) -> None:
        self._root, self._look = root, fingerprints or Fingerprints()
        self._segment = Segment(root / ".mlbutler", KIND)
        self._known = {path: found for path, row in self._segment.read().items() if (found := _entry(row)) is not None}

    def get(self, path: str, algorithm: str) -> Hash | None:
        """Return the hash of `path` if it is exactly what was hashed or laid out, else None."""
        known, text = self._known.get(path, (None, ""))
        return known if known is not None and known.algorithm == algorithm and self._is_now(path, text) else None

    def fingerprint(self, path: str) -> str | None:
        """Return the fingerprint that `path` had when its hash was put here, None without a hash."""
        return self._known[path][1] if path in self._known else None

    def unchanged_paths(self) -> frozenset[str]:
        """Return the paths that are exactly what was hashed."""
        return frozenset(path for path, (_, text) in self._known.items() if self._is_now(path, text))

    def changed_paths(self, since: Collection[str]) -> tuple[str, ...]:
        """Return the paths of those `since` that are there and are not what was hashed."""
        self._look.clear()
        return tuple(
            path
            for path, (_, text) in self._known.items()
            if path in since and (found := self._look(self._root, path)) is not None and found.text != text
        )

    def put(self, hashes: Mapping[str, Hash], written: Mapping[str, Fingerprint | None]) -> None:
        """Keep hashes of paths that were just written; wait until a later change would show in their fingerprints.

        Args:
            written: fingerprints that were taken while these paths were written.
        """
        self._look.clear()
        found = {path: (known, written.get(path) or self._look(self._root, path)) for path, known in hashes.items()}
        wait_while_racy(now for _, now in found.values() if now)
        rows: dict[str, object] = {}
        for path, (known, now) in found.items():
            self._known.pop(path, None)
            rows[path] = None
            if now is not None and not now.is_racy():
                self._known[path] = (known, now.text)
                rows[path] = [*known, now.text]
        self._segment.append(rows)

    def _is_now(self, path: str, text: str) -> bool:
        found = self._look(self._root, path)
        return is_valid(inputs=((text, found and found.text),))


def _entry(row: object) -> tuple[Hash, str] | None:
    if not isinstance(row, list) or len(row) != 5:
        return None
    algorithm, value, size, files, text = row
    return Hash(str(algorithm), str(value), _number(size), _number(files)), str(text)


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None
