"""A fork's change in two builds: an untrusted one that leaves a bundle, and a trusted one that publishes it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import zipfile
from pathlib import Path

import pytest

from tests.forge.dialects import GitLab
from tests.forge.fake import TOKEN, FakeForge, Pull
from tests.integration.world import Run, World, make, params


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make(tmp_path_factory.mktemp("world"))


def head_of_a_fork(world: World, branch: str, number: int) -> str:
    """The commit of a fork's pull request: no branch of the repository holds it."""
    head = world.branch(branch, {"params.yaml": params(0.01 + number / 1000)})
    world.git(world.bare, "update-ref", f"refs/pull/{number}/head", head)
    world.git(world.bare, "update-ref", "-d", f"refs/heads/{branch}")
    return head


def of_a_fork(world: World, branch: str, number: int) -> tuple[str, Path]:
    """The commit of a fork's pull request, and the bundle of its build."""
    head = head_of_a_fork(world, branch, number)
    root = world.clone("origin/main")
    world.git(root, "fetch", "-q", "origin", f"refs/pull/{number}/head")
    world.git(root, "checkout", "-q", "--detach", head)
    run = world.run(root, world.jenkins(branch, number, CHANGE_FORK="mallory"))
    assert run.record["publish"]["outcome"] == "skipped", run.out + run.err
    return head, root / ".mlbutler" / "bundle.zip"


@pytest.fixture(scope="module")
def fork(world: World) -> tuple[str, Path]:
    """The pull request 1 of a fork."""
    found = of_a_fork(world, "fork", 1)
    assert comments(world) == []
    return found


def publish(world: World, bundle: Path, head: str, **more: str) -> Run:
    """The trusted job, on the target branch."""
    environ = {"JENKINS_URL": "http://jenkins.example/", "BUILD_URL": "http://jenkins.example/job/forks/1/",
               "GIT_URL": str(world.bare), "BRANCH_NAME": "main", **more}  # fmt: skip
    return world.run(world.clone("origin/main"), environ, "--bundle", str(bundle), "--head", head, verb="publish")


def comments(world: World) -> list[str]:
    return [path.read_text() for path in sorted(world.forge.rglob("*.md"))]


def test_the_result_of_a_fork_is_published_as_not_verified(world: World, fork: tuple[str, Path]) -> None:
    head, bundle = fork
    shutil.rmtree(world.forge, ignore_errors=True)
    run = publish(world, bundle, head)
    assert run.code == 0, run.out + run.err
    (comment,) = comments(world)
    assert "this is what the build of a fork says, and not verified" in comment
    assert "accuracy" in comment
    assert f"from a fork%2C not verified head={head}" in comment
    assert "**What to do**" not in comment
    assert "mlbutler run" not in comment, "nobody is asked to run it"
    again = publish(world, bundle, head)
    assert again.code == 0
    assert len(comments(world)) == 1
    assert not [path for path in world.forge.rglob("*") if path.is_file() and "status" in path.name]


def test_github_runs_it_after_the_fork_s_run(world: World, fork: tuple[str, Path], tmp_path: Path) -> None:
    head, bundle = fork
    shutil.rmtree(world.forge, ignore_errors=True)
    run = {"event": "pull_request", "head_sha": head, "head_branch": "fork",
           "head_repository": {"full_name": "mallory/r"}, "repository": {"full_name": "o/r"}}  # fmt: skip
    (tmp_path / "event.json").write_text(json.dumps({"workflow_run": run}))
    root = world.clone("origin/main")
    environ = {
        "GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "workflow_run",
        "GITHUB_EVENT_PATH": str(tmp_path / "event.json"),
        "GITHUB_SHA": world.git(root, "rev-parse", "HEAD"), "GITHUB_REF": "refs/heads/main", "GITHUB_REF_NAME": "main",
        "GITHUB_REPOSITORY": "o/r", "MLBUTLER_GIT_URL": str(world.bare), "MLBUTLER_PUBLISH_HEAD": head,
    }  # fmt: skip
    done = world.run(root, environ, "--bundle", str(bundle), verb="publish")
    assert done.code == 0, done.out + done.err
    assert any(f"head={head}" in comment for comment in comments(world))
    world.git(root, "fetch", "-q", "origin", "refs/pull/1/head")
    world.git(root, "checkout", "-q", "FETCH_HEAD")
    wrong = world.run(root, environ, "--bundle", str(bundle), verb="publish")
    assert (wrong.code, "build of a fork's change" in wrong.err) == (2, True), wrong.out + wrong.err


