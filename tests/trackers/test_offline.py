"""Runs that stages log into folders, as MLflow itself writes them, and as anybody could."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlbutler.trackers.offline import find_logged_runs, numbers

WANDB = {"WANDB_ENTITY": "team", "WANDB_PROJECT": "digits"}


def by_name(root: Path, since: float = 0, **environ: str) -> dict[str, dict[str, float]]:
    return {one.run.name: dict(one.metrics) for one in find_logged_runs(root, [""], since, environ)}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """MLflow's own file store, as a stage that knows no server has it."""
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    pytest.importorskip("mlflow")
    from mlflow.store.tracking.file_store import FileStore

    return FileStore(str(tmp_path / "mlruns"))


def log(store: Any, name: str, metrics: dict[str, list[float]], **tags: str) -> str:
    from mlflow.entities import Metric, RunTag

    run = store.create_run("0", "ada", int(time.time() * 1000), [RunTag(*tag) for tag in tags.items()], name)
    for key, values in metrics.items():
        for step, value in enumerate(values):
            store.log_metric(run.info.run_id, Metric(key, value, int(time.time() * 1000), step))
    return str(run.info.run_id)


def test_the_last_numbers_of_mlflow_runs_are_read_and_runs_within_a_run_are_not(store: Any, tmp_path: Path) -> None:
    outer = log(store, "first", {"accuracy": [0.1, 0.9], "val/loss": [3.0, 1.0, 2.0], "odd": [float("nan")]})
    log(store, "trial", {"accuracy": [0.2]}, **{"mlflow.parentRunId": outer})
    gone = log(store, "deleted", {"accuracy": [0.3]})
    store.delete_run(gone)
    assert by_name(tmp_path) == {"first": {"accuracy": 0.9, "val/loss": 2.0}}
    (one,) = find_logged_runs(tmp_path, ["", ""], 0, {})
    assert (one.run.place, one.run.url) == (f"mlruns/0/{outer}", "")
    assert by_name(tmp_path, since=time.time() + 60) == {}
    assert find_logged_runs(tmp_path / "elsewhere", [""], 0, {}) == []


def test_of_several_runs_the_last_one_counts(store: Any, tmp_path: Path) -> None:
    first, second = log(store, "a", {"accuracy": [0.1], "only": [7.0]}), log(store, "b", {"accuracy": [0.2]})
    for run, when in ((first, 2000.0), (second, 1000.0)):
        os.utime(tmp_path / "mlruns" / "0" / run / "meta.yaml", (when, when))
    assert numbers(find_logged_runs(tmp_path, [""], 0, {})) == {"accuracy": 0.1, "only": 7.0}


def wandb(root: Path, name: str, summary: object) -> Path:
    files = root / "wandb" / name / "files"
    files.mkdir(parents=True)
    (files / "wandb-summary.json").write_text(summary if isinstance(summary, str) else json.dumps(summary))
    return files.parent


def test_what_weights_and_biases_keeps_is_read_and_linked_where_its_server_is_known(tmp_path: Path) -> None:
    wandb(tmp_path, "run-20261127_101112-abc123", {"acc": 0.5, "val": {"loss": 2}, "_step": 9, "best": True, "x": "y"})
    (tmp_path / "wandb" / "latest-run").symlink_to("run-20261127_101112-abc123")
    assert by_name(tmp_path) == {"abc123": {"acc": 0.5, "val.loss": 2.0}}
    assert find_logged_runs(tmp_path, [""], 0, {})[0].run.url == ""
    assert find_logged_runs(tmp_path, [""], 0, WANDB)[0].run.url == "https://wandb.ai/team/digits/runs/abc123"
    own = WANDB | {"WANDB_BASE_URL": "https://wandb.example/"}
    assert find_logged_runs(tmp_path, [""], 0, own)[0].run.url == "https://wandb.example/team/digits/runs/abc123"
    assert find_logged_runs(tmp_path, [""], 0, WANDB | {"WANDB_BASE_URL": "javascript:alert(1)"})[0].run.url == ""


def test_an_offline_run_has_no_page(tmp_path: Path) -> None:
    wandb(tmp_path, "offline-run-20261127_101112-abc123", {"acc": 0.5})
    assert [one.run.url for one in find_logged_runs(tmp_path, [""], 0, WANDB)] == [""]


def test_no_link_leads_anywhere_and_nothing_odd_is_opened(store: Any, tmp_path: Path) -> None:
    secret = tmp_path / "elsewhere"
    secret.mkdir()
    (secret / "pin").write_text("1 4711 1\n")
    run = tmp_path / "mlruns" / "0" / log(store, "one", {"fine": [1.0]})
    (run / "metrics" / "pin").symlink_to(secret / "pin")
    (run / "metrics" / "folder").symlink_to(secret)
    os.mkfifo(run / "metrics" / "pipe")
    (run / "metrics" / "large").write_bytes(b"1 2 3\n" * 1_000_000)
    (tmp_path / "mlruns" / "1").symlink_to(tmp_path / "mlruns" / "0")
    (tmp_path / "wandb").symlink_to(secret)
    assert by_name(tmp_path) == {"one": {"fine": 1.0, "large": 2.0}}
    (run / "meta.yaml").write_text("a: &a [x, x]\n" + "\n".join(f"b{n}: [*a, *a]" for n in range(9)) + "\nrun_name: [")
    assert by_name(tmp_path) == {run.name: {"fine": 1.0, "large": 2.0}}  # of which no word is believed


@settings(max_examples=40)
@given(meta=st.binary(max_size=60), metric=st.binary(max_size=60), summary=st.binary(max_size=60))
def test_whatever_the_files_hold_the_numbers_are_finite(
    tmp_path_factory: pytest.TempPathFactory, meta: bytes, metric: bytes, summary: bytes
) -> None:
    root = tmp_path_factory.mktemp("any")
    run = root / "mlruns" / "0" / "r"
    (run / "metrics").mkdir(parents=True)
    (run / "meta.yaml").write_bytes(meta)
    (run / "metrics" / "m").write_bytes(metric)
    files = root / "wandb" / "run-20261127_101112-abc" / "files"
    files.mkdir(parents=True)
    (files / "wandb-summary.json").write_bytes(summary)
    for one in find_logged_runs(root, [""], 0, {}):
        assert all(isinstance(value, float) and abs(value) < float("inf") for value in one.metrics.values())
