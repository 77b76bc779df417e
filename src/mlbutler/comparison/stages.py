"""Compare what dvc.yaml says of the stages: a definition can change what is run without changing any code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mlbutler.comparison.snapshot import StageDefinition
from mlbutler.record import DefinitionChange, StageDefinitionChange


def compare_stages(old: Sequence[StageDefinition], new: Sequence[StageDefinition]) -> tuple[StageDefinitionChange, ...]:
    """Return the stages that were added, removed, renamed or redefined, in the order of the new side."""
    before, after = ({stage.name: stage for stage in side} for side in (old, new))
    renamed = _find_renames(before, after)
    changes = []
    for name, stage in after.items():
        then = before.get(renamed.get(name, name))
        if then is None:
            changes.append(StageDefinitionChange(stage=name, kind="added", parts=tuple(_compare_parts(None, stage))))
            continue
        parts = tuple(_compare_parts(then, stage))
        if name in renamed:
            changes.append(StageDefinitionChange(stage=name, kind="renamed", old_name=then.name, parts=parts))
        elif parts:
            changes.append(StageDefinitionChange(stage=name, kind="changed", parts=parts))
    gone = [stage for name, stage in before.items() if name not in after and name not in renamed.values()]
    changes += [StageDefinitionChange(stage=s.name, kind="removed", parts=tuple(_compare_parts(s, None))) for s in gone]
    return tuple(changes)


def _find_renames(old: Mapping[str, StageDefinition], new: Mapping[str, StageDefinition]) -> dict[str, str]:
    """Map new name -> old name of stages that make the same outputs, or else run the same command."""
    gone: dict[object, str] = {}
    for name, stage in old.items():
        if name not in new:
            gone.setdefault(_key(stage), name)
    found = {}
    for name, stage in new.items():
        if name not in old and (then := gone.pop(_key(stage), None)) is not None:
            found[name] = then
    return found


def _key(stage: StageDefinition) -> object:
    return frozenset(stage.outputs) or (stage.command, stage.directory)


_NONE = StageDefinition("")


def _compare_parts(old: StageDefinition | None, new: StageDefinition | None) -> Iterator[DefinitionChange]:
    before, after = old or _NONE, new or _NONE
    yield from _compare_values("command", before.command, after.command)
    yield from _compare_values("wdir", before.directory, after.directory)
    yield from _compare_values("frozen", _flag(before.frozen), _flag(after.frozen))
    yield from _compare_values("always_changed", _flag(before.always), _flag(after.always))
    yield from _compare_names("dependency", before.dependencies, after.dependencies)
    yield from _compare_names("param", before.params, after.params)
    for path in dict.fromkeys((*after.outputs, *before.outputs)):
        was, now = before.outputs.get(path, ""), after.outputs.get(path, "")
        if was != now:
            kind = "changed" if was and now else "added" if now else "removed"
            yield DefinitionChange(part="output", kind=kind, name=path, old=was, new=now)


def _flag(value: bool) -> str:
    return "true" if value else ""


def _compare_values(part: str, old: str, new: str) -> Iterator[DefinitionChange]:
    if old != new:
        kind = "changed" if old and new else "added" if new else "removed"
        yield DefinitionChange(part=part, kind=kind, old=old, new=new)


def _compare_names(part: str, old: Sequence[str], new: Sequence[str]) -> Iterator[DefinitionChange]:
    for name in dict.fromkeys(name for name in old if name not in set(new)):
        yield DefinitionChange(part=part, kind="removed", name=name)
    for name in dict.fromkeys(name for name in new if name not in set(old)):
        yield DefinitionChange(part=part, kind="added", name=name)
