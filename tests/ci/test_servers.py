"""Whose change is it? Each CI server's environment with a clone of a real repository."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from mlbutler.change.detect import detect
from mlbutler.ci import facts
from mlbutler.errors import UsageError
from mlbutler.git import Git
from mlbutler.record import Change
from mlbutler.settings import Settings
from tests.ci.environments import BUILDS, Build

ADA = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "init.defaultBranch=main")


def git(directory: Path, *args: str) -> str:
    done = subprocess.run(["git", *ADA, *args], cwd=directory, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(directory: Path, name: str) -> None:
    (directory / name).write_text(name)
    git(directory, "add", "-A")
    git(directory, "commit", "-qm", name)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with a tag for each thing that a server may check out."""
    place = tmp_path_factory.mktemp("ci")
    bare, author, work = place / "origin.git", place / "author", place / "work"
    git(place, "init", "-q", "--bare", str(bare))
    git(place, "clone", "-q", str(bare), str(author))
    git(author, "checkout", "-q", "-b", "main")
    commit(author, "one")
    git(author, "checkout", "-q", "-b", "feature")
    commit(author, "work")
    git(author, "checkout", "-q", "main")
    commit(author, "two")
    git(author, "push", "-q", "origin", "main", "feature")
    git(place, "clone", "-q", f"file://{bare}", str(work))
    git(work, "checkout", "-q", "--detach", "origin/feature")
    commit(work, "not ours")
    git(work, "tag", "fork")
    git(work, "checkout", "-q", "--detach", "origin/main")
    git(work, "merge", "-q", "--no-edit", "origin/feature")
    git(work, "tag", "merge")
    (work / "evil").write_text("x")
    git(work, "add", "-A")
    git(work, "commit", "-q", "--amend", "--no-edit")  # our branches are its parents, and its tree is neither's
    git(work, "tag", "evil-merge")
    return work


def find_change(clone: Path, tmp_path: Path, build: Build, **more: str) -> Change:
    known = {"main", "feature"}
    at = f"origin/{build.at}" if build.at in known else build.at.replace(" ", "-")
    git(clone, "checkout", "-q", "--detach", at)
    environ = build.environ | more
    if (sha := environ.get("GITHUB_SHA")) in known:
        environ["GITHUB_SHA"] = git(clone, "rev-parse", f"origin/{sha}")
    if build.event is not None:
        (tmp_path / "event.json").write_text(json.dumps(build.event))
        environ["GITHUB_EVENT_PATH"] = str(tmp_path / "event.json")
    return detect(Git(clone), environ, Settings(), None)


@pytest.mark.parametrize("build", BUILDS, ids=[build.name.replace(" ", "-") for build in BUILDS])
def test_a_build_is_taken_for_what_it_is(clone: Path, tmp_path: Path, build: Build) -> None:
    change = find_change(clone, tmp_path, build)
    assert (change.ci, change.kind, change.number, change.head_branch) == build.expected
    assert change.fork is build.fork


UNKNOWN = next(build for build in BUILDS if build.name == "some CI")
DRONE_FORK = next(build for build in BUILDS if build.name == "drone fork")
JENKINS_FORK = next(build for build in BUILDS if build.name == "jenkins fork")
LAPTOP = next(build for build in BUILDS if build.name == "a laptop")


def test_what_is_not_trusted_says_why_and_how_to_say_otherwise(clone: Path, tmp_path: Path) -> None:
    change = find_change(clone, tmp_path, UNKNOWN)
    assert "CI is set" in change.note
    assert "MLBUTLER_TRUST=trusted" in change.note
    note = find_change(clone, tmp_path, DRONE_FORK).note
    assert "no branch of the repository" in note
    assert "MLBUTLER_TRUST=trusted" in note


def test_whoever_runs_the_server_has_the_last_word(clone: Path, tmp_path: Path) -> None:
    for build in (UNKNOWN, DRONE_FORK):
        change = find_change(clone, tmp_path, build, MLBUTLER_TRUST="trusted")
        assert (change.fork, change.note) == (False, "")
    for value in ("untrusted", "fork", " Untrusted "):
        assert find_change(clone, tmp_path, LAPTOP, MLBUTLER_TRUST=value).fork


def test_a_fork_that_the_server_calls_one_stays_one(clone: Path, tmp_path: Path) -> None:
    change = find_change(clone, tmp_path, JENKINS_FORK, MLBUTLER_TRUST="trusted")
    assert change.fork
    assert "does not count here" in change.note


def test_another_value_is_an_error() -> None:
    with pytest.raises(UsageError) as error:
        facts({"MLBUTLER_TRUST": "yes"})
    assert "trusted, untrusted, fork" in error.value.remedy


def test_a_server_that_cannot_ask_its_repository_trusts_nobody(clone: Path, tmp_path: Path) -> None:
    git(clone, "remote", "set-url", "origin", str(tmp_path / "nowhere"))
    try:
        drone = next(build for build in BUILDS if build.name == "drone")
        assert find_change(clone, tmp_path, drone).fork
    finally:
        git(clone, "remote", "set-url", "origin", f"file://{clone.parent / 'origin.git'}")


# What tells a fork's build from a branch's by one variable alone, which the server sets for nothing else.
_BY_ONE_ALONE = {("prow fork", "PULL_NUMBER")}


@pytest.mark.parametrize("blank", [False, True])
def test_half_of_a_forks_variables_prove_nothing(tmp_path: Path, blank: bool) -> None:
    trusted = set()
    for build in (build for build in BUILDS if build.fork):
        environ = dict(build.environ)
        if build.event is not None:
            (tmp_path / "event.json").write_text(json.dumps(build.event))
            environ["GITHUB_EVENT_PATH"] = str(tmp_path / "event.json")
        for name in environ:
            half = {other: value for other, value in environ.items() if other != name} | ({name: ""} if blank else {})
            told = facts(half)
            # A commit of the server's own checkout is compared with what lies there.
            by_commit = told.ours_at is not None and "by hand" in build.name
            if told.fork is False and not by_commit and any(half.values()):
                trusted.add((build.name, name))
    assert trusted - {("some CI", "CI"), ("some other CI", "BUILD_ID")} == _BY_ONE_ALONE


def test_a_pull_request_of_github_needs_the_event_s_name() -> None:
    environ = {"GITHUB_ACTIONS": "true", "GITHUB_SHA": "a" * 40, "GITHUB_REPOSITORY": "team/project"}
    assert facts(environ | {"GITHUB_EVENT_NAME": "push"}).fork is False
    assert facts(environ).fork is None


def test_there_are_forty_and_more() -> None:
    assert len(BUILDS) >= 40
    assert len({build.expected[0] for build in BUILDS}) >= 20
