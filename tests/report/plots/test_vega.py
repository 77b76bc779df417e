"""Charts of templates as pictures."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
from pathlib import Path

import pytest

from mlbutler.record import PlotChange, PlotKind, Record
from mlbutler.report import html, markdown, pictures
from mlbutler.report.differences import plots as section
from mlbutler.report.model import Picture, Table
from mlbutler.report.plots import vega
from mlbutler.settings import ReportSettings as Settings

CHART = json.dumps({
    "data": {"values": [{"x": n, "y": n * n, "rev": rev} for n in range(5) for rev in ("target", "this change")]},
    "mark": "line",
    "encoding": {"x": {"field": "x", "type": "quantitative"}, "y": {"field": "y", "type": "quantitative"}},
})  # fmt: skip
LINE = PlotChange(
    file="a.csv", title="Both", kind=PlotKind.LINEAR, changed=False,
    old=((0.0, 1.0), (1.0, 2.0)), new=((0.0, 1.0), (1.0, 3.0)), old_total=2, new_total=2, group="Both",
)  # fmt: skip
GROUP = (
    dataclasses.replace(LINE, specification=CHART),
    dataclasses.replace(LINE, file="b.csv", changed=True),
)
needs_extra = pytest.mark.skipif(not vega.is_installed(), reason="the extra 'plots' is not installed")


def with_plots(record: Record, *plots: PlotChange) -> Record:
    assert record.compare is not None
    return dataclasses.replace(record, compare=dataclasses.replace(record.compare, plots=plots, not_judged=()))


@pytest.fixture
def without_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vega, "is_installed", lambda: False)


@needs_extra
def test_a_chart_of_several_series_stands_for_all_of_them(record: Record) -> None:
    full = with_plots(record, *GROUP)
    assert full.compare is not None
    made = section(full.compare, Settings())
    assert made is not None
    assert [len(block.rows) for block in made.blocks if isinstance(block, Table)] == [2]
    [picture] = [block.plot for block in made.blocks if isinstance(block, Picture)]
    assert picture.changed  # the second series did
    [file] = pictures.of_plot(picture)
    assert (file.media, file.content[:8]) == ("image/png", b"\x89PNG\r\n\x1a\n")
    text = markdown.render(full, Settings(), pictures={file.name: "https://forge.example/p.png"})
    assert text.count("![Both](https://forge.example/p.png)") == 1


@needs_extra
def test_a_page_holds_the_picture_and_what_makes_it_interactive(record: Record) -> None:
    page = html.render(with_plots(record, *GROUP), Settings())
    [label] = re.findall(r'<svg [^>]*class="drawing" role="img" aria-label="([^"]*)">', page)
    assert label == "Both: target and this change in one chart"
    assert page.count('class="explore" hidden') == 1
    assert "vegaEmbed=" in page


@needs_extra
def test_a_projects_own_template_is_a_picture_and_no_program(record: Record) -> None:
    own = dataclasses.replace(GROUP[0], own_template=True)
    page = html.render(with_plots(record, own), Settings())
    assert page.count('class="drawing" role="img"') == 1
    assert 'class="explore"' not in page
    assert "vegaEmbed=" not in page


@needs_extra
def test_a_chart_that_is_more_than_shapes_and_texts_stays_a_picture(record: Record) -> None:
    value = {"x": 1, "y": 2, "url": "data:image/png;base64,iVBORw0KGgo="}
    chart = {"data": {"values": [value]}, "mark": "image", "encoding": {"url": {"field": "url"}}}
    page = html.render(with_plots(record, dataclasses.replace(GROUP[0], specification=json.dumps(chart))), Settings())
    [source] = re.findall(r'<img src="data:image/svg\+xml;base64,([^"]+)" alt="Both: target', page)
    assert b"<image" in base64.b64decode(source)
    assert 'class="drawing"' not in page


@needs_extra
@pytest.mark.parametrize("text", ['{"mark": "none such"}', "[]", '{"data": {"url": "http://127.0.0.1:9/"}, "mark": 3}'])
def test_what_cannot_be_drawn_is_said(record: Record, text: str) -> None:
    page = html.render(with_plots(record, dataclasses.replace(GROUP[1], specification=text)), Settings())
    assert "Its template gave no picture: " in page
    plot = dataclasses.replace(GROUP[1], specification=text)
    [file] = pictures.of_plot(plot)
    assert file.problem


@needs_extra
def test_a_chart_that_never_ends_costs_its_picture(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text("import time\ntime.sleep(999)\n")
    monkeypatch.setattr(vega, "_WORKER", worker)
    monkeypatch.setattr(vega, "_TIMEOUT", 0.5)
    assert vega.draw(["{}never"])["{}never"].problem == "it was not drawn within 0 s"
    worker.write_text("import os\nos.abort()\n")
    monkeypatch.setattr(vega, "_TIMEOUT", 600)
    assert vega.draw(["{}abort"])["{}abort"].problem == "it could not be drawn: the program for it failed"


@needs_extra
def test_the_program_that_draws_has_no_credential(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text("import json, os\nprint(json.dumps({'charts': [{'svg': str(dict(os.environ))}]}))\n")
    monkeypatch.setattr(vega, "_WORKER", worker)
    monkeypatch.setenv("MLBUTLER_GIT_TOKEN", "planted-token")
    seen = vega.draw(["{}environment"])["{}environment"].svg
    assert "PATH" in seen
    assert "planted-token" not in seen


def test_without_the_extra_each_series_is_drawn_and_the_rest_says_what_is_missing(
    record: Record, without_extra: None
) -> None:
    bars = PlotChange(
        file="i.json", title="Bars", kind=PlotKind.UNSUPPORTED, changed=True, specification=CHART, group="Bars"
    )
    page = html.render(with_plots(record, *GROUP, bars), Settings())
    assert page.count('class="chart" role="img" aria-label="Both') == 4
    assert "pip install &#39;pillow&gt;=10&#39; &#39;vl-convert-python&gt;=1.7&#39;" in page
    assert 'class="drawing"' not in page
