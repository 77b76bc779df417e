"""Experiments from a notebook: sent, waited for, and a table of them."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import mlbutler
from mlbutler import train
from mlbutler.errors import MlbutlerError
from mlbutler.train import _values
from tests.experiments.conftest import Laptop


def test_a_sweep_is_sent_waited_for_and_tabled(
    laptop: Laptop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, value in laptop.world.run_environ({}).items():
        monkeypatch.setenv(name, value)
    for name in ("CI", "JENKINS_URL", "GITHUB_ACTIONS", "GITLAB_CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    names = train.submit(laptop.root, name="lr", params={"train.rate": [0.02, 0.5]}, jobs=2)
    assert names == ["lr-1", "lr-2"]
    assert train.wait("lr", laptop.root) == {"lr-1": "done", "lr-2": "failed"}
    assert train.submit(laptop.root, params=["train.rate=0.02"]) == ["lr-1"], "the same point runs once"
    one, two = train.results(["lr-*"], laptop.root)
    assert one.pop("seconds") > 0
    assert one == {
        "name": "lr-1", "state": "done", "reason": "1 stage run", "train.rate": 0.02, "accuracy": 0.92,
        "accuracy before": 0.91,
    } | {"reason": one["reason"]}  # fmt: skip
    assert (two["state"], two["train.rate"]) == ("failed", 0.5)
    assert "exit code 1" in two["reason"]
    with pytest.raises(MlbutlerError, match="There is no experiment 'other'"):
        train.wait("other", laptop.root)
    assert Path.cwd() == tmp_path
    assert capfd.readouterr() == ("", "")


def test_a_search_is_sent_and_goes_on_alone(laptop: Laptop, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in laptop.world.run_environ({}).items():
        monkeypatch.setenv(name, value)
    for name in ("CI", "JENKINS_URL", "GITHUB_ACTIONS", "GITLAB_CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    ranges = {"train.rate": "interval(0.01, 0.4)"}
    assert train.submit(laptop.root, name="s", params=ranges, search="accuracy:max", trials=2) == ["s-1"]
    assert train.wait("s", laptop.root) == {"s-1": "done", "s-2": "done"}
    rates = {row["train.rate"] for row in train.results("s", laptop.root)}
    assert len(rates) == 2
    assert all(0.01 <= rate <= 0.4 for rate in rates)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"jobs": 0}, "from 1 to 256"), ({"jobs": 1.5}, "from 1 to 256"), ({"max_failures": 0}, "from 1"),
        ({"time_limit": -5}, "seconds above 0"), ({"time_limit": "8h"}, "seconds above 0"), ({"on": "mars"}, "jenkins"),
        ({"gpus": -1}, "from 0 to 256"), ({"label": "a && b"}, "one label"), ({"targets": "absent"}, "dvc stage list"),
        ({"search": "accuracy:max", "trials": 0}, "from 1 to 1000"), ({"trials": 3}, 'search="METRIC:max"'),
        ({"search": "nope"}, "nope:max"), ({"search": {"train.rate": "interval(0, 1)"}}, 'search="METRIC:max"'),
        ({"params": {"train.rate": []}}, "Give it one"), ({"params": "train.nope=1"}, r"-S \+train.nope=1"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_for_is_refused_before_anything_is_kept(
    laptop: Laptop, asked: dict[str, Any], said: str
) -> None:
    with pytest.raises(MlbutlerError) as error:
        train.submit(laptop.root, **asked)
    assert re.search(said, error.value.remedy)
    assert laptop.git("for-each-ref", "refs/mlbutler") == ""


def test_waiting_ends_where_no_process_can_begin(laptop: Laptop, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a full disk, on which a worker can write no state."""
    monkeypatch.setattr("mlbutler.commands.train.submitters.start_workers", lambda *_: None)
    train.submit(laptop.root, name="one", params={"train.rate": 0.02})
    tried: list[object] = []
    monkeypatch.setattr("mlbutler.commands.train.waiting.start_workers", lambda *given: tried.append(given))
    with pytest.raises(MlbutlerError, match="end before they begin") as error:
        train.wait(path=laptop.root)
    assert "df -h ." in error.value.remedy
    assert error.value.exit_code == 3
    assert len(tried) == 10


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"), ([0.1, 0.2], "0.1,0.2"), (True, "true"), (None, "null"), ("a, b", "'a, b'"), ("it's", r"'it\'s'"),
        (["x", "y"], "'x','y'"), ((1, False), "1,false"),
    ],
)  # fmt: skip
def test_values_are_written_in_the_grammar_of_dvc(value: object, text: str) -> None:
    assert _values("a", value) == text
    from mlbutler.project.overrides import points

    found, _ = points([f"a={text}"])
    several = isinstance(value, list | tuple)
    assert len(found) == (len(value) if several and isinstance(value, list | tuple) else 1)


def test_the_package_alone_stays_quick_to_import_and_offers_nothing_else() -> None:
    program = (
        "import sys, mlbutler\nprint('mlbutler.train' in sys.modules)\n"
        "print(mlbutler.train.submit.__name__)\ntry:\n    mlbutler.other\n"
        "except AttributeError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["False", "submit", "module 'mlbutler' has no attribute 'other'"]
    assert "train" in mlbutler.__all__
    assert sorted(train.__all__) == ["results", "submit", "wait"]


NOTEBOOK = {
    "cells": [
        {
            "cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "id": str(number),
            "source": source,
        }
        for number, source in enumerate((
            "from mlbutler import train\nnames = train.submit(name='lr', params={'train.rate': [0.02, 0.03]}, jobs=2)",
            "assert train.wait(names) == {'lr-1': 'done', 'lr-2': 'done'}",
            "table = train.results('lr')\ntable",
        ))
    ],
    "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
    "nbformat": 4, "nbformat_minor": 5,
}  # fmt: skip


@pytest.mark.skipif(
    importlib.util.find_spec("nbconvert") is None or importlib.util.find_spec("ipykernel") is None,
    reason="Jupyter (nbconvert and ipykernel) is not installed",
)
def test_it_works_in_a_notebook(laptop: Laptop) -> None:
    (laptop.root / "book.ipynb").write_text(json.dumps(NOTEBOOK))
    environ = laptop.world.run_environ({}) | {"IPYTHONDIR": str(laptop.places / "ipython")}
    command = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", "--output", "done.ipynb"]
    done = subprocess.run(
        [*command, "--output-dir", str(laptop.places), str(laptop.root / "book.ipynb"),
         "--ExecutePreprocessor.kernel_name=python3", "--ExecutePreprocessor.timeout=600"],
        cwd=laptop.root, env=environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    cells = json.loads((laptop.places / "done.ipynb").read_text())["cells"]
    shown = json.dumps(cells[2]["outputs"])
    assert "lr-1" in shown
    assert "0.93" in shown
