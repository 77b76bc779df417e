"""Reading both sides of a comparison, with no checkout of the other one."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from mlbutler.comparison.data import compare_data
from mlbutler.comparison.params import compare_params
from mlbutler.git.command import GitCommand
from mlbutler.project.project import Project
from tests.project.conftest import commit, dvc


def head(root: Path) -> str:
    return subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True).stdout.strip()


def test_metrics_and_params_of_both_sides(full: Path) -> None:
    base = head(full)
    (full / "params.yaml").write_text("n: 7\nother: 1\n")
    dvc(full, "repro", "-q")
    old, new = Project(full, {}).snapshots.read_snapshots(base, "")
    assert old.metrics["m1.json"].content == b'{"acc":0.15}\n'
    assert new.metrics["m1.json"].content == b'{"acc":0.17}\n'
    assert old.params["params.yaml"].content == b"n: 5\nother: 1\n"
    assert {stage.stage for stage in new.stage_params} == {"train@1", "train@2"}


def test_directories_that_differ_come_with_their_files(full: Path) -> None:
    base = head(full)
    (full / "data" / "raw" / "f 4.txt").write_text("row 4\n")
    dvc(full, "add", "-q", "data/raw")
    old, new = Project(full, {}).snapshots.read_snapshots(base, "")
    before, after = old.artifacts["data/raw"].entries, new.artifacts["data/raw"].entries
    assert before is not None
    assert after is not None
    assert {entry.path for entry in after} - {entry.path for entry in before} == {"f 4.txt"}
    assert new.artifacts["model1"].entries is None  # the same on both sides: not opened


def test_a_project_that_is_new_in_the_change_has_an_empty_old_side(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / "readme").write_text("hi")
    base = commit(tmp_path, "before DVC")
    dvc(tmp_path, "init", "-q")
    old, new = Project(tmp_path, {}).snapshots.read_snapshots(base, "")
    assert dict(old.artifacts) == {}
    assert dict(new.metrics) == {}


def test_a_project_in_a_sub_folder_is_read_at_the_base(full: Path, tmp_path: Path) -> None:
    mono = tmp_path / "mono"
    (mono / "ml").mkdir(parents=True)
    subprocess.run(["git", "init", "-q"], cwd=mono, check=True)
    dvc(mono / "ml", "init", "-q", "--subdir")
    (mono / "ml" / "dvc.yaml").write_text("metrics: [m.json]\n")
    (mono / "ml" / "m.json").write_text('{"a": 1}')
    base = commit(mono, "one")
    (mono / "ml" / "m.json").write_text('{"a": 2}')
    old, new = Project(mono / "ml", {}).snapshots.read_snapshots(base, "ml/")
    assert old.metrics["m.json"].content == b'{"a": 1}'
    assert new.metrics["m.json"].content == b'{"a": 2}'


def test_both_forms_of_plots_are_understood(full: Path) -> None:
    text = (full / "dvc.yaml").read_text()
    (full / "dvc.yaml").write_text(
        text + "plots:\n  - c.csv: {x: a, y: b}\n  - Curves: {x: step, y: {c.csv: [b, c]}, template: linear}\n"
    )
    (full / "c.csv").write_text("a,b,c\n1,2,3\n")
    _, new = Project(full, {}).snapshots.read_snapshots(None, "")
    by_id = {definition.id: definition for definition in new.plots}
    assert by_id["c.csv"].y == {"c.csv": ("b",)}
    assert by_id["Curves"].y == {"c.csv": ("b", "c")}
    assert new.plot_data["c.csv"].content == b"a,b,c\n1,2,3\n"


def test_what_git_keeps_of_a_commit_is_read_by_two_processes(full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    more = "metrics: [top.json]\nparams: [more.yaml]\nplots:\n  - c.csv\n  - Curves: {x: step, y: {d.csv: [b, c]}}\n"
    (full / "dvc.yaml").write_text((full / "dvc.yaml").read_text() + more)
    for name, text in (("top.json", "{}"), ("more.yaml", "a: 1"), ("c.csv", "a\n1\n"), ("d.csv", "step,b,c\n1,2,3\n")):
        (full / name).write_text(text)
    base = commit(full, "more")
    asked: list[str] = []
    run = GitCommand.run

    def counting(git: GitCommand, *args: str, **options: Any) -> Any:
        asked.append(args[0])
        return run(git, *args, **options)

    monkeypatch.setattr(GitCommand, "run", counting)
    old, _ = Project(full, {}).snapshots.read_snapshots(base, "")
    assert {*old.metrics} >= {"m1.json", "m2.json", "top.json"}
    assert {*old.params} >= {"params.yaml", "more.yaml"}
    assert {*old.plot_data} >= {"c.csv", "d.csv"}
    read = [*old.metrics.values(), *old.params.values(), *old.plot_data.values()]
    assert all(source.content is not None for source in read)
    assert asked.count("cat-file") == 2


def curves(folder: Path, *names: str, text: str = "step,acc\n0,0.5\n") -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


LAYOUT = "metrics: [live/metrics.json]\nplots:\n  - live/plots/metrics: {x: step}\n  - live/plots/images\n"
"""As DVCLive writes it: plots are folders."""


def test_a_folder_of_plots_in_git_stands_for_its_files(full: Path) -> None:
    (full / "dvc.yaml").write_text((full / "dvc.yaml").read_text() + LAYOUT)
    curves(full / "live/plots", "metrics/train/acc.csv", "metrics/eval.tsv", "images/a.png")
    (full / "live/metrics.json").write_text('{"acc": 0.5}')
    base = commit(full, "one")
    curves(full / "live/plots", "metrics/train/loss.csv", "metrics/eval.tsv", text="step,acc\n0,0.7\n")
    old, new = Project(full, {}).snapshots.read_snapshots(base, "")
    then = ["live/plots/images/a.png", "live/plots/metrics/eval.tsv", "live/plots/metrics/train/acc.csv"]
    assert sorted(definition.id for definition in old.plots) == then
    assert sorted(definition.id for definition in new.plots) == [*then, "live/plots/metrics/train/loss.csv"]
    assert {d.x for d in new.plots} == {"step", ""}
    assert old.plot_data["live/plots/metrics/eval.tsv"].content == b"step,acc\n0,0.5\n"
    assert new.plot_data["live/plots/metrics/eval.tsv"].content == b"step,acc\n0,0.7\n"


@pytest.mark.parametrize("cached", ["true", "false"])
def test_a_folder_of_plots_within_an_output_stands_for_its_files(full: Path, cached: str) -> None:
    make = "mkdir -p live/plots/metrics && cp c.csv live/plots/metrics/acc.csv && echo hi > live/log"
    stage = f"  live:\n    cmd: {make}\n    deps: [c.csv]\n    outs:\n      - live: {{cache: {cached}}}\n"
    (full / "dvc.yaml").write_text((full / "dvc.yaml").read_text() + stage + LAYOUT)
    curves(full, "c.csv")
    dvc(full, "repro", "-q", "live")
    base = commit(full, "one")
    curves(full, "c.csv", text="step,acc\n0,0.7\n")
    dvc(full, "repro", "-q", "live")
    old, new = Project(full, {}).snapshots.read_snapshots(base, "")
    contents = [side.plot_data["live/plots/metrics/acc.csv"].content for side in (old, new)]
    assert contents == [b"step,acc\n0,0.5\n", b"step,acc\n0,0.7\n"]
    assert "live/log" not in new.plot_data


def test_what_lies_outside_the_project_is_not_read(full: Path, tmp_path: Path) -> None:
    (tmp_path / "away").mkdir()
    (tmp_path / "away/token.json").write_text('{"token": "planted"}')
    (full / "link").symlink_to(tmp_path / "away")
    (full / "token.json").symlink_to(tmp_path / "away/token.json")
    names = f"[../away/token.json, {tmp_path}/away/token.json, link/token.json, token.json, ../away]"
    (full / "dvc.yaml").write_text((full / "dvc.yaml").read_text() + f"metrics: {names}\nplots: [link, ../away]\n")
    _, new = Project(full, {}).snapshots.read_snapshots(None, "")
    planted = {path: source for path, source in new.metrics.items() if path not in ("m1.json", "m2.json")}
    assert len(planted) >= 4
    assert {(source.content, source.problem) for source in planted.values()} <= {
        (None, "it lies outside the project: not read"), (None, "the file is missing")
    }  # fmt: skip
    assert all(source.content is None for source in new.plot_data.values())


def test_a_huge_metric_is_not_read(full: Path) -> None:
    with (full / "m1.json").open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    _, new = Project(full, {}).snapshots.read_snapshots(None, "")
    assert new.metrics["m1.json"].content is None
    assert "larger than 20 MB" in new.metrics["m1.json"].problem


def test_tables_that_may_have_changed_are_looked_for_in_the_cache(full: Path) -> None:
    (full / "t.csv").write_text("a,b\n1,2\n")
    (full / "same.csv").write_text("a\n1\n")
    dvc(full, "add", "-q", "t.csv", "same.csv")
    base = commit(full, "tables")
    (full / "t.csv").write_text("a,c\n1,2\n3,4\n")
    dvc(full, "add", "-q", "t.csv")
    old, new = Project(full, {}).snapshots.read_snapshots(base, "")
    assert set(new.local_tables) == {"t.csv"}
    [change] = compare_data(old.artifacts, new.artifacts, old.local_tables, new.local_tables)
    [table] = change.tables
    assert (table.old_rows, table.new_rows, table.columns_added) == (1, 2, ("c",))


VARIABLES = """
vars: [conf/model.yaml]
stages:
  train:
    foreach: ${sizes}
    do:
      cmd: python train.py ${item} ${rate} ${depth.max}
      params: [seed]
      outs: ["out${item}"]
  other:
    cmd: echo ${name}
