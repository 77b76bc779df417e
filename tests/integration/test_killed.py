"""What reviewers learn of a run that was killed: never that it passed."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests import forked_python
from tests.integration.world import TESTED, World, began, make, params

IN_RUN = {"MLBUTLER_IN_RUN": "true"}


def status(world: World) -> dict[str, Any]:
    """Return the status of the run, which its results commit has too."""
    found = [json.loads(path.read_text()) for path in (world.forge / "statuses").glob("*.json")]
    assert len({one["state"] for one in found}) == 1
    return dict(found[0])


def comment(world: World) -> str:
    [path] = world.forge.rglob("comments/*.md")
    return path.read_text()


def killed(world: World, root: Path, environ: Mapping[str, str], verb: str) -> None:
    """Run the verb and kill it, as the kernel does when memory is short, once its stage has begun."""
    process = forked_python.Popen(
        [sys.executable, "-m", "mlbutler", verb], cwd=root, env=world.run_environ(environ),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert began(world.directory, process)
    process.kill()
    process.wait()


def told(world: World, root: Path, environ: Mapping[str, str]) -> None:
    """What the generated Jenkinsfile does at the end, whatever happened."""
    assert world.run(root, environ, verb="report").code == 0
    assert world.run(root, environ, verb="publish").code == 0


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A pull request whose stage `train` says that it has begun, and goes on for minutes.

    `build-1` is its build up to `check`; `kept` beside it is the same.
    """
    world = make(tmp_path_factory.mktemp("made") / "world")
    text = (world.project / "src" / "train.py").read_text()
    wait = f"import pathlib, time; pathlib.Path({str(world.directory / 'begun')!r}).touch(); time.sleep(600)\n"
    world.branch("slow", {"src/train.py": wait + text, "params.yaml": params(0.02)})
    root = world.clone("origin/slow")
    for verb in ("plan", "test", "lint", "sync", "check"):
        assert world.run(root, world.jenkins("slow") | IN_RUN, verb=verb).code == 0
    shutil.copytree(world.directory, world.directory.with_name("kept"), symlinks=True)
    return world


@pytest.fixture
def slow(made: World, tmp_path: Path) -> World:
    """`made` as it was, in the same place: what is on disk names its paths."""
    made.directory.rename(tmp_path / "used")  # what was killed may still be ending there
    shutil.copytree(made.directory.with_name("kept"), made.directory, symlinks=True)
    return World(made.directory, clones=made.clones)


def test_a_reproduction_that_was_killed_between_commands(slow: World) -> None:
    root, environ = slow.directory / "build-1", slow.jenkins("slow") | IN_RUN
    killed(slow, root, environ, "reproduce")
    after = slow.run(root, environ, verb="compare")
    assert "not run: reproduce did not end" in after.out
    told(slow, root, environ)
    assert status(slow)["state"] == "error"
    assert status(slow)["description"].startswith("Stopped: reproduce did not end")
    assert "\n**Stopped**: reproduce did not end" in comment(slow)
    report = json.loads((root / ".mlbutler/report/report.json").read_text())
    assert report["reproduce"]["outcome"] == "error"
    assert 'name="reproduce"' in (root / ".mlbutler/report/report.xml").read_text()


# mlbutler, which waits for minutes for its own signal after a child was asked to stop.
PATIENT = """
import runpy
from mlbutler.process import Grace
Grace._layout.defaults["told"] = 600.0
runpy.run_module("mlbutler", run_name="__main__", alter_sys=True)
"""


