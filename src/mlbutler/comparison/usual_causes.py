"""Guess from two contents of one output why they differ; what a guess rests on is in the contents themselves."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][-+]?\d++)?(?![\w.])")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?")
_UNIQUE = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b|/tmp/\w+", re.IGNORECASE)
_ROUNDING = 1e-4
_LARGEST = 4 * 1024 * 1024
_SECONDS = re.compile(r"\b1[5-9]\d{8}(?:\.\d+)?\b")


def causes_in(recorded: bytes, made: bytes) -> Iterator[str]:
    """Yield the usual causes of the differences between what is recorded of an output and what was made."""
    if max(len(recorded), len(made)) > _LARGEST:
        return
    try:
        old, new = recorded.decode("utf-8"), made.decode("utf-8")
    except UnicodeDecodeError:
        return
    if old.split() == new.split():
        yield "Line ends or spaces alone differ: Git's autocrlf, or another system."
        return
    if Counter(old.splitlines()) == Counter(new.splitlines()):
        yield (
            "The same lines in another order: sort what os.listdir, glob or a set gives, and sort without the locale "
            "(LC_ALL=C)."
        )
        return
    old_numbers, new_numbers = _NUMBER.findall(old), _NUMBER.findall(new)
    if _NUMBER.sub("0", old) == _NUMBER.sub("0", new) and _is_rounding(old_numbers, new_numbers):
        yield (
            f"The numbers differ by less than {_ROUNDING:g} of their size, as sums in another order do: number of "
            "threads, another processor or GPU, another version of a numerical library. Metrics may differ by "
            "verify.tolerance."
        )
    if old.replace(",", ".") == new.replace(",", "."):
        yield "Commas and points alone differ: the locale (LC_ALL, LANG)."
    yield from _time_causes(old, new)
    if (one := _UNIQUE.findall(old)) != (other := _UNIQUE.findall(new)) and one and other:
        yield "It holds random identifiers or names of temporary files."


def _is_rounding(old: list[str], new: list[str]) -> bool:
    pairs = [(float(a), float(b)) for a, b in zip(old, new, strict=True)]
    return all(abs(a - b) <= _ROUNDING * max(abs(a), abs(b)) for a, b in pairs) and any(a != b for a, b in pairs)


def _time_causes(old: str, new: str) -> Iterator[str]:
    times = [(a, b) for a, b in zip(_TIME.findall(old), _TIME.findall(new), strict=False) if a != b]
    if times and all(_is_a_time_zone(a, b) for a, b in times):
        yield "The times differ by whole hours: the time zone (TZ)."
    elif times or (_SECONDS.search(old) and _SECONDS.findall(old) != _SECONDS.findall(new)):
        yield "It holds the time at which it ran."


def _is_a_time_zone(one: str, other: str) -> bool:
    try:
        apart = abs(datetime.fromisoformat(one) - datetime.fromisoformat(other))
    except ValueError:
        return False
    return apart <= timedelta(hours=14) and apart % timedelta(minutes=30) == timedelta()
