"""Compare plots of both sides: points of curves, cells of confusion matrices, pictures."""

from __future__ import annotations

import base64
import csv
import io
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, assert_never

from mlbutler.comparison.documents import ODD, is_number, rows_of, scalar
from mlbutler.comparison.images import image_kind, is_whole
from mlbutler.comparison.snapshot import PlotDefinition, Snapshot, Source
from mlbutler.frozen import frozen
from mlbutler.parsing import Unreadable, decoded, parse_json, parse_yaml, reading
from mlbutler.record import PlotChange, PlotKind, Scalar

MOST_POINTS = 300
"""Points of a curve after thinning."""

_LARGEST_IMAGE = 1024 * 1024
_MOST_OF_IMAGES = 24 * 1024 * 1024
"""Characters of all embedded pictures together: a folder may hold thousands."""
_MOST_CELLS = 2500
_IMAGES = {"png", "jpg", "jpeg", "gif", "webp", "svg"}

_SIDES = ("in the target", "here")

Points = tuple[tuple[Scalar, ...], ...]
Row = Mapping[str, Any]


def compare_plots(old: Snapshot, new: Snapshot) -> tuple[PlotChange, ...]:
    """Return one entry for every plotted field, picture or matrix of either side.

    They are matched by the definition's id.
    """
    before = {definition.id: definition for definition in old.plots}
    after = {definition.id: definition for definition in new.plots}
    changes: list[PlotChange] = []
    for name in dict.fromkeys((*after, *before)):
        definition = after.get(name) or before[name]
        for file in definition.files:
            sources = old.plot_data.get(file), new.plot_data.get(file)
            for change in _compare_plot(definition, file, *sources):
                reason = "; ".join(filter(None, (*_unread_reasons(sources), change.reason)))
                changes.append(replace(change, group=definition.id, reason=reason))
    return tuple(_limit_images(changes))


def _unread_reasons(sources: tuple[Source | None, Source | None]) -> Iterator[str]:
    """Return why one side could not be read; '' where both could not: then nothing is drawn."""
    if not any(source is not None and source.content is not None for source in sources):
        return
    for source, side in zip(sources, _SIDES, strict=True):
        if source is not None and source.content is None and not source.absent:
            yield f"{side}: {source.problem}"


def _has_changed(old: Source | None, new: Source | None) -> bool | None:
    """Return whether the files differ; None where that is not known."""
    contents = [source.content if source else None for source in (old, new)]
    unread = any(source is not None and source.content is None and not source.absent for source in (old, new))
    if not unread:
        return contents[0] != contents[1]
    recorded = old is not None and new is not None and old.identity and new.identity
    return old.identity != new.identity if recorded and old and new else None


def _limit_images(changes: list[PlotChange]) -> list[PlotChange]:
    """Keep as many pictures as there is room for, those that changed first; the others get a note."""
    left = _MOST_OF_IMAGES
    fitting = list(changes)
    for index in sorted(range(len(changes)), key=lambda place: not changes[place].changed):
        change = changes[index]
        if change.kind is not PlotKind.IMAGE:
            continue
        size = sum(len(str(item[0])) for side in (change.old, change.new) for item in side)
        if size <= left:
            left -= size
        else:
            reason = f"the pictures before it have {_MOST_OF_IMAGES >> 20} MB: not shown"
            fitting[index] = replace(change, kind=PlotKind.UNSUPPORTED, old=(), new=(), reason=reason)
    return fitting


@frozen
class _PlotFile:
    """A file to compare: its bytes on both sides, None where there are none; whether they differ, None: not known."""

    definition: PlotDefinition
    file: str
    contents: tuple[bytes | None, bytes | None]
    changed: bool | None

    @property
    def title(self) -> str:
        return self.definition.title or self.definition.id

    def as_unsupported(self, reason: str) -> PlotChange:
        kind = PlotKind.UNSUPPORTED
        return PlotChange(file=self.file, title=self.title, kind=kind, changed=self.changed, reason=reason)