def test_numbers_that_no_run_can_have_are_refused(world: World, fork: tuple[str, Path], tmp_path: Path) -> None:
    head, bundle = fork
    before = comments(world)
    with zipfile.ZipFile(bundle) as archive:
        record = json.loads(archive.read("record.json"))
    record["test"]["duration"] = float("inf")
    content = json.dumps(record).encode()
    manifest = {"record.json": {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}}
    forged = tmp_path / "bundle.zip"
    with zipfile.ZipFile(forged, "w") as archive:
        archive.writestr("manifest.json", json.dumps({"version": 1, "files": manifest}))
        archive.writestr("record.json", content)
    run = publish(world, forged, head)
    assert (run.code, "its record cannot be shown" in run.err) == (1, True), run.out + run.err
    assert comments(world) == before


def test_a_bundle_that_claims_another_change_is_refused(world: World, fork: tuple[str, Path]) -> None:
    head, bundle = fork
    other, of_other = of_a_fork(world, "other", 3)
    before = comments(world)
    run = publish(world, of_other, head)
    assert (run.code, "and the build was of" in run.err) == (1, True), run.err
    world.git(world.bare, "update-ref", "refs/pull/1/head", other)  # it moved on
    run = publish(world, bundle, head)
    assert (run.code, "is not the head of pull request 1" in run.err) == (1, True), run.err
    world.git(world.bare, "update-ref", "refs/pull/1/head", head)
    world.git(world.bare, "update-ref", "refs/heads/ours", head)
    run = publish(world, bundle, head)
    assert (run.code, "whose own build reports it" in run.err) == (1, True), run.err
    world.git(world.bare, "update-ref", "-d", "refs/heads/ours")
    run = publish(world, bundle, "main")
    assert (run.code, "not a full commit id" in run.err) == (2, True), run.err
    run = publish(world, bundle, head, CHANGE_ID="9", CHANGE_FORK="mallory", BRANCH_NAME="PR-9", CHANGE_TARGET="main")
    assert run.code == 2
    assert comments(world) == before


def test_the_record_of_a_change_of_ours_becomes_no_bundle(world: World) -> None:
    run = world.change("own", {"params.yaml": params(0.03)}, number=4)
    assert run.code == 0, run.out + run.err
    assert not (run.root / ".mlbutler" / "bundle.zip").exists()


def test_it_is_said_as_json(world: World, fork: tuple[str, Path]) -> None:
    head, bundle = fork
    environ = {"MLBUTLER_PUBLISH_JSON": "true"}
    run = publish(world, bundle, head, **environ)
    assert json.loads(run.out)["number"] == "1", run.err


# ----------------------------------------------------------------------------------------- on GitLab


def test_what_forks_pipelines_left_on_gitlab_is_published_by_a_schedule(world: World) -> None:
    server, left = FakeForge(GitLab()), {}
    gitlab = server.dialect
    assert isinstance(gitlab, GitLab)
    gitlab.pulls.clear()
    for number, branch in ((31, "good"), (32, "tampered"), (33, "hidden"), (34, "moved")):
        if branch in ("good", "moved"):
            head, bundle = of_a_fork(world, f"gitlab-{branch}", number)
            left[number] = bundle.read_bytes()
        else:  # whose bundles are never its own, or never seen
            head, left[number] = head_of_a_fork(world, f"gitlab-{branch}", number), left[31]
        world.git(world.bare, "update-ref", f"refs/merge-requests/{number}/head", head)
        gitlab.pulls.append(Pull(number, head, branch))
        gitlab.forks[number] = {"source_project_id": 50 + number}
        gitlab.run[number] = [{"id": number, "sha": head, "project_id": 50 + number}]
        gitlab.files[f"{50 + number}/{10 + number}/.mlbutler/bundle.zip"] = left[number]
    gitlab.pulls.append(Pull(35, "c" * 40, "of the project's own"))
    gitlab.files["82/42/.mlbutler/bundle.zip"] = left[31]  # another change's
    gitlab.private.add("83")
    gitlab.pulls[3] = dataclasses.replace(gitlab.pulls[3], head="d" * 40)  # its pipeline was of an earlier head
    told = {"GITLAB_CI": "true", "CI_COMMIT_BRANCH": "main", "MLBUTLER_GIT_URL": str(world.bare),
            "CI_COMMIT_SHA": world.git(world.bare, "rev-parse", "main"),
            "MLBUTLER_FORGE_KIND": "gitlab", "MLBUTLER_FORGE_URL": server.url, "MLBUTLER_FORGE_TOKEN": TOKEN,
            "MLBUTLER_FORGE_REPOSITORY": gitlab.repository}  # fmt: skip
    for _ in range(2):
        run = world.run(world.clone("origin/main"), told, "--forks", "mlbutler", verb="publish")
        assert (run.code, run.err.count("The bundle is refused")) == (1, 1), run.out + run.err
        assert [note.on for note in gitlab.notes] == ["31"]
        assert "and not verified" in gitlab.notes[0].body
    assert gitlab.statuses == []
    folder = world.run(world.clone("origin/main"), {"CI": ""}, "--forks", "mlbutler", verb="publish")
    assert (folder.code, "no forge with comments" in folder.err) == (2, True)
    server.shutdown()
    server.server_close()
    assert server.violations == []
