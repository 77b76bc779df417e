"""What a run still owes when it is told of: a step that was killed, or that was due and never began, stopped it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from mlbutler.record import RESULTS, TELLING, Outcome, Record

LEAST = ("plan", "sync", "reproduce", "compare")
"""Steps that no run goes without; of one that left them out on purpose, each has a result that says so."""

_AGAIN = "read the build's log, then run it again"
_KILLED = f"It was killed, or its agent lost, or memory ran out: {_AGAIN}."
_NEVER = f"The run ended before it: {_AGAIN}."


def ended(record: Record) -> Record:
    """The record of a run that is over: what is unended in it has become an error.

    After a step that failed, those behind it may be missing: it is to blame. Where nothing ran, a whole run was due.
    """
    unended = dict(_unended(record))
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


def _unended(record: Record) -> Iterator[tuple[str, str]]:
    """(step, time it began, '' if never) in pipeline order."""
    steps = {name: result for name, result in record.steps() if name not in TELLING}
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
