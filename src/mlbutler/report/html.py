"""The report as one HTML file: no network, light and dark, fit for print.

Everything can be read where scripts are forbidden. Where they run, tables are sorted by a click and charts explored;
the page's policy names the two scripts by their hashes, so that no other one runs.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

from mlbutler.escape import escape_invisible
from mlbutler.record import PlotChange, Record
from mlbutler.record_file import dumps
from mlbutler.report import inline_svg
from mlbutler.report.build import build
from mlbutler.report.model import Picture
from mlbutler.report.page import TEXT_LIMIT, page
from mlbutler.report.plots import vega
from mlbutler.report.plots.figure import Figure
from mlbutler.report.plots.kinds import KINDS
from mlbutler.settings import ReportSettings as Settings

_TEMPLATES = Path(__file__).with_name("templates")


def render(record: Record, settings: Settings, document: str | None = None) -> str:
    """Return the whole report as a self-contained document, with the record in it as JSON.

    Args:
        document: the record as JSON, where the caller has it.
    """
    report = build(record, settings)
    plots = [b.plot for section in report.sections for b in section.blocks if isinstance(b, Picture)]
    charts, library = vega.draw_with_library([p for p in plots if p.specification])
    scripts = tuple(text for text in (library, _read_template("report.js")) if text)
    return page(
        report,
        draw=lambda plot: _figure(plot, charts),
        style=_read_template("report.css"),
        scripts=scripts,
        policy=" ".join(f"'sha256-{_digest(text)}'" for text in scripts),
        record=_script_safe(dumps(record) if document is None else document),
    )


@cache
def _read_template(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _digest(script: str) -> str:
    """Return the hash by which a page's policy names a script."""
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")


def _script_safe(text: str) -> str:
    """Return JSON whose text cannot end the element it stands in, nor begin another."""
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def _figure(plot: PlotChange, charts: Mapping[str, vega.RenderedChart]) -> Figure:
    from markupsafe import Markup

    title = plot.title or plot.file
    drawn = charts.get(plot.specification)
    if drawn is not None and drawn.problem:
        said = f"Its template gave no picture: {drawn.problem}"
        return replace(_figure(replace(plot, specification=""), {}), problem=said)
    if drawn is not None:
        prefix = "chart-" + hashlib.sha256(f"{plot.group}\n{plot.specification}".encode()).hexdigest()[:12]
        label = f"{escape_invisible(title, TEXT_LIMIT)}: target and this change in one chart"
        drawing = Markup(inline_svg.element(drawn.svg, label, prefix))
        picture = "data:image/svg+xml;base64," + base64.b64encode(drawn.svg.encode("utf-8")).decode("ascii")
        chart = "" if plot.own_template else Markup(_script_safe(plot.specification))
        source = "" if drawing else picture
        return Figure(title, plot.reason, plot.changed, drawing=drawing, source=source, specification=chart)
    return KINDS[plot.kind].figure(plot)
