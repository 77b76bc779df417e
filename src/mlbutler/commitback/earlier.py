"""Write and read what a results commit's trailers say of the build that made it.

The next build, perhaps on another agent that shares nothing with this one, reports it. Anybody can write such a
message: what is read is checked.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlbutler.record import EarlierBuild, StageRun
from mlbutler.secrets import without_userinfo

REPRODUCED = "Mlbutler-Reproduced"
BUILD = "Mlbutler-Build"
RUNS = "Mlbutler-Runs"
STAGES = "Mlbutler-Stages"

_TOLD = ("ran", "restored")
_MOST_STAGES, _LONGEST_NAME, _LONGEST_URL, _LONGEST = 50, 100, 500, 20_000
_MOST_SECONDS, _MOST_BYTES = 1e8, 2**60
_AND, _MORE = " and ", " more"
_INERT = re.compile(r"[A-Za-z0-9_@.:/-]")
_URL = re.compile(r"https?://[!#-&(-;=?-\[\]_a-z~]+")
_COMMIT_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def trailers(stages: Sequence[StageRun], build_url: str) -> Iterator[str]:
    """Return lines for a results commit: its build, and what its stages took, the longest if there are many."""
    url = without_userinfo(build_url)
    if len(url) <= _LONGEST_URL and _URL.fullmatch(url):
        yield f"{BUILD}: {url}"
    told = [run for run in stages if run.outcome in _TOLD and len(run.name) <= _LONGEST_NAME]
    longest = {run.name for run in sorted(told, key=lambda run: -run.duration)[:_MOST_STAGES]}
    if told:
        yield f"{RUNS}: [{','.join(_format_stage_run(run) for run in told if run.name in longest)}]"


def stages_trailer(names: Sequence[str]) -> Iterator[str]:
    """Return a line for a results commit that names the stages whose results it holds."""
    if names:
        more = f"{_AND}{len(names) - _MOST_STAGES}{_MORE}" if len(names) > _MOST_STAGES else ""
        yield f"{STAGES}: {', '.join(_collapse_spaces(name) for name in names[:_MOST_STAGES])}{more}"


def holds_results_of(stage: str, trailers: Mapping[str, str]) -> bool:
    """Return whether a results commit with these trailers may hold results of the stage.

    One that names no stages, or not all of them, may hold those of any.
    """
    named = trailers.get(STAGES, "")
    return not named or named.endswith(_MORE) or f", {_collapse_spaces(stage)}, " in f", {named}, "


def _collapse_spaces(name: str) -> str:
    return " ".join(name.split())


def _format_stage_run(run: StageRun) -> str:
    memory = "null" if run.peak_memory is None else str(run.peak_memory)
    return f'["{_inert(run.name)}","{run.outcome}",{round(run.duration, 3)},{memory}]'


def _inert(text: str) -> str:
    """Return the text inside JSON's quotes, with nothing a forge or CI server acts on: ``#7``, ``[skip ci]``."""
    return "".join(
        char if _INERT.match(char) else f"\\u{ord(char):04x}" if ord(char) < 128 else json.dumps(char)[1:-1]
        for char in text
    )


def earlier_build(commit: str, found: Mapping[str, str]) -> EarlierBuild | None:
    """Return what a commit's trailers say of the build that made it; None when it is no results commit."""
    head = found.get(REPRODUCED, "")
    if not _COMMIT_ID.fullmatch(head):
        return None
    url = found.get(BUILD, "")
    return EarlierBuild(
        commit=commit,
        head=head,
        url=url if len(url) <= _LONGEST_URL and _URL.fullmatch(url) else "",
        stages=tuple(_parse_stage_runs(found.get(RUNS, ""))),
    )


def _parse_stage_runs(text: str) -> Iterator[StageRun]:
    try:
        items = json.loads(text[:_LONGEST]) if text else []
    except (ValueError, RecursionError):
        return
    for item in items[:_MOST_STAGES] if isinstance(items, list) else ():
        if (run := _parse_stage_run(item)) is not None:
            yield run


def _parse_stage_run(item: Any) -> StageRun | None:
    if not isinstance(item, list) or len(item) != 4:
        return None
    name, outcome, seconds, memory = item
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME or outcome not in _TOLD:
        return None
    if not _is_number(seconds, _MOST_SECONDS) or not (memory is None or _is_number(memory, _MOST_BYTES)):
        return None
    return StageRun(
        name=name, outcome=outcome, duration=float(seconds), peak_memory=None if memory is None else int(memory)
    )


def _is_number(value: Any, most: float) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and 0 <= value <= most and math.isfinite(value)
