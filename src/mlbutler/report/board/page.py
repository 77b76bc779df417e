"""The experiments as one HTML file: no network, light and dark, and a plain table where scripts are forbidden.

The data and the two libraries lie in the page compressed: as base64, in which no text can end the element it is in.
The page's policy names each script by its hash, those that the page unpacks itself too, so that no other one runs.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from mlbutler import numbers
from mlbutler.escape import escape_invisible, web_address
from mlbutler.numbers import as_float
from mlbutler.record import Scalar
from mlbutler.report import sparkline
from mlbutler.report.board.columnar import columnar
from mlbutler.report.board.data import iso
from mlbutler.report.board.model import Board, BoardColumn, BoardRow
from mlbutler.report.model import Trend

if TYPE_CHECKING:
    from jinja2 import Environment

_LEVEL = 4
"""Of compression: numbers pack no better at higher ones, which take twice the time."""

_LONGEST = 200
_STATIC_ROWS, _STATIC_METRICS, _STATIC_PARAMS, _STATIC_POINTS = 200, 6, 4, 200
_PROGRAM = ("expression.js", "charts.js", "board.js")


def render(board: Board) -> str:
    """Return the page."""
    from markupsafe import Markup

    program = _program()
    scripts = (program, _read_library("table"), _read_library("charts"))
    rows = [row for row in board.rows if not row.same][:_STATIC_ROWS]
    trend = _trend(board)
    return environment().get_template("board.html").render(
        board=board, rows=rows, left_out=len(board.rows) - len(rows), columns=_static_columns(board),
        main=next((column.label for column in board.columns if column.key == board.main), ""),
        trend=Markup(sparkline.draw(trend)) if trend is not None else "",
        newest=iso(board.rows[0].when)[:10] if board.rows else "",
        styles=_read_template("board.css"), program=Markup(program), hashes=" ".join(map(_hash, scripts)),
        experiments=_compress(json.dumps(columnar(board), separators=(",", ":"), allow_nan=False)),
        table_library=_compress_library("table"), chart_library=_compress_library("charts"), number=numbers.count,
    )  # fmt: skip


@cache
def environment() -> Environment:
    """Return what the page's template is compiled in, once in a process."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("mlbutler.report.board"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    made.filters["shown"] = lambda text: escape_invisible(str(text), _LONGEST)
    made.filters["value"] = lambda value: escape_invisible(numbers.value(value), _LONGEST)
    made.filters["address"] = lambda text: web_address(text) if isinstance(text, str) else None
    made.filters["day"] = lambda seconds: iso(seconds)[:10]
    return made


@cache
def _program() -> str:
    """Return the page's own script, without anything that would end its element."""
    return '"use strict";\n(() => {\n' + "\n".join(map(_read_template, _PROGRAM)) + "\n})();"


def _read_template(name: str) -> str:
    return files("mlbutler.report.board").joinpath("templates", name).read_text(encoding="utf-8")


@cache
def _read_library(name: str) -> str:
    return files("mlbutler.report.board").joinpath("vendor", f"{name}.min.js").read_text(encoding="utf-8")


@cache
def _compress_library(name: str) -> str:
    return _compress(_read_library(name))


def _compress(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode("utf-8", "replace"), _LEVEL, mtime=0)).decode("ascii")


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


# ------------------------------------------------------------------------------------- without scripts


def _static_columns(board: Board) -> list[BoardColumn]:
    metrics = [column for column in board.columns if column.metric]
    metrics.sort(key=lambda column: column.key != board.main)
    params = [column for column in board.columns if not column.metric and _differs(column, board.rows)]
    return [*metrics[:_STATIC_METRICS], *params[:_STATIC_PARAMS]]


def _differs(column: BoardColumn, rows: tuple[BoardRow, ...]) -> bool:
    values: set[Scalar] = set()
    for row in rows:
        if (value := column.of(row)) is not None:
            values.add(value)
        if len(values) > 1:
            return True
    return False


def _trend(board: Board) -> Trend | None:
    """Return what the main metric was on the target branch."""
    on_target = [row for row in reversed(board.rows) if row.branch == board.target and not row.same]
    found = [(value, row) for row in on_target if (value := _number(row.metrics.get(board.main))) is not None]
    found = found[-_STATIC_POINTS:]
    if len(found) < 2:
        return None
    labels = tuple(f"{row.commit[:8]} {escape_invisible(row.name, 60)}: {value:.5g}" for value, row in found)
    return Trend(board.main, tuple(value for value, _ in found), None, labels)


def _number(value: Scalar) -> float | None:
    return None if isinstance(value, (bool, str)) else as_float(value)
