"""The section on stages: what each did, would do, or did in the earlier build whose results these are."""

from __future__ import annotations

from collections import Counter

from mlbutler import numbers
from mlbutler.record import Cause, Record, StageState
from mlbutler.report.links import short
from mlbutler.report.model import (
    Block,
    Column,
    Items,
    Line,
    Paragraph,
    Section,
    Style,
    Table,
    Tone,
    cell,
    code,
    link,
    plain,
)

_NAMED = 10
_STAGE_TONES = {"failed": Tone.BAD, "interrupted": Tone.WARN, "not reached": Tone.WARN, "unchanged": Tone.MUTED}


def stages(record: Record) -> Section | None:
    """Return what each stage did, or, where nothing ran, what each would do."""
    if (section := _earlier_stages(record)) is not None:
        return section
    if record.reproduce is not None and record.reproduce.stages:
        runs = record.reproduce.stages
        planned = {s.name: s for s in record.plan.stages} if record.plan else {}
        rows = tuple(
            (
                cell(s.name, style=Style.CODE),
                cell(s.outcome, _STAGE_TONES.get(s.outcome, Tone.GOOD)),
                cell(numbers.seconds(s.duration) if s.duration else numbers.ABSENT),
                cell(numbers.size(s.peak_memory)),
                cell(s.cause or _causes(planned[s.name].causes if s.name in planned else ())),
            )
            for s in runs
        )
        columns = (Column("Stage"), Column("Outcome"), Column("Time", True), Column("Memory", True), Column("Because"))
        blocks: list[Block] = [Table("Stages", columns, rows)]
        if record.reproduce.always_changes:
            names = ", ".join(record.reproduce.always_changes)
            blocks.append(Paragraph((plain(f"Not deterministic, always changes: {names}."),), Tone.WARN))
        for found in record.reproduce.stale_again:
            said = f"Stale again as soon as it ran: {found.subject} ({found.problem}). {found.remedy}"
            blocks.append(Paragraph((plain(said),), Tone.WARN))
        if (line := _expected_cost(record)) is not None:
            blocks.append(line)
        blocks += _tracker_runs(record)
        counts = Counter(s.outcome for s in runs)
        total = sum(s.duration for s in runs)
        summary = ", ".join(f"{n:,} {what}" for what, n in counts.items())
        summary += f" in {numbers.seconds(total)}" if total else ""
        return Section("stages", "Stages", tuple(blocks), 60, summary, quiet=set(counts) == {"unchanged"})
    if record.plan is None or not record.plan.stages:
        return None
    rows = tuple(
        (
            cell(p.name, style=Style.CODE),
            cell(p.state, Tone.MUTED if p.state == StageState.UP_TO_DATE else Tone.WARN),
            cell(numbers.seconds(p.last_duration)),
            cell(numbers.size(p.need_bytes)),
            cell(_causes(p.causes)),
        )
        for p in record.plan.stages
    )
    columns = (Column("Stage"), Column("State"), Column("Last run", True), Column("To bring", True), Column("Because"))
    counted = Counter(str(p.state) for p in record.plan.stages)
    summary = ", ".join(f"{n:,} {what}" for what, n in counted.items())
    quiet = set(counted) == {str(StageState.UP_TO_DATE)}
    return Section("stages", "Stages", (Table("Stages", columns, rows),), 60, summary, quiet=quiet)


def _earlier_stages(record: Record) -> Section | None:
    """Return what the stages did in the earlier build whose results these are; None where this one ran any."""
    runs = record.reproduce.stages if record.reproduce is not None else ()
    build = record.compare.earlier if record.compare is not None else None
    if build is None or not build.stages or any(run.outcome != "unchanged" for run in runs):
        return None
    names = {stage.name for stage in record.plan.stages} if record.plan is not None else set()
    told = {run.name: run for run in build.stages if run.name in names or not names}
    if not told or (record.plan is not None and record.plan.stale()):
        return None
    rows = []
    for run in told.values():
        time, memory = cell(numbers.seconds(run.duration)), cell(numbers.size(run.peak_memory))
        rows.append((cell(run.name, style=Style.CODE), cell(run.outcome, Tone.GOOD), time, memory))
    rest = [name for name in names if name not in told]
    columns = (Column("Stage"), Column("Outcome then"), Column("Time", True), Column("Memory", True))
    page: Line = (link("an earlier build", build.url),) if build.url else (plain("an earlier build"),)
    said: Line = (plain("Nothing had to run in this build. The results are those of "), *page, plain(" of "),
                  code(short(build.head)), plain(", as the results commit "), code(short(build.commit)),
                  plain(" says."))  # fmt: skip
    counts = Counter(run.outcome for run in told.values())
    summary = ", ".join(f"{n:,} {what}" for what, n in counts.items())
    summary += f" in {numbers.seconds(sum(run.duration for run in told.values()))}, in the build of {short(build.head)}"
    if rest:
        summary += f", {len(rest):,} unchanged"
    return Section("stages", "Stages", (Paragraph(said), Table("Stages", columns, tuple(rows))), 60, summary)


def _tracker_runs(record: Record) -> list[Block]:
    """Return the runs that stages logged with experiment trackers."""
    runs = record.compare.runs if record.compare is not None else ()
    if not runs:
        return []
    lines: list[Line] = []
    for run in runs[:_NAMED]:
        where: Line = (plain(" in "), code(run.place)) if run.place else ()
        lines.append((plain(f"{run.tracker}: "), link(run.name, run.url) if run.url else plain(run.name), *where))
    return [Paragraph((plain("Runs that the stages logged:"),)), Items(tuple(lines), len(runs) - len(lines))]


def _expected_cost(record: Record) -> Paragraph | None:
    """Return what the plan expected, beside what happened."""
    cost = record.plan.expected if record.plan else None
    if cost is None or record.reproduce is None:
        return None
    took = sum(s.duration for s in record.reproduce.stages if s.outcome == "ran")
    said = []
    if cost.download_bytes is not None and record.sync is not None:
        came = sum(m.bytes for m in record.sync.moved if m.place not in ("cache", "mirror"))
        said.append(f"{numbers.size(cost.download_bytes)} to download (it was {numbers.size(came)})")
    if cost.seconds and not cost.untimed:
        said.append(f"{numbers.seconds(cost.seconds)} of running (it took {numbers.seconds(took)})")
    return Paragraph((plain(f"Expected by the plan: {'; '.join(said)}."),), Tone.MUTED) if said else None


def _causes(causes: tuple[Cause, ...]) -> str:
    said = [" ".join(filter(None, (c.kind, c.subject, f"({c.detail})" if c.detail else ""))) for c in causes[:3]]
    more = f" and {len(causes) - 3} more" if len(causes) > 3 else ""
    return "; ".join(said) + more if said else numbers.ABSENT
