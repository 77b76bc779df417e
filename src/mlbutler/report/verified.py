"""The section on stages that were run again in a clean clone."""

from __future__ import annotations

from mlbutler import numbers
from mlbutler.escape import log_line
from mlbutler.record import Record, StageVerified
from mlbutler.report.model import Block, CodeBlock, Column, Paragraph, Section, Style, Table, Tone, cell, plain

_LOG_LINES = 30


def section(record: Record) -> Section | None:
    """Return what was verified, None where nothing was."""
    result = record.check.verified if record.check is not None else None
    if result is None or not result.stages:
        return None
    rows = tuple(
        (
            cell(stage.name, style=Style.CODE),
            cell(stage.state, _tone(stage)),
            cell(numbers.seconds(stage.seconds) if stage.runs else numbers.ABSENT),
            cell(" ".join(filter(None, (stage.reason, *stage.causes, *stage.attested)))),
        )
        for stage in result.stages
    )
    columns = (Column("Stage"), Column("Result"), Column("Time", True), Column("Because"))
    blocks: list[Block] = [Table("Verified", columns, rows)]
    blocks += [
        CodeBlock(f"Stage {stage.name} in a clean clone", tuple(log_line(line) for line in stage.tail[-_LOG_LINES:]))
        for stage in result.stages
        if stage.tail
    ]
    said = "Run again in a clean clone, without any cache, with data from the remote alone"
    if result.drawn_from:
        said += f"; drawn at random from {numbers.count(result.drawn_from, 'stage')} whose results this change brings"
    if result.tolerance:
        said += f"; metrics may differ by {result.tolerance:g} of their size"
    blocks.append(Paragraph((plain(f"{said}."),), Tone.MUTED))
    wrong = any(stage.state.is_wrong for stage in result.stages)
    return Section("verified", "Verified", tuple(blocks), 79 if wrong else 45, result.reason, important=wrong)


def _tone(stage: StageVerified) -> Tone:
    return Tone.GOOD if stage.state.is_reproduced else Tone.BAD if stage.state.is_wrong else Tone.WARN
