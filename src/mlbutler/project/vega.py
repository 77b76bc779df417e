"""Plots by DVC's templates, and by a project's own: filled in with both sides, as Vega-Lite."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlbutler.comparison.plots import cell_value, read_rows, thinned
from mlbutler.comparison.snapshot import PlotDefinition, Snapshot
from mlbutler.parsing import Unreadable, parse_json
from mlbutler.record import PlotChange, PlotKind

_SIDES = ("target", "this change")
_PLAIN = ("", "linear", "simple")
_TABLES = ("confusion", "confusion_normalized")
_LINES = ("linear", "simple", "smooth", "scatter", "scatter_jitter")
_MOST_ROWS = 1000
_LARGEST_TEMPLATE = 256 * 1024
_LARGEST = 1024 * 1024
# What could make a chart fetch something, or lead somewhere, when it is drawn or looked at.
_REFUSED = {"url", "href", "usermeta", "loader", "src"}
_REFUSED_MARKS = {"image", "geoshape"}


class _Unfit(Exception):
    """The template or the data cannot be used; the message says why."""


def with_specifications(
    root: Path, plots: Sequence[PlotChange], old: Snapshot, new: Snapshot
) -> tuple[PlotChange, ...]:
    """Return the plots, with a Vega-Lite specification where a template other than DVC's plain line is asked for.

    Confusion matrices stay tables. A template that cannot be used leaves the plot as it is, with the reason.

    Args:
        root: the project's root; its own templates lie below it.
    """
    definitions = {d.id: d for d in (*old.plots, *new.plots)}
    by_group: dict[str, str] = {}
    made = []
    for plot in plots:
        definition = definitions.get(plot.group)
        if definition is None or plot.group in by_group or plot.kind == "image" or not _is_vega(definition):
            made.append(plot)
            continue
        own = _is_own(root, definition.template)
        try:
            text = _to_json(_fill_template(root, definition, old, new, own=own))
            if len(text) > _LARGEST:
                raise _Unfit("too much data for its template")
        except _Unfit as problem:
            made.append(replace(plot, reason="; ".join(filter(None, (plot.reason, str(problem))))))
            continue
        by_group[plot.group] = text
        drawn = plot.kind is PlotKind.UNSUPPORTED and plot.reason.startswith("no numbers in")
        made.append(replace(plot, specification=text, own_template=own, reason="" if drawn else plot.reason))
    return tuple(made)


def _to_json(filled: dict[str, Any]) -> str:
    try:
        return json.dumps(filled, ensure_ascii=False, allow_nan=False)
    except (ValueError, TypeError, RecursionError) as error:
        raise _Unfit(f"its template cannot be filled: {error}"[:300]) from None


def _is_vega(definition: PlotDefinition) -> bool:
    if definition.template in _TABLES:
        return False
    series = sum(len(fields) for fields in definition.y.values())
    return definition.template not in _PLAIN or series > 1


def _is_own(root: Path, template: str) -> bool:
    return _template_file(root, template) is not None or (bool(template) and template not in _built_in_templates())


def _built_in_templates() -> frozenset[str]:
    from dvc_render.vega_templates import TEMPLATES

    return frozenset(template.DEFAULT_NAME for template in TEMPLATES)


def _template_file(root: Path, template: str) -> Path | None:
    """Return a template of the project: in ``.dvc/plots``, else by its path; it may not lie outside."""
    folder = root / ".dvc" / "plots"
    for path in (folder / template, folder / f"{template}.json", root / template):
        if template and path.is_file() and path.resolve().is_relative_to(root.resolve()):
            return path
    return None


def _fill_template(
    root: Path, definition: PlotDefinition, old: Snapshot, new: Snapshot, *, own: bool
) -> dict[str, Any]:
    from dvc.render.converter.vega import VegaConverter
    from dvc_render.vega import VegaRenderer

    points: list[dict[str, Any]] = []
    properties: dict[str, Any] = {}
    revisions = []
    try:
        for side, snapshot in zip(_SIDES, (old, new), strict=True):
            data = _data(definition, snapshot)
            if not data:
                continue
            converter = VegaConverter(definition.files[0], data, _properties(definition, data))
            found, filled = converter.flat_datapoints(side)
            properties = filled or properties
            revisions.append(side)
            points += _limit_points(found, lines=definition.template in (*_PLAIN, *_LINES))
        if not points:
            raise _Unfit("no data points")
        template = _template(root, definition.template, own=own)
        renderer = VegaRenderer(
            points, definition.id, **{**properties, "template": template, "revs_with_datapoints": revisions}
        )
        return dict(renderer.get_filled_template())
    except _Unfit:
        raise
    except Exception as error:  # a template of the project can trip DVC's library up anywhere
        raise _Unfit(f"its template cannot be filled: {error}"[:300]) from error


def _template(root: Path, name: str, *, own: bool) -> Any:
    from dvc_render.vega_templates import Template, get_template

    if not own:
        return get_template(name or "linear")
    path = _template_file(root, name)
    if path is None:
        raise _Unfit(f"there is no template '{name}'")
    try:
        text = path.read_text(encoding="utf-8") if path.stat().st_size <= _LARGEST_TEMPLATE else ""
        content = parse_json(text)
    except (OSError, UnicodeDecodeError, Unreadable):
        raise _Unfit(f"the template '{name}' is not JSON of at most {_LARGEST_TEMPLATE >> 10} KB") from None
    if not isinstance(content, dict) or (refused := _find_refused(content)):
        what = f"holds '{refused}', which could fetch something" if isinstance(content, dict) else "is not an object"
        raise _Unfit(f"the template '{name}' {what}")
    return Template(content, name=name)


def _find_refused(item: Any) -> str:
    """Return the first key or mark that a template of a pull request may not have, '' for none."""
    waiting = [item]
    while waiting:
        now = waiting.pop()
        if isinstance(now, Mapping):
            if bad := _REFUSED & {str(key).lower() for key in now}:
                return min(bad)
            kind = now.get("mark", now.get("type"))
            if isinstance(kind, str) and kind in _REFUSED_MARKS:
                return kind
            waiting += now.values()
        elif isinstance(now, list):
            waiting += now
    return ""


def _data(definition: PlotDefinition, snapshot: Snapshot) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each file that is there and can be read, numbers as numbers."""
    data = {}
    for file in dict.fromkeys((*definition.files, *definition.xs)):
        source = snapshot.plot_data.get(file)
        if source is None or source.content is None:
            continue
        try:
            rows = read_rows(file, source.content, definition.header)
        except Unreadable as error:
            raise _Unfit(error.problem) from None
        if rows:
            data[file] = [{str(key)[:200]: cell_value(value) for key, value in row.items()} for row in rows]
    return data


