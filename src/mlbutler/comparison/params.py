"""Compare parameters, and find the stages that they reach."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from mlbutler.comparison.documents import read_both
from mlbutler.comparison.snapshot import Source, StageParams
from mlbutler.record import ParamChange, Scalar


def compare_params(
    old: Mapping[str, Source], new: Mapping[str, Source], stages: Iterable[StageParams]
) -> tuple[tuple[ParamChange, ...], tuple[tuple[str, str], ...]]:
    """Return what changed, was added or removed; and (file, reason) for files that could not be read."""
    reach = tuple(stages)
    changes: list[ParamChange] = []
    problems: list[tuple[str, str]] = []
    for file in dict.fromkeys((*new, *old)):
        if file in old and file in new and new[file].content is None and new[file].is_same_as(old[file]):
            continue
        before, after, said = read_both(file, old, new)
        problems += said
        if before.problem or after.problem:
            continue
        for name in dict.fromkeys((*after.values, *before.values)):
            there, here = name in before.values, name in after.values
            if there and here and _is_same(before.values[name], after.values[name]):
                continue
            readers = [stage for stage in reach if _reads_param(stage, file, name)]
            changes.append(
                ParamChange(
                    file=file,
                    name=name,
                    kind="changed" if there and here else "added" if here else "removed",
                    old=_format_value(before.values[name]) if there else "",
                    new=_format_value(after.values[name]) if here else "",
                    stages=tuple(stage.stage for stage in readers),
                    after=_downstream_stages(readers),
                )
            )
    return tuple(changes), tuple(problems)


def _downstream_stages(readers: Sequence[StageParams]) -> tuple[str, ...]:
    """Return the stages after the readers, without these."""
    names = {stage.stage for stage in readers}
    return tuple(dict.fromkeys(name for stage in readers for name in stage.after if name not in names))


def _is_same(old: Scalar, new: Scalar) -> bool:
    return old == new and isinstance(old, bool) == isinstance(new, bool)


def _format_value(value: Scalar) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _reads_param(stage: StageParams, file: str, name: str) -> bool:
    names = stage.params.get(file)
    if names is None:
        return False
    return not names or any(name == n or name.startswith(f"{n}.") or n.startswith(f"{name}.") for n in names)
