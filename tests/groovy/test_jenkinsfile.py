"""The generated Jenkinsfile, executed on a real DVC project with a remote that wants a password."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.groovy.jenkins import RESULTS, SECRETS, Built, build, needs_groovy, write_mlbutler
from tests.integration.world import DVC_YAML, TRAIN, World, guarded, make, params
from tests.store.world import PASSWORD, USER

pytestmark = needs_groovy

CREDENTIALS = {**SECRETS, "mlbutler-dvc": {"username": USER, "password": PASSWORD}}
SETTINGS = """
[test]
command = "python -c 'print(40 + 2)'"
[lint]
commands = ["python -m compileall -q ."]
[[gate]]
metric = "metrics.json:accuracy"
max_drop = 0.01
[forge]
kind = "folder"
"""
ENV = "import os, json, sys; json.dump(dict(os.environ), open(os.environ['DUMP'], 'w'))"
STEPS = ["plan", "test", "lint", "sync", "check", "reproduce", "push", "compare", "commit", "report", "publish"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with guarded(tmp_path_factory.mktemp("jenkins"), {"mlbutler.toml": SETTINGS}) as found:
        yield found


_GENERATED: dict[tuple[Path, tuple[str, ...]], str] = {}


def generated(world: World, *words: str) -> str:
    """The Jenkinsfile of the project, which is not committed: it is the controller's copy here."""
    world.git(world.author, "checkout", "-q", "-f", "main")
    if (world.directory, words) not in _GENERATED:
        _GENERATED[world.directory, words] = _generate(world, *words)
    return _GENERATED[world.directory, words]


def _generate(world: World, *words: str) -> str:
    for name in ("Jenkinsfile", ".mlbutler-init.json"):
        (world.project / name).unlink(missing_ok=True)
    world.shell(world.project, "python", "-m", "mlbutler", "init", "--agent", "label:any", "--quiet", *words)
    text = (world.project / "Jenkinsfile").read_text()
    world.git(world.author, "clean", "-fdq")
    return text


def built(
    world: World, name: str, commit: str, *words: str, lose: str = "", abort: str = "", aborted_by: Path | None = None,
    foreign: bool = False, untrusted: Sequence[str] = (), change: Callable[[str], str] = str,
    verbs: Sequence[str] | None = None, **more: str,
) -> Built:  # fmt: skip
    """Build a commit; of mlbutler's `verbs` alone do anything, where some are given."""
    directory = world.directory / f"jenkins-{name}"
    directory.mkdir()
    script = directory / "Jenkinsfile"
    script.write_text(change(generated(world, *words)))
    wrapper = directory / "bin" / "mlbutler"
    wrapper.parent.mkdir()
    write_mlbutler(wrapper, verbs, passed=["PYTHONPATH"], first=abort)
    environ = world.run_environ(world.jenkins(name, 7, **more))
    environ |= {"PATH": f"{wrapper.parent}:{environ['PATH']}"}
    environ |= {"MLBUTLER_FORGE_URL": str(directory / "forge"), "MLBUTLER_DATA_MIRROR": str(directory / "mirror")}
    checkout = f"git clone -q --no-checkout {shlex.quote(str(world.bare))} . && git checkout -q --detach {commit}"
    return build(
        directory, script, checkout, environ, credentials=CREDENTIALS, lose=lose, abort=abort, aborted_by=aborted_by,
        foreign=foreign, trusted=world.author, untrusted=untrusted,
    )  # fmt: skip


def secrets() -> list[str]:
    return [value for entry in CREDENTIALS.values() for key, value in entry.items() if key in ("password", "secret")]


def described(done: Built) -> list[str]:
    """What was set as the build's description."""
    return [event["text"] for event in done.events if event["step"] == "description"]


