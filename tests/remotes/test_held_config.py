"""DVC uses the very configuration that was judged, whatever is written into its files meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dvc.config import Config

from mlbutler.errors import ProjectError
from mlbutler.project.project import Project
from mlbutler.remotes.held_config import read_texts
from mlbutler.remotes.trust import from_text
from tests.store.dvc_world import clone

OURS, THEIRS = "https://data.example/store", "https://evil.example/store"
ENVIRON = {"MLBUTLER_REMOTE_USER": "ci", "MLBUTLER_REMOTE_PASSWORD": "hunter2-hunter2"}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone in which something rewrites DVC's configuration whenever DVC is about to read it."""
    root = clone(tmp_path / "clone", OURS)
    for file in (root / ".dvc" / "config", root / ".dvc" / "config.local"):
        file.unlink(missing_ok=True)
    (root / ".dvc" / "config").write_text(f"[core]\n    remote = origin\n['remote \"origin\"']\n    url = {OURS}\n")
    read = Config.load

    def load(self: Any, *args: Any, **kwargs: Any) -> None:
        for name in ("config", "config.local"):
            (root / ".dvc" / name).write_text(f"['remote \"origin\"']\n    url = {THEIRS}\n")
        read(self, *args, **kwargs)

    monkeypatch.setattr(Config, "load", load)
    return root


def project(root: Path, *, anonymous: bool = False) -> Project:
    agreed = from_text((root / ".dvc" / "config").read_bytes())
    return Project(root, ENVIRON, (agreed,), anonymous=anonymous)


def test_the_password_goes_with_the_address_that_was_judged(root: Path) -> None:
    opened = project(root)
    assert opened.repo.config["remote"]["origin"]["url"] == OURS
    assert opened.remote_config("origin")["password"] == ENVIRON["MLBUTLER_REMOTE_PASSWORD"]
    opened.repo._reset()  # as DVC does when it has fetched imports
    assert opened.repo.config["remote"]["origin"]["url"] == OURS
    assert opened.open_another_repo().config["remote"]["origin"]["url"] == OURS


def test_what_is_judged_next_is_what_is_there_then(root: Path) -> None:
    opened = project(root)
    _ = opened.repo
    opened.reload()
    assert opened.repo.config["remote"]["origin"]["url"] == THEIRS
    assert "origin" in opened.refused
    assert "password" not in opened.remote_config("origin")


def test_no_credential_of_the_files_comes_back_for_a_fork(root: Path) -> None:
    with (root / ".dvc" / "config").open("a") as file:
        file.write("    password = planted-t0ken\n")
    opened = project(root, anonymous=True)
    assert "password" not in opened.remote_config("origin")
    opened.repo._reset()
    assert "password" not in opened.remote_config("origin")
    assert "password" not in opened.open_another_repo().config["remote"]["origin"]


def test_a_configuration_that_is_no_file_is_an_error(root: Path) -> None:
    opened = project(root)
    (root / ".dvc" / "config").unlink()
    (root / ".dvc" / "config").mkdir()
    with pytest.raises(ProjectError, match="cannot be read"):
        _ = opened.repo


def test_a_configuration_on_which_dvc_s_parser_works_for_minutes_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").write_bytes(b"[core]\n  x = 1\n" + b"[" * 200_000 + b"x\n")
    with pytest.raises(ProjectError, match="line 3: the name of a section has more than 500 characters"):
        read_texts(tmp_path)
    with pytest.raises(ProjectError):
        from_text(b"[" * 200_000)
    with pytest.raises(ProjectError, match="line 2: it has more than 10000 characters"):
        from_text(b"[core]\n    dir" + b" " * 200_000)
