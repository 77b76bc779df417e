"""A pull request, end to end, in fresh clones as CI makes them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests import forked_python
from tests.integration.world import (
    DVC_YAML,
    LINTED,
    PREPARE,
    SETTINGS,
    TESTED,
    TRAIN,
    Run,
    World,
    began,
    make,
    params,
    waits,
)


def tip(world: World, branch: str) -> str:
    return world.git(world.bare, "rev-parse", f"refs/heads/{branch}")


@pytest.fixture(scope="module")
def better(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, Run]:
    """A pull request whose model is better, and what came of its run."""
    world = make(tmp_path_factory.mktemp("better") / "world")
    return world, world.change("better", {"params.yaml": params(0.05)}, "--json")


def test_a_better_pull_request_is_reproduced_pushed_committed_and_told(better: tuple[World, Run]) -> None:
    world, run = better
    assert run.code == 0, run.out + run.err
    record = run.record
    assert [stage["name"] for stage in record["reproduce"]["stages"] if stage["outcome"] == "ran"] == ["train"]
    commit = record["commit"]["commit"]
    assert tip(world, "better") == commit
    assert set(world.git(world.bare, "show", "--format=", "--name-only", commit).split()) == {
        "dvc.lock", "metrics.json", "curve.csv",
    }  # fmt: skip
    assert "Mlbutler-Reproduced: " + record["change"]["head"] in world.git(
        world.bare, "log", "-1", "--format=%B", commit
    )
    assert json.loads(world.git(world.bare, "show", f"{commit}:metrics.json"))["accuracy"] == 0.95
    accuracy = next(m for m in record["compare"]["metrics"] if m["name"] == "accuracy")
    assert (accuracy["old"], accuracy["new"], accuracy["verdict"]) == (0.91, 0.95, "better")
    comments = list(world.forge.rglob("*.md"))
    assert len(comments) == 1
    assert "0.95" in comments[0].read_text()
    # a colleague gets everything
    clone = world.clone("origin/better")
    world.shell(clone, sys.executable, "-m", "dvc", "pull")
    assert (clone / "model.txt").read_text().endswith("at 0.05")


def test_the_bot_s_own_commit_builds_again_and_finds_nothing_to_do(better: tuple[World, Run]) -> None:
    world, _ = better
    before = tip(world, "better")
    again = world.run(world.clone("origin/better"), world.jenkins("better"))
    assert again.code == 0, again.out + again.err
    assert all(stage["outcome"] == "unchanged" for stage in again.record["reproduce"]["stages"])
    assert sum(moved["objects"] for moved in again.record["sync"]["moved"]) == 0
    assert again.record["commit"]["commit"] == ""
    assert tip(world, "better") == before


def test_a_worse_model_is_stopped_by_a_gate_and_still_reported(world: World) -> None:
    run = world.change("worse", {"params.yaml": params(-0.2)})
    assert run.code == 1, run.out + run.err
    assert run.outcome("compare") == "failed"
    assert "accuracy" in run.record["compare"]["sentence"]
    assert "0.91 → 0.70 (−0.21, limit 0.01)" in next(iter(world.forge.rglob("*.md"))).read_text()
    assert json.loads(next(iter(world.forge.rglob("statuses/**/*.json"))).read_text())


def test_a_failing_test_or_linter_costs_no_download_and_no_training(world: World) -> None:
    settings = SETTINGS.replace(LINTED, "python -m compileall -q src")
    broken = {"params.yaml": params(0.05), "src/train.py": "def (:\n", "mlbutler.toml": settings}
    run = world.change("broken", broken)
    assert run.code == 1
    assert run.outcome("lint") == "failed"
    assert run.outcome("sync") == "skipped"
    assert run.outcome("reproduce") == "skipped"
    assert "lint failed" in run.record["reproduce"]["reason"]
    assert run.outcome("report") == "passed"


def test_a_failed_stage_keeps_the_finished_ones_and_puts_the_metrics_back(world: World) -> None:
    head = world.branch(
        "fails", {"src/prepare.py": "# new\n" + PREPARE, "src/train.py": "raise SystemExit('no luck today')\n"}
    )
    root = world.clone(head)
    run = world.run(root, world.jenkins("fails"))
    assert run.code == 1, run.out + run.err
    stages = {stage["name"]: stage for stage in run.record["reproduce"]["stages"]}
    assert stages["prepare"]["outcome"] == "ran"
    assert stages["train"]["outcome"] == "failed"
    assert any("no luck today" in line for line in stages["train"]["tail"])
    assert (root / "metrics.json").read_text() == world.git(root, "show", "HEAD:metrics.json") or (
        json.loads((root / "metrics.json").read_text())["accuracy"] == 0.91
    )
    assert run.outcome("push") == "passed"
    assert run.outcome("commit") == "skipped"
    assert tip(world, "fails") == head


def test_an_author_s_push_meanwhile_is_never_lost(world: World) -> None:
    command = ["git", "-C", str(world.author), "push", "-q", "origin", "words:moving"]
    head = world.branch("moving", {"src/train.py": f"import subprocess\nsubprocess.run({command!r})\n{TRAIN}"})
    pushed = world.branch("words", {"README": "words alone"}, start="moving")
    run = world.run(world.clone(head), world.jenkins("moving"))
    assert run.code == 0, run.out + run.err
    assert tip(world, "moving") == run.record["commit"]["commit"]
    assert world.git(world.bare, "rev-parse", "moving^") == pushed


def test_data_that_was_never_pushed_is_named_with_its_remedy(world: World) -> None:
    for file in sorted((world.remote / "files" / "md5").rglob("*")):
        if file.is_file() and b"SOME WORDS 3" in file.read_bytes():
            file.chmod(0o644)
            file.unlink()
    run = world.change("docs", {"README": "words"})
    assert run.code == 1, run.out + run.err
    finding = run.record["check"]["findings"][0]
    assert finding["subject"].startswith("prepared")
    assert finding["remedy"] == "mlbutler push"


@pytest.mark.parametrize("what", ["manifest", "file"])
def test_an_output_that_is_on_no_store_is_made_again_when_it_is_needed(world: World, what: str) -> None:
    for file in sorted((world.remote / "files" / "md5").rglob("*")):
        if file.is_file() and (b"SOME WORDS 3" in file.read_bytes() if what == "file" else _lists(file, 5)):
            file.chmod(0o644)
            file.unlink()
    run = world.change("b", {"params.yaml": params(0.02)})
    assert run.code == 0, run.out + run.err
    assert "in no store, so made again: prepared" in run.record["sync"]["reason"]
    stages = {stage["name"]: stage["outcome"] for stage in run.record["reproduce"]["stages"]}
    assert stages == {"prepare": "ran", "train": "ran"}
    assert run.record["push"]["outcome"] == "passed"
    again = world.run(world.clone("origin/b"), world.jenkins("b"), verb="check")
    assert again.code == 0, again.out + again.err


def _lists(file: Path, count: int) -> bool:
    """Is it the manifest of `prepared`, and not of `data/raw`?"""
    if file.suffix != ".dir":
        return False
    first = json.loads(file.read_bytes())[0]["md5"]
    content = file.parent.parent / first[:2] / first[2:]
    return b"SOME WORDS" in content.read_bytes()


def test_data_that_no_stage_makes_cannot_be_made_again(world: World) -> None:
    for file in sorted((world.remote / "files" / "md5").rglob("*")):
        if file.is_file() and b"some words 3" in file.read_bytes():
            file.chmod(0o644)
            file.unlink()
    run = world.change("b", {"src/prepare.py": PREPARE + "\n"})
    assert run.code == 1, run.out + run.err
    assert "data/raw" in run.record["sync"]["reason"]
    assert "dvc push" in run.record["sync"]["remedy"]
    assert run.outcome("reproduce") == "skipped"


def test_what_finished_is_in_the_mirror_when_the_agent_is_lost_in_a_later_stage(world: World, tmp_path: Path) -> None:
    slow = f"import time; time.sleep(0.2)\n{PREPARE}"
    head = world.branch("lost", {"src/prepare.py": slow + "print('b')\n", "src/train.py": waits(tmp_path) + TRAIN})
    root = world.clone(head)
    losing = ("tests.integration.lost_agent", str(tmp_path / "begun"), "run")
    lost = forked_python.run(*losing, cwd=root, env=world.run_environ(world.jenkins("lost")))
    assert lost.returncode == -signal.SIGKILL, lost.stdout + lost.stderr
    assert "stage train (2 of 2)" in lost.stdout + lost.stderr
    (tmp_path / "go").touch()  # what the stage left behind ends
    shutil.rmtree(root)
    world.branch("lost", {"src/train.py": TRAIN + "\n"}, start="lost")
    run = world.run(world.clone("origin/lost"), world.jenkins("lost"))
    assert run.code == 0, run.out + run.err
    stages = {stage["name"]: stage["outcome"] for stage in run.record["reproduce"]["stages"]}
    assert stages == {"prepare": "restored", "train": "ran"}


def test_a_stale_lock_is_judged_where_nothing_will_be_reproduced(world: World) -> None:
    world.branch("stale", {"params.yaml": params(0.05)})
    run = world.run(world.clone("origin/stale"), world.jenkins("stale"), "lock", verb="check")
    assert run.code == 1
    assert "train" in run.out + run.err
    assert "dvc repro train" in run.out + run.err


PLANTED = (
    "MLBUTLER_GIT_TOKEN", "MLBUTLER_REMOTE_PASSWORD", "AWS_SECRET_ACCESS_KEY", "SOME_API_KEY", "REGISTRY_USR",
    "REGISTRY_PSW", "NEXUS_PASS", "OPENAI_KEY", "WANDB_KEY", "SSHPASS", "JWT", "SIGNING_KEY", "DEPLOY_KEY",
    "SERVICE_ACCOUNT_JSON", "UNSUSPICIOUS",
)  # fmt: skip
"""Names under which teams keep credentials, and one that nobody would take for one."""

LEAKS = """
import os, sys
def told():
    everything = "\\n".join(f"{name}={value}" for name, value in os.environ.items())
    print(everything, flush=True)
    print(everything, file=sys.stderr, flush=True)
    return everything
