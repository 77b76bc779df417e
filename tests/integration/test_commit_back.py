"""Committing the results back: over HTTP with a password, while the author works, in clones that are not plain."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from mlbutler import dsse, isolation
from tests import forked_python
from tests.git_server import GitServer
from tests.integration.world import TRAIN, Run, World, make, params
from tests.test_dsse import KEY, PUBLIC

SIGNING = {"MLBUTLER_SIGNING_KEY": KEY, "MLBUTLER_ISOLATION_MODE": "require"}
SIGNERS = {"MLBUTLER_VERIFY_SIGNERS": json.dumps([f"ci {PUBLIC}"])}
needs_bubblewrap = pytest.mark.skipif(bool(isolation.problem()), reason=isolation.problem())
ATTESTATIONS = "refs/notes/mlbutler-attestations"
TOKEN = "git-t0ken-f0r-tests"
FILES = {"dvc.lock", "metrics.json", "curve.csv"}


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A pull request that was reproduced and pushed, and not yet committed: `build-1`."""
    world = make(tmp_path_factory.mktemp("reproduced") / "world")
    run = world.change("better", {"params.yaml": params(0.05)}, "--skip", "commit,report,publish")
    assert run.code == 0, run.err
    return world


@pytest.fixture
def ready(reproduced: World, tmp_path: Path) -> World:
    target = tmp_path / "world"
    shutil.copytree(reproduced.directory, target, symlinks=True)
    world = World(target, clones=reproduced.clones)
    world.git(world.author, "remote", "set-url", "origin", str(world.bare))
    world.git(target / "build-1", "remote", "set-url", "origin", str(world.bare))
    record = target / "build-1" / ".mlbutler" / "record.json"
    record.write_text(record.read_text().replace(str(reproduced.directory), str(target)))
    return world


def commit(world: World, environ: Mapping[str, str] | None = None) -> Run:
    return world.run(world.directory / "build-1", world.jenkins("better") | dict(environ or {}), verb="commit")


def tip(world: World, branch: str = "better") -> str:
    return world.git(world.bare, "rev-parse", f"refs/heads/{branch}")


def accuracy(world: World, rev: str) -> float:
    return float(json.loads(world.git(world.bare, "show", f"{rev}:metrics.json"))["accuracy"])


def test_the_results_stand_on_the_author_s_head(ready: World) -> None:
    head = tip(ready)
    run = commit(ready)
    assert run.code == 0, run.err
    assert tip(ready) == run.record["commit"]["commit"]
    assert ready.git(ready.bare, "rev-parse", "better^") == head
    assert set(ready.git(ready.bare, "diff", "--name-only", "better^", "better").splitlines()) == FILES
    assert f"Mlbutler-Reproduced: {head}" in ready.git(ready.bare, "log", "-1", "--format=%B", "better")
    assert commit(ready).record["commit"]["outcome"] == "passed"  # once more: it is found
    assert ready.git(ready.bare, "rev-parse", "better^") == head


def test_the_build_of_the_results_commit_keeps_what_is_known_of_the_one_that_ran(ready: World, tmp_path: Path) -> None:
    """On another agent: nothing but Git and the DVC remote is shared."""
    head = tip(ready)
    assert commit(ready, SIGNING).code == 0
    elsewhere = ready.jenkins("better", BUILD_URL="http://jenkins.example/job/x/2/") | SIGNERS
    elsewhere["MLBUTLER_DATA_MIRROR"] = str(tmp_path / "another-mirror")
    run = ready.run(ready.clone("origin/better"), elsewhere, "--skip", "publish")
    assert run.code == 0, run.err
    found = run.record["compare"]["earlier"]
    assert (found["commit"], found["head"]) == (tip(ready), head)
    assert found["url"] == "http://jenkins.example/job/x/1/"
    assert [(stage["name"], stage["outcome"]) for stage in found["stages"]] == [("train", "ran")]
    assert found["stages"][0]["duration"] > 0
    assert [(o["kind"], o["commit"]) for o in run.record["compare"]["new_origins"]] == [("earlier build", tip(ready))]
    assert [o["kind"] for o in run.record["compare"]["old_origins"]] == ["dvc.lock"]
    text = (run.root / ".mlbutler" / "report" / "report.md").read_text()
    if not isolation.problem():
        assert run.record["compare"]["new_origins"][0]["signer"] == "ci"
        assert ", as <code>ci</code> attests of <code>" in text
    assert "Nothing had to run in this build. The results are those of [an earlier build]" in text


