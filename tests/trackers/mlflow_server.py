"""The real MLflow server of the tests, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.http_client import plain
from tests.trackers import mlflow_program

USER, PASSWORD = "bot", "Geheim-4711-token"


@dataclass
class Tracker:
    """One experiment's view of the server; `url` is what MLflow's clients are given."""

    url: str

    @property
    def root(self) -> str:
        return self.url.removesuffix(mlflow_program.BELOW)

    def ask(self, path: str, **sent: Any) -> dict[str, Any]:
        answer = plain().post(f"{self.url}/api/2.0/mlflow/{path}", json=sent, auth=(USER, PASSWORD))
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def runs(self, experiment: str) -> list[dict[str, Any]]:
        """The runs of an experiment, with params, metrics and tags as dictionaries."""
        asked = self.ask("experiments/search", max_results=1000)["experiments"]
        ids = [one["experiment_id"] for one in asked if one["name"] == experiment]
        found = self.ask("runs/search", experiment_ids=ids).get("runs", []) if ids else []
        return [
            {**run["info"], **{kind: {item["key"]: item["value"] for item in run["data"].get(kind, [])}
                               for kind in ("params", "metrics", "tags")}}
            for run in found
        ]  # fmt: skip

    def fail_after(self, path: str) -> None:
        """Have the next request of this path be done and not answered."""
        plain().post(f"{self.root}/fault?{path}")

    def requested_paths(self) -> list[str]:
        return list(json.loads(plain().get(f"{self.root}/seen").content))


@contextmanager
def serve_mlflow(folder: Path) -> Iterator[Tracker]:
    command = [sys.executable, mlflow_program.__file__, str(folder), USER, PASSWORD]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        assert port, (folder / "log").read_text()
        yield Tracker(f"http://127.0.0.1:{port}{mlflow_program.BELOW}")
        process.kill()
