"""What libraries find in a home that the project's code has written into."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlbutler.user_files import EMPTY_FILE, elsewhere, ssh_key, without_user_files


def test_nothing_is_read_below_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, clone = tmp_path / "home", tmp_path / "clone"
    for name in (".aws/config", ".netrc", ".ssh/config", ".config/fsspec/x.json", ".config/dvc/config", ".boto"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("hostile")
    clone.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    for name in ("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR"):
        monkeypatch.delenv(name)
    with without_user_files(clone):
        for name in ("~/.ssh/config", "~/.aws/models", "~/.boto"):
            assert not Path(name).expanduser().exists()
        assert not any("home" in os.environ[name] for name in elsewhere({}, clone) if name in os.environ)
    assert os.environ["HOME"] == str(home)
    assert "AWS_CONFIG_FILE" not in os.environ


def test_what_the_environment_names_outside_the_clone_is_read(tmp_path: Path) -> None:
    named = {"AWS_CONFIG_FILE": str(tmp_path / "aws"), "NETRC": str(tmp_path / "netrc")}
    found = elsewhere(named, tmp_path / "clone")
    assert {name: found[name] for name in named} == named
    assert elsewhere(named, tmp_path)["AWS_CONFIG_FILE"] == EMPTY_FILE


def test_a_key_for_ssh_is_found_in_the_home_all_the_same(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path)}
    assert ssh_key(environ, "") == ""
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "id_rsa").touch()
    assert ssh_key(environ, "") == str(tmp_path / ".ssh" / "id_rsa")
    assert ssh_key(environ, "~/.ssh/other") == str(tmp_path / ".ssh" / "other")
    assert ssh_key(environ | {"SSH_AUTH_SOCK": "/run/agent"}, "") == ""