def _properties(definition: PlotDefinition, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties as they stand in dvc.yaml, limited to files that are there on this side."""
    found: dict[str, Any] = {"title": definition.title or definition.id}
    if y := {file: list(fields) for file, fields in definition.y.items() if file in data}:
        found["y"] = {file: fields[0] if len(fields) == 1 else fields for file, fields in y.items()}
    if definition.xs:
        found["x"] = {file: name for file, name in definition.xs.items() if file in data}
    elif definition.x:
        found["x"] = definition.x
    found |= {"x_label": definition.x_label} if definition.x_label else {}
    return found | ({"y_label": definition.y_label} if definition.y_label else {})


def _limit_points(points: list[dict[str, Any]], *, lines: bool) -> list[dict[str, Any]]:
    """Return at most `_MOST_ROWS` points of each series; what is counted or summed cannot be thinned."""
    series: dict[tuple[Any, Any], list[dict[str, Any]]] = {}
    for point in points:
        series.setdefault((point.get("filename"), point.get("field")), []).append(point)
    if not lines and any(len(rows) > _MOST_ROWS for rows in series.values()):
        raise _Unfit(f"more than {_MOST_ROWS:,} rows for its template")
    return [point for rows in series.values() for point in _thinned(rows)]


def _thinned(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if len(rows) <= _MOST_ROWS:
        return rows
    return [rows[int(index[0] or 0)] for index in thinned([(i,) for i in range(len(rows))], _MOST_ROWS)]
