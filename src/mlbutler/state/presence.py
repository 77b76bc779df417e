"""What a remote was seen to hold, kept in the clone and beside the mirror, so that the next build need not ask again.

Only "present" is kept: "missing" is soon wrong, "undetermined" says nothing. An answer can become false, because
somebody may remove objects from the remote; so it is believed for a limited time, and who uses it says its age. When a
remote is found to lack something, no answer that was given before is believed any more: the answers lie in several
clones and beside mirrors that not everybody may write to, so that they cannot all be removed.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from mlbutler.frozen import frozen
from mlbutler.state.rule import is_valid
from mlbutler.state.seal import UNSEALED, Seal
from mlbutler.state.segments import Segment, remove_all
from mlbutler.state.verified import Object, parse_row_name, row_name

KIND, CHECK, INVALIDATED = "presence", "push-check", "invalidated"
_CLOCK_ERROR = 300.0
"""Seconds by which the clocks of two builds may differ; an answer from further ahead is not believed."""


class KnownPresence(NamedTuple):
    """An answer of an earlier build: size in bytes if it was said, and how many seconds ago it was asked."""

    size: int | None
    age: float


class Invalidation:
    """When answers of remotes expire: after their lifetime, or once a remote was found to lack something.

    Args:
        places: of the clone and, where there is one, of the mirror. lifetime: seconds.
    """

    def __init__(self, places: Iterable[Path], lifetime: float) -> None:
        self.places, self.lifetime = tuple(places), lifetime

    def age(self, asked: object, now: float, invalidated: float) -> float | None:
        """Return how many seconds ago it was asked, None for an answer that is not believed."""
        if not isinstance(asked, int | float) or not invalidated <= asked <= now + _CLOCK_ERROR:
            return None
        return max(now - asked, 0.0) if is_valid(now=now, expiry=asked + self.lifetime) else None

    def last_time(self, now: float) -> float:
        """Return when a remote was last found to lack something, as far as these places tell."""
        return max((self._read_time(place, now) for place in self.places), default=0.0)

    def _read_time(self, place: Path, now: float) -> float:
        segment = Segment(place, INVALIDATED)
        when = segment.read().get("at")
        if when is None and not os.path.lexists(segment.file):
            return 0.0
        if not isinstance(when, int | float) or not 0 <= when <= now:  # torn, or a clock was ahead: not forever
            when = now
            segment.replace({"at": now}, durable=True)
        return when

    def invalidate(self, when: float | None = None) -> None:
        """Believe nothing that was said before.

        Args:
            when: something was found lacking (seconds since the epoch; now): what was asked later is believed.
        """
        for place in self.places:
            Segment(place, INVALIDATED).replace({"at": time.time() if when is None else when}, durable=True)
            for kind in (KIND, CHECK):
                remove_all(place, kind)


class PresenceCache:
    """Answers of one or several remotes about objects.

    Args:
        place: of the mirror, else of the clone. seal: shows that mlbutler wrote it.
    """

    def __init__(self, place: Path, invalidation: Invalidation, seal: Seal = UNSEALED) -> None:
        self._place, self._invalidation, self._seal = place, invalidation, seal

    def get(self, address: str) -> dict[tuple[str, bool], KnownPresence]:
        """Return what the remote at `address` was seen to hold, not too long ago."""
        now = time.time()
        invalidated = self._invalidation.last_time(now)
        found: dict[tuple[str, bool], KnownPresence] = {}
        for name, value in self._segment(address).read().items():
            with suppress(ValueError, TypeError):
                size, asked = value
                age = self._invalidation.age(asked, now, invalidated)
                if age is not None and (size is None or isinstance(size, int)):
                    found[parse_row_name(name)] = KnownPresence(size, age)
        return found

    def put(self, address: str, sizes: Mapping[Object, int | None], asked: float | None = None) -> None:
        """Keep that the remote holds these objects, with their sizes where it said them.

        Args:
            asked: when asking began (seconds since the epoch; now).
        """
        if self._invalidation.lifetime > 0:
            at = time.time() if asked is None else asked
            self._segment(address).append({row_name(oid): (size, at) for oid, size in sizes.items()})

    def invalidate(self, when: float | None = None) -> None:
        """Believe nothing that any remote was said to hold before `when` (now)."""
        self._invalidation.invalidate(when)

    def _segment(self, address: str) -> Segment:
        return Segment(self._place, KIND, address, self._seal)


@frozen
class PushCheck:
    """What a check of all artifacts' objects on the remote found.

    Attributes:
        objects, artifacts: how many were on the remote, all of them. left_out: what was not asked for, and why.
        age: how many seconds ago it was asked.
    """

    objects: int
    artifacts: int
    left_out: tuple[tuple[str, str], ...]
    age: float


class PushCheckCache:
    """Remembers that all artifacts of a project were on the remote, which spares reading what would be asked for.

    Args:
        seal: shows that mlbutler wrote it.
    """

    def __init__(self, invalidation: Invalidation, seal: Seal = UNSEALED) -> None:
        self._invalidation, self._seal = invalidation, seal

    def get(self, artifacts: str) -> PushCheck | None:
        """Return the answer for these artifacts, None when there is none that may be believed.

        Args:
            artifacts: tells them, and where they are pushed to, from all others; '' where that is not known.
        """
        now = time.time()
        invalidated = self._invalidation.last_time(now)
        for segment in self._segments(artifacts):
            if (found := self._read(segment.read(), now, invalidated)) is not None:
                return found
        return None

    def put(self, artifacts: str, answer: PushCheck) -> None:
        """Keep it, in the clone and in the mirror."""
        if not math.isfinite(answer.age) or self._invalidation.lifetime <= 0:
            return
        rows = {
            "asked": time.time() - answer.age, "objects": answer.objects, "artifacts": answer.artifacts,
            "left_out": answer.left_out,
        }  # fmt: skip
        for segment in self._segments(artifacts):
            segment.replace(rows)

    def invalidate(self, when: float | None = None) -> None:
        """Believe nothing that was said before `when` (now): a remote lacks something."""
        self._invalidation.invalidate(when)

    def _segments(self, artifacts: str) -> list[Segment]:
        return (
            [Segment(place, CHECK, artifacts, self._seal) for place in self._invalidation.places] if artifacts else []
        )

    def _read(self, rows: Mapping[str, Any], now: float, invalidated: float) -> PushCheck | None:
        try:
            age = self._invalidation.age(rows["asked"], now, invalidated)
            left_out = tuple((str(path), str(why)) for path, why in rows["left_out"])
            return None if age is None else PushCheck(int(rows["objects"]), int(rows["artifacts"]), left_out, age)
        except (ValueError, KeyError, TypeError, OverflowError):
            return None
