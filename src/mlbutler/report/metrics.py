"""The table of metrics: which rows a reviewer sees first, and what each says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from mlbutler import numbers
from mlbutler.record import CompareResult, GateResult, MetricChange, Verdict
from mlbutler.report import origins
from mlbutler.report.headline import OR_NOISE, VERDICT_ARROWS, VERDICT_TONES
from mlbutler.report.model import Cell, Column, Line, Paragraph, Row, Section, Table, Tone, cell, code, plain, strong
from mlbutler.settings import ReportSettings as Settings

SHOWN = 8
_MOST = 1_000
"""Rows in a report; a page with more takes a browser, and us, minutes. The record holds them all."""

_NOISE_BY = {
    "repeats": "half the width of the interval of repeated runs",
    "history": "three times the median step from one measurement in the target branch to the next",
}
_GATE_TONES = {"passed": Tone.GOOD, "failed": Tone.BAD}  # all others: something to look at
_GATE_ORDER = ("failed", "waived", "inconclusive", "warned", "not judged", "passed")
_VERDICT_ORDER = (Verdict.WORSE, Verdict.GONE, Verdict.BETTER, Verdict.CHANGED, Verdict.NEW, Verdict.NOT_JUDGED,
                  Verdict.WITHIN_NOISE, Verdict.SAME)  # fmt: skip


def sections(compare: CompareResult, settings: Settings) -> tuple[Section, ...]:
    """Return the first rows, unfolded; the others, folded; gates on numbers that no row shows."""
    shown, hidden = _rows_to_show(compare, settings)
    first = sum(not _is_quiet(metric, compare) for metric in shown[:SHOWN])
    rows = _rows(compare, settings, shown[:_MOST])
    notes = _notes(compare, shown, hidden)
    made = []
    if rows or notes:
        tables = (Table("Metrics", _columns(shown), tuple(rows[:first])),) if first else ()
        made.append(Section("metrics", "Metrics", (*tables, *notes), 95, folded=False))
    if len(rows) > first:
        further = Table("Further metrics", _columns(shown), tuple(rows[first:]))
        same = sum(metric.verdict is Verdict.SAME for metric in shown[first:])
        summary = f"{len(shown) - first:,} more" if first else numbers.count(len(shown), "metric")
        if same:
            summary += ", all unchanged" if same == len(shown) - first else f", {same:,} of them unchanged"
        made.append(
            Section("further-metrics", "Further metrics", (further, *_truncation_note(len(shown))), 35, summary)
        )
    return (*made, *_other_gates(compare, shown))


def _is_quiet(metric: MetricChange, compare: CompareResult) -> bool:
    """Return whether there is nothing to say of a metric: it is what it was, and no gate is on it."""
    return metric.verdict is Verdict.SAME and not _gates(metric, compare)


def _columns(shown: Sequence[MetricChange]) -> tuple[Column, ...]:
    numeric = ("Target", "This change", "Difference", *(("Noise",) if _is_noise_known(shown) else ()))
    return (Column("Metric"), *(Column(name, numeric=True) for name in numeric), Column("Verdict"), Column("Gate"))


def _is_noise_known(shown: Sequence[MetricChange]) -> bool:
    return any(metric.noise is not None for metric in shown)


def _truncation_note(count: int) -> tuple[Paragraph, ...]:
    if count <= _MOST:
        return ()
    said = f"The first {_MOST:,} of {count:,} metrics, what matters most first; report.json holds all of them."
    return (Paragraph((plain(said),), Tone.MUTED),)


def table(compare: CompareResult, settings: Settings) -> tuple[Table, int]:
    """Return all rows in one table, and how many unchanged metrics it omits."""
    shown, hidden = _rows_to_show(compare, settings)
    return Table("Metrics", _columns(shown), tuple(_rows(compare, settings, shown))), hidden


def fields(compare: CompareResult, settings: Settings) -> tuple[tuple[str, str], ...]:
    """Return (name, ``0.92 → 0.94 (+0.02)``) of the metrics that a reviewer sees first."""
    shown, _ = _rows_to_show(compare, settings)
    found = []
    for metric in shown[:SHOWN]:
        old, new, change = numbers.sides_and_difference(metric.old, metric.new, settings.precision, metric.noise)
        found.append((metric.name or metric.file, f"{old} → {new} ({change})"))
    return tuple(found)


def _rows_to_show(compare: CompareResult, settings: Settings) -> tuple[list[MetricChange], int]:
    """Choose the metrics to show, most important first; also return how many unchanged ones are omitted."""
    chosen = [m for m in compare.metrics if _is_selected(m, settings)]
    left = [m for m in chosen if not (settings.hide_unchanged and m.verdict == Verdict.SAME and not _gates(m, compare))]
    return sorted(left, key=lambda m: _rank(m, compare)), len(chosen) - len(left)


def _rows(compare: CompareResult, settings: Settings, shown: Sequence[MetricChange]) -> list[Row]:
    twice, noise = _ambiguous(compare.metrics), _is_noise_known(shown)
    return [_row(metric, compare, settings.precision, twice, noise) for metric in shown]


def _is_selected(metric: MetricChange, settings: Settings) -> bool:
    return not settings.metrics or any(fnmatchcase(metric.key, glob) for glob in settings.metrics)


def _gates(metric: MetricChange, compare: CompareResult) -> tuple[GateResult, ...]:
    found = [g for g in compare.gates if g.metric in (metric.key, metric.name)]
    return tuple(sorted(found, key=lambda g: _position(g.outcome, _GATE_ORDER)))


def _position(item: str, order: Sequence[str]) -> int:
    return order.index(item) if item in order else len(order)


def _rank(metric: MetricChange, compare: CompareResult) -> tuple[int, int, bool, float, str]:
    gates = _gates(metric, compare)
    gate = _position(gates[0].outcome, _GATE_ORDER) if gates else len(_GATE_ORDER)
    # Passed gates do not outrank an ungated number that got worse, but come before all that stayed.
    urgent = gate if gate < _GATE_ORDER.index("passed") else _GATE_ORDER.index("passed")
    share = abs(metric.relative or 0.0)  # of many the largest changes are in the first rows, as in the verdict
    return urgent, _position(metric.verdict, _VERDICT_ORDER), not gates, -share, metric.key


def _ambiguous(metrics: Sequence[MetricChange]) -> frozenset[str]:
    names = Counter(metric.name for metric in metrics)
    return frozenset(name for name, count in names.items() if count > 1)


def short_name(key: str, compare: CompareResult) -> str:
    """Return the metric's name without its file, where no other file has one of that name."""
    name = key.partition(":")[2]
    return name if name and name not in _ambiguous(compare.metrics) else key


