"""Where am I: each CI server's environment with real clones."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mlbutler.change.detect import detect
from mlbutler.errors import UsageError
from mlbutler.git import Done, Git
from mlbutler.git.address import RemoteAccess, parse_git_address
from mlbutler.record import Change
from mlbutler.settings import ProjectSettings, Settings
from tests.conftest import GitCommand, as_ada

JENKINS = {"JENKINS_URL": "http://j/", "BUILD_URL": "http://j/1/", "CHANGE_ID": "7", "CHANGE_TARGET": "main",
           "CHANGE_BRANCH": "feature", "BRANCH_NAME": "PR-7"}  # fmt: skip


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what `origin` gives each test."""
    folder = tmp_path_factory.mktemp("master")
    author = folder / "author"
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("GIT_TEMPLATE_DIR", str(folder / "none"))  # sample hooks are many files
        as_ada(folder, "init", "-q", "--bare", "origin.git")
        as_ada(folder, "clone", "-q", "origin.git", "author")
    as_ada(author, "remote", "set-url", "origin", "../origin.git")
    as_ada(author, "checkout", "-q", "-b", "main")
    for name, branch in (("one", "main"), ("work", "feature"), ("two", "main")):
        if name != "one":
            as_ada(author, "checkout", "-q", *(["-b"] if name == "work" else []), branch)
        (author / name).write_text(name)
        as_ada(author, "add", "-A")
        as_ada(author, "commit", "-qm", name)
    as_ada(author, "push", "-q", "origin", "main", "feature")
    return folder


@pytest.fixture
def origin(master: Path, tmp_path: Path) -> Path:
    """main: one, two; feature: from one, its own commit."""
    for name in ("origin.git", "author"):
        shutil.copytree(master / name, tmp_path / name, symlinks=True)
    return tmp_path / "origin.git"


def clone(origin: Path, git: GitCommand, rev: str, *args: str) -> Path:
    target = origin.parent / "clone"
    git(origin.parent, "clone", "-q", *args, f"file://{origin}", str(target))
    git(target, "checkout", "-q", "--detach", rev)
    return target


def detect_change(directory: Path, environ: dict[str, str], against: str | None = None, **project: str) -> Change:
    return detect(Git(directory), environ, Settings(project=ProjectSettings(**project)), against)


def test_a_jenkins_pull_request_at_its_head(origin: Path, git: GitCommand) -> None:
    work = clone(origin, git, "origin/feature")
    change = detect_change(work, JENKINS)
    assert (change.ci, change.kind, change.number, change.fork, change.merge) == (
        "jenkins", "pull-request", "7", False, False,
    )  # fmt: skip
    assert change.head == git(work, "rev-parse", "origin/feature")
    assert change.base == git(work, "rev-parse", "origin/main^")


def test_a_merge_that_jenkins_made_is_told_from_the_head(origin: Path, git: GitCommand) -> None:
    work = clone(origin, git, "origin/main")
    git(work, "merge", "-q", "--no-edit", "origin/feature")
    change = detect_change(work, JENKINS)
    assert change.merge
    assert change.head == git(work, "rev-parse", "origin/feature")
    assert change.checkout == git(work, "rev-parse", "HEAD")


def test_a_merge_that_the_author_pushed_is_his_head(origin: Path, git: GitCommand) -> None:
    author = origin.parent / "author"
    git(author, "checkout", "-q", "feature")
    git(author, "merge", "-q", "--no-edit", "main")
    git(author, "push", "-q", "origin", "feature")
    work = clone(origin, git, "origin/feature")
    change = detect_change(work, JENKINS)
    assert not change.merge
    assert change.head == change.checkout


def test_dagshub_s_branch_source_gives_the_number_in_the_branch_s_name(origin: Path, git: GitCommand) -> None:
    work = clone(origin, git, "origin/feature")
    environ = JENKINS | {"CHANGE_ID": "918273", "BRANCH_NAME": "PR-7-MERGE"}
    assert detect_change(work, environ).number == "7"


