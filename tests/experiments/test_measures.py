"""Numbers of an experiment are those that its own stages wrote."""

from __future__ import annotations

from pathlib import Path

from mlbutler.experiments.experiment import Experiment, Measure, experiment_id
from mlbutler.experiments.measures import read_measures
from mlbutler.git import Git
from mlbutler.project.model import Output, Stage, Stages
from tests.conftest import GitCommand


def test_of_an_experiment_that_failed_only_finished_stages_count(tmp_path: Path, git: GitCommand) -> None:
    git(tmp_path, "init", "-q")
    for name in ("first", "second"):
        (tmp_path / f"{name}.json").write_text('{"loss": 0.5}')
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "first")
    (tmp_path / "first.json").write_text('{"loss": 0.4, "name": "x"}')
    head = Git(tmp_path).head()
    one = Experiment(id=experiment_id(head, "", ()), name="one", grid="one", baseline=head, input=head)
    stages = Stages(tuple(
        Stage(name, "dvc.yaml", "x", outputs=(Output(f"{name}.json", None, kind="metric", cached=False),))
        for name in ("first", "second")
    ))  # fmt: skip
    first = Measure(file="first.json", name="loss", value=0.4, before=0.5)
    assert read_measures(Git(tmp_path), one, tmp_path, stages, ["first"]) == (first,)
    assert read_measures(Git(tmp_path), one, tmp_path, stages) == (
        first, Measure(file="second.json", name="loss", value=0.5, before=0.5),
    )  # fmt: skip
