"""What a verb starts is forked as the verb is, and is a child of it in all that can be seen."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import forked_python
from tests.conftest import GitCommand

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are forked on Linux alone")

# The stage's parent runs stages; the list of processes has room for the longest command in each process that is forked.
STAGES = """
stages:
  one:
    cmd: >-
      tr '\\0' ' ' < /proc/$PPID/cmdline | sed 's/  *$//' > command;
      wc -c < /proc/$PPID/cmdline > room
    outs: [{command: {cache: false}}, {room: {cache: false}}]
"""


@pytest.fixture
def root(tmp_path: Path, git: GitCommand) -> Path:
    git(tmp_path, "init", "-q")
    assert forked_python.run("dvc", "init", "-q", cwd=tmp_path).returncode == 0
    (tmp_path / "dvc.yaml").write_text(STAGES)
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "one")
    return tmp_path


def test_the_worker_of_a_verb_is_forked(root: Path) -> None:
    done = forked_python.run("mlbutler", "reproduce", cwd=root)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (root / "command").read_text().startswith(f"{sys.executable} -P -m mlbutler.reproduce.worker ")
    assert int((root / "room").read_text()) > 4000


def test_a_process_that_is_watched_is_forked_and_ends_as_the_command_does(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "mlbutler", "plan"]
    with forked_python.Popen(
        words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        shown = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        said = process.stdout.read()
    assert shown.startswith("\0".join(words).encode())
    assert len(shown) > 4000
    assert process.returncode == 2, said
    assert "error: " in said


def test_what_is_no_command_of_ours_is_started_as_usual(tmp_path: Path) -> None:
    done = forked_python.Popen([sys.executable, "-c", "import sys; sys.exit(4)"], cwd=tmp_path)
    assert done.wait() == 4