def test_a_fork_s_branch_called_like_ours_is_a_fork(origin: Path, git: GitCommand) -> None:
    work = clone(origin, git, "origin/feature")
    (work / "evil").write_text("x")
    git(work, "add", "-A")
    git(work, "commit", "-qm", "not in our repository")
    assert detect_change(work, JENKINS).fork
    assert detect_change(work, JENKINS | {"CHANGE_FORK": "mallory"}).fork


def test_a_shallow_clone_gets_what_it_lacks(origin: Path, git: GitCommand) -> None:
    work = clone(origin, git, "HEAD", "--depth=1", "--branch=feature")
    change = detect_change(work, JENKINS)
    assert change.base == git(origin, "rev-parse", "main^")


def test_github_s_merge_and_its_event_file(origin: Path, git: GitCommand, tmp_path: Path) -> None:
    work = clone(origin, git, "origin/main")
    git(work, "merge", "-q", "--no-edit", "origin/feature")
    head = git(work, "rev-parse", "origin/feature")
    pull = {"number": 5, "title": "t", "html_url": "u", "user": {"login": "ada"}, "base": {"ref": "main"},
            "head": {"sha": head, "ref": "feature", "repo": {"full_name": "o/r"}}}  # fmt: skip
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"pull_request": pull}))
    environ = {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "pull_request", "GITHUB_REPOSITORY": "o/r",
               "GITHUB_EVENT_PATH": str(event)}  # fmt: skip
    change = detect_change(work, environ)
    assert (change.number, change.head, change.merge, change.fork) == ("5", head, True, False)
    assert change.note == ""
    assert detect_change(work, environ | {"GITHUB_REPOSITORY": "other/r"}).fork


@pytest.mark.parametrize("event", [None, "", "[]", "{}", '{"pull_request": {"number": 5}}', "{"])
@pytest.mark.parametrize("name", ["pull_request", "pull_request_target"])
def test_on_github_a_pull_request_of_unknown_origin_is_a_fork_s(
    origin: Path, git: GitCommand, tmp_path: Path, event: str | None, name: str
) -> None:
    work = clone(origin, git, "origin/feature^" if name == "pull_request_target" else "origin/feature")
    path = tmp_path / "event.json"
    if event is not None:
        path.write_text(event)
    environ = {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": name, "GITHUB_REPOSITORY": "o/r",
               "GITHUB_HEAD_REF": "feature", "GITHUB_BASE_REF": "main", "GITHUB_EVENT_PATH": str(path)}  # fmt: skip
    change = detect_change(work, environ)
    assert change.fork
    assert "GITHUB_EVENT_PATH" in change.note