def _compare_plot(
    definition: PlotDefinition, file: str, old: Source | None, new: Source | None
) -> Iterator[PlotChange]:
    contents = (old.content if old else None, new.content if new else None)
    asked = _PlotFile(definition, file, contents, _has_changed(old, new))
    if asked.contents == (None, None):
        problem = (new or old or Source(None)).problem
        yield asked.as_unsupported(problem or "the file is missing")
        return
    yield from _compare_file(_kind(definition, file), asked)


def _kind(definition: PlotDefinition, file: str) -> PlotKind:
    """Return how the file of a definition is to be compared, before its content has been looked at."""
    if file.rpartition(".")[2].lower() in _IMAGES:
        return PlotKind.IMAGE
    return PlotKind.CONFUSION if definition.template.startswith("confusion") else PlotKind.LINEAR


def _compare_file(kind: PlotKind, asked: _PlotFile) -> Iterator[PlotChange]:
    match kind:
        case PlotKind.IMAGE:
            yield _compare_images(asked)
        case PlotKind.CONFUSION:
            yield from _compare_fields(asked, _compare_confusion)
        case PlotKind.LINEAR:
            yield from _compare_fields(asked, _compare_curves)
        case PlotKind.UNSUPPORTED:
            yield asked.as_unsupported("")
        case _:
            assert_never(kind)


def _compare_fields(asked: _PlotFile, compare: Callable[[_PlotFile, str, Sequence[list[Row] | None]], PlotChange]
) -> Iterator[PlotChange]:  # fmt: skip
    """Compare each field of a file of data points."""
    definition = asked.definition
    try:
        tables = [read_rows(asked.file, c, definition.header) if c is not None else None for c in asked.contents]
    except Unreadable as error:
        yield asked.as_unsupported(error.problem)
        return
    present = tables[1] if tables[1] is not None else tables[0]
    assert present is not None
    if not present:
        yield asked.as_unsupported("no data points")
        return
    fields = definition.y.get(asked.file) or (list(present[0])[-1:] if present[0] else [])
    for field in fields:
        yield compare(asked, str(field), tables)


# ------------------------------------------------------------------------------------------ reading


def read_rows(file: str, content: bytes, header: bool) -> list[Row]:
    """Return the data points of a CSV, TSV, JSON or YAML file.

    Raises:
        Unreadable: it holds none, or is broken.
    """
    text = decoded(content)
    extension = file.rpartition(".")[2].lower()
    if extension in ("csv", "tsv"):
        return _parse_table(text, "\t" if extension == "tsv" else ",", header)
    if extension == "json":
        return _find_rows(parse_json(text))
    if extension in ("yaml", "yml"):
        return _find_rows(parse_yaml(text))
    raise Unreadable(f"files of type .{extension} are not plotted")


def _parse_table(text: str, delimiter: str, header: bool) -> list[Row]:
    with reading("CSV"):
        if header:
            return list(rows_of(text, delimiter))
        rows = csv.reader(io.StringIO(text), delimiter=delimiter)
        return [{str(index): cell for index, cell in enumerate(row)} for row in rows]


def _find_rows(content: Any) -> list[Row]:
    """Return a list of mappings, or the first such list inside a mapping, as DVC does."""
    if isinstance(content, list):
        return [row for row in content if isinstance(row, Mapping)]
    if isinstance(content, Mapping):
        for value in content.values():
            if isinstance(value, list) and value and isinstance(value[0], Mapping):
                return _find_rows(value)
    raise Unreadable("holds no list of data points")


def cell_value(cell: object) -> Scalar:
    """Return a data point's field as a number where it is one, else as text."""
    if isinstance(cell, str):
        try:
            return scalar(float(cell))
        except ValueError:
            return cell[:200]
    return scalar(cell)


# -------------------------------------------------------------------------------------------- kinds


