"""`mlbutler doctor` on gates: is there anything by the names that they give?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlbutler.cli import main
from tests.project.conftest import full, master

__all__ = ["full", "master"]


def examine_gates(root: Path, capsys: pytest.CaptureFixture[str], *gates: str) -> tuple[str, str]:
    """(state, text) of the gates."""
    (root / "mlbutler.toml").write_text("".join(f"[[gate]]\n{gate}\nmin = 0\n" for gate in gates))
    with pytest.raises(SystemExit):
        main(["doctor", "--json"])
    [row] = [row for row in json.loads(capsys.readouterr().out)["examined"] if row["subject"] == "gates"]
    return row["state"], row["text"]


def test_each_gate_names_something_that_there_is(full: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there = ("metric = 'm1.json:acc'", "data = 'data/raw'", "stage = 'train@1'")
    assert examine_gates(full, capsys, *there)[0] == "ok"
    state, text = examine_gates(full, capsys, "metric = 'm1.json:accc'", "data = 'data/rav'", "stage = 'train'")
    assert state == "missing"
    assert "no metric is called m1.json:accc (did you mean m1.json:acc" in text
    assert "DVC tracks no data/rav (did you mean data/raw" in text
    assert "there is no stage train (did you mean train@" in text
    (full / "m1.json").unlink()  # as it was committed
    assert examine_gates(full, capsys, "metric = 'm1.json:acc'")[0] == "ok"
    (full / "dvc.yaml").write_text("{}\n")
    state, text = examine_gates(full, capsys, "metric = 'm1.json:acc'")
    assert (state, "nothing is measured yet" in text) == ("note", True)
