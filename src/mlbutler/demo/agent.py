"""Play the CI server of the demo world: open pull requests on the forge and build them as a Jenkins agent does."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from mlbutler.console import Console
from mlbutler.demo.world import StoryBroken, World
from mlbutler.record import Record
from mlbutler.record_file import latest_record, read_record

_SERVER = "http://jenkins.invalid"
_JOB = "digits"


@dataclass(frozen=True)
class DemoPullRequest:
    """A pull request on the folder forge."""

    number: int
    title: str
    branch: str
    target: str
    file: Path


@dataclass(frozen=True)
class FinishedBuild:
    """One finished build: where it ran, its exit code, wall-clock seconds, and what it recorded."""

    workspace: Path
    exit_code: int
    seconds: float
    record: Record

    @property
    def downloaded(self) -> int:
        """Return the bytes that came from the mirror or a remote."""
        moved = self.record.sync.moved if self.record.sync else ()
        return sum(item.bytes for item in moved if item.place != "cache")

    @property
    def uploaded(self) -> int:
        """Return the bytes that went to the shared remote."""
        moved = self.record.push.moved if self.record.push else ()
        return sum(item.bytes for item in moved if item.place not in ("cache", "mirror"))


def open_pull_request(world: World, number: int, title: str, branch: str, target: str = "main") -> DemoPullRequest:
    """Put a pull request on the forge."""
    file = world.forge / "pull-requests" / str(number) / "pull-request.json"
    file.parent.mkdir(parents=True)
    content = {"number": number, "title": title, "branch": branch, "target": target, "author": "ada", "state": "open"}
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return DemoPullRequest(number, title, branch, target, file)


def build(world: World, pull_request: DemoPullRequest, number: int, console: Console) -> FinishedBuild:
    """Run build `number` of a pull request: a fresh clone in a workspace of its own, then ``mlbutler run``.

    Raises:
        StoryBroken: the run left no record.
    """
    name = f"PR-{pull_request.number}"
    workspace = world.workspaces / f"{_JOB}_{name}-{number}"
    commit = _check_out(world, pull_request, workspace)
    environ = world.environ() | {
        "JENKINS_URL": f"{_SERVER}/",
        "JOB_NAME": f"{_JOB}/{name}",
        "JOB_URL": f"{_SERVER}/job/{_JOB}/view/change-requests/job/{name}/",
        "BUILD_NUMBER": str(number),
        "BUILD_ID": str(number),
        "BUILD_TAG": f"jenkins-{_JOB}-{name}-{number}",
        "BUILD_URL": f"{_SERVER}/job/{_JOB}/view/change-requests/job/{name}/{number}/",
        "NODE_NAME": "demo-agent",
        "EXECUTOR_NUMBER": "0",
        "WORKSPACE": str(workspace),
        "CI": "true",
        "BRANCH_NAME": name,
        "CHANGE_ID": str(pull_request.number),
        "CHANGE_URL": f"file://{quote(str(pull_request.file))}",
        "CHANGE_TITLE": pull_request.title,
        "CHANGE_AUTHOR": "ada",
        "CHANGE_BRANCH": pull_request.branch,
        "CHANGE_TARGET": pull_request.target,
        "GIT_BRANCH": name,
        "GIT_COMMIT": commit,
        "GIT_URL": str(world.repository),
        "MLBUTLER_DATA_MIRROR": str(world.mirror),
        "MLBUTLER_FORGE_URL": str(world.forge),
        # A world in /tmp has its programs where isolated code has a folder of its own.
        "MLBUTLER_ISOLATION_READABLE": json.dumps([str(path) for path in world.programs()]),
    }
    console.line(f"  $ cd {workspace} && mlbutler run")
    done = world.call("mlbutler", ["run"], cwd=workspace, environ=environ, console=console)
    record = read_record(latest_record(workspace))
    if record is None:
        raise StoryBroken(
            f"Build {number} of pull request {pull_request.number} (exit code {done.exit_code}) left no record.",
            f"Look at its output above and into {workspace}.",
        )
    return FinishedBuild(workspace, done.exit_code, done.seconds, record)


def _check_out(world: World, pull_request: DemoPullRequest, workspace: Path) -> str:
    """Leave what Jenkins' git plugin leaves: one fetched ref, a detached HEAD, no identity; return the commit."""
    name = f"PR-{pull_request.number}"
    reference = f"refs/pull/{pull_request.number}/head"
    world.git(world.repository).run("update-ref", reference, f"refs/heads/{pull_request.branch}")
    workspace.mkdir()
    git = world.git(workspace)
    git.run("init", "--quiet")
    git.run("config", "remote.origin.url", str(world.repository))
    git.run("config", "remote.origin.fetch", f"+{reference}:refs/remotes/origin/{name}")
    git.run("fetch", "--quiet", "--no-tags", "--force", "origin", f"+{reference}:refs/remotes/origin/{name}")
    commit = git.resolve(f"refs/remotes/origin/{name}")
    assert commit is not None
    git.run("checkout", "--quiet", "--force", commit)
    return commit
