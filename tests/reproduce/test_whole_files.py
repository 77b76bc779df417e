"""A kill while DVC writes dvc.lock leaves the old file or the new one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os, sys
from mlbutler.reproduce import whole_files
if {patched}:
    whole_files.replace_dvc_files()
from dvc.repo import Repo
from dvc.utils.serialize import modify_yaml
import dvc.utils.serialize._yaml as module
from ruamel.yaml import YAML
real = YAML.dump
def killed(self, data, stream=None, **options):
    stream.write("stages:\\n")  # half of it
    stream.flush()
    os.kill(os.getpid(), 9)
YAML.dump = killed
with modify_yaml(sys.argv[1], fs=Repo.init(os.path.dirname(sys.argv[1]), no_scm=True).fs) as data:
    data["stages"]["new"] = {{"cmd": "true"}}
"""
OLD = "schema: '2.0'\nstages:\n  old:\n    cmd: 'true'\n"


def write_until_killed(tmp_path: Path, program: str) -> Path:
    path = tmp_path / "dvc.lock"
    path.write_text(OLD)
    done = subprocess.run([sys.executable, "-c", program, str(path)], check=False, capture_output=True, timeout=600)
    assert done.returncode == -9, done.stderr
    return path


def test_dvc_alone_tears_it(tmp_path: Path) -> None:
    assert write_until_killed(tmp_path, PROGRAM.format(patched=False)).read_text() != OLD


def test_the_old_file_stays_whole(tmp_path: Path) -> None:
    assert write_until_killed(tmp_path, PROGRAM.format(patched=True)).read_text() == OLD


def test_content_mode_and_link_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import dvc.utils.serialize._common as common
    import dvc.utils.serialize._yaml as module
    from dvc.fs import LocalFileSystem

    from mlbutler.reproduce import whole_files

    for place in (common, module):
        monkeypatch.setattr(place, "_dump_data", place._dump_data)  # put back afterwards
    whole_files.replace_dvc_files()
    real, link = tmp_path / "real.lock", tmp_path / "dvc.lock"
    real.write_text("# kept\n" + OLD)
    real.chmod(0o664)
    link.symlink_to(real)
    for fs in (None, LocalFileSystem()):
        with module.modify_yaml(str(link), fs=fs) as data:
            data["stages"][f"with {fs}"] = {"cmd": "é"}
    assert link.is_symlink()
    assert real.read_text().startswith(f"# kept\n{OLD}  with None:\n    cmd: é\n")
    assert real.stat().st_mode & 0o777 == 0o664
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dvc.lock", "real.lock"]
