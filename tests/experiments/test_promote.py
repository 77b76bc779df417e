"""`mlbutler train promote` makes a branch that a first build finds nothing stale in."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from mlbutler.commands.train import promote as module
from mlbutler.console import Console
from mlbutler.errors import GitError
from tests.experiments.agents import Agent, send
from tests.experiments.conftest import Laptop, snapshot
from tests.forge.dialects import GitHub
from tests.forge.fake import TOKEN, FakeForge, serving


@pytest.fixture
def forge() -> Iterator[FakeForge]:
    with serving(GitHub()) as server:
        yield server


def test_an_experiment_becomes_a_branch_with_its_data_and_a_pull_request(laptop: Laptop, forge: FakeForge) -> None:
    world = laptop.world
    at = {"MLBUTLER_FORGE_KIND": "github", "MLBUTLER_FORGE_URL": forge.url, "MLBUTLER_FORGE_REPOSITORY": "team/digits"}
    laptop.train("-n", "lr", "-S", "train.rate=0.02,0.5")
    laptop.train("wait", code=1)
    assert "lr-2 has no results: it is failed" in laptop.train("promote", "lr-2", code=2)
    before = snapshot(laptop.root)

    first = world.run(laptop.root, at, "promote", "lr-1", verb="train")
    assert first.code == 0, first.err
    assert "lr-1-branch, with the results of lr-1, is on origin" in first.out
    assert f"Open the pull request at {forge.url}/team/digits/compare/main...lr-1-branch?expand=1" in first.out
    assert forge.seen == []

    done = world.run(laptop.root, at | {"MLBUTLER_FORGE_TOKEN": TOKEN}, "promote", "lr-1", "--json", verb="train")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert document["pull_request"] == "https://pages/18"
    [sent] = forge.requests_of("POST")
    assert sent.json["title"] == "Experiment lr-1: accuracy 0.92 (+0.01)"
    assert (sent.json["head"], sent.json["base"]) == ("lr-1-branch", "main")
    assert "train.rate=0.02" in sent.json["body"]
    assert "| 1 | lr-1 | 0.02 | 0.92 (+0.01) |" in sent.json["body"], "the leaderboard of its sweep"
    now = snapshot(laptop.root)
    assert {key: value for key, value in now.items() if key != "refs"} == {
        key: value for key, value in before.items() if key != "refs"
    }

    build = world.clone("origin/lr-1-branch")
    assert world.git(build, "rev-parse", "HEAD") == laptop.list_experiments()["lr-1"]["result"] == document["commit"]
    planned = world.run(build, {"MLBUTLER_DATA_MIRROR": ""}, "--json", verb="plan")
    assert {stage["state"] for stage in json.loads(planned.out)["result"]["stages"]} == {"up to date"}
    assert world.run(build, {"MLBUTLER_DATA_MIRROR": ""}, "pushed", "--anew", verb="check").code == 0


def test_a_branch_with_something_else_is_left_alone(better: Laptop) -> None:
    laptop = better
    laptop.git("push", "-q", "origin", "main:refs/heads/taken")
    objects = sorted(laptop.world.remote.rglob("*"))
    said = laptop.train("promote", "better", "--branch", "taken", code=2)
    assert "There is a branch taken on origin with other commits. Nothing was sent" in said
    assert "main here with other commits" in laptop.train("promote", "better", "--branch", "main", code=2)
    assert "is not a valid branch name" in laptop.train("promote", "better", "--branch", "a..b", code=2)
    nowhere = laptop.world.run(
        laptop.root, {"MLBUTLER_FORGE_KIND": "folder", "MLBUTLER_FORGE_URL": ""}, "promote", "better", verb="train"
    )
    assert (nowhere.code, "forge.url is not set" in nowhere.err) == (2, True)
    assert "better-branch" not in laptop.git("ls-remote", "origin")
    assert sorted(laptop.world.remote.rglob("*")) == objects
    laptop.git("remote", "remove", "origin")
    assert "there is no git remote to push it to" in laptop.train("promote", "better", "--no-pull-request")
    assert laptop.git("rev-parse", "better-branch") == laptop.list_experiments()["better"]["result"]


def test_a_branch_that_somebody_makes_meanwhile_is_left_alone(better: Laptop, monkeypatch: pytest.MonkeyPatch) -> None:
    laptop = better
    theirs = laptop.git("rev-parse", "main")  # the results stand on it: a push could go forward from there

    def push_branch(*_: object) -> None:
        laptop.git("push", "-q", "origin", "main:refs/heads/better-branch")

    monkeypatch.setattr(module, "_send_data", push_branch)
    with pytest.raises(GitError, match="better-branch changed on origin meanwhile"):
        module.promote(laptop.root, Console(quiet=True), "better", None, pull_request=False)
    assert laptop.git("ls-remote", "origin", "better-branch").split()[0] == theirs


def test_what_ran_on_an_agent_is_compared_and_promoted_from_any_laptop(laptop: Laptop) -> None:
    (one,) = send(laptop, "train.rate=0.02", name="lr", user="ada")
    agent = Agent(laptop, one)
    agent.begin()
    agent.call("run")
    agent.call("save")
    world = laptop.world
    there = {"MLBUTLER_TRAIN_URL": "http://127.0.0.1:9", "MLBUTLER_TRAIN_JOB": "train"}
    assert laptop.git("for-each-ref", "refs/exps") == ""
    for user, rows in (("ada", 1), ("bob", 0)):
        listed = world.run(laptop.root, there | {"USER": user}, "list", "--mine", "--json", verb="train")
        assert len(json.loads(listed.out)["experiments"]) == rows
    compared = world.run(laptop.root, there, "compare", "lr", "--json", verb="train")
    assert compared.code == 0, compared.err
    assert json.loads(compared.out)["result"]["metrics"][0]["new"] == 0.92
    promoted = world.run(laptop.root, there, "promote", "lr", "--no-pull-request", verb="train")
    assert promoted.code == 0, promoted.err
    build = world.clone("origin/lr-branch")
    assert world.run(build, {"MLBUTLER_DATA_MIRROR": ""}, "pushed", "--anew", verb="check").code == 0
    fetched = world.run(laptop.root, there, "fetch", "lr", "--data", verb="train")
    assert fetched.code == 0, fetched.err
    assert (laptop.root / "model.txt").read_text() == "model at 0.02"

    removed = world.run(laptop.root, there, "rm", "lr", verb="train")
    assert removed.code == 0, removed.err
    assert laptop.git("ls-remote", "origin", "refs/exps/*", "refs/mlbutler/*") == ""
    assert "lr-branch" in laptop.git("ls-remote", "origin"), "what a branch holds stays"
