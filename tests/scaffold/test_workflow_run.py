"""The files for GitHub Actions and GitLab CI at work: a real clone, a DVC remote that wants a password."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from mlbutler.run_table import NAMES
from mlbutler.scaffold.detect import detect_project
from mlbutler.scaffold.options import GITHUB, GITLAB, ScaffoldOptions
from mlbutler.scaffold.render import render_files
from tests import forked_python
from tests.integration.world import World, guarded, params
from tests.scaffold.ci_machines import Job, on_github, on_gitlab
from tests.store.world import PASSWORD, USER

TOKEN = "ghs-planted-token-77f0"
SECRETS = {"MLBUTLER_REMOTE_USER": USER, "MLBUTLER_REMOTE_PASSWORD": PASSWORD}
SETTINGS = """
[test]
command = "python dump.py test"
[lint]
commands = ["python dump.py lint"]
[forge]
kind = "folder"
"""
DUMP = "import os, json, sys; json.dump(dict(os.environ), open(f\"{os.environ['TMPDIR']}/{sys.argv[1]}.json\", 'w'))\n"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with guarded(tmp_path_factory.mktemp("ci"), {"mlbutler.toml": SETTINGS, "dump.py": DUMP}) as found:
        yield found


def environment(world: World, clone: Path, *more: Mapping[str, str]) -> dict[str, str]:
    programs = world.directory / f"{clone.name}-programs"
    (programs / "dumps").mkdir(parents=True)
    forked_python.write_program(programs / "real", "mlbutler")
    # What each command's own environment is, too: the project's code could look there.
    (programs / "mlbutler").write_text(f'#!/bin/sh\nenv > "{programs}/dumps/$1.env"\nexec "{programs}/real" "$@"\n')
    (programs / "mlbutler").chmod(0o755)
    environ = world.run_environ({})
    places = {"MLBUTLER_GIT_URL": str(world.bare), "TMPDIR": str(programs / "dumps"),
              "PATH": f"{programs}:{environ['PATH']}"}  # fmt: skip
    return {**environ, **places, **{name: value for one in more for name, value in one.items()}}


def text_for(world: World, ci: str) -> str:
    world.git(world.author, "checkout", "-q", "-f", "main")
    found = detect_project(world.project, {})[1]
    files = render_files(found, ScaffoldOptions(ci=ci, agent="label", label="any"))
    return next(text for path, text in files.items() if path.endswith(".yml") and "-forks" not in path)


def secrets_seen(clone: Path) -> dict[str, set[str]]:
    """Return which secrets each command's environment had, and the project's own code in it (``test.json``)."""
    dumps = clone.parent / f"{clone.name}-programs" / "dumps"
    found = {path.name: path.read_text() for path in (*dumps.glob("*.env"), *dumps.glob("*.json"))}
    return {name: {secret for secret in (TOKEN, PASSWORD) if secret in text} for name, text in found.items()}


def without(clone: Path) -> set[str]:
    return {name for name, secrets in secrets_seen(clone).items() if not secrets}


WITHOUT = {"test.json", "lint.json", "test.env", "lint.env", "reproduce.env", "report.env"}


def github(world: World, branch: str, commit: str, *, source: str = "team/project") -> tuple[Job, Path]:
    text = text_for(world, GITHUB)
    clone = world.clone(commit)
    event = world.directory / f"{branch}.json"
    event.write_text(json.dumps({"number": 12, "pull_request": {
        "number": 12, "title": "t", "head": {"sha": commit, "ref": branch, "repo": {"full_name": source}},
        "base": {"ref": "main", "repo": {"full_name": "team/project"}},
    }}))  # fmt: skip
    ours = source == "team/project"
    facts = {
        "CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": str(event),
        "GITHUB_REPOSITORY": "team/project", "GITHUB_SERVER_URL": "https://github.example", "GITHUB_RUN_ID": "77",
        "GITHUB_WORKSPACE": str(clone),
    }  # fmt: skip
    environ = environment(world, clone, facts)
    return on_github(text, clone, environ, SECRETS if ours else {}, TOKEN if ours else "read-only"), clone


def gitlab(world: World, branch: str, commit: str, **more: str) -> tuple[Job, Path]:
    text = text_for(world, GITLAB)
    clone = world.clone(commit)
    facts = {
        "CI": "true", "GITLAB_CI": "true", "CI_PIPELINE_SOURCE": "merge_request_event", "CI_MERGE_REQUEST_IID": "12",
        "CI_MERGE_REQUEST_PROJECT_ID": "1", "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "1", "CI_COMMIT_SHA": commit,
        "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": branch, "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
        "CI_PROJECT_URL": "https://gitlab.example/team/project",
    }  # fmt: skip
    variables = {**SECRETS, "CI_JOB_TOKEN": TOKEN, "CI_REGISTRY_PASSWORD": TOKEN}
    return on_gitlab(text, clone, environment(world, clone, facts, more), variables), clone


def record(clone: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((clone / ".mlbutler" / "record.json").read_text())
    return found


def test_github_runs_a_pull_request_to_its_results_commit(world: World) -> None:
    commit = world.branch("hub", {"params.yaml": params(1.02)})
    job, clone = github(world, "hub", commit)
    assert job.status == "success", job.log[-3000:]
    taken = [name for name in job.codes if name in NAMES]
    assert set(taken) == set(NAMES) - {"publish"}  # a folder takes no token; the report is the job's artifact
    assert {name: record(clone)[name]["outcome"] for name in taken} == dict.fromkeys(taken, "passed")
    assert world.git(world.bare, "rev-parse", "hub^") == commit
    assert without(clone) == {*WITHOUT, "--version.env"}
    assert secrets_seen(clone)["sync.env"] == {TOKEN, PASSWORD}
    assert PASSWORD not in job.log
    assert (clone.with_name(f"{clone.name}-temporary") / "GITHUB_STEP_SUMMARY").read_text().strip()


def test_github_goes_on_after_a_failure_with_what_does_not_need_it(world: World) -> None:
    commit = world.branch(
        "hub-red", {"params.yaml": params(1.03), "dump.py": DUMP + "raise SystemExit(len(sys.argv) - 1)"}
    )
    job, clone = github(world, "hub-red", commit)
    assert job.status == "failure"
    assert (job.codes["test"], job.codes["report"]) == (1, 0)
    outcomes = {name: record(clone)[name]["outcome"] for name in ("test", "plan", "sync", "reproduce", "compare")}
    assert outcomes == {
        "test": "failed",
        "plan": "passed",
        "sync": "skipped",
        "reproduce": "skipped",
        "compare": "passed",
    }
    assert world.git(world.bare, "rev-parse", "hub-red") == commit


def test_github_gives_a_fork_nothing(world: World) -> None:
    commit = world.branch("hub-fork", {"params.yaml": params(1.04)})
    job, clone = github(world, "hub-fork", commit, source="mallory/project")
    assert record(clone)["change"]["fork"] is True
    assert world.git(world.bare, "rev-parse", "hub-fork") == commit
    assert record(clone)["push"]["outcome"] == record(clone)["commit"]["outcome"] == "skipped"
    assert PASSWORD not in job.log


def test_gitlab_runs_a_merge_request_to_its_results_commit(world: World) -> None:
    commit = world.branch("lab", {"params.yaml": params(1.05)})
    job, clone = gitlab(world, "lab", commit)
    assert job.status == "success", job.log[-3000:]
    assert {name: record(clone)[name]["outcome"] for name in NAMES} == dict.fromkeys(NAMES, "passed")
    assert world.git(world.bare, "rev-parse", "lab^") == commit
    assert without(clone) == WITHOUT
    assert secrets_seen(clone)["sync.env"] == {TOKEN, PASSWORD}
    assert secrets_seen(clone)["publish.env"] == {TOKEN}
    assert world.git(clone, "config", "remote.origin.url") == "https://gitlab.example/team/project.git"


def test_gitlab_fails_at_the_end_and_has_pushed_nothing_of_it(world: World) -> None:
    commit = world.branch(
        "lab-red", {"params.yaml": params(1.06), "dump.py": DUMP + "raise SystemExit(len(sys.argv) - 1)"}
    )
    job, clone = gitlab(world, "lab-red", commit)
    assert (job.status, job.codes["script"]) == ("failed", 1)
    assert record(clone)["publish"]["outcome"] == "passed"
    assert world.git(world.bare, "rev-parse", "lab-red") == commit
