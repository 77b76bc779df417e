"""`mlbutler doctor` on the tools that list experiments."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from mlbutler.cli import main
from mlbutler.extras import how_to_get
from tests.project.conftest import full, master

__all__ = ["full", "master"]


def test_where_results_go_and_which_runs_there_are(
    full: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def examine(settings: str) -> tuple[str, str, str]:
        (full / "mlbutler.toml").write_text(settings)
        with pytest.raises(SystemExit):
            main(["doctor", "--json"])
        [row] = [row for row in json.loads(capsys.readouterr().out)["examined"] if row["subject"] == "trackers"]
        return row["state"], row["text"], row["remedy"]

    assert examine("")[:2] == ("ok", "none")
    run = full / "mlruns" / "0" / "3f2a"
    run.mkdir(parents=True)
    (run / "meta.yaml").write_text("run_name: try\n")
    state, text, remedy = examine("")
    assert (state, "1 run of MLflow in the work tree" in text, "trackers.mlflow" in remedy) == ("note", True, True)
    assert examine("[trackers]\ngit = '.'\n")[0] == "ok"
    server = "[trackers]\nmlflow = 'https://mlflow.example.org'\n"
    state, text, remedy = examine(server)
    assert (state, "MLFLOW_TRACKING_USERNAME" in remedy) == ("note", True)
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "a-token-for-mlflow")
    state, text, _ = examine(server)
    assert (state, text) == ("ok", "runs on https://mlflow.example.org; 1 run of MLflow in the work tree")
    monkeypatch.setitem(sys.modules, "mlflow", None)
    state, _, remedy = examine(server)
    assert (state, remedy) == ("missing", how_to_get("mlflow"))