def test_a_pull_request_from_its_first_stage_to_the_comment(world: World) -> None:
    """And credentials are bound where they are needed, and seen nowhere."""
    dump = world.directory / "dump.json"
    files = {
        "params.yaml": params(1.02),
        "mlbutler.toml": SETTINGS.replace(
            "command = \"python -c 'print(40 + 2)'\"", f"command = 'DUMP={dump} python dump.py'"
        ),
        "dump.py": ENV,
    }  # fmt: skip
    commit = world.branch("better", files)
    done = built(world, "better", commit, BRANCH_IS_PRIMARY="true")
    assert done.result == "SUCCESS", done.log[-3000:]
    commands = done.commands()
    assert commands.pop() == "mlbutler board --fetch -o .mlbutler/report/experiments.html"
    assert sorted(commands) == sorted(f"mlbutler {step}" for step in STEPS)
    assert [c for c in commands if c.split()[1] not in ("test", "lint")] == [
        f"mlbutler {step}" for step in STEPS if step not in ("test", "lint")
    ]
    assert world.git(world.bare, "rev-parse", "better^") == commit
    assert (done.archive / "html" / ".mlbutler" / "report" / "report.html").is_file()
    page = (done.archive / "html" / ".mlbutler" / "report" / "experiments.html").read_text()
    assert page == (done.archive / "archive" / ".mlbutler" / "report" / "experiments.html").read_text()
    assert "Experiments" in page
    assert not (done.archive / "junit").exists()  # this project has no JUnit files, and what mlbutler judged is no test
    record = json.loads((done.archive / "archive" / ".mlbutler" / "record.json").read_text())
    assert {step: record[step]["outcome"] for step in STEPS} == dict.fromkeys(STEPS, "passed")
    assert record["check"]["findings"] == []  # what the run was about to fix is pending
    assert described(done) == [(done.archive / "archive" / ".mlbutler" / "report" / "verdict.txt").read_text().strip()]
    assert described(done)[0].startswith("Better or noise: ")
    comments = list((world.directory / "jenkins-better" / "forge").rglob("*.md"))
    assert any("accuracy" in path.read_text() for path in comments)
    assert not list((world.directory / "jenkins-better" / "workspaces").iterdir())
    credentials_are_bound_where_they_are_needed_and_seen_nowhere(done, json.loads(dump.read_text()))


def credentials_are_bound_where_they_are_needed_and_seen_nowhere(done: Built, seen: Mapping[str, str]) -> None:
    """`seen`: the environment of the project's own code."""
    bound = {command: set(done.event(command)["bound"]) for command in done.commands()}
    both = {"mlbutler-git", "mlbutler-dvc"}
    assert {command for command, ids in bound.items() if not ids} == {
        f"mlbutler {step}" for step in ("test", "lint", "reproduce", "report")
    }
    telling = ("mlbutler publish", "mlbutler board --fetch -o .mlbutler/report/experiments.html")
    assert all(ids == both for command, ids in bound.items() if ids and command not in telling)
    assert not any(secret in value for value in seen.values() for secret in secrets())
    left = [done.log, *(path.read_text(errors="replace") for path in done.archive.rglob("*") if path.is_file())]
    assert not any(secret in text for text in left for secret in secrets())


def test_the_list_of_builds_has_the_verdict_though_the_reviewers_cannot_be_told(world: World) -> None:
    commit = world.branch("untold", {"params.yaml": params(1.04)})
    verbs = ["plan", "sync", "reproduce", "compare", "report", "publish"]
    done = built(world, "untold", commit, verbs=verbs, MLBUTLER_FORGE_KIND="github")  # and no token
    assert done.result == "FAILURE"
    assert {command for command in done.commands() if done.event(command)["code"]} == {"mlbutler publish"}
    assert described(done)[0].startswith("Better or noise: ")


def test_a_project_in_a_folder_of_the_repository(tmp_path: Path) -> None:
    """Its programs import its own package: ``python src/train.py`` has none where Python looks by itself."""
    folder = "teams/computer vision, é"
    world = make(tmp_path, folder=folder)
    train = f"from src import words\n{TRAIN}"
    world.branch("main", {"src/__init__.py": "", "src/words.py": "", "src/train.py": train})
    commit = world.branch("better", {"params.yaml": params(0.05)})
    done = built(world, "better", commit)
    assert done.result == "SUCCESS", done.log[-3000:]
    assert world.git(world.bare, "rev-parse", "better^") == commit
    places = ["html", "report.html"], ["archive", "report.xml"], ["archive", "badge.svg"], ["archive", "metrics.csv"]
    assert all((done.archive / place / folder / ".mlbutler" / "report" / name).is_file() for place, name in places)
    assert (done.archive / "archive" / folder / ".mlbutler" / "record.json").is_file()
    [comment] = (world.directory / "jenkins-better" / "forge").rglob("*.md")
    assert "\n**Better or noise**" in comment.read_text()
    commit = world.branch("without", {"params.yaml": params(0.06)})
    without = built(world, "without", commit, change=lambda text: re.sub("PYTHONPATH = .*", "OTHER = ''", text),
                    verbs=["sync", "reproduce"])  # fmt: skip
    assert "No module named 'src'" in without.log
    assert without.result == "FAILURE"


@pytest.mark.parametrize(("gate_as", "result"), [("fail", "FAILURE"), ("unstable", "UNSTABLE")])
def test_a_failed_gate_and_the_results_are_committed_all_the_same(world: World, gate_as: str, result: str) -> None:
    name = f"worse-{gate_as}"
    commit = world.branch(name, {"params.yaml": params(-0.45 if gate_as == "fail" else -0.4)})
    done = built(world, name, commit, "--gate-as", gate_as, verbs=[*RESULTS, "compare", "publish"])
    assert done.result == result, done.log[-3000:]
    assert done.event("mlbutler compare")["code"] == 1
    assert done.event("mlbutler publish")["code"] == 0
    assert world.git(world.bare, "rev-parse", f"{name}^") == commit