KILLS = """#!/bin/sh
if [ -e {armed} ]; then
    case " $* " in *" {word} "*) rm {armed}; {act} kill -9 $PPID; exit 1;; esac
fi
exec {git} "$@"
"""


@pytest.mark.parametrize("word", ["commit-tree", "push"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_commit_that_was_killed_is_made_once_by_the_next(
    ready: World, tmp_path: Path, word: str, after: bool
) -> None:
    armed, git = tmp_path / "armed", shutil.which("git")
    armed.touch()
    (tmp_path / "bin").mkdir()
    wrapper = tmp_path / "bin" / "git"
    wrapper.write_text(KILLS.format(armed=armed, word=word, git=git, act=f'{git} "$@";' if after else ""))
    wrapper.chmod(0o755)
    head, environ = tip(ready), {"PATH": f"{wrapper.parent}{os.pathsep}{ready.base_environ()['PATH']}"}
    assert commit(ready, environ).code == -signal.SIGKILL
    assert not armed.exists()
    assert ready.git(ready.bare, "fsck", "--connectivity-only", "--no-dangling") in (
        "",
        "notice: HEAD points to an unborn branch",
    )
    again = commit(ready, environ)
    assert again.code == 0, again.out + again.err
    assert tip(ready) == again.record["commit"]["commit"]
    assert ready.git(ready.bare, "rev-parse", "better^") == head
    assert accuracy(ready, "better") == 0.95


def test_entries_of_stages_that_are_gone_are_taken_out_with_the_results(ready: World) -> None:
    lock = ready.directory / "build-1" / "dvc.lock"
    made = lock.read_text()
    lock.write_text(made.replace("stages:\n", "stages:\n  old name:\n    cmd: x\n    outs:\n    - path: model.txt\n"))
    run = commit(ready)
    assert (run.code, "taken out of dvc.lock: old name" in run.record["commit"]["reason"]) == (0, True), run.err
    assert ready.git(ready.bare, "show", "better:dvc.lock") == made.strip()
    assert lock.read_text() == made


def test_clone_index_and_work_tree_stay_as_they_are(ready: World) -> None:
    root = ready.directory / "build-1"
    (root / "staged.txt").write_text("staged by somebody\n")
    ready.git(root, "add", "staged.txt")
    (root / "loose.txt").write_text("lies around\n")
    before = (ready.git(root, "status", "--porcelain"), ready.git(root, "rev-parse", "HEAD"))
    assert commit(ready).code == 0
    assert (ready.git(root, "status", "--porcelain"), ready.git(root, "rev-parse", "HEAD")) == before
    assert set(ready.git(ready.bare, "diff", "--name-only", "better^", "better").splitlines()) == FILES


def test_the_user_s_git_settings_do_not_get_in_the_way(ready: World, tmp_path: Path) -> None:
    root = ready.directory / "build-1"
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(
        "[commit]\n gpgsign = true\n template = /no/such/template\n[user]\n useConfigOnly = true\n signingkey = none\n"
        "[core]\n autocrlf = true\n hooksPath = hooks\n[push]\n gpgSign = if-asked\n default = nothing\n"
    )
    hook = root / ".git" / "hooks" / "pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(hook.stat().st_mode | stat.S_IXUSR)
    run = commit(ready, {"HOME": str(home), "EMAIL": ""})
    assert run.code == 0, run.err
    assert accuracy(ready, "better") == 0.95
    assert "\r" not in ready.git(ready.bare, "show", "better:dvc.lock")


@pytest.fixture
def server(ready: World) -> Iterator[GitServer]:
    server = GitServer(ready.directory, "ci-bot", TOKEN)
    ready.git(ready.bare, "config", "http.receivepack", "true")
    ready.git(ready.directory / "build-1", "remote", "set-url", "origin", f"{server.url}/origin.git")
    record = ready.directory / "build-1" / ".mlbutler" / "record.json"
    record.write_text(record.read_text().replace(str(ready.bare), f"{server.url}/origin.git"))
    yield server
    server.close()


WATCHING = """#!/bin/sh
for word in "$@"; do printf '%s\\n' "$word" >> "{log}"; done
exec "{git}" "$@"
"""


def test_a_password_reaches_git_over_http_and_nothing_else(ready: World, server: GitServer, tmp_path: Path) -> None:
    git = shutil.which("git")
    watching, log = tmp_path / "bin" / "git", tmp_path / "words"
    watching.parent.mkdir()
    watching.write_text(WATCHING.format(log=log, git=git))
    watching.chmod(0o755)
    head = tip(ready)
    path = f"{watching.parent}:{ready.base_environ()['PATH']}"
    run = commit(ready, server.environ(TOKEN) | {"PATH": path})
    assert run.code == 0, run.err
    assert ready.git(ready.bare, "rev-parse", "better^") == head
    assert server.refused  # git asks without a password first
    words = log.read_text()
    assert "push" in words.splitlines()
    assert TOKEN not in words + run.out + run.err
    for file in ready.directory.rglob("*"):
        assert not (file.is_file() and TOKEN.encode() in file.read_bytes()), file


@needs_bubblewrap
def test_what_a_build_made_is_attested_beside_its_results(ready: World, server: GitServer) -> None:
    head, root = tip(ready), ready.directory / "build-1"
    run = commit(ready, server.environ(TOKEN) | SIGNING)
    assert run.code == 0, run.err
    assert run.record["commit"]["attested"] == ["train"], run.record["commit"]["reason"]
    assert run.record["commit"]["reason"].endswith("; attested: train")
    [line] = ready.git(ready.bare, "notes", f"--ref={ATTESTATIONS}", "show", "better").splitlines()
    assert dsse.parse_envelope(line).signer({"ci": PUBLIC}) == "ci"
    said = json.loads(dsse.parse_envelope(line).payload)["predicate"]
    assert said["buildDefinition"]["buildType"] == "urn:mlbutler:reproduced-stage:v1"
    assert said["buildDefinition"]["externalParameters"]["command"] == "python src/train.py"
    assert said["buildDefinition"]["internalParameters"]["isolation"].startswith("bubblewrap")
    assert {"name": "source", "digest": {"gitCommit": head}}.items() <= (
        said["buildDefinition"]["resolvedDependencies"][0].items()
    )
    assert said["runDetails"]["byproducts"] == [{"name": "results", "digest": {"gitCommit": tip(ready)}}]
    assert said["runDetails"]["metadata"]["invocationId"] == "http://jenkins.example/job/x/1/"
    model = next(one for one in json.loads(dsse.parse_envelope(line).payload)["subject"] if one["name"] == "model.txt")
    assert model["digest"]["sha256"] == hashlib.sha256((root / "model.txt").read_bytes()).hexdigest()
    secret = KEY.splitlines()[1].encode()
    for file in ready.directory.rglob("*"):
        content = file.read_bytes() if file.is_file() else b""
        assert TOKEN.encode() not in content, file
        assert secret not in content, file

    job = ready.jenkins("better") | server.environ(TOKEN) | SIGNING | SIGNERS
    again = ready.run(ready.clone("origin/better"), job, "--stage", "train", "--json", verb="verify")
    assert again.code == 0, again.err
    [told] = json.loads(again.out)["stages"][0]["attested"]
    assert told.startswith("reproduced, and attested by ci (urn:mlbutler:jenkins, 20")
    noted = json.loads(ready.git(ready.bare, "notes", "--ref=mlbutler", "show", "better"))
    assert noted["verified"] == {"train": "identical"}
    first, second = ready.git(ready.bare, "notes", f"--ref={ATTESTATIONS}", "show", "better").splitlines()
    assert first == line
    assert b'"urn:mlbutler:verified-stage:v1"' in dsse.parse_envelope(second).payload


def not_attested(world: World, more: Mapping[str, str]) -> str:
    run = commit(world, more)
    assert run.code == 0, run.err
    assert run.record["commit"]["attested"] == []
    assert ATTESTATIONS not in world.git(world.bare, "for-each-ref")
    return str(run.record["commit"]["reason"])


@needs_bubblewrap
def test_what_a_later_stage_could_have_changed_is_not_attested(ready: World) -> None:
    lock = ready.directory / "build-1" / "dvc.lock"
    assert "train.rate: 0.05" in lock.read_text()
    lock.write_text(lock.read_text().replace("train.rate: 0.05", "train.rate: 0.04"))
    assert "; not attested: train (dvc.lock at " in not_attested(ready, SIGNING)


@pytest.mark.parametrize(("mode", "recorded", "said"), [
    pytest.param("require", "off", "the stages ran in an earlier command and not isolated", marks=needs_bubblewrap),
    ("off", "off", "the stages ran in an earlier command, whose word counts only with isolation.mode = 'require'"),
    # The code of a `mlbutler reproduce --isolate off` can write that it was isolated.
    ("auto", "", "the stages ran in an earlier command, whose word counts only with isolation.mode = 'require'"),
])  # fmt: skip
def test_what_an_earlier_command_ran_without_isolation_is_not_attested(
    ready: World, mode: str, recorded: str, said: str
) -> None:
    record = ready.directory / "build-1" / ".mlbutler" / "record.json"
    content = json.loads(record.read_text())
    content["reproduce"]["isolation"] = recorded or content["reproduce"]["isolation"]
    record.write_text(json.dumps(content))
    assert f"; not attested: {said}" in not_attested(ready, {**SIGNING, "MLBUTLER_ISOLATION_MODE": mode})


def test_a_wrong_password_is_said_and_nothing_is_lost(ready: World, server: GitServer) -> None:
    head = tip(ready)
    run = commit(ready, server.environ("wr0ng-token"))
    assert run.code == 3
    assert "MLBUTLER_GIT_TOKEN" in run.err
    assert tip(ready) == head
    assert commit(ready, server.environ(TOKEN)).code == 0
    assert accuracy(ready, "better") == 0.95


def test_a_push_that_the_results_do_not_stand_on_goes_below_them(ready: World) -> None:
    pushed = ready.branch("better", {"README.md": "words"}, start="better")
    run = commit(ready)
    assert run.code == 0, run.err
    assert ready.git(ready.bare, "rev-parse", "better^") == pushed
    assert accuracy(ready, "better") == 0.95


@pytest.mark.parametrize("path", ["params.yaml", "src/train.py", "dvc.lock", "data/raw.dvc"])
def test_a_push_that_outdates_the_results_keeps_them_aside(ready: World, path: str) -> None:
    content = (ready.author / path).read_text() + "\n# changed\n"
    pushed = ready.branch("better", {path: content}, start="better")
    run = commit(ready)
    assert run.code == 1, run.out
    assert tip(ready) == pushed
    check = run.record["check"]
    assert (check["outcome"], check["remedy"]) == ("failed", run.record["commit"]["fetch_command"])
    result = run.record["commit"]
    assert (result["outcome"], path in result["reason"]) == ("skipped", True)
    assert taken_by_hand(ready, result["fetch_command"]) == 0.95


def taken_by_hand(world: World, command: str) -> float:
    """The author pastes the command, on the head that was reproduced."""
    clone = world.clone("origin/main")
    world.git(clone, "checkout", "-q", "-b", "mine", json.loads(
        (world.directory / "build-1" / ".mlbutler" / "record.json").read_text())["change"]["head"])  # fmt: skip
    programs = world.directory / "programs"
    programs.mkdir()
    forked_python.write_program(programs / "dvc", "dvc")
    world.shell(clone, "env", f"PATH={programs}{os.pathsep}{world.base_environ()['PATH']}", "sh", "-c", command)
    assert world.shell(clone, "python", "-m", "dvc", "status", "--json") == "{}"
    return float(json.loads((clone / "metrics.json").read_text())["accuracy"])


def meanwhile(world: World, *words: str) -> Run:
    """The whole run of a pull request; while its stage runs, somebody pushes."""
    command = ["git", "-C", str(world.author), "push", "-q", "-f", "origin", *words]
    train = f"import subprocess\nsubprocess.run({command!r}, check=True)\n{TRAIN}"
    return world.change("better", {"src/train.py": train, "params.yaml": params(0.05)})


def test_a_branch_that_is_rewritten_meanwhile_is_never_overwritten(world: World) -> None:
    other = world.branch("other", {"params.yaml": params(0.03)}, "another try")
    run = meanwhile(world, f"{other}:refs/heads/better")
    assert (run.code, tip(world)) == (1, other), run.err
    assert "rewritten" in run.record["commit"]["reason"]
    assert taken_by_hand(world, run.record["commit"]["fetch_command"]) == 0.95


def test_a_branch_that_is_deleted_meanwhile_is_not_made_again(world: World) -> None:
    run = meanwhile(world, ":better")
    assert run.code == 1, run.err
    assert "gone" in run.record["commit"]["reason"]
    assert world.git(world.bare, "for-each-ref", "refs/heads/better") == ""
    assert taken_by_hand(world, run.record["commit"]["fetch_command"]) == 0.95


def test_a_protected_branch_says_what_the_server_said(ready: World) -> None:
    hook = ready.bare / "hooks" / "update"
    hook.write_text('#!/bin/sh\ncase "$1" in refs/heads/*) echo "only by review" >&2; exit 1;; esac\n')
    hook.chmod(0o755)
    head = tip(ready)
    run = commit(ready)
    assert (run.code, tip(ready)) == (1, head)
    assert "only by review" in run.record["commit"]["reason"]
    hook.unlink()
    assert taken_by_hand(ready, run.record["commit"]["fetch_command"]) == 0.95


def declines(world: World, refs: str, words: str) -> None:
    """The server takes no push to such refs, and says so."""
    hook = world.bare / "hooks" / "pre-receive"
    loop = 'while read -r old new ref; do case "$ref" in {}) echo "{}" >&2; exit 1;; esac; done'
    hook.write_text(f"#!/bin/sh\n{loop.format(refs, words)}\n")
    hook.chmod(0o755)


PROTECTED = {
    "Gitea": "Gitea: Not allowed to push to protected branch better",
    "GitLab": "GitLab: You are not allowed to push code to protected branches on this project.",
    "GitHub": "error: GH006: Protected branch update failed for refs/heads/better.",
    "another": "Permission denied: robots may not push (HTTP 403)",
}


@pytest.mark.parametrize("words", PROTECTED.values(), ids=PROTECTED)
def test_a_protected_branch_is_told_from_wrong_credentials_by_gits_own_answer(
    ready: World, server: GitServer, words: str
) -> None:
    declines(ready, "refs/heads/*", words)
    head = tip(ready)
    run = commit(ready, server.environ(TOKEN))
    assert (run.code, tip(ready)) == (1, head), run.err
    result = run.record["commit"]
    assert result["outcome"] == "skipped"
    assert "pre-receive hook declined" in result["reason"]
    assert words in result["reason"]
    assert accuracy(ready, f"refs/mlbutler/results/{head}") == 0.95


def test_results_that_can_be_kept_nowhere_say_why(ready: World, server: GitServer) -> None:
    declines(ready, "*", "not allowed to push")
    run = commit(ready, server.environ(TOKEN))
    assert run.code == 1, run.err
    result = run.record["commit"]
    assert "nor could they be kept under refs/mlbutler/results/: " in result["reason"]
    assert result["reason"].count("not allowed to push") == 2
    assert (result["fetch_command"], "on the DVC remote" in result["remedy"]) == ("", True)


def test_more_paths_are_committed_by_their_patterns(ready: World) -> None:
    root = ready.directory / "build-1"
    (root / "reports").mkdir()
    (root / "reports" / "confusion é.txt").write_text("a table\n")
    (root / "reports" / "scratch.tmp").write_text("no\n")
    run = commit(ready, {"MLBUTLER_COMMIT_PATHS": '["reports/*.txt"]'})
    assert run.code == 0, run.err
    names = ready.git(ready.bare, "-c", "core.quotePath=false", "diff", "--name-only", "better^", "better")
    assert set(names.splitlines()) == FILES | {"reports/confusion é.txt"}


@pytest.mark.parametrize(("choice", "committed"), [("refuse", False), ("head", True)])
def test_a_merge_that_the_server_made_never_reaches_the_branch(world: World, choice: str, committed: bool) -> None:
    head = world.branch("better", {"params.yaml": params(0.05)})
    world.branch("main", {"README.md": "main went on"}, start="main")
    clone = world.clone("origin/main")
    world.git(clone, "merge", "-q", "--no-ff", "-m", "Merge commit into HEAD", head)
    run = world.run(clone, world.jenkins("better") | {"MLBUTLER_COMMIT_ON_MERGE": choice})
    assert run.code == (0 if committed else 1), run.err
    assert run.record["change"]["merge"] is True
    if not committed:
        assert tip(world) == head
        assert run.record["check"]["outcome"] == "failed"
        remedy = run.record["commit"]["remedy"]
        assert "on_merge" in remedy
        assert "To get these: git fetch && git merge origin/main && mlbutler sync && mlbutler reproduce" in remedy
        mine = world.clone("origin/better")
        world.git(mine, "merge", "-q", "origin/main")
        assert world.run(mine, {"MLBUTLER_DATA_MIRROR": ""}, verb="sync").code == 0
        again = world.run(mine, {"MLBUTLER_DATA_MIRROR": ""}, verb="reproduce")
        stages = {stage["name"]: stage["outcome"] for stage in again.record["reproduce"]["stages"]}
        assert stages == {"prepare": "unchanged", "train": "restored"}
        return
    assert world.git(world.bare, "rev-parse", "better^") == head
    assert world.git(world.bare, "rev-list", "--merges", "better") == ""
    assert accuracy(world, "better") == 0.95
