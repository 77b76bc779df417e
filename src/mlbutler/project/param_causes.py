"""What parameters say of a stage: which differ from dvc.lock, value by value, and which DVC cannot record."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from mlbutler.comparison.documents import leaves
from mlbutler.project import overlooked
from mlbutler.project.model import ParamsFile
from mlbutler.record import Cause

_MOST = 20
_LONGEST = 60
_BEFORE = 12
_AFTER = 40


def param_causes(params: ParamsFile) -> list[Cause]:
    """Return why the stage that reads this file is stale; [] when DVC finds in it what dvc.lock has.

    Values that DVC never finds equal again are causes of kind ``always``, with what to write instead.
    """
    if params.current is None or params.problem:
        return []  # see `missing_params`
    recorded: Mapping[str, Any] = params.recorded or {}
    causes = [_spelling_cause(params)] if params.written else []
    for name in params.names or tuple(dict.fromkeys((*params.current, *recorded))):
        subject = f"{params.path}:{name}"
        if name not in params.current:
            if not params.names:
                causes.append(Cause(kind="param", subject=subject, detail="removed"))
        elif name not in recorded:
            causes.append(Cause(kind="param", subject=subject, detail="not in dvc.lock"))
        elif not _equal(params.current[name], recorded[name]):
            causes += _differences(subject, recorded[name], params.current[name])
    return causes


def missing_params(params: ParamsFile, file: str, hidden_by: str = "") -> Iterator[Cause]:
    """Return what keeps the stage from running: parameters that are missing or that DVC cannot read.

    Args:
        file: where the stage is declared. hidden_by: the .dvc file that tracks them and that DVC does not read.
    """
    if params.problem:
        yield Cause(kind="unreadable", subject=params.path, detail=params.problem, remedy=f"Fix {params.path}.")
        return
    if params.current is None and hidden_by:
        yield Cause(kind="missing", subject=params.path, detail=overlooked.why(hidden_by),
                    remedy=overlooked.remedy(hidden_by))  # fmt: skip
        return
    if params.current is None:
        remedy = f"git add {params.path}, or correct the path in {file}."
        yield Cause(kind="missing", subject=params.path, detail="in neither Git nor DVC, and no stage makes it",
                    remedy=remedy)  # fmt: skip
        return
    for name in params.names:
        if name not in params.current:
            yield Cause(kind="missing", subject=f"{params.path}:{name}", detail=f"{params.path} has no such parameter",
                        remedy=_missing_param_remedy(name, params.path, file))  # fmt: skip


def not_recordable(params: ParamsFile) -> Iterator[Cause]:
    """Return values with which DVC cannot run a stage."""
    for name in params.names or tuple(params.current or ()):
        if params.current is not None and name in params.current and _has_date(params.current[name]):
            yield Cause(
                kind="unreadable", subject=f"{params.path}:{name}", detail="DVC cannot record a date",
                remedy=f"Write it in quotes in {params.path}, so that it is a text.",
            )  # fmt: skip


def _missing_param_remedy(name: str, path: str, file: str) -> str:
    """Return the remedy for a parameter that is missing; ``[./my.yaml:]`` in one line is a text to YAML."""
    if name.endswith(":"):
        return f"In {file}, `{name}` is the name of a parameter; for all of that file write `{name} null`."
    return f"Write it into {path}, or take it out of {file}."


def _spelling_cause(params: ParamsFile) -> Cause:
    return Cause(
        kind="always", subject=params.path,
        detail=f"DVC runs it every time: dvc.lock has {params.path}, and not {params.written}",
        remedy=f"Write {params.path} instead of {params.written} in dvc.yaml.",
    )  # fmt: skip


def _differences(subject: str, old: Any, new: Any) -> list[Cause]:
    """Yield one cause for each value inside that differs."""
    if _equal(_as_recorded(old), _as_recorded(new)):
        return [_never_equal(subject, new)]
    before, after = _leaves(old), _leaves(new)
    if before is None or after is None:
        return [Cause(kind="param", subject=subject, detail="differs from dvc.lock")]
    causes = []
    for name in dict.fromkeys((*before, *after)):
        where = f"{subject}.{name}" if name else subject
        if name not in after:
            causes.append(Cause(kind="param", subject=where, detail="removed"))
        elif name not in before:
            causes.append(Cause(kind="param", subject=where, detail=f"added: {_as_json(after[name])}"))
        elif before[name] != after[name] or isinstance(before[name], bool) != isinstance(after[name], bool):
            causes.append(Cause(kind="param", subject=where, detail=difference(before[name], after[name])))
    if not causes:  # an empty group in place of another
        causes.append(Cause(kind="param", subject=subject, detail=difference(old, new)))
    if len(causes) > _MOST:
        more = len(causes) - _MOST
        causes[_MOST:] = [Cause(kind="param", subject=subject, detail=f"{more:,} more values differ")]
    return causes


def _leaves(value: Any) -> Mapping[str, Any] | None:
    if isinstance(value, Mapping):
        return leaves(value)
    if isinstance(value, list | tuple | set):
        return leaves(dict(enumerate(value)))
    return {"": value}


def _never_equal(subject: str, value: Any) -> Cause:
    if _contains(value, lambda inner: isinstance(inner, float) and math.isnan(inner)):
        what, instead = "NaN never equals itself", "null, or a text"
    else:
        what, instead = "a tuple inside another value never equals the list that dvc.lock has", "lists"
    return Cause(
        kind="always", subject=subject, detail=f"DVC runs it every time: {what}", remedy=f"Write {instead} instead.",
    )  # fmt: skip


def _as_recorded(value: Any) -> Any:
    """Return the value as dvc.lock has it, with something in place of NaN that equals itself."""
    if isinstance(value, Mapping):
        return {key: _as_recorded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_as_recorded(inner) for inner in value]
    return "NaN" if isinstance(value, float) and math.isnan(value) else value


def _has_date(value: Any) -> bool:
    return _contains(value, lambda inner: isinstance(inner, datetime.date | datetime.time))


def _contains(value: Any, is_it: Any) -> bool:
    stack = [value]
    while stack:
        inner = stack.pop()
        if is_it(inner):
            return True
        if isinstance(inner, Mapping):
            stack += inner.values()
        elif isinstance(inner, list | tuple | set):
            stack += inner
    return False


def _equal(one: Any, other: Any) -> bool:
    """Tell whether DVC finds what it reads equal to what dvc.lock has."""
    if isinstance(one, tuple):
        one = list(one)
    return bool(one == other)


def difference(old: Any, new: Any) -> str:
    """Return ``old → new``; long ones from where they begin to differ."""
    return texts_differ(_as_json(old), _as_json(new))


def texts_differ(before: str, after: str) -> str:
    """Return ``before → after``; long ones from where they begin to differ."""
    if len(before) <= _LONGEST and len(after) <= _LONGEST:
        return f"{before} → {after}"
    pairs = zip(before, after, strict=False)
    same = next((at for at, (one, other) in enumerate(pairs) if one != other), min(len(before), len(after)))
    start = max(0, same - _BEFORE)
    return f"{_excerpt(before, start)} → {_excerpt(after, start)}"


def _excerpt(text: str, start: int) -> str:
    end = start + _BEFORE + _AFTER
    return ("..." if start else "") + text[start:end] + ("..." if end < len(text) else "")


def _as_json(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)