def test_a_failed_test_costs_no_download_and_reviewers_are_told(world: World) -> None:
    settings = SETTINGS.replace("print(40 + 2)", "raise SystemExit(1)")
    commit = world.branch("broken", {"params.yaml": params(1.04), "mlbutler.toml": settings})
    done = built(world, "broken", commit)
    assert done.result == "FAILURE"
    record = json.loads((done.archive / "archive" / ".mlbutler" / "record.json").read_text())
    assert (record["test"]["outcome"], record["lint"]["outcome"]) == ("failed", "passed")
    for step in ("sync", "reproduce", "push", "commit"):
        assert (record[step]["outcome"], record[step]["reason"]) == ("skipped", "not run: test failed")
        assert done.event(f"mlbutler {step}")["code"] == (1 if step == "commit" else 0)  # dvc.lock stays stale
    assert done.event("mlbutler publish")["code"] == 0
    assert world.git(world.bare, "rev-parse", "broken") == commit


THIRD = """
  score:
    cmd: python -c "raise SystemExit('no luck today')"
    deps: [model.txt]
    outs: [score.txt]
"""


def test_of_three_stages_one_failed_and_the_others_are_pushed_and_compared(tmp_path: Path) -> None:
    world = make(tmp_path)
    commit = world.branch("partly", {"params.yaml": params(0.05), "dvc.yaml": DVC_YAML + THIRD})
    done = built(world, "partly", commit)
    assert done.result == "FAILURE", done.log[-3000:]
    codes = {step: done.event(f"mlbutler {step}")["code"] for step in STEPS}
    assert codes == dict.fromkeys(STEPS, 0) | {"reproduce": 1, "commit": 1}
    record = json.loads((done.archive / "archive" / ".mlbutler" / "record.json").read_text())
    stages = {stage["name"]: stage["outcome"] for stage in record["reproduce"]["stages"]}
    assert stages == {"prepare": "unchanged", "train": "ran", "score": "failed"}
    assert record["push"]["moved"]
    assert {metric["name"]: metric["new"] for metric in record["compare"]["metrics"]}["accuracy"] == 0.95
    assert record["commit"]["reason"] == "not run: reproduce failed"
    assert world.git(world.bare, "rev-parse", "partly") == commit
    assert "score" in record["check"]["reason"]
    [comment] = (world.directory / "jenkins-partly" / "forge").rglob("*.md")
    assert "\n**Failed**: reproduce: stage 'score' failed" in comment.read_text()
    assert "0.95" in comment.read_text()


def test_results_that_the_branch_refuses_make_the_build_red(tmp_path: Path) -> None:
    world = make(tmp_path)
    commit = world.branch("closed", {"params.yaml": params(0.05)})
    hook = world.bare / "hooks" / "update"
    hook.write_text('#!/bin/sh\n[ "$1" != refs/heads/closed ] || { echo closed to all; exit 1; }\n')
    hook.chmod(0o755)
    done = built(world, "closed", commit)
    assert done.result == "FAILURE", done.log[-3000:]
    assert {step for step in STEPS if done.event(f"mlbutler {step}")["code"]} == {"commit"}
    [comment] = (world.directory / "jenkins-closed" / "forge").rglob("*.md")
    said = "**Failed**: check: still stale in dvc.lock: train (commit: the remote refused"
    assert f"\n{said}" in comment.read_text()
    assert f"git fetch origin refs/mlbutler/results/{commit}" in comment.read_text()
    [status] = (world.directory / "jenkins-closed" / "forge" / "statuses").iterdir()
    assert json.loads(status.read_text())["state"] == "failure"


def test_a_build_that_is_aborted_is_told_as_interrupted(tmp_path: Path) -> None:
    world = make(tmp_path)
    begun = tmp_path / "begun"
    slow = f"import pathlib, time; pathlib.Path({str(begun)!r}).touch(); time.sleep(100)\n"
    commit = world.branch("stopped", {"src/train.py": slow})
    done = built(world, "stopped", commit, abort="reproduce", aborted_by=begun)
    assert done.result == "ABORTED", done.log[-3000:]
    assert [command.split()[1] for command in done.commands()][-3:] == ["reproduce", "report", "publish"]
    [comment] = (world.directory / "jenkins-stopped" / "forge").rglob("*.md")
    assert "\n**Interrupted**: during reproduce, with 0 of 2 stages finished" in comment.read_text()
    assert "ailed" not in comment.read_text()
    assert described(done)[0].startswith("Interrupted: during reproduce")
    [status] = (world.directory / "jenkins-stopped" / "forge" / "statuses").iterdir()
    assert json.loads(status.read_text())["state"] == "canceled"
    junit = (done.archive / "archive" / ".mlbutler" / "report" / "report.xml").read_text()
    assert 'failures="0" errors="0"' in junit