"""


@pytest.mark.parametrize("folder", ["", "sub"])
def test_what_is_filled_into_a_stage_reaches_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    root, place = tmp_path, tmp_path / folder
    (place / "conf").mkdir(parents=True)
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    dvc(root, "init", "-q")
    (place / "dvc.yaml").write_text(VARIABLES)
    (place / "params.yaml").write_text("rate: 1\nseed: 2\nsizes: [1, 2]\nunused: 3\n")
    (place / "conf" / "model.yaml").write_text("depth: {max: 4}\nname: x\n")
    base = commit(root, "first")
    (place / "params.yaml").write_text("rate: 2\nseed: 3\nsizes: [1, 2]\nunused: 4\n")
    (place / "conf" / "model.yaml").write_text("depth: {max: 5}\nname: y\n")
    for here in (root, tmp_path.parent):
        monkeypatch.chdir(here)
        old, new = Project(root, {}).snapshots.read_snapshots(base, "")
        changes, _ = compare_params(old.params, new.params, new.stage_params)
        prefix = f"{folder}/dvc.yaml:" if folder else ""
        both = (f"{prefix}train@1", f"{prefix}train@2")
        assert {change.name: change.stages for change in changes} == {
            "rate": both, "seed": both, "depth.max": both, "name": (f"{prefix}other",), "unused": (),
        }  # fmt: skip
