"""Vega-Lite charts as pictures, where the extra ``plots`` is installed."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mlbutler.extras import packages
from mlbutler.frozen import frozen
from mlbutler.record import PlotChange, PlotKind
from mlbutler.renderer_process import RendererFailed, run_renderer

_WORKER = Path(__file__).with_name("vega_worker.py")
_TIMEOUT = 60.0


@frozen
class RenderedChart:
    """A chart as a picture, or the reason why there is none."""

    svg: str = ""
    png: bytes = b""
    problem: str = ""


@cache
def is_installed() -> bool:
    """Return whether the extra ``plots`` is installed."""
    return find_spec("vl_convert") is not None


def to_draw(plots: Iterable[PlotChange]) -> tuple[PlotChange, ...]:
    """Return the plots to draw, one for each picture: a chart of several series stands for all of its group.

    Without the extra each series is drawn by itself, and what cannot be drawn so says what is missing.
    """
    if not is_installed():
        missing = f"its template is drawn where the extra 'plots' is installed: pip install {packages('plots')}"
        return tuple(
            replace(plot, reason=plot.reason or missing)
            if plot.specification and plot.kind is PlotKind.UNSUPPORTED
            else plot
            for plot in plots
        )
    plots = tuple(plots)
    whole = {plot.group for plot in plots if plot.specification}
    changed = {plot.group for plot in plots if plot.changed}
    unknown = {plot.group for plot in plots if plot.changed is None} - changed
    return tuple(
        replace(plot, changed=None if plot.group in unknown else plot.group in changed) if plot.specification else plot
        for plot in plots
        if plot.group not in whole or plot.specification
    )


def draw(specifications: Iterable[str], *, png: bool = False) -> dict[str, RenderedChart]:
    """Map each specification to its picture; each is drawn once per process, many at a time."""
    asked = tuple(dict.fromkeys(specifications))
    new = [text for text in asked if (text, png) not in _KNOWN]
    if new:
        try:
            answer = _run_renderer({"specifications": new, "png": png, "bundle": False})
            charts = [_decode_chart(chart) for chart in answer["charts"]]
        except RendererFailed as error:
            charts = [RenderedChart(problem=str(error))] * len(new)
        _KNOWN.update({(text, png): chart for text, chart in zip(new, charts, strict=True)})
    return {text: _KNOWN[text, png] for text in asked}


_KNOWN: dict[tuple[str, bool], RenderedChart] = {}


def _decode_chart(chart: dict[str, str]) -> RenderedChart:
    return RenderedChart(chart.get("svg", ""), base64.b64decode(chart.get("png", "")), chart.get("problem", ""))


def draw_with_library(plots: Sequence[PlotChange]) -> tuple[dict[str, RenderedChart], str]:
    """Return the charts of these plots, and the JavaScript that makes them interactive, '' for none.

    The library is omitted where all templates are the project's own: those may hold code.
    """
    if not plots or not is_installed():
        return {}, ""
    from concurrent.futures import ThreadPoolExecutor  # 5 ms, with the logging that it imports

    with ThreadPoolExecutor(1) as beside:  # either takes a second, in a process of its own
        library = beside.submit(_library) if not all(plot.own_template for plot in plots) else None
        charts = draw(plot.specification for plot in plots)
        return charts, library.result() if library is not None else ""


@cache
def _library() -> str:
    try:
        text = str(_run_renderer({"specifications": (), "png": False, "bundle": True})["bundle"])
    except RendererFailed:
        text = ""
    return text.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _run_renderer(request: Mapping[str, object]) -> dict[str, Any]:
    return run_renderer(_WORKER, request, timeout=_TIMEOUT, rendered="drawn")
