from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mlbutler.cli import main

BIN = Path(sys.executable).parent


def run(*words: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["completion", *words])
    assert ended.value.code == 0


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes_verbs_and_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("bash")
    (tmp_path / "script").write_text(capsys.readouterr().out)
    program = """
        . ./script
        try() {
            COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
            _mlbutler_completion mlbutler; echo "${COMPREPLY[*]}"
        }
        try mlbutler sto
        try mlbutler store pru
        try mlbutler plan --js
    """
    environ = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", program], cwd=tmp_path, env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["store", "prune", "--json"]


@pytest.mark.parametrize(("shell", "file"), [
    ("bash", ".local/share/bash-completion/completions/mlbutler"), ("zsh", ".local/share/zsh/site-functions/_mlbutler"),
    ("fish", ".config/fish/completions/mlbutler.fish"),
])  # fmt: skip
def test_it_is_written_where_the_shell_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shell: str, file: str
) -> None:
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    run(shell, "--install", "--json")
    shown = capsys.readouterr()
    assert json.loads(shown.out) == {"shell": shell, "file": str(tmp_path / file)}
    assert "_MLBUTLER_COMPLETE" in (tmp_path / file).read_text()
