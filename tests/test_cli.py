"""The one error boundary: what a user, and a program that reads JSON, gets."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

import pytest

from mlbutler.cli import main
from tests import forked_python
from tests.conftest import GitCommand


@pytest.mark.parametrize(("words", "said"), [
    (["plan", "--json", "--bogus"], "--bogus"),
    (["--json", "plan"], "--json"),
    (["nonsense", "--json"], "No such command 'nonsense'"),
    (["compare", "--json", "--repeats", "many"], "Invalid value for '--repeats'"),
    (["compare", "--json", "--only", "accuracy"], "--only needs --repeats."),
    (["check", "--json", "all"], "'all' is not one of"),
    (["run", "--json", "--only", "dance"], "There is no step 'dance'."),
    (["plan", "--json", "-C", "/nowhere/at all"], "No such directory: /nowhere/at all"),
])  # fmt: skip
def test_every_usage_error_is_a_document_when_json_is_asked_for(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert said in document["error"]
    assert document["remedy"]
    assert document["exit_code"] == ended.value.code == 2
    assert said in err


@pytest.mark.parametrize(("variable", "words"), [
    ("MLBUTLER_PLAN_JSON", ["plan", "--bogus"]),
    ("MLBUTLER_STORE_STATUS_JSON", ["store", "status", "--bogus"]),
    ("MLBUTLER_PLAN_JSON", ["plan", "-C", "/nowhere"]),
])  # fmt: skip
def test_json_may_be_asked_for_by_the_environment(
    variable: str, words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(variable, "true")
    with pytest.raises(SystemExit):
        main(words)
    assert json.loads(capsys.readouterr().out)["exit_code"] == 2


def test_without_json_a_usage_error_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["plan", "--bogus"])
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (2, "")
    assert "Try 'mlbutler plan " in err


def test_a_remedy_with_a_path_can_be_pasted(tmp_path: Path, capsys: pytest.CaptureFixture[str], git: object) -> None:
    project = tmp_path / "my folder" / "prøject"
    (project / ".dvc").mkdir(parents=True)
    git(tmp_path, "init", "-q")  # type: ignore[operator]
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "first")  # type: ignore[operator]
    with pytest.raises(SystemExit):
        main(["plan", "-C", str(tmp_path)])
    assert f"-C '{project}'" in capsys.readouterr().err


def break_with(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> NoReturn:
        raise error

    monkeypatch.setattr("mlbutler.commands.step.step", broken)


@pytest.mark.parametrize(("number", "code", "said"), [
    (errno.ENOSPC, 3, "Free some space"), (errno.EDQUOT, 3, "Free some space"), (errno.EROFS, 3, "mounted read-only"),
    (errno.EACCES, 3, "the right"), (errno.EIO, 3, "the disk"), (errno.EINVAL, 70, "report it"),
    (errno.ENAMETOOLONG, 2, "names by this path"), (errno.ELOOP, 2, "names by this path"),
])  # fmt: skip
def test_what_the_machine_refuses_is_no_bug(
    number: int, code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    break_with(OSError(number, os.strerror(number), "/data/file"), monkeypatch)
    with pytest.raises(SystemExit) as ended:
        main(["plan", "--json"])
    document = json.loads(capsys.readouterr().out)
    assert ended.value.code == document["exit_code"] == code
    assert "/data/file" in document["error"]
    assert said in document["remedy"]


def test_ctrl_c_is_no_bug_where_a_library_or_python_puts_another_error_in_its_place(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrapped = RuntimeError("Error calling __set_name__")
    wrapped.__cause__ = KeyboardInterrupt()
    break_with(wrapped, monkeypatch)
    with pytest.raises(SystemExit) as ended:
        main(["plan", "--json"])
    assert ended.value.code == json.loads(capsys.readouterr().out)["exit_code"] == 130


def test_a_bug_is_told_where_no_file_can_be_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    break_with(ZeroDivisionError("seven"), monkeypatch)
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    with pytest.raises(SystemExit) as ended:
        main(["plan", "--json"])
    out, err = capsys.readouterr()
    assert ended.value.code == json.loads(out)["exit_code"] == 70
    assert "Traceback" in err
    assert "ZeroDivisionError: seven" in err


def test_a_working_directory_that_is_gone_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(SystemExit) as ended:
        main(["plan"])
    assert ended.value.code == 2
    assert "does not exist any more" in capsys.readouterr().err
    program = f'cd "$1" && rmdir "$1" && exec {sys.executable} -m mlbutler plan'
    gone.mkdir()
    done = subprocess.run(["sh", "-c", program, "sh", str(gone)], cwd="/", capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert "does not exist any more" in done.stderr


def test_no_module_of_the_project_is_imported(tmp_path: Path) -> None:
    """With ``python -m`` Python looks in the working directory first, then where PYTHONPATH says."""
    below = tmp_path / "lib"
    below.mkdir()
    for folder in (tmp_path, below):
        for name in ("click", "atexit", "gc", "yaml", "msgspec", "json", "filelock"):
            (folder / f"{name}.py").write_text("raise SystemExit('hostile code ran')\n")
    environ = os.environ | {"PYTHONPATH": f"lib:{below}"}
    command = [sys.executable, "-m", "mlbutler", "plan", "--help"]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("words", [
    ["-C", "{}", "check"], ["check", "-C", "{}"], ["-C", "/nowhere", "check", "-C", "{}"],
    ["-C", "{}", "train", "list"], ["train", "-C", "{}", "list"], ["train", "list", "-C", "{}"],
])  # fmt: skip
def test_the_directory_stands_before_the_verb_or_after_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    git: GitCommand,
    words: list[str],
) -> None:
    there = tmp_path / "project"
    there.mkdir()
    (there / "mlbutler.toml").write_text("[dtaa]\n")
    git(there, "init", "-q")
    assert forked_python.run("dvc", "init", "-q", cwd=there).returncode == 0
    git(there, "commit", "-qm", "x")
    monkeypatch.setenv("MLBUTLER_CHDIR", "/nowhere")
    monkeypatch.setenv("MLBUTLER_CHECK_JSON", "1")
    monkeypatch.setenv("MLBUTLER_TRAIN_LIST_JSON", "1")
    with pytest.raises(SystemExit) as ended:
        main([word.format(there) for word in words])
    said = json.loads(capsys.readouterr().out)
    assert ended.value.code == 2
    assert said["error"] == "mlbutler.toml: unknown key 'dtaa'."
