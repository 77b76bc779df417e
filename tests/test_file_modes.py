"""Root's code is held to the modes of files, as everybody's is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mlbutler import file_modes
from mlbutler.isolation import Places, prefix

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root overrides modes")


@as_root
def test_root_may_give_up_writing_into_a_file_that_is_read_only(tmp_path: Path) -> None:
    file = tmp_path / "object"
    file.write_text("whole\n")
    file.chmod(0o444)
    script = (
        "echo more >> object && exit 3; grep ^CapEff /proc/self/status; sh -c 'echo more >> object'; echo $?; touch new"
    )
    done = subprocess.run(
        [*file_modes.prefix(), "sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert file.read_text() == "whole\n"
    assert "denied" in done.stderr
    assert (tmp_path / "new").exists()
    subprocess.run(["sh", "-c", "echo more >> object"], cwd=tmp_path, check=True)  # else this would show nothing


@as_root
def test_where_the_files_are_another_user_s_root_needs_its_rights(tmp_path: Path) -> None:
    assert file_modes.bind(tmp_path)
    shutil.chown(tmp_path, 1234)
    assert not file_modes.bind(tmp_path)


@as_root
def test_isolated_code_has_the_same_rights(tmp_path: Path) -> None:
    for held in (False, True):
        assert (file_modes.OVERRIDE in prefix(Places(tmp_path, modes_bind=held), tmp_path)) is not held


def test_an_ordinary_user_needs_no_program_for_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert file_modes.bind(tmp_path)
    assert file_modes.prefix() == ()


def test_a_command_that_is_not_there_ends_as_in_a_shell() -> None:
    program = [sys.executable, "-I", "-S", file_modes.__file__]
    done = subprocess.run([*program, "mlbutler-no-such-command"], capture_output=True, text=True, check=False)
    assert done.returncode == 127 if os.geteuid() == 0 else done.returncode in (126, 127)
    assert "mlbutler-no-such-command" in done.stderr or os.geteuid() != 0
