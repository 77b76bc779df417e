"""How far an experiment is, as a line of its log: written where it runs, and read wherever experiments are listed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from mlbutler.frozen import frozen
from mlbutler.numbers import is_finite
from mlbutler.reproduce.progress import load_progress

_LINE = re.compile(r"\[mlbutler: (?P<stage>stage \d+ of \d+(?:: [^;]*)?)?(?:; )?(?P<metrics>.*)\]")
MARK = b"[mlbutler: "
"""What such a line begins with."""
TAIL = 64 * 1024
"""Bytes of a log's end that are looked through."""
_BARS = "▁▂▃▄▅▆▇█"
_WIDTH = 10


@frozen
class LogProgress:
    """The progress that a log reports. `metrics`: the values of each, by ``file:name``, the oldest first."""

    stage: str
    metrics: Mapping[str, tuple[float, ...]]


def progress_line(stage: str, metrics: Mapping[str, float]) -> str:
    """Return the line that reports a stage and metrics in a log; '' without either."""
    values = ", ".join(f"{name} {number:.6g}" for name, number in metrics.items())
    return f"[mlbutler: {'; '.join(filter(None, (stage, values)))}]" if stage or values else ""


def read_progress(lines: Iterable[str]) -> LogProgress:
    """Return the progress that the lines of a log report; other lines are skipped."""
    stage, found = "", dict[str, list[float]]()
    for match in filter(None, map(_LINE.fullmatch, lines)):
        stage = match["stage"] or stage
        for pair in match["metrics"].split(", "):
            name, _, text = pair.rpartition(" ")
            if name and (number := _number(text)) is not None:
                found.setdefault(name, []).append(number)
    return LogProgress(stage, {name: tuple(values) for name, values in found.items()})


def readable_line(line: str) -> str:
    """Return a line of a log as a person reads it: a progress line without the mark for programs."""
    match = _LINE.fullmatch(line)
    return f"== {'; '.join(filter(None, (match['stage'], match['metrics'])))}" if match is not None else line


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if is_finite(number) else None


def current_stage(root: Path) -> str:
    """Return which stage runs in a clone, as in ``stage 2 of 3: train``; '' where none does.

    Args:
        root: the project's.
    """
    now = load_progress(root) if root.is_dir() else None
    if now is None:
        return ""
    running = f": {now.running}" if now.running else ""
    return f"stage {min(len(now.done) + 1, now.stages)} of {now.stages}{running}"


def last_lines(path: Path) -> list[str]:
    """Return the lines at the end of a log; none where there is no log."""
    try:
        with path.open("rb") as file:
            start = max(file.seek(0, os.SEEK_END) - TAIL, 0)
            file.seek(start)
            lines = file.read(TAIL).decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    return lines[1:] if start else lines


def sparkline(values: Iterable[float]) -> str:
    """Return how a number went, a character for each of its last values; '' for fewer than three."""
    last = list(values)[-_WIDTH:]
    if len(last) < 3:
        return ""
    low, high = min(last), max(last)
    apart = high / 2 - low / 2  # of two huge numbers the difference may be none
    steps = ((one / 2 - low / 2) / apart if apart else 0.5 for one in last)
    return "".join(_BARS[min(round(step * (len(_BARS) - 1)), len(_BARS) - 1)] for step in steps)