def _compare_curves(asked: _PlotFile, y: str, tables: Sequence[list[Row] | None]) -> PlotChange:
    x = asked.definition.x
    sides: list[Points] = []
    totals = []
    reasons = []
    for table, side in zip(tables, _SIDES, strict=True):
        points = [
            (float(step) if not x else cell_value(row.get(x)), cell_value(row.get(y)))
            for step, row in enumerate(table or ())
        ]
        points = [point for point in points if is_number(point[1]) or point[1] in ODD]
        odd = sum(point[1] in ODD for point in points)
        if odd:
            reasons.append(f"{odd:,} of {len(points):,} values of '{y}' {side} are NaN or infinite")
        totals.append(len(points) if len(points) > odd else 0)
        sides.append(tuple(_with_gaps(points)))
    if not any(totals):
        reasons.append(f"no numbers in '{y}'")
    kind = PlotKind.LINEAR if any(totals) else PlotKind.UNSUPPORTED
    return PlotChange(
        file=asked.file, title=asked.title, kind=kind, changed=asked.changed, x=x or "step", y=y,
        old=sides[0], new=sides[1], old_total=totals[0], new_total=totals[1], reason="; ".join(reasons),
    )  # fmt: skip


def _with_gaps(points: Sequence[tuple[Scalar, ...]]) -> Iterator[tuple[Scalar, ...]]:
    """Put gaps of the line back that thinning would have closed: a curve that broke must look so."""
    kept = {int(index[0] or 0) for index in thinned([(index,) for index in range(len(points))])}
    gaps = [index for index, point in enumerate(points) if point[1] in ODD]
    return (points[index] for index in sorted(kept.union(gaps[:MOST_POINTS])))


def thinned(points: Sequence[tuple[Scalar, ...]], most: int = MOST_POINTS) -> Sequence[tuple[Scalar, ...]]:
    """Return at most `most` of the points, evenly spaced, the first and the last among them."""
    if len(points) <= most:
        return points
    last = len(points) - 1
    return [points[round(index * last / (most - 1))] for index in range(most)]


def _compare_confusion(asked: _PlotFile, y: str, tables: Sequence[list[Row] | None]) -> PlotChange:
    x = asked.definition.x
    sides: list[Points] = []
    totals = []
    for table in tables:
        rows = table or []
        first = x or next((name for name in (rows[0] if rows else {}) if name != y), "")
        cells = Counter((str(row.get(y, ""))[:100], str(row.get(first, ""))[:100]) for row in rows)
        totals.append(len(rows))
        sides.append(tuple((*labels, count) for labels, count in sorted(cells.items())[:_MOST_CELLS]))
    return PlotChange(
        file=asked.file, title=asked.title, kind=PlotKind.CONFUSION, changed=asked.changed, x=x, y=y,
        old=sides[0], new=sides[1], old_total=totals[0], new_total=totals[1],
    )  # fmt: skip


def _compare_images(asked: _PlotFile) -> PlotChange:
    sides: list[Points] = []
    for side, content in zip(("in the target", "in this change"), asked.contents, strict=True):
        kind = image_kind(content) if content is not None else None
        problem = ""
        if content is not None and kind is None:
            problem = "not a PNG, JPEG, GIF or WebP picture (SVG could hold scripts)"
        elif content is not None and kind is not None and not is_whole(content, kind):
            problem = f"{side}: a broken picture, cut off or damaged"
        elif content is not None and len(content) > _LARGEST_IMAGE:
            problem = f"a picture of more than {_LARGEST_IMAGE >> 20} MB is not shown"
        if problem:
            return asked.as_unsupported(problem)
        sides.append(((f"data:image/{kind};base64,{base64.b64encode(content).decode()}",),) if content else ())
    return PlotChange(
        file=asked.file, title=asked.title, kind=PlotKind.IMAGE, changed=asked.changed,
        old=sides[0], new=sides[1], old_total=len(sides[0]), new_total=len(sides[1]),
    )  # fmt: skip