def _row(metric: MetricChange, compare: CompareResult, precision: int, twice: frozenset[str], noise: bool) -> Row:
    old, new, change = numbers.sides_and_difference(metric.old, metric.new, precision, metric.noise)
    if share := numbers.percent(metric.relative):
        change += f" ({share})"
    perhaps = _may_be_noise(metric, compare)
    tone = Tone.NONE if perhaps else VERDICT_TONES[metric.verdict]
    name: Line = (code(metric.name or metric.file),)
    if metric.name and metric.name in twice:
        name = (code(metric.name), plain(f" {metric.file}"))
    verdict = f"{VERDICT_ARROWS[metric.verdict]} {metric.verdict}{OR_NOISE if perhaps else ''}"
    about = (cell(numbers.ABSENT if metric.noise is None else f"±{numbers.value(metric.noise, 2)}"),) if noise else ()
    said = cell(verdict, tone), _gate_cell(metric, compare)
    return Cell(name), cell(old), cell(new), cell(change, tone), *about, *said


def _may_be_noise(metric: MetricChange, compare: CompareResult) -> bool:
    """Return whether nothing tells the difference from chance; a broken limit counts whatever made it."""
    return metric.may_be_noise and not any(gate.outcome == "failed" for gate in _gates(metric, compare))


def _gate_cell(metric: MetricChange, compare: CompareResult) -> Cell:
    gates = _gates(metric, compare)
    if not gates:
        return cell("no gate", Tone.MUTED)
    text = "; ".join(f"{g.outcome}: {g.rule}{f' ({g.waiver})' if g.waiver else ''}" for g in gates)
    return cell(text, _GATE_TONES.get(gates[0].outcome, Tone.WARN))


def _notes(compare: CompareResult, shown: Sequence[MetricChange], hidden: int) -> tuple[Paragraph, ...]:
    notes: list[Paragraph] = list(origins.paragraphs(compare)) if shown or hidden else []
    notes += _about_noise(compare, shown)
    if hidden:
        notes.append(Paragraph((plain(f"{numbers.count(hidden, 'unchanged metric')} not shown."),), Tone.MUTED))
    if shown and not compare.gates:
        warning = " Nothing here can fail this change, however bad a number gets. Set [[gate]] in mlbutler.toml."
        notes.append(Paragraph((strong("No metric has a gate."), plain(warning)), Tone.WARN))
    return tuple(notes)


def _about_noise(compare: CompareResult, shown: Sequence[MetricChange]) -> Iterator[Paragraph]:
    """Say what tells a difference from chance, or that nothing does and what would."""
    if known := [_NOISE_BY[kind] for kind in _NOISE_BY if any(m.noise_by == kind for m in shown)]:
        yield Paragraph((plain(f"Noise is {', or '.join(known)}."),), Tone.MUTED)
    if any(_may_be_noise(metric, compare) for metric in shown):
        why = ("Or noise: one run on each side, and few measurements in the target branch, do not tell how much of the "
               "difference is chance. ")  # fmt: skip
        yield Paragraph((plain(why), code("repeats"), plain(" in the metric's gate does.")), Tone.MUTED)


def _other_gates(compare: CompareResult, shown: Sequence[MetricChange]) -> tuple[Section, ...]:
    seen = {g for m in shown for g in _gates(m, compare)}
    others = [g for g in compare.gates if g not in seen]
    if not others:
        return ()
    rows = tuple(
        (
            cell(g.metric, style=code("").style),
            cell(g.rule),
            cell(g.outcome, _GATE_TONES.get(g.outcome, Tone.WARN)),
            cell(f"{g.sentence} (waived {g.waiver})" if g.waiver else g.sentence),
        )
        for g in sorted(others, key=lambda g: _position(g.outcome, _GATE_ORDER))
    )
    columns = (Column("Metric"), Column("Rule"), Column("Outcome"), Column("Because"))
    return (Section("gates", "Gates on numbers not shown above", (Table("Gates", columns, rows),), 90, folded=False),)
