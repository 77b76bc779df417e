"""Find what a run still owes when it is reported: a step that was killed, or that was due and never began."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

from mlbutler.record import REPORTING_STEPS, RESULTS, Outcome, Record
from mlbutler.record_pending import judge_pending

LEAST = ("plan", "sync", "reproduce", "compare")
"""Steps that no run goes without; of one that left them out on purpose, each has a result that says so."""

_AGAIN = "read the build's log, then run it again"
_KILLED = f"It was killed, or its agent lost, or memory ran out: {_AGAIN}."
_NEVER = f"The run ended before it: {_AGAIN}."


def close_record(record: Record) -> Record:
    """Return the record of a run that is over: steps without an end have become errors.

    After a step that failed, those behind it may be missing: it is to blame. Where nothing ran, a whole run was due.
    A run that was interrupted owes nothing. What `check` left to the run is judged by what became of it.
    """
    if any(result.outcome is Outcome.INTERRUPTED for _, result in record.steps()):
        return _mark_steps_interrupted(record, record.began)
    if (check := judge_pending(record)) is not None:
        record = dataclasses.replace(record, check=check)
    unended = dict(_unended_steps(record))
    if not unended:
        return record
    results: dict[str, Any] = {
        name: RESULTS[name](
            outcome=Outcome.ERROR, reason="did not end" if time else "did not begin", started=time,
            remedy=_KILLED if time else _NEVER,
        )
        for name, time in unended.items()
    }  # fmt: skip
    return dataclasses.replace(record, began=record.began | unended, **results)


def close_interrupted_record(record: Record) -> Record:
    """Return the record of a run whose build was aborted: what had not ended was interrupted.

    Where nothing was under way it is the first step that was to come. Where every step has its result the abort came
    too late, and nothing changes.
    """
    missing = [name for name in RESULTS if name not in REPORTING_STEPS and getattr(record, name) is None]
    under_way = [name for name in RESULTS if name in record.began and name not in REPORTING_STEPS]
    if under_way or any(result.outcome is Outcome.INTERRUPTED for _, result in record.steps()):
        return _mark_steps_interrupted(record, under_way)
    return _mark_steps_interrupted(record, missing[:1])


def again(record: Record) -> str:
    """Say how an interrupted run goes on: a build's workspace is removed, and the mirror holds what it finished."""
    if record.change.kind == "local":
        return "What was finished is kept: run it again."
    return "Build it again: what was finished is restored where the agents have a mirror."


def _mark_steps_interrupted(record: Record, names: Iterable[str]) -> Record:
    results: dict[str, Any] = {
        name: RESULTS[name](
            outcome=Outcome.INTERRUPTED, reason="the build was aborted", remedy=again(record),
            started=record.began.get(name, ""),
        )
        for name in names
    }  # fmt: skip
    left = {name: time for name, time in record.began.items() if name not in results}
    return dataclasses.replace(record, began=left, **results) if results else record


def _unended_steps(record: Record) -> Iterator[tuple[str, str]]:
    """Yield (step, time it began, '' if never) in pipeline order."""
    steps = {name: result for name, result in record.steps() if name not in REPORTING_STEPS}
    due = record.due if steps or record.began else LEAST
    blamed = False
    for name in RESULTS:
        result = steps.get(name)
        if name in record.began:
            blamed = True
            yield name, record.began[name]
        elif result is not None:
            blamed = blamed or result.outcome in (Outcome.FAILED, Outcome.ERROR, Outcome.INTERRUPTED)
        elif name in due and not blamed:
            blamed = True
            yield name, ""
