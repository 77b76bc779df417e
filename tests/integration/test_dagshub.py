"""The page on DagsHub, from the data's remote to a pull request whose results are in the table of experiments."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import forked_python
from tests.forge.fake import TOKEN, Pull
from tests.integration.world import SETTINGS, World, params
from tests.trackers.mlflow_server import Tracker
from tests.trackers.played_dagshub import GIT_USER, PlayedDagsHub, experiments, play_dagshub

PAGE = (Path(__file__).parent.parent.parent / "docs" / "dagshub.md").read_text(encoding="utf-8")


@pytest.fixture
def dagshub(world: World, tracker: Tracker) -> Iterator[PlayedDagsHub]:
    world.git(world.bare, "config", "http.receivepack", "true")
    forked_python.preload("mlflow.store.tracking.rest_store")
    with play_dagshub(world.directory, world.remote, tracker) as server:
        yield server


def commands(heading: str, number: int, dagshub: PlayedDagsHub) -> list[list[str]]:
    """The commands of a block of the page below a heading, with the played server's address."""
    text = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    block = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)[number]
    return [shlex.split(line.replace("https://dagshub.com", dagshub.url)) for line in block.splitlines()]


def settings(dagshub: PlayedDagsHub) -> str:
    (block,) = re.findall(r"```toml\n(\[trackers\].*?)```", PAGE, re.DOTALL)
    return str(block.replace("https://dagshub.com", dagshub.url))


def build(world: World, dagshub: PlayedDagsHub, branch: str) -> dict[str, str]:
    """A build of the pull request 3, as the branch source of DagsHub has it: CHANGE_ID is a number of its database."""
    return world.jenkins(branch) | {
        "GIT_URL": f"{dagshub.url}/team/digits.git", "BRANCH_NAME": "PR-3", "CHANGE_ID": "9003",
        "CHANGE_URL": f"{dagshub.url}/team/digits/pulls/3",
        "DAGSHUB_USER_TOKEN": TOKEN, "DAGSHUB_CLIENT_HOST": dagshub.url,
        "MLBUTLER_GIT_TOKEN": TOKEN, "MLBUTLER_GIT_USERNAME": GIT_USER,
        "MLBUTLER_FORGE_URL": "", "MLBUTLER_FORGE_KIND": "",
    }  # fmt: skip


def test_the_page_from_the_data_to_a_row_in_the_table_of_experiments(world: World, dagshub: PlayedDagsHub) -> None:
    for command in commands("The data", 0, dagshub):
        world.dvc(*[word.replace("-d", "-df") for word in command[1:]])
    own = SETTINGS.partition("[forge]")[0] + settings(dagshub)
    world.branch("main", {"mlbutler.toml": own}, "DagsHub")
    head = world.branch("better", {"params.yaml": params(0.05)})
    dagshub.forge.dialect.pulls = [Pull(3, head, "better")]

    run = world.run(world.clone("origin/better"), build(world, dagshub, "better"))
    assert run.code == 0, run.out + run.err
    results = world.git(world.bare, "rev-parse", "better")
    assert run.record["commit"]["commit"] == results
    table = experiments(world.bare, "better")
    assert table == {results: {"accuracy": 0.95, "words": 195, "train.rate": 0.05, "train": {"rate": 0.05}}}
    (logged,) = [run for run in dagshub.tracker.runs("digits") if run["tags"]["mlbutler.result"] == results]
    assert (logged["metrics"], logged["params"]) == ({"accuracy": 0.95, "words": 195}, {"train.rate": "0.05"})
    assert logged["tags"]["mlflow.source.git.commit"] == head
    assert "[build](http://jenkins.example/job/x/1/)" in logged["tags"]["mlflow.note.content"]
    assert "[pull request]" in logged["tags"]["mlflow.note.content"]

    assert "the report is on the branch mlbutler/report-3" in run.record["publish"]["reason"]
    report = world.git(world.bare, "show", "mlbutler/report-3:mlbutler/README.md")
    assert f"/team/digits.mlflow/#/experiments/{logged['experiment_id']}/runs/{logged['run_id']})" in report
    assert {method for method, _ in dagshub.asked} <= {"GET", "HEAD", "POST"}

    dagshub.forge.dialect.pulls = [Pull(3, results, "better")]
    as_jenkins_has_it = build(world, dagshub, "better") | {"DAGSHUB_USER_TOKEN": "", "MLBUTLER_FORGE_TOKEN": TOKEN}
    as_jenkins_has_it |= {"MLBUTLER_REMOTE_USER": TOKEN, "MLBUTLER_REMOTE_PASSWORD": TOKEN}
    again = world.run(world.clone(results), as_jenkins_has_it)
    assert again.code == 0, again.out + again.err
    assert world.git(world.bare, "rev-parse", "better") == results
    assert dagshub.tracker.requested_paths()[-1] == "runs/search"  # it was looked for
    assert len([run for run in dagshub.tracker.runs("digits") if run["tags"]["mlbutler.result"] == results]) == 1
    for root in (run.root, again.root, world.mirror):
        assert not [f for f in root.rglob("*") if f.is_file() and TOKEN.encode() in f.read_bytes()]
    assert TOKEN not in run.out + run.err + again.out + again.err


def test_a_pull_request_cannot_have_the_token_sent_to_another_server(world: World, dagshub: PlayedDagsHub) -> None:
    before = len(dagshub.tracker.requested_paths())
    head = world.branch("better", {"params.yaml": params(0.05), "mlbutler.toml": SETTINGS + settings(dagshub)})
    dagshub.forge.dialect.pulls = [Pull(3, head, "better")]
    folder = {"MLBUTLER_FORGE_KIND": "folder", "MLBUTLER_FORGE_URL": str(world.forge)}
    run = world.run(world.clone("origin/better"), build(world, dagshub, "better") | folder)
    assert run.record["commit"]["commit"]
    assert run.code == 0, run.out + run.err
    assert len(dagshub.tracker.requested_paths()) == before
