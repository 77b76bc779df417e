"""The public functions, as a notebook calls them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import mlbutler
from mlbutler.errors import MlbutlerError
from mlbutler.record import Outcome, StageState
from tests.integration.world import World, make


@pytest.fixture(scope="module")
def api_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make(tmp_path_factory.mktemp("api"))


@pytest.fixture
def clone(api_world: World, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = api_world.clone("origin/main")
    for name, value in api_world.base_environ().items():
        monkeypatch.setenv(name, value)
    return root


def test_a_plan_says_what_the_verb_says_and_leaves_the_process_as_it_was(
    clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (clone / "src" / "train.py").open("a").write("# changed\n")
    before = dict(os.environ)
    result = mlbutler.plan(clone)
    assert result.outcome is Outcome.PASSED
    assert [stage.name for stage in result.stages if stage.state is StageState.STALE] == ["train"]
    assert (Path.cwd(), dict(os.environ)) == (tmp_path, before)
    assert capfd.readouterr() == ("", "")
    assert mlbutler.load_record(clone / ".mlbutler" / "record.json").plan == result


def test_a_plan_of_some_stages(clone: Path) -> None:
    everything = mlbutler.plan(clone).stages
    [first] = mlbutler.plan(clone, [everything[0].name]).stages
    assert first == everything[0]
    assert len(everything) > 1


def test_a_comparison_with_another_revision(clone: Path) -> None:
    result = mlbutler.compare(clone, against="HEAD")
    assert result.outcome is Outcome.PASSED
    assert {metric.verdict for metric in result.metrics} == {"same"}


@pytest.mark.parametrize("use", ["plan", "compare"])
def test_wrong_use_is_an_error_with_a_remedy(use: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = Path.cwd()
    with pytest.raises(MlbutlerError) as caught:
        getattr(mlbutler, use)(tmp_path)
    assert caught.value.remedy
    assert Path.cwd() == before


def test_a_record_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(MlbutlerError, match="no record"):
        mlbutler.load_record(tmp_path / "record.json")
    (tmp_path / "record.json").write_text(json.dumps({"schema": 1}))
    with pytest.raises(MlbutlerError, match="Not a record"):
        mlbutler.load_record(tmp_path / "record.json")


def test_importing_the_package_imports_nothing_heavy() -> None:
    program = (
        "import sys, mlbutler; print([m for m in ('click', 'dvc', 'msgspec', 'mlbutler.api') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_other_names_are_private() -> None:
    assert sorted(mlbutler.__all__) == ["__version__", "board", "compare", "load_record", "plan", "train"]
    with pytest.raises(AttributeError):
        _ = mlbutler.no_such_name
