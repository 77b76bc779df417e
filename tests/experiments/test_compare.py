"""`mlbutler train compare` judges an experiment as `mlbutler compare` judges a branch."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mlbutler.commands.train.comment import post_leaderboard
from mlbutler.commands.train.leaderboard import build_leaderboard
from mlbutler.commands.train.opening import open_training
from mlbutler.console import Console
from mlbutler.errors import UsageError
from mlbutler.experiments.experiment import Experiment
from tests.experiments.conftest import Laptop, snapshot
from tests.forge.dialects import GitHub
from tests.forge.fake import TOKEN, FakeForge, Pull


def compare(laptop: Laptop, *names: str, code: int = 0) -> dict[str, Any]:
    run = laptop.world.run(laptop.root, {}, "compare", "--json", *names, verb="train")
    assert run.code == code, run.out + run.err
    return dict(json.loads(run.out)["result"])


def values(result: dict[str, Any]) -> tuple[float, float, str]:
    [metric] = result["metrics"]
    return metric["old"], metric["new"], metric["verdict"]


def test_an_experiment_is_compared_with_its_baseline_or_another_one_and_gates_are_judged(laptop: Laptop) -> None:
    (laptop.root / "mlbutler.toml").write_text('[[gate]]\nmetric = "accuracy"\nmin = 0.925\n')
    laptop.git("add", "mlbutler.toml")
    laptop.train("-n", "lr", "-S", "train.rate=0.02,0.03,0.5")
    laptop.train("wait", "lr", code=1)
    before = snapshot(laptop.root)
    assert values(compare(laptop, "lr-2")) == (0.91, 0.93, "better")
    low = compare(laptop, "lr-1", code=1)
    assert values(low) == (0.91, 0.92, "better")
    assert [gate["outcome"] for gate in low["gates"]] == ["failed"]
    other = compare(laptop, "lr-1", "lr-2", code=1)
    assert values(other) == (0.93, 0.92, "worse")
    assert [param["new"] for param in other["params"] if param["name"] == "train.rate"] == ["0.02"]
    assert values(compare(laptop, "lr-2", "lr-1")) == (0.92, 0.93, "better")
    said = laptop.train("compare", "lr-2", "lr-1")
    assert "lr-2 compared with lr-1" in said
    assert "== compare: with commit " in said
    assert "with the target branch" not in said
    assert "accuracy" in said
    assert "lr-3 has no results: it is failed" in laptop.train("compare", "lr-3", code=2)
    board = laptop.train("compare", "lr", "--format", "markdown")
    assert "lr: 2 done, 1 failed; by accuracy (maximize)" in board
    assert "| 1 | lr-2 | 0.03 | 0.93 (+0.02) | better |" in board
    assert "are for the leaderboard" in laptop.train("compare", "lr-1", "lr-2", "--format", "html", code=2)
    run = laptop.world.run(laptop.root, {}, "compare", "lr", "--json", verb="train")
    document = json.loads(run.out)
    assert (run.code, document["metric"]) == (0, "accuracy")
    assert [one["name"] for one in document["experiments"]] == ["lr-2", "lr-1", "lr-3"]
    assert snapshot(laptop.root) == before
    assert not list(laptop.root.glob(".mlbutler/train/compare-*"))
    assert not (laptop.root / ".mlbutler" / "record.json").exists()


def test_a_leaderboard_is_one_comment_on_the_pull_request_with_as_many_rows_as_it_takes(
    laptop: Laptop, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = FakeForge(GitHub())
    server.dialect.pulls = [Pull(17, laptop.git("rev-parse", "HEAD"))]
    for name, value in laptop.world.run_environ({}).items():
        monkeypatch.setenv(name, value)
    for name, value in (("KIND", "github"), ("URL", server.url), ("REPOSITORY", "team/digits"), ("TOKEN", TOKEN)):
        monkeypatch.setenv(f"MLBUTLER_FORGE_{name}", value)
    monkeypatch.delenv("CI", raising=False)
    try:
        training = open_training(laptop.root, Console(quiet=True))
        one = Experiment(id="", name="lr-1", grid="lr", baseline="", input="", reason="x" * 400)
        found = [one.with_(name=f"lr-{number}") for number in range(400)]
        for rows in (2, 400):
            post_leaderboard(training, "lr", build_leaderboard("lr", found[:rows], ()))
        [note] = server.dialect.notes
        assert note.body.startswith("lr: 400 waiting")
        assert "more rows: `mlbutler train compare`" in note.body
        assert len(note.body) <= 65536
        server.dialect.pulls.clear()
        with pytest.raises(UsageError, match="No pull request is open"):
            post_leaderboard(training, "lr", build_leaderboard("lr", found[:2], ()))
    finally:
        server.shutdown()
        server.server_close()
