"""Settings: defaults, file, environment, and errors that help."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlbutler.errors import SettingsError
from mlbutler.settings import load, parse


def test_a_project_without_a_file_has_the_defaults(tmp_path: Path) -> None:
    loaded = load(tmp_path, {})
    assert loaded.settings.reproduce.when == "pull-request"
    assert set(loaded.sources.values()) == {"default"}


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(tmp_path: Path) -> None:
    (tmp_path / "mlbutler.toml").write_text('[data]\nremote = "file"\nmirror = "/m"\n')
    loaded = load(tmp_path, {"MLBUTLER_DATA_REMOTE": "env"})
    assert (loaded.settings.data.remote, loaded.settings.data.mirror) == ("env", "/m")
    assert loaded.sources["data.remote"] == "MLBUTLER_DATA_REMOTE"
    assert loaded.sources["data.mirror"] == "mlbutler.toml"
    assert loaded.sources["data.jobs"] == "default"


def test_pyproject_serves_when_there_is_no_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.mlbutler.test]\ncommand = "make check"\n')
    assert load(tmp_path, {}).settings.test.command == ("make check",)
    (tmp_path / "mlbutler.toml").write_text("")
    assert load(tmp_path, {}).settings.test.command == ()


@pytest.mark.parametrize(
    ("text", "unknown", "nearest"),
    [
        ("[data]\nremot = 'x'", "data.remot", "data.remote"),
        ("[reproducce]\nwhen = 'manual'", "reproducce", "reproduce"),
        ("[[gate]]\nmetric = 'a'\nmin = 1\nmax_dorp = 2", "gate.0.max_dorp", "max_drop"),
    ],
)
def test_an_unknown_key_names_the_nearest_known_one(tmp_path: Path, text: str, unknown: str, nearest: str) -> None:
    (tmp_path / "mlbutler.toml").write_text(text)
    with pytest.raises(SettingsError) as error:
        load(tmp_path, {})
    assert f"'{unknown}'" in error.value.message
    assert nearest in error.value.remedy


@pytest.mark.parametrize(
    "text",
    ["[reproduce]\nwhen = 'sometimes'", "[[gate]]\nmetric = 'a'", "[data]\njobs = 0", "[data", "data = 3"],
)
def test_a_value_that_does_not_fit_is_refused_with_the_file_s_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "mlbutler.toml").write_text(text)
    with pytest.raises(SettingsError, match=r"mlbutler\.toml"):
        load(tmp_path, {})


def test_a_wrong_variable_is_blamed_by_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="MLBUTLER_DATA_JOBS"):
        load(tmp_path, {"MLBUTLER_DATA_JOBS": "many"})


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("'90s'", 90), ("'15m'", 900), ("'2h'", 7200), ("'1d'", 86400)]
)
def test_durations_take_units(text: str, seconds: float) -> None:
    assert parse(f"[reproduce]\ntimeout = {text}").reproduce.timeout == seconds


def test_lists_come_from_the_environment_as_json_or_as_one_item(tmp_path: Path) -> None:
    loaded = load(tmp_path, {"MLBUTLER_LINT_COMMANDS": '["ruff check", "mypy"]', "MLBUTLER_TEST_COMMAND": "pytest -q"})
    assert loaded.settings.lint.commands == ("ruff check", "mypy")
    assert loaded.settings.test.command == ("pytest -q",)


@pytest.mark.parametrize("limit", ["min = inf", "max = nan", "max_drop = inf", "max_drop_relative = inf", "max = -inf"])
def test_a_limit_that_could_judge_nothing_is_refused(tmp_path: Path, limit: str) -> None:
    (tmp_path / "mlbutler.toml").write_text(f'[[gate]]\nmetric = "accuracy"\n{limit}\n')
    with pytest.raises(SettingsError) as raised:
        load(tmp_path, {})
    assert "must be a finite number" in raised.value.message
