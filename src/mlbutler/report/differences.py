"""Sections on what differs: params, plots, data; and on what could not be judged."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from mlbutler import numbers
from mlbutler.first_few import first_few
from mlbutler.record import (
    CodeChange,
    CompareResult,
    DataChange,
    FolderChange,
    ParamChange,
    PlotChange,
    PlotKind,
    TableChange,
    Verdict,
)
from mlbutler.report.model import (
    Column,
    Items,
    Paragraph,
    Picture,
    Row,
    Section,
    Style,
    Table,
    Tone,
    cell,
    code,
    plain,
    strong,
)
from mlbutler.report.plots import vega
from mlbutler.report.plots.kinds import KINDS
from mlbutler.settings import ReportSettings as Settings

_KIND_TONES = {"added": Tone.NONE, "removed": Tone.WARN, "changed": Tone.NONE, "renamed": Tone.NONE}
_SAID_AT_ONCE = 20
_ALIKE = 5
_EXAMPLES = 10
_STAGES = 5


def not_judged(compare: CompareResult) -> Section | None:
    """Return everything that has no verdict, with the reason; nothing is dropped silently."""
    pairs = list(compare.not_judged)
    known = {subject for subject, _ in pairs}
    for metric in compare.metrics:
        if metric.verdict == Verdict.NOT_JUDGED and metric.reason and not known & {metric.key, metric.name}:
            pairs.append((metric.key, metric.reason))
    for gate in compare.gates:
        if gate.outcome == "not judged" and not known & {gate.metric}:
            pairs.append((gate.metric, f"its gate was not judged, {gate.sentence}"))
    pairs = list(dict.fromkeys(pairs))
    if not pairs:
        return None
    alike = _by_reason(pairs)
    lines = tuple(
        (code(subjects[0]), plain(f"{f' and {len(subjects) - 1:,} more' if len(subjects) > 1 else ''}: {reason}"))
        for subjects, reason in alike[:_SAID_AT_ONCE]
    )
    items = Items(lines, left_out=sum(len(subjects) for subjects, _ in alike[_SAID_AT_ONCE:]))
    gated = {name for gate in compare.gates for name in (gate.metric, gate.metric.rpartition(":")[2])}
    important = any(subject in gated or subject.rpartition(":")[2] in gated for subject, _ in pairs)
    summary = numbers.count(len(pairs), "item")
    return Section("not-judged", "Not judged", (items,), 85, summary, important=important)


def _by_reason(pairs: Sequence[tuple[str, str]]) -> list[tuple[list[str], str]]:
    """Group as (subjects, reason): many subjects with one reason share a row, few get one each."""
    subjects = defaultdict(list)
    for subject, reason in pairs:
        subjects[reason].append(subject)
    found: list[tuple[list[str], str]] = []
    for reason, named in subjects.items():
        found += [(named, reason)] if len(named) > _ALIKE else [([one], reason) for one in named]
    return sorted(found, key=lambda item: len(item[0]))


def params(compare: CompareResult) -> Section | None:
    """Return the parameters that differ, and the stages that read them."""
    if not compare.params:
        return None
    rows = tuple(
        (
            cell(p.name, style=Style.CODE),
            cell(p.old if p.kind != "added" else numbers.ABSENT),
            cell(p.new if p.kind != "removed" else numbers.ABSENT),
            cell(p.kind, _KIND_TONES.get(p.kind, Tone.NONE)),
            cell(_format_readers(p)),
            cell(p.file),
        )
        for p in compare.params
    )
    names = ("Parameter", "Target", "This change", "Change", "Read by", "File")
    table = Table("Parameters that differ", tuple(Column(n) for n in names), rows)
    return Section("params", "Parameters", (table,), 50, _format_counts(p.kind for p in compare.params))


def _format_readers(change: ParamChange) -> str:
    """Return ``train, then evaluate and report``; a dash for a parameter that no stage reads."""
    readers = ", ".join(change.stages) or numbers.ABSENT
    if not change.after:
        return readers
    more = f" and {len(change.after) - _STAGES} more" if len(change.after) > _STAGES else ""
    return f"{readers}, then {', '.join(change.after[:_STAGES])}{more}"


def code_files(compare: CompareResult) -> Section | None:
    """Return changed files and the stages that depend on them.

    Files that a stage uses without declaring them come first, unfolded.
    """
    if not compare.code:
        return None
    hidden = [c for c in compare.code if c.undeclared]
    rest = [c for c in compare.code if not c.undeclared and c.stages] + [
        c for c in compare.code if not c.undeclared and not c.stages
    ]
    rows = tuple(_code_row(change) for change in (*hidden, *rest))
    names = ("File", "Change", "Declared by", "Used undeclared by")
    blocks: list[Paragraph | Table] = [Table("Code that differs", tuple(Column(n) for n in names), rows)]
    if hidden:
        said = " DVC does not run these stages again when the file changes. Name it in their deps, then dvc repro."
        blocks.insert(0, Paragraph((strong("A dependency is not declared."), plain(said)), Tone.WARN))
    unused = sum(not c.stages and not c.undeclared for c in compare.code)
    summary = numbers.count(len(compare.code), "file")
    summary += f", {len(hidden)} used by a stage that does not declare it" if hidden else ""
    summary += f", {unused} of no stage" if unused else ""
    return Section("code", "Code", tuple(blocks), 88 if hidden else 46, summary, important=bool(hidden))


def _code_row(change: CodeChange) -> Row:
    uses = "; ".join(f"{stage}: {why}" for stage, why in change.undeclared)
    return (
        cell(change.path, style=Style.CODE),
        cell(change.kind, _KIND_TONES.get(change.kind, Tone.NONE)),
        cell(", ".join(change.stages) or numbers.ABSENT),
        cell(uses or numbers.ABSENT, Tone.WARN if uses else Tone.NONE),
    )


def data(compare: CompareResult) -> Section | None:
    """Return the artifacts that differ: sizes, files added, removed and changed, some of them by name."""
    if not compare.data:
        return None
    rows = tuple(_data_row(d) for d in compare.data)
    columns = (Column("Artifact"), Column("Change"), Column("Size", True), Column("Files", True),
               Column("In it"))  # fmt: skip
    blocks: list[Table] = [Table("Data that differs", columns, rows)]
    examples = [
        (cell(d.path, style=Style.CODE), cell(what), cell(name, style=Style.CODE))
        for d in compare.data
        for what, name in (_example(e) for e in d.examples[:_EXAMPLES])
    ]
    if examples:
        caption = "Some of the files"
        blocks.append(Table(caption, (Column("Artifact"), Column("Change"), Column("File")), tuple(examples)))
    folders = [
        (cell(f"{d.path}/{f.folder}", style=Style.CODE), *(cell(f"{n:,}") for n in _counts(f)))
        for d in compare.data
        for f in d.folders
    ]
    if folders:
        names = (Column("Folder"), *(Column(kind.capitalize(), True) for kind in _KIND_TONES))
        blocks.append(Table("Files that differ by folder", names, tuple(folders)))
    if tables := [table for d in compare.data for table in d.tables]:
        names = (Column("Table"), Column("Rows", True), Column("Columns"))
        blocks.append(Table("Tables that differ", names, tuple(_table_row(table) for table in tables)))
    return Section("data", "Data", tuple(blocks), 45, _format_counts(d.kind for d in compare.data))


def _example(example: tuple[str, str]) -> tuple[str, str]:
    """Return (kind, path) in whichever order it was recorded."""
    first, second = example
    return (second, first) if second in _KIND_TONES and first not in _KIND_TONES else (first, second)


def _data_row(change: DataChange) -> Row:
    return (
        cell(change.path, style=Style.CODE),
        cell(change.kind, _KIND_TONES.get(change.kind, Tone.NONE)),
        cell(_format_change(numbers.size(change.old_size), numbers.size(change.new_size), change.kind)),
        cell(_format_change(_files(change.old_files), _files(change.new_files), change.kind)),
        cell(_file_changes(change)),
    )


def _counts(folder: FolderChange) -> tuple[int, int, int, int]:
    """Return the counts in the order of `_KIND_TONES`."""
    return folder.added, folder.removed, folder.changed, folder.renamed


def _table_row(change: TableChange) -> Row:
    parts = [f"+ {column}" for column in change.columns_added] + [f"− {column}" for column in change.columns_removed]
    parts += [f"{column}: {before} → {after}" for column, before, after in change.retyped]
    said = first_few(parts, _EXAMPLES)
    old, new = change.old_rows, change.new_rows
    difference = f" ({new - old:+,})" if old is not None and new is not None and old != new else ""
    kind = "added" if old is None else "removed" if new is None else "changed"
    return (
        cell(change.path, style=Style.CODE),
        cell(_format_change(_files(old), _files(new), kind) + difference),
        cell("; ".join(filter(None, (said, change.reason))) or "the same", Tone.WARN if parts else Tone.NONE),
    )


def _files(count: int | None) -> str:
    return numbers.ABSENT if count is None else f"{count:,}"


def _format_change(old: str, new: str, kind: str) -> str:
    if kind == "added" or old == new:
        return new
    return old if kind == "removed" else f"{old} → {new}"


def _file_changes(change: DataChange) -> str:
    counts = ((change.files_added, "added"), (change.files_removed, "removed"), (change.files_changed, "changed"),
              (change.files_renamed, "renamed"))  # fmt: skip
    said = ", ".join(f"{count:,} {what}" for count, what in counts if count)
    if change.old_path:
        said = f"was {change.old_path}"
    return "; ".join(filter(None, (said, change.reason))) or numbers.ABSENT


def plots(compare: CompareResult, settings: Settings) -> Section | None:
    """Return a summary of every plot in numbers, and the plots themselves where pictures can be shown."""
    chosen = [p for p in compare.plots if (settings.images if p.kind is PlotKind.IMAGE else settings.plots)]
    if not chosen:
        return None
    chosen.sort(key=lambda p: (not p.changed, p.changed is not None))
    table = Table(
        "Plots",
        (Column("Plot"), Column("Shows"), Column("Target", True), Column("This change", True), Column("Changed")),
        tuple(_plot_row(p, settings.precision) for p in chosen),
    )
    changed, unknown = sum(p.changed is True for p in chosen), sum(p.changed is None for p in chosen)
    summary = f"{changed} of {numbers.count(len(chosen), 'plot')} changed"
    summary += f", {unknown} not known" if unknown else ""
    pictures = tuple(Picture(p) for p in vega.to_draw(chosen))
    return Section("plots", "Plots", (*pictures, table), 40, summary, quiet=not changed and not unknown)


def _plot_row(plot: PlotChange, precision: int) -> Row:
    shows, old, new = KINDS[plot.kind].summary(plot, precision)
    name = cell(plot.title or plot.file, style=Style.CODE)
    if plot.changed is None:
        sides = (cell("not known" if text == numbers.ABSENT else text) for text in (old, new))
        return name, cell(shows), *sides, cell("not known")
    changed = cell("changed" if plot.changed else "same", Tone.NONE if plot.changed else Tone.MUTED)
    return name, cell(shows), cell(old), cell(new), changed


def _format_counts(kinds: Iterable[str]) -> str:
    return ", ".join(f"{count:,} {kind}" for kind, count in Counter(kinds).items())
