"""`report` and `publish` tell of the run that the record is of, and of no other."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from mlbutler.commands import clone_lock
from mlbutler.errors import BusyError
from mlbutler.record_file import latest_record
from tests.integration.world import World, params


def told(world: World) -> dict[str, str]:
    """What the forge holds: comments and statuses."""
    return {str(path): path.read_text() for path in world.forge.rglob("*") if path.is_file()}


@pytest.mark.parametrize("verb", ["report", "publish"])
def test_the_record_of_another_commit_build_or_pull_request_is_refused(world: World, verb: str) -> None:
    world.branch("good", {"README.md": "words\n"})
    root, environ = world.clone("origin/good"), world.jenkins("good")
    assert world.run(root, environ, "--only", "plan,check,report,publish").code == 0
    before, report = told(world), (root / ".mlbutler/report/report.md").read_bytes()
    assert any("Passed" in text for text in before.values())
    others = [
        (environ | {"BUILD_URL": "http://jenkins.example/job/x/2/"}, "http://jenkins.example/job/x/2/"),
        (world.jenkins("good", 9) | {"BUILD_URL": environ["BUILD_URL"]}, "this is pull request 9"),
        ({}, "a laptop"),
    ]
    for other, said in others:
        run = world.run(root, other, verb=verb)
        assert (run.code, said in run.err) == (2, True), run.out + run.err
    newer = world.branch("good", {"params.yaml": params(0.02)}, start="good")
    world.git(root, "fetch", "-q", "origin", "good")
    world.git(root, "checkout", "-q", "--detach", newer)
    run = world.run(root, environ, verb=verb)
    assert run.code == 2
    assert f"this is pull request 1 at {newer[:10]}" in run.err
    assert "mlbutler run" in run.err
    assert told(world) == before
    assert (root / ".mlbutler/report/report.md").read_bytes() == report


@pytest.mark.parametrize("verb", ["report", "publish"])
def test_on_a_laptop_there_is_nothing_to_tell_without_a_run(world: World, verb: str) -> None:
    run = world.run(world.clone("origin/main"), {}, verb=verb)
    assert run.code == 2
    assert "There is no record of a run in this clone." in run.err
    assert told(world) == {}


def test_the_same_build_tells_again(world: World) -> None:
    root, environ = world.clone("origin/main"), {**world.jenkins("main"), "CHANGE_BRANCH": "main"}
    assert world.run(root, environ, "--only", "plan,check,report,publish").code == 0
    assert world.run(root, environ, verb="publish").code == 0


@pytest.mark.parametrize("verb", ["report", "publish"])
@pytest.mark.parametrize(("lock", "named"), [("lock", "the step reproduce"), ("lock-test", "the step test")])
def test_after_an_abort_it_waits_for_the_verb_that_still_ends_and_says_which(
    world: World, verb: str, lock: str, named: str
) -> None:
    root, environ = world.clone("origin/main"), {**world.jenkins("main"), "CHANGE_BRANCH": "main"}
    environ |= {"MLBUTLER_REPORT_NAME": "gpu"} if verb == "publish" else {}
    assert world.run(root, environ, "--only", "plan").code == 0
    record = latest_record(root)
    text, count = re.subn(
        r'"began": *\{\n? *\}', '"began": {"reproduce": "2026-01-01T00:00:00+00:00"}', record.read_text()
    )
    assert count == 1
    record.write_text(text)
    held = FileLock(root / ".mlbutler" / lock)
    held.acquire()
    command = [sys.executable, "-m", "mlbutler", verb]
    with subprocess.Popen(
        command, cwd=root, env=world.run_environ(environ), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        said = next(line for line in process.stdout if line.startswith("Waiting"))
        assert process.poll() is None
        held.release()
        rest = process.stdout.read()
    assert f"for {named}, still at work" in said
    assert process.returncode == 0, rest


def test_it_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clone_lock, "_TO_END", 0.1)
    (tmp_path / ".mlbutler").mkdir()
    said: list[str] = []
    with FileLock(tmp_path / ".mlbutler" / "lock"), pytest.raises(BusyError), \
            clone_lock.lock_after_others(tmp_path, said.append):  # fmt: skip
        pass
    assert [line.split(",")[0] for line in said] == ["Waiting up to 0 minutes for another mlbutler"]
