"""Say why a stage runs, in one clause for a heading and a table."""

from __future__ import annotations

from collections.abc import Sequence

from mlbutler.live_lines import clean
from mlbutler.record import Cause

_MOST = 3


def sentence(causes: Sequence[Cause]) -> str:
    """Return ``params.yaml:lr changed (0.1 → 0.2), src/train.py changed and 4 more``; '' without causes."""
    clauses = list(dict.fromkeys(_clause(cause) for cause in causes))
    more = len(clauses) - _MOST
    text = ", ".join(clauses[:_MOST])
    return clean(f"{text} and {more} more" if more > 0 else text).replace("\n", " ")


def _clause(cause: Cause) -> str:
    detail = f" ({cause.detail})" if cause.detail else ""
    match cause.kind:
        case "code" | "data" | "param":
            return f"{cause.subject} changed{detail}"
        case "command":
            return "its command changed"
        case "upstream":
            return f"{cause.subject} runs before it"
        case "output":
            return f"output {cause.subject}: {cause.detail}" if cause.detail else f"output {cause.subject} changed"
        case "never run":
            return "it was never run"
        case "always":
            return f"it always runs{detail}" if cause.remedy else "it always runs"
        case "not known":
            return f"not known: {cause.subject}{detail}"
        case "missing" | "unreadable":
            return f"{cause.subject} is {cause.kind}{detail}"
        case _:
            return f"{cause.kind} {cause.subject}{detail}"
