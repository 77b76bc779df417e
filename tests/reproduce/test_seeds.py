"""Seeds: which, and how they get into params files."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlbutler.errors import ProjectError, SettingsError
from mlbutler.reproduce.seeds import series, set_params, split


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("params.yaml", "# a\ntrain:\n  seed: 1  # mine\n  lr: 0.1\n", "# a\ntrain:\n  seed: 7  # mine\n  lr: 0.1\n"),
        ("params.toml", "[train]\nseed = 1\nlr = 0.1\n", "[train]\nseed = 7\nlr = 0.1\n"),
        ("params.json", '{"train": {"seed": 1}}', '{"train": {"seed": 7}}'),
    ],
)  # fmt: skip
def test_one_param_changes_and_nothing_else(tmp_path: Path, file: str, before: str, after: str) -> None:
    (tmp_path / file).write_text(before)
    set_params(tmp_path, [f"{file}:train.seed"], 7)
    written = (tmp_path / file).read_text()
    assert written.split() == after.split() if file.endswith("json") else written == after


def test_all_seeds_are_set_and_those_in_lists_too(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("a: 1\nb: [1, 2]\n")
    set_params(tmp_path, ["p.yaml:a", "p.yaml:b.1"], 9)
    assert (tmp_path / "p.yaml").read_text().split() == ["a:", "9", "b:", "[1,", "9]"]


@pytest.mark.parametrize("name", ["params.yaml:train.sed", "params.yaml:seed", "other.yaml:train.seed"])
def test_a_seed_that_is_no_param_is_an_error_not_a_new_param(tmp_path: Path, name: str) -> None:
    (tmp_path / "params.yaml").write_text("train: {seed: 1}\n")
    with pytest.raises(ProjectError, match=r"There is no"):
        set_params(tmp_path, [name], 7)
    assert (tmp_path / "params.yaml").read_text() == "train: {seed: 1}\n"


@pytest.mark.parametrize("name", ["train.seed", "../x.yaml:seed", "/etc/x.yaml:seed", "params.yaml:"])
def test_a_seed_must_lie_in_the_project(name: str) -> None:
    with pytest.raises(SettingsError):
        split(name)


@pytest.mark.parametrize(
    ("current", "seeds"), [(41, (41, 42, 43)), (None, (1, 2, 3)), (True, (1, 2, 3)), ("x", (1, 2, 3)), (-1, (1, 2, 3))]
)
def test_the_seed_in_use_comes_first(current: object, seeds: tuple[int, ...]) -> None:
    assert series(current, 3) == seeds
