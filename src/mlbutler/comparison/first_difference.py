"""Find the first difference between two contents of one output, and whether metrics differ by more than allowed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import zip_longest

from mlbutler.comparison.documents import is_number, read_document
from mlbutler.comparison.snapshot import Source
from mlbutler.frozen import frozen
from mlbutler.record import Scalar

_LONGEST = 120
_END = "(the end)"


@frozen
class FirstDifference:
    """Where two contents first differ: `recorded` and `made` are that line, value or byte; `where` names it."""

    where: str
    recorded: str
    made: str

    def __str__(self) -> str:
        """Return it as a clause of a sentence."""
        return f"{self.where}: {_cut(self.recorded)} recorded, {_cut(self.made)} made"


def of_bytes(recorded: bytes, made: bytes) -> FirstDifference | None:
    """Return the first line (of text) or byte (of anything else) that differs; None where there is none."""
    if recorded == made:
        return None
    try:
        lines = recorded.decode("utf-8").splitlines(), made.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        return _of_data(recorded, made)
    if b"\0" in recorded or b"\0" in made:
        return _of_data(recorded, made)
    for number, (old, new) in enumerate(zip_longest(*lines), 1):
        if old != new:
            return FirstDifference(
                f"line {number}", _END if old is None else repr(old), _END if new is None else repr(new)
            )
    return FirstDifference("line ends", *(_line_ends(content) for content in (recorded, made)))


def _of_data(recorded: bytes, made: bytes) -> FirstDifference:
    at = next((i for i, (old, new) in enumerate(zip(recorded, made, strict=False)) if old != new), None)
    if at is None:
        return FirstDifference("size", f"{len(recorded):,} bytes", f"{len(made):,} bytes")
    return FirstDifference(f"byte {at:,}", f"0x{recorded[at]:02x}", f"0x{made[at]:02x}")


def _line_ends(content: bytes) -> str:
    kinds = (f"{content.count(ending):,} {name}" for ending, name in ((b"\r\n", "CRLF"), (b"\n", "LF")))
    return ", ".join(kinds) + ("" if content.endswith(b"\n") else ", none at the end")


def of_files(recorded: Mapping[str, str], made: Mapping[str, str]) -> FirstDifference | None:
    """Return the first file of a directory (path -> hash) that is only on one side or differs; None for none."""
    for path in sorted({*recorded, *made}):
        old, new = recorded.get(path), made.get(path)
        if old != new:
            return FirstDifference(path, old or "no such file", new or "no such file")
    return None


@frozen
class MetricsCompared:
    """Whether metrics are the same within a tolerance, the first that are not, and the largest relative difference."""

    same: bool
    first: FirstDifference | None = None
    largest: float = 0.0


def of_metrics(path: str, recorded: bytes, made: bytes, tolerance: float) -> MetricsCompared | None:
    """Compare two contents of a metrics file name by name; None where one of them cannot be read as such.

    Args:
        tolerance: relative to the larger of both numbers. Text, names and what is no number have to be equal.
    """
    old, new = (read_document(path, Source(content)) for content in (recorded, made))
    if old.problem or new.problem:
        return None
    largest = 0.0
    for name in sorted({*old.values, *new.values}):
        before, after = old.values.get(name), new.values.get(name)
        apart = _relative_difference(before, after) if name in old.values and name in new.values else math.inf
        if apart > tolerance:
            said = (str(old.values[name]) if name in old.values else "absent",
                    str(new.values[name]) if name in new.values else "absent")  # fmt: skip
            return MetricsCompared(same=False, first=FirstDifference(name, *said), largest=apart)
        largest = max(largest, apart)
    return MetricsCompared(same=True, largest=largest)


def _relative_difference(old: Scalar, new: Scalar) -> float:
    """Return the relative difference of two values, infinity where they are no numbers and not equal."""
    if old == new and isinstance(old, bool) == isinstance(new, bool):
        return 0.0
    if not (is_number(old) and is_number(new)):
        return math.inf
    assert isinstance(old, (int, float))
    assert isinstance(new, (int, float))
    largest = max(abs(old), abs(new))
    try:
        return abs(old - new) / largest
    except OverflowError:  # whole numbers beyond the range of floats
        return math.inf


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