def has_ended(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def aborted(world: World, root: Path, environ: Mapping[str, str], verb: str) -> int:
    """Run the verb and end it as Jenkins does once its stage has begun: every process of the build, children first."""
    process = subprocess.Popen(
        [sys.executable, "-c", PATIENT, verb], cwd=root, env=world.run_environ(environ),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert began(world.directory, process)
    children = psutil.Process(process.pid).children(recursive=True)
    for child in reversed(children):
        with suppress(psutil.NoSuchProcess):
            child.terminate()
    while not has_ended(children[-1]):  # the stage is dead before its parents learn of it
        time.sleep(0.02)
    process.terminate()
    return process.wait()


def test_a_build_that_was_aborted_has_no_verdict(slow: World) -> None:
    root, environ = slow.directory / "build-1", slow.jenkins("slow") | IN_RUN
    assert aborted(slow, root, environ, "reproduce") == 130
    for verb in ("push", "compare", "commit"):
        after = slow.run(root, environ, verb=verb)
        assert (after.code, "not run: reproduce was interrupted" in after.out) == (0, True)
    told(slow, root, environ)
    assert (status(slow)["state"], status(slow)["description"][:29]) == ("canceled", "Interrupted: during reproduce")
    assert "\n**Interrupted**: during reproduce" in comment(slow)
    assert "failed" not in comment(slow).lower()
    stages = {stage["name"]: stage["outcome"] for stage in after.record["reproduce"]["stages"]}
    assert stages == {"prepare": "unchanged", "train": "interrupted"}


def test_an_abort_that_does_not_find_mlbutler_itself_ends_it_all_the_same(slow: World) -> None:
    """Of an ordinary user Jenkins sees the shell and the stage: our own environment is closed to it."""
    root, environ = slow.directory / "build-1", slow.jenkins("slow") | IN_RUN
    shell = subprocess.Popen(
        ["sh", "-c", '"$@"; exit $?', "sh", sys.executable, "-c", PATIENT, "reproduce"], cwd=root,
        env=slow.run_environ(environ), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert began(slow.directory, shell)
    [ours] = psutil.Process(shell.pid).children()
    stage = ours.children(recursive=True)[-1]
    shell.terminate()
    with suppress(psutil.NoSuchProcess):  # mlbutler may have seen that the shell is gone, and ended it
        stage.terminate()
    assert shell.wait() == -signal.SIGTERM
    ours.wait(timeout=600)
    told(slow, root, environ)
    assert (status(slow)["state"], status(slow)["description"][:29]) == ("canceled", "Interrupted: during reproduce")


def test_a_whole_run_that_was_killed(slow: World) -> None:
    root, environ = slow.clone("origin/slow"), slow.jenkins("slow")
    killed(slow, root, environ, "run")
    assert status(slow)["state"] == "pending"
    told(slow, root, environ)
    assert status(slow)["state"] == "error"
    assert "\n**Stopped**: reproduce did not end" in comment(slow)


def test_a_step_that_was_killed_is_taken_again_and_all_is_well(slow: World) -> None:
    root, environ = slow.clone("origin/slow"), slow.jenkins("slow") | IN_RUN
    for verb in ("plan", "sync"):
        assert slow.run(root, environ, verb=verb).code == 0
    killed(slow, root, environ, "reproduce")
    (root / "src/train.py").write_text((root / "src/train.py").read_text().replace("sleep(600)", "sleep(0)"))
    for verb in ("reproduce", "compare"):
        again = slow.run(root, environ, verb=verb)
        assert again.code == 0, again.out + again.err
    told(slow, root, environ)
    assert status(slow)["state"] == "success"


@pytest.mark.parametrize("environ", [{}, IN_RUN], ids=["alone", "in a run"])
def test_where_nothing_ran_nothing_passed(world: World, environ: dict[str, str]) -> None:
    world.branch("idle", {"params.yaml": params(0.02)})
    root = world.clone("origin/idle")
    told(world, root, world.jenkins("idle") | environ)
    assert (status(world)["state"], status(world)["description"]) == ("error", "Stopped: plan did not begin")


def test_a_run_whose_steps_stopped_between_two_commands(world: World) -> None:
    world.branch("cut", {"params.yaml": params(0.02)})
    root, environ = world.clone("origin/cut"), world.jenkins("cut") | IN_RUN
    for verb in ("plan", "test", "lint"):
        assert world.run(root, environ, verb=verb).code == 0
    told(world, root, environ)
    assert (status(world)["state"], status(world)["description"]) == ("error", "Stopped: sync did not begin")


def test_a_failed_test_is_to_blame_for_what_comes_after_it(world: World) -> None:
    settings = (world.project / "mlbutler.toml").read_text().replace(TESTED, "exit 1")
    world.branch("broken", {"mlbutler.toml": settings, "params.yaml": params(0.02)})
    root, environ = world.clone("origin/broken"), world.jenkins("broken") | IN_RUN
    codes = [world.run(root, environ, verb=verb).code for verb in ("plan", "test", "lint")]
    assert codes == [0, 1, 0]
    told(world, root, environ)
    assert status(world)["state"] == "failure"
    assert "\n**Failed**: test" in comment(world)


@pytest.mark.parametrize("verb", ["compare", "check"])
def test_a_step_that_was_asked_for_alone_owes_no_other(world: World, verb: str) -> None:
    world.branch("small", {"README.md": "more words\n"})
    root, environ = world.clone("origin/small"), world.jenkins("small")
    assert world.run(root, environ, verb=verb).code == 0
    told(world, root, environ)
    assert status(world)["state"] == "success"


def test_steps_that_a_run_leaves_out_are_not_due(world: World) -> None:
    world.branch("small", {"README.md": "more words\n"})
    root, environ = world.clone("origin/small"), world.jenkins("small")
    assert world.run(root, environ, "--only", "plan,check", "--no-publish").code == 0
    told(world, root, environ | IN_RUN)
    assert status(world)["state"] == "success"


def test_what_a_killed_run_made_and_did_not_push_is_pushed_by_the_next(world: World) -> None:
    world.branch("cut", {"params.yaml": params(0.05)})
    root, environ = world.clone("origin/cut"), world.jenkins("cut")
    assert world.run(root, environ, "--only", "plan,sync,reproduce", "--no-publish").code == 0  # and the power went
    again = world.run(root, environ)
    assert again.code == 0, again.out + again.err
    check = again.record["check"]
    assert (check["findings"], [finding["subject"] for finding in check["pending"]]) == ([], ["model.txt"])
    assert status(world)["state"] == "success"
    assert world.run(root, environ, "pushed", "--anew", verb="check").code == 0


def test_what_a_commit_names_is_not_pushed_in_silence(world: World) -> None:
    world.branch("early", {"params.yaml": params(0.05)})
    root, environ = world.clone("origin/early"), world.jenkins("early")
    assert world.run(root, environ, "--only", "plan,sync,reproduce", "--no-publish").code == 0
    world.git(root, "commit", "-qam", "results, by hand, and not pushed")
    world.git(root, "push", "-q", "origin", "HEAD:early")
    after = world.run(root, environ, "--only", "plan,check", "--no-publish")
    assert (after.code, [finding["subject"] for finding in after.record["check"]["findings"]]) == (1, ["model.txt"])