def test_gitlab_merge_requests_and_their_forks(origin: Path, git: GitCommand) -> None:
    work = clone(origin, git, "origin/feature")
    environ = {"GITLAB_CI": "true", "CI_MERGE_REQUEST_IID": "3", "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "feature",
               "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main", "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "1",
               "CI_MERGE_REQUEST_PROJECT_ID": "1"}  # fmt: skip
    change = detect_change(work, environ)
    assert (change.ci, change.number, change.fork) == ("gitlab-ci", "3", False)
    assert detect_change(work, environ | {"CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "2"}).fork


def test_a_laptop_on_its_branch_and_on_the_target(origin: Path, git: GitCommand) -> None:
    author = origin.parent / "author"
    git(author, "checkout", "-q", "feature")
    change = detect_change(author, {})
    assert (change.ci, change.kind, change.head_branch) == ("local", "local", "feature")
    assert change.base == git(author, "rev-parse", "main^")
    git(author, "checkout", "-q", "main")
    assert detect_change(author, {}).base == git(author, "rev-parse", "main^")
    (author / "one").write_text("edited")
    assert detect_change(author, {}).base == git(author, "rev-parse", "main")


def test_a_target_that_does_not_exist_is_an_error_that_names_near_ones(origin: Path, git: GitCommand) -> None:
    work = clone(origin, git, "origin/feature")
    with pytest.raises(UsageError, match="'mian' does not exist") as error:
        detect_change(work, JENKINS | {"CHANGE_TARGET": "mian"})
    assert "main" in error.value.remedy
    with pytest.raises(UsageError, match="no revision 'nowhere'"):
        detect_change(work, {}, against="nowhere")


def test_unrelated_histories_have_no_base(origin: Path, git: GitCommand) -> None:
    work = clone(origin, git, "origin/feature")
    git(work, "checkout", "-q", "--orphan", "island")
    git(work, "commit", "-qm", "island")
    assert detect_change(work, {}, against="origin/main").base is None


def test_a_password_in_the_remote_s_url_is_not_kept(origin: Path, git: GitCommand) -> None:
    work = clone(origin, git, "origin/feature")
    git(work, "remote", "set-url", "origin", "https://ada:hunter2@forge.invalid/x.git")
    subprocess.run(
        ["git", "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main"], cwd=work, check=True
    )
    assert detect_change(work, {}).repository == "https://forge.invalid/x.git"


# ---------------------------------------------------------------------------------------------- a laptop


def test_a_laptop_tells_what_is_not_committed_and_whether_the_commit_is_pushed(origin: Path, git: GitCommand) -> None:
    work = clone(origin, git, "origin/feature")
    git(work, "checkout", "-q", "-b", "own")
    change = detect_change(work, {})
    assert (change.uncommitted, change.uncommitted_count, change.pushed, change.on_target) == ((), 0, True, False)
    (work / "one").write_text("edited")
    (work / "new").write_text("new")
    (work / ".mlbutler").mkdir()
    (work / ".mlbutler" / "record.json").write_text("{}")
    assert detect_change(work, {}).uncommitted == ("one", "new")
    git(work, "add", "one", "new")
    git(work, "commit", "-qm", "own")
    assert (detect_change(work, {}).uncommitted_count, detect_change(work, {}).pushed) == (0, False)
    for number in range(30):
        (work / f"n{number}").write_text("")
    assert (len(detect_change(work, {}).uncommitted), detect_change(work, {}).uncommitted_count) == (20, 30)
    on_server = detect_change(work, JENKINS)
    assert (on_server.uncommitted_count, on_server.pushed) == (0, True)


def test_the_target_branch_itself_is_said_to_be_it(origin: Path, git: GitCommand) -> None:
    work = clone(origin, git, "origin/main")
    git(work, "checkout", "-q", "-B", "main", "origin/main")
    change = detect_change(work, {})
    assert (change.on_target, change.base) == (True, git(work, "rev-parse", "main^"))
    (work / "one").write_text("edited")
    assert (detect_change(work, {}).on_target, detect_change(work, {}).base) == (True, change.head)
    assert detect_change(work, {}, against="main~1").on_target is False


@pytest.mark.parametrize("own", ["git", "private"])
def test_both_branches_come_by_one_request(
    origin: Path, git: GitCommand, monkeypatch: pytest.MonkeyPatch, own: str
) -> None:
    work = clone(origin, git, "origin/feature")
    author = origin.parent / "author"
    git(author, "commit", "-q", "--allow-empty", "-m", "three")
    git(author, "push", "-q", "origin", "main")
    asked: list[tuple[str, ...]] = []
    fetch = Git.fetch

    def record_fetch(self: Git, remote: str, *refspecs: str, **options: Any) -> Done:
        asked.append(refspecs)
        return fetch(self, remote, *refspecs, **options)

    monkeypatch.setattr(Git, "fetch", record_fetch)
    directory = Git(work)
    if own == "private":
        directory = directory.reaching(RemoteAccess(parse_git_address(f"file://{origin}"), fresh=False))
    change = detect(directory, JENKINS, Settings())
    assert (change.fork, change.head) == (False, git(work, "rev-parse", "HEAD"))
    assert change.base == git(author, "rev-parse", "main~2")
    assert git(work, "rev-parse", "origin/main") == git(author, "rev-parse", "main")
    assert [len(refs) for refs in asked] == [2]


def test_a_branch_that_is_gone_takes_nothing_from_the_other(origin: Path, git: GitCommand) -> None:
    work = clone(origin, git, "origin/feature")
    git(origin, "update-ref", "-d", "refs/heads/feature")
    change = detect_change(work, JENKINS)
    assert change.fork  # nothing shows that it is ours
    assert change.base == git(work, "rev-parse", "origin/main^")


def merges(origin: Path, git: GitCommand, *files: str) -> tuple[Path, list[str]]:
    """A clone of main and of a branch that have texts of their own in `files`, with their commits."""
    author = origin.parent / "author"
    for branch, text in (("main", "ours"), ("feature", "theirs")):
        git(author, "checkout", "-q", branch)
        for name in files:
            (author / name).write_text(text)
        git(author, "add", "-A")
        git(author, "commit", "-q", "--allow-empty", "-m", text)
    git(author, "push", "-q", "origin", "main", "feature")
    work = clone(origin, git, "origin/main")
    heads = [git(work, "rev-parse", name) for name in ("origin/main", "origin/feature")]
    return work, heads


BUILDER = {"JENKINS_URL": "http://j/", "BUILD_URL": "http://j/1/", "ghprbPullId": "7", "ghprbTargetBranch": "main",
           "ghprbSourceBranch": "feature"}  # fmt: skip


def test_a_merge_that_the_server_made_of_our_branches_is_ours(origin: Path, git: GitCommand) -> None:
    work, heads = merges(origin, git)
    git(work, "merge", "-q", "--no-edit", heads[1])
    assert not detect_change(work, BUILDER).fork


def test_a_commit_that_resolves_a_conflict_of_our_branches_is_not_git_s_own_merge(
    origin: Path, git: GitCommand
) -> None:
    work, (main, feature) = merges(origin, git, "both")
    tree = git(work, "rev-parse", "HEAD^{tree}")
    theirs = git(work, "commit-tree", tree, "-p", main, "-p", feature, "-m", "a fork's, with our branches as parents")
    git(work, "checkout", "-q", "--detach", theirs)
    assert detect_change(work, BUILDER).fork


# ---------------------------------------------------------------------------------- an approved commit of a fork

FORK = JENKINS | {"CHANGE_FORK": "mallory", "CHANGE_BRANCH": "main"}


def approval(commit: str) -> dict[str, str]:
    return {"MLBUTLER_APPROVED": f"{commit} ada"}


def test_the_approved_commit_of_a_fork_is_trusted_and_its_branch_is_not_ours(origin: Path, git: GitCommand) -> None:
    work = clone(origin, git, "origin/main")
    git(work, "commit", "-q", "--allow-empty", "-m", "theirs")
    head = git(work, "rev-parse", "HEAD")
    assert not detect_change(work, FORK).trusted
    change = detect_change(work, FORK | approval(head))
    assert (change.fork, change.approved, change.trusted, change.head_branch) == (True, "ada", True, None)
    assert not detect_change(work, FORK | approval(head)).same_work(detect_change(work, FORK))


def test_a_push_after_the_approval_voids_it(origin: Path, git: GitCommand) -> None:
    work = clone(origin, git, "origin/main")
    git(work, "commit", "-q", "--allow-empty", "-m", "read by somebody")
    read = git(work, "rev-parse", "HEAD")
    git(work, "commit", "-q", "--allow-empty", "-m", "pushed since")
    for told in (approval(read), approval("0" * 40), {}):
        change = detect_change(work, FORK | told)
        assert (change.trusted, change.approved, change.head_branch) == (False, "", "main")


def test_a_merge_of_the_approved_commit_counts_where_git_makes_the_same(origin: Path, git: GitCommand) -> None:
    work = clone(origin, git, "origin/feature")
    git(work, "commit", "-q", "--allow-empty", "-m", "theirs")
    head = git(work, "rev-parse", "HEAD")
    git(work, "checkout", "-q", "--detach", "origin/main")
    git(work, "merge", "-q", "--no-edit", head)
    change = detect_change(work, FORK | approval(head))
    assert (change.merge, change.head, change.approved) == (True, head, "ada")
    (work / "evil").write_text("x")  # a commit of theirs, whose parents are the approved one and the target
    git(work, "add", "-A")
    git(work, "commit", "-q", "--amend", "--no-edit")
    assert not detect_change(work, FORK | approval(head)).trusted


def test_what_a_comment_on_github_starts_is_what_is_checked_out(origin: Path, git: GitCommand, tmp_path: Path) -> None:
    work = clone(origin, git, "origin/feature")
    (tmp_path / "event.json").write_text(json.dumps({"issue": {"number": 7, "pull_request": {}}, "comment": {"id": 1}}))
    environ = {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "issue_comment", "GITHUB_REPOSITORY": "o/r",
               "GITHUB_EVENT_PATH": str(tmp_path / "event.json"), "GITHUB_REF_NAME": "main",
               "GITHUB_SHA": git(work, "rev-parse", "origin/main"), "MLBUTLER_APPROVED": ""}  # fmt: skip
    change = detect_change(work, environ)
    assert (change.number, change.fork, change.head_branch) == ("7", False, "feature")
    git(work, "commit", "-q", "--allow-empty", "-m", "theirs")
    assert not detect_change(work, environ).trusted
    change = detect_change(work, environ | approval(git(work, "rev-parse", "HEAD")))
    assert (change.number, change.fork, change.approved, change.head_branch) == ("7", True, "ada", None)


def test_a_job_of_gitlab_s_that_checks_out_another_commit_is_asked_whose_it_is(origin: Path, git: GitCommand) -> None:
    work = clone(origin, git, "origin/main")
    environ = {"GITLAB_CI": "true", "CI_COMMIT_BRANCH": "main", "CI_COMMIT_SHA": git(work, "rev-parse", "HEAD")}
    assert not detect_change(work, environ).fork
    git(work, "commit", "-q", "--allow-empty", "-m", "theirs, as of refs/merge-requests/7/head")
    assert detect_change(work, environ).fork


def test_an_approval_makes_nobody_s_own_change_a_fork_s(origin: Path, git: GitCommand) -> None:
    work = clone(origin, git, "origin/feature")
    change = detect_change(work, JENKINS | approval(git(work, "rev-parse", "HEAD")))
    assert (change.fork, change.approved, change.head_branch) == (False, "", "feature")


@pytest.mark.parametrize("value", [
    "yes", "ada", "a" * 40, f"{'a' * 39} ada", f"{'A' * 40} ada", f"{'a' * 40} ada grace", f"{'a' * 40}\nada",
    f"{'a' * 40} <b>", f"{'a' * 40} \u0430da",
])  # fmt: skip
def test_a_value_that_is_no_approval_is_an_error(origin: Path, git: GitCommand, value: str) -> None:
    work = clone(origin, git, "origin/feature")
    with pytest.raises(UsageError, match="MLBUTLER_APPROVED"):
        detect_change(work, JENKINS | {"MLBUTLER_APPROVED": value})


def test_a_branch_that_shares_its_name_with_a_tag_is_known_by_it(origin: Path, git: GitCommand) -> None:
    work = clone(origin, git, "origin/main")
    git(work, "checkout", "-q", "main")
    git(work, "tag", "main")
    change = detect_change(work, {})
    assert (change.head_branch, change.on_target) == ("main", True)


def test_a_laptops_clone_tells_its_target_and_what_is_pushed(origin: Path, git: GitCommand) -> None:
    work = clone(origin, git, "origin/main")
    git(work, "checkout", "-q", "feature")
    assert (detect_change(work, {}).target_branch, detect_change(work, {}).pushed) == ("main", True)
    git(work, "remote", "set-head", "origin", "feature")
    assert (detect_change(work, {}).target_branch, detect_change(work, {}).on_target) == ("feature", True)
    git(work, "checkout", "-q", "--detach", "feature~1")
    assert detect_change(work, {}).pushed  # contained, and no branch's tip
    git(work, "commit", "-q", "--allow-empty", "-m", "mine")
    assert not detect_change(work, {}).pushed
    git(work, "remote", "set-head", "origin", "--delete")
    assert detect_change(work, {}).target_branch == "main"  # the remote is asked
