"""Plots by templates: DVC's own, and a project's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mlbutler.comparison.comparison import compare_snapshots
from mlbutler.comparison.snapshot import PlotDefinition, Snapshot, Source
from mlbutler.project.vega import with_specifications
from mlbutler.record import PlotChange

OWN = {
    "data": {"values": "<DVC_METRIC_DATA>"},
    "mark": "bar",
    "encoding": {"x": {"field": "<DVC_METRIC_X>"}, "y": {"field": "<DVC_METRIC_Y>"}, "color": {"field": "rev"}},
}


def side(data: dict[str, str], *definitions: PlotDefinition) -> Snapshot:
    return Snapshot("r", plots=definitions, plot_data={path: Source(text.encode()) for path, text in data.items()})


def plots(root: Path, old: Snapshot, new: Snapshot) -> tuple[PlotChange, ...]:
    return compare_snapshots(old, new, {}, charts=lambda found: with_specifications(root, found, old, new)).plots


def curve(start: float, rows: int = 5) -> str:
    return "step,loss,acc\n" + "".join(f"{i},{start - i / rows},{i}\n" for i in range(rows))


def values(plot: PlotChange) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(plot.specification)["data"]["values"]
    return found


@pytest.mark.parametrize("template", ["smooth", "scatter", "scatter_jitter", "bar_horizontal", "bar_horizontal_sorted"])
def test_dvcs_templates_are_filled_with_both_sides(tmp_path: Path, template: str) -> None:
    definition = PlotDefinition("c.csv", ("c.csv",), x="step", y={"c.csv": ("loss",)}, template=template)
    [plot] = plots(tmp_path, side({"c.csv": curve(1)}, definition), side({"c.csv": curve(2)}, definition))
    assert not plot.own_template
    assert {(v["rev"], v["loss"]) for v in values(plot) if v["step"] == 0.0} == {("target", 1.0), ("this change", 2.0)}
    assert "DVC_METRIC" not in plot.specification


def test_several_series_of_several_files_are_one_chart(tmp_path: Path) -> None:
    y = {"a/train.csv": ("loss", "acc"), "a/val.csv": ("loss",)}
    definition = PlotDefinition("Both", tuple(y), x="step", y=y, title="Both of them")
    data = {"a/train.csv": curve(1), "a/val.csv": curve(2)}
    found = plots(tmp_path, side(data, definition), side(data, definition))
    assert [bool(plot.specification) for plot in found] == [True, False, False]
    assert {v["filename::field"] for v in values(found[0])} == {
        "train.csv::loss", "train.csv::acc", "val.csv::loss",
    }  # fmt: skip
    assert json.loads(found[0].specification)["title"]["text"] == "Both of them"


def test_x_from_a_file_of_its_own(tmp_path: Path) -> None:
    definition = PlotDefinition(
        "d", ("y.csv",), x="t", xs={"x.csv": "t"}, y={"y.csv": ("v",)}, template="scatter"
    )  # fmt: skip
    data = {"x.csv": "t\n10\n20\n", "y.csv": "v\n1\n2\n"}
    [plot] = plots(tmp_path, side({}), side(data, definition))
    assert [(v["t"], v["v"]) for v in values(plot)] == [(10.0, 1.0), (20.0, 2.0)]


@pytest.mark.parametrize("template", ["", "linear", "simple", "confusion", "confusion_normalized"])
def test_a_plain_line_and_a_matrix_need_none(tmp_path: Path, template: str) -> None:
    definition = PlotDefinition("c.csv", ("c.csv",), x="step", y={"c.csv": ("loss",)}, template=template)
    [plot] = plots(tmp_path, side({"c.csv": curve(1)}, definition), side({"c.csv": curve(2)}, definition))
    assert not plot.specification


@pytest.mark.parametrize("place", [".dvc/plots/own.json", "templates/own.json"])
def test_a_projects_own_template(tmp_path: Path, place: str) -> None:
    (tmp_path / place).parent.mkdir(parents=True)
    (tmp_path / place).write_text(json.dumps(OWN))
    name = "own" if place.startswith(".dvc") else place
    definition = PlotDefinition("c.csv", ("c.csv",), x="step", y={"c.csv": ("loss",)}, template=name)
    [plot] = plots(tmp_path, side({}), side({"c.csv": curve(2)}, definition))
    assert plot.own_template
    assert json.loads(plot.specification)["encoding"]["y"] == {"field": "loss"}


def _with(**more: object) -> str:
    return json.dumps({**OWN, **more})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (_with(data={"url": "file:///etc/passwd"}), "holds 'url', which could fetch something"),
        (_with(encoding={"x": {"field": "a"}, "HREF": {"field": "b"}}), "holds 'href'"),
        (_with(layer=[{"mark": {"type": "image"}}]), "holds 'image'"),
        (_with(usermeta={"embedOptions": {}}), "holds 'usermeta'"),
        ("[1]", "is not an object"),
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        (json.dumps({"mark": "bar"}), "cannot be filled"),
    ],
)
def test_a_template_that_could_fetch_or_is_none_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "t.json").write_text(text)
    definition = PlotDefinition("c.csv", ("c.csv",), x="step", y={"c.csv": ("loss",)}, template="t.json")
    [plot] = plots(tmp_path, side({}), side({"c.csv": curve(2)}, definition))
    assert said in plot.reason
    assert (plot.kind, plot.specification) == ("linear", "")


def test_a_template_outside_the_project_is_not_read(tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (tmp_path / "secret.json").write_text(_with(title="SECRET"))
    (root / "link.json").symlink_to(tmp_path / "secret.json")
    for name in ("../secret.json", str(tmp_path / "secret.json"), "link.json", "nowhere"):
        definition = PlotDefinition("c.csv", ("c.csv",), x="step", y={"c.csv": ("loss",)}, template=name)
        [plot] = plots(root, side({}), side({"c.csv": curve(2)}, definition))
        assert f"there is no template '{name}'" in plot.reason
        assert "SECRET" not in str(plot)


def test_many_points_of_a_curve_are_thinned_and_of_bars_refused(tmp_path: Path) -> None:
    data = {"c.csv": curve(1, 5000)}
    line = PlotDefinition("c.csv", ("c.csv",), x="step", y={"c.csv": ("loss",)}, template="smooth")
    [plot] = plots(tmp_path, side({}), side(data, line))
    steps = [v["step"] for v in values(plot)]
    assert (len(steps), steps[0], steps[-1]) == (1000, 0.0, 4999.0)
    bars = PlotDefinition("c.csv", ("c.csv",), x="step", y={"c.csv": ("loss",)}, template="bar_horizontal")
    [plot] = plots(tmp_path, side({}), side(data, bars))
    assert "more than 1,000 rows" in plot.reason


@pytest.mark.parametrize("text", ["", "step,loss\n", "other,loss\n1,2\n", "step\n1\n", '"\n', "step,loss\n1,nan\n"])
def test_odd_data_leaves_a_reason_and_never_an_error(tmp_path: Path, text: str) -> None:
    definition = PlotDefinition("c.csv", ("c.csv",), x="step", y={"c.csv": ("loss",)}, template="smooth")
    [plot] = plots(tmp_path, side({}), side({"c.csv": text}, definition))
    assert plot.reason or plot.specification
