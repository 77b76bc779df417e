"""Settings: defaults, file, environment, and errors that help."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlbutler.errors import SettingsError
from mlbutler.settings import Settings, load, parse_settings, settings_at
from mlbutler.settings.reading import _build_settings


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
        ("[data]\nremot = 'x'", "'remot' in [data].", "'remote'"),
        ("[reproducce]\nwhen = 'manual'", "'reproducce'.", "'reproduce'"),
        ("[[gate]]\nmetric = 'a'\nmin = 1\nmax_dorp = 2", "'max_dorp' in [[gate]] 1.", "'max_drop'"),
        ("[[predictions]]\nfiel = 'p.csv'", "'fiel' in [[predictions]] 1.", "'file'"),
    ],
)
def test_an_unknown_key_names_the_nearest_known_one(tmp_path: Path, text: str, unknown: str, nearest: str) -> None:
    (tmp_path / "mlbutler.toml").write_text(text)
    with pytest.raises(SettingsError) as error:
        load(tmp_path, {})
    assert error.value.message == f"mlbutler.toml: unknown key {unknown}"
    assert error.value.remedy == f"The nearest known key is {nearest}."


@pytest.mark.parametrize(
    "text",
    ["[reproduce]\nwhen = 'sometimes'", "[[gate]]\nmetric = 'a'", "[data]\njobs = 0", "[data", "data = 3"],
)
def test_a_value_that_does_not_fit_is_refused_with_the_file_s_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "mlbutler.toml").write_text(text)
    with pytest.raises(SettingsError, match=r"mlbutler\.toml"):
        load(tmp_path, {})


@pytest.mark.parametrize("name", ["gpu", "cuda-12.4", "a_b", "0", "x" * 30])
def test_a_pipeline_may_have_a_plain_name(tmp_path: Path, name: str) -> None:
    assert load(tmp_path, {"MLBUTLER_REPORT_NAME": name}).settings.report.name == name


@pytest.mark.parametrize(
    "name",
    ["GPU", "a b", "a/b", "..", "-a", "a-", "a--b", "a.lock\n", "grün", "x" * 31, "a<!-- -->", "`id`", "$(id)", " "],
)
def test_a_name_that_is_not_plain_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match=r"MLBUTLER_REPORT_NAME: report\.name: must be at most 30 lower-case"):
        load(tmp_path, {"MLBUTLER_REPORT_NAME": name})


def test_a_wrong_variable_is_blamed_by_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="MLBUTLER_DATA_JOBS"):
        load(tmp_path, {"MLBUTLER_DATA_JOBS": "many"})


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("'90s'", 90), ("'15m'", 900), ("'2h'", 7200), ("'1d'", 86400)]
)
def test_durations_take_units(text: str, seconds: float) -> None:
    assert parse_settings(f"[reproduce]\ntimeout = {text}").reproduce.timeout == seconds


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


@pytest.mark.parametrize(("text", "said"), [
    ("[gate]\nmetric = 'a'\nmin = 1", "gate: must be a list of tables, not a table: write [[gate]], in two brackets"),
    ("gate = 3", "gate: must be a list of tables, not 3: write [[gate]]"),
    ("gate = [3]", "[[gate]] 1: must be a table, not 3: write [[gate]]"),
    ("[predictions]\nfile = 'a'", "predictions: must be a list of tables, not a table: write [[predictions]]"),
    ("[[predictions]]\nlabel = 'a'", "[[predictions]] 1: file: is missing"),
    ("data = 3", "data: must be a table, not 3: write [data]"),
    ("test.command = 3", "test.command: must be a text in quotes, or a list of such texts, not 3"),
    ("test.command = ['a', 3]", "test.command, item 2: must be a text in quotes, not 3"),
    ("data.remote = 2024-01-01", "data.remote: must be a text in quotes, not 2024-01-01"),
    ("data.jobs = 'many'", "data.jobs: must be a whole number, not 'many'"),
    ("data.jobs = 0", "data.jobs: must be greater than or equal to 1, not 0"),
    ("data.mirror_limit = 'much'", "data.mirror_limit: must be a size, as 5000 or '200 GB', not 'much'"),
    ("test.timeout = 'long'", "test.timeout: must be a duration, as 90, '90s', '15m', '2h' or '1d', not 'long'"),
    ("[[gate]]\nmetric = 'a'\nmin = 'b'",
     "[[gate]] 1: min: must be a number, a size as '50 MB' or a duration as '15m', not 'b'"),
    ("report.plots = 'often'", "report.plots: must be true or false, not 'often'"),
    ("reproduce.when = true", "reproduce.when: must be 'pull-request', 'every-commit', 'target-branch', 'manual' or"),
    ("[[gate]]\nmetric = 'a'\nmin = 1\nmax = 0.5", "[[gate]] 1: min 1 is above max 0.5: no number can pass"),
    ("[[gate]]\nmetric = 'a'", "[[gate]] 1: a gate needs one of min, max, max_drop, max_drop_relative"),
])  # fmt: skip
def test_a_wrong_type_is_told_in_the_words_of_the_file(text: str, said: str) -> None:
    with pytest.raises(SettingsError) as raised:
        parse_settings(text)
    assert f"mlbutler.toml: {said}" in raised.value.message


@given(section=st.sampled_from(list(Settings.keys())), key=st.integers(0, 20),
       value=st.sampled_from([3, -1, 2.5, True, "x", [], [[]], {}, {"a": 1}, None]), nested=st.booleans())  # fmt: skip
def test_no_error_speaks_of_python(section: str, key: int, value: object, nested: bool) -> None:
    kind: Any = Settings.keys()[section].type
    several = not isinstance(kind, type)
    names = list((get_args(kind)[0] if several else kind).keys())
    inside: object = {names[key % len(names)]: value} if nested else value
    try:
        _build_settings("mlbutler.toml", {section: [inside] if several else inside}, {})
    except SettingsError as error:
        assert not re.search(r"Input|valid|tuple|dictionary|instance|integer|parse|Value error|Expected", error.message)


def test_two_places_of_settings_are_told(tmp_path: Path) -> None:
    (tmp_path / "mlbutler.toml").write_text("")
    (tmp_path / "pyproject.toml").write_text("[tool.ruff]\nline-length = 100\n")
    assert load(tmp_path, {}).note == ""
    (tmp_path / "pyproject.toml").write_text("[[tool.mlbutler.gate]]\nmetric = 'a'\nmin = 1\n")
    loaded = load(tmp_path, {})
    assert loaded.settings.gate == ()
    assert loaded.note == "mlbutler.toml is used, and [tool.mlbutler] in pyproject.toml is not read: keep one of them"
    (tmp_path / "mlbutler.toml").unlink()
    assert (load(tmp_path, {}).note, len(load(tmp_path, {}).settings.gate)) == ("", 1)


@pytest.mark.parametrize(("files", "remote"), [
    ({"mlbutler.toml": "[data]\nremote = 'own'", "pyproject.toml": "[tool.mlbutler.data]\nremote = 'shared'"}, "own"),
    ({"mlbutler.toml": "", "pyproject.toml": "[tool.mlbutler.data]\nremote = 'shared'"}, None),
    ({"pyproject.toml": "[tool.mlbutler.data]\nremote = 'shared'"}, "shared"),
])  # fmt: skip
def test_settings_of_another_revision_are_read_from_the_same_places(files: dict[str, str], remote: str | None) -> None:
    found = settings_at(lambda name: files[name].encode() if name in files else None)
    assert found is not None
    assert found.data.remote == remote


@pytest.mark.parametrize("files", [{}, {"pyproject.toml": "[project]"}, {"mlbutler.toml": "[dta]"}])
def test_a_revision_may_have_no_settings(files: dict[str, str]) -> None:
    assert settings_at(lambda name: files[name].encode() if name in files else None) is None