"""


def test_planted_credentials_are_nowhere(world: World) -> None:
    planted = {name: f"pl4nted-{at:02}-s3cret-value" for at, name in enumerate(PLANTED)}
    in_pieces = "print('-'.join(['pl4nted', '00', 's3cret', 'value']))\n"
    loud = "import os, sys\nsys.path.insert(0, '.')\nfrom leaks import told\nopen('seen.txt', 'w').write(told())\n"
    settings = SETTINGS.replace(TESTED, "python -c 'import leaks; leaks.told()'")
    settings = settings.replace(LINTED, "python -c 'import leaks; leaks.told()'")
    definition = DVC_YAML.replace("outs: [model.txt]", "outs: [model.txt, seen.txt]")
    head = world.branch("leaky", {
        "leaks.py": LEAKS, "mlbutler.toml": settings, "dvc.yaml": definition,
        "src/train.py": loud + in_pieces + TRAIN,
    })  # fmt: skip
    root = world.clone(head)
    run = world.run(root, world.jenkins("leaky") | planted, "--verbose")
    assert run.code == 0, run.out + run.err
    for step in ("test", "lint", "reproduce"):
        assert set(PLANTED) <= set(run.record[step]["held_back"])
    assert "PATH=" in (root / "seen.txt").read_text()  # what a stage has been given, as an artifact
    texts = {"output": (run.out + run.err).encode()}
    for folder in (world.directory, Path(os.environ["HOME"])):
        texts |= {str(f): f.read_bytes() for f in folder.rglob("*") if f.is_file() and not f.is_symlink()}
    for repository in (world.bare, root):  # their objects are compressed
        texts[f"objects of {repository}"] = subprocess.run(
            ["git", "cat-file", "--batch-all-objects", "--batch"], cwd=repository, capture_output=True, check=True
        ).stdout
    values = {name: value.encode() for name, value in planted.items()}
    assert not [(name, place) for place, text in texts.items() for name, value in values.items() if value in text]


def end_what_works_in(root: Path) -> None:
    """Kill what a killed run has left in its clone, and wait until it is gone; minutes, against a hang."""
    until = time.monotonic() + 300
    while left := [*working_in(root)]:
        assert time.monotonic() < until, left
        for process in left:
            with suppress(psutil.Error):
                process.kill()
        time.sleep(0.05)


def working_in(root: Path) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if Path(process.cwd()).is_relative_to(root) and process.status() != psutil.STATUS_ZOMBIE:
                yield process


@pytest.mark.parametrize("delay", [0.2, 0.4, 0.7, 1.1, 1.8])
def test_a_killed_run_started_again_ends_as_if_nothing_had_happened(world: World, delay: float) -> None:
    slow = f"import time; time.sleep(0.3)\n{TRAIN}"
    head = world.branch("killed", {"src/train.py": slow, "src/prepare.py": "# x\n" + PREPARE})
    root = world.clone(head)
    process = forked_python.Popen(
        [sys.executable, "-m", "mlbutler", "run"], cwd=root, env=world.run_environ(world.jenkins("killed")),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    time.sleep(delay)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    end_what_works_in(root)
    run = world.run(root, world.jenkins("killed"))
    assert run.code == 0, run.out + run.err
    assert world.git(world.bare, "rev-parse", "killed^") == head
    assert run.record["check"]["findings"] == []


def test_two_runs_at_once_in_one_clone(world: World, tmp_path: Path) -> None:
    root = world.clone(world.branch("twice", {"src/train.py": waits(tmp_path) + TRAIN}))
    environ = world.run_environ(world.jenkins("twice"))
    first = forked_python.Popen(
        [sys.executable, "-m", "mlbutler", "run"], cwd=root, env=environ, stdout=subprocess.DEVNULL
    )
    try:
        assert began(tmp_path, first)
        second = world.run(root, world.jenkins("twice"))
    finally:
        (tmp_path / "go").touch()
    assert second.code == 3
    assert "Another mlbutler works" in second.err
    assert first.wait() == 0


def test_json_is_one_document_and_nothing_else(better: tuple[World, Run]) -> None:
    _, run = better
    assert run.code == 0, run.err
    assert json.loads(run.out)["change"]["number"] == "1"


def test_a_stage_that_always_changes_does_not_loop(world: World) -> None:
    always = DVC_YAML.replace(
        "    cmd: python src/train.py\n",
        "    cmd: python src/train.py && date +%N > model.txt\n    always_changed: true\n",
    )
    world.change("always", {"dvc.yaml": always})
    before = tip(world, "always")
    again = world.run(world.clone("origin/always"), world.jenkins("always"))
    assert "always" in again.record["commit"]["reason"]
    assert tip(world, "always") == before
