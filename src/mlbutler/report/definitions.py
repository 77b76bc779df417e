"""The section on stages that dvc.yaml defines otherwise."""

from __future__ import annotations

from collections import Counter

from mlbutler import numbers
from mlbutler.record import CompareResult, DefinitionChange, StageDefinitionChange
from mlbutler.report.model import Cell, Column, Paragraph, Row, Section, Style, Table, Tone, cell, plain, strong

_COLUMNS = (Column("Stage"), Column("What"), Column("Target"), Column("This change"), Column("Change"))
_LABELS = {"wdir": "working directory"}


def section(compare: CompareResult) -> Section | None:
    """Return every part of a definition that differs.

    A stage that lost a dependency or param, or is frozen, is shown unfolded.
    """
    if not compare.stages:
        return None
    lost = any(change.lost_inputs() for change in compare.stages)
    frozen = any(change.freezes() for change in compare.stages)
    ordered = sorted(compare.stages, key=lambda change: not (change.lost_inputs() or change.freezes()))
    rows = tuple(row for change in ordered for row in _rows(change))
    blocks: list[Paragraph | Table] = []
    if lost:
        said = " DVC does not run a stage again when something changes that the stage does not name."
        blocks.append(Paragraph((strong("A stage lost a dependency or a param."), plain(said)), Tone.WARN))
    if frozen:
        blocks.append(Paragraph((strong("A stage is frozen."), plain(" It is not run again, whatever changes."))))
    blocks.append(Table("Stages that dvc.yaml defines otherwise", _COLUMNS, rows))
    counts = Counter(change.kind for change in compare.stages)
    summary = ", ".join(f"{count:,} {kind}" for kind, count in counts.items())
    priority = 87 if lost or frozen else 47
    return Section("definitions", "Stage definitions", tuple(blocks), priority, summary, important=lost or frozen)


def _rows(change: StageDefinitionChange) -> list[Row]:
    rows = [_part(change, part) for part in change.parts]
    if change.kind == "renamed":
        rows.insert(0, _row(change.stage, "name", change.old_name, change.stage, "renamed", Tone.NONE))
    elif change.kind in ("added", "removed"):
        old, new = ("", change.stage) if change.kind == "added" else (change.stage, "")
        rows.insert(0, _row(change.stage, "stage", old, new, change.kind, Tone.NONE))
    return rows


def _part(change: StageDefinitionChange, part: DefinitionChange) -> Row:
    """Return a row for one part; what a stage lost stands out, unless the stage itself is gone."""
    freezes = part.part == "frozen" and bool(part.new)
    lost = part.kind == "removed" and part.part in ("dependency", "param", "output") and change.kind != "removed"
    old, new = (_value(part, value, present) for value, present in (
        (part.old, part.kind != "added"), (part.new, part.kind != "removed")
    ))  # fmt: skip
    what = _LABELS.get(part.part, part.part)
    return _row(change.stage, what, old, new, part.kind, Tone.WARN if freezes or lost else Tone.NONE)


def _value(part: DefinitionChange, value: str, present: bool) -> str:
    if not present:
        return ""
    return f"{part.name} ({value})" if part.name and value else part.name or value


def _row(stage: str, what: str, old: str, new: str, kind: str, tone: Tone) -> Row:
    def code_cell(text: str) -> Cell:
        return cell(text, style=Style.CODE) if text else cell(numbers.ABSENT)

    return cell(stage, style=Style.CODE), cell(what), code_cell(old), code_cell(new), cell(kind, tone)