def test_a_build_that_is_aborted_between_two_commands_is_too(tmp_path: Path) -> None:
    world = make(tmp_path)
    commit = world.branch("between", {"params.yaml": params(0.05)})
    done = built(world, "between", commit, abort="sync", aborted_by=tmp_path / "author")  # at once
    assert done.result == "ABORTED", done.log[-3000:]
    [comment] = (world.directory / "jenkins-between" / "forge").rglob("*.md")
    assert "\n**Interrupted**: " in comment.read_text()


def test_a_fork_gets_no_credential_and_changes_nothing_and_links_that_its_code_leaves_lead_nowhere(
    world: World,
) -> None:
    host = world.directory / "home-of-the-agent"
    host.mkdir()
    (host / "id_rsa").write_text("a key")
    (host / "report.html").write_text("a key")
    leave = f"""
import os
os.symlink({str(host)!r}, ".mlbutler/report")
os.symlink({str(host / "id_rsa")!r}, ".mlbutler/a.log")
"""
    settings = SETTINGS.replace("python -c 'print(40 + 2)'", "python leave.py")
    assert "leave.py" in settings
    commit = world.branch("linked", {"leave.py": leave, "mlbutler.toml": settings})
    done = built(world, "linked", commit, CHANGE_FORK="theirs/words")
    assert done.result == "FAILURE"
    assert "is a symbolic link" in done.log
    assert all(event["bound"] == [] for event in done.events if event["step"] == "sh")
    assert world.git(world.bare, "rev-parse", "linked") == commit
    assert not (world.directory / "jenkins-linked" / "mirror" / "files").exists()
    assert not (world.directory / "jenkins-linked" / "forge").exists()
    kept = [path for path in done.archive.rglob("*") if path.is_file()]
    assert [path for path in kept if path.name == "record.json"]
    assert not [path for path in kept if b"a key" in path.read_bytes()]


def test_a_lost_agent_is_replaced_by_another(world: World) -> None:
    commit = world.branch("lost", {"params.yaml": params(1.05)})
    done = built(world, "lost", commit, lose="reproduce", verbs=RESULTS)
    assert done.result == "SUCCESS", done.log[-3000:]
    ran = [event for event in done.events if event["step"] == "sh"]
    places = [event["workspace"] for event in ran if event["script"] == "mlbutler sync"]
    assert places == ["workspace-1", "workspace-2"]
    assert world.git(world.bare, "rev-parse", "lost^") == commit


def test_a_credential_that_jenkins_does_not_know_stops_the_build(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = world.branch("unknown", {"params.yaml": params(1.06)})
    monkeypatch.delitem(CREDENTIALS, "mlbutler-dvc")
    done = built(world, "unknown", commit)
    assert done.result == "FAILURE"
    assert "Could not find credentials entry with ID 'mlbutler-dvc'" in done.log
    assert world.git(world.bare, "rev-parse", "unknown") == commit


DOCKER = ("--agent", "docker")


def test_a_fork_s_image_is_made_of_what_the_target_branch_has(world: World) -> None:
    commit = world.branch("image", {"src/more.py": "# theirs\n"})
    done = built(world, "image", commit, *DOCKER, CHANGE_FORK="theirs/words", untrusted=["Dockerfile"])
    assert done.result == "FAILURE"
    assert "‘Dockerfile’ has been modified in an untrusted revision" in done.log
    assert done.commands("") == []  # nothing was built, and none of its code ran


def test_ours_may_change_its_image(world: World) -> None:
    commit = world.branch("own-image", {"params.yaml": params(1.07)})
    done = built(world, "own-image", commit, *DOCKER, untrusted=["Dockerfile"], verbs=())
    assert done.result == "SUCCESS", done.log[-3000:]
    agents = [event["agent"] for event in done.events if event["step"] == "stage"]
    (docker,) = [agent["dockerfile"] for agent in agents if isinstance(agent, dict) and "dockerfile" in agent]
    words = docker["args"].split()
    assert {"no-new-privileges", "ALL", "--init"} < set(words)
    assert words[-1] == "/mirror:/mirror"


def test_a_workspace_that_cannot_be_removed_ends_no_build(world: World) -> None:
    commit = world.branch("foreign", {"params.yaml": params(1.08)})
    done = built(world, "foreign", commit, foreign=True, verbs=())
    assert done.result == "SUCCESS", done.log[-3000:]
    assert "files of another user" in done.log
