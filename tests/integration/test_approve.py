"""A commit of a fork that somebody with write access approved: who may, which commit, and what its build then gets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.forge.dialects import GitHub
from tests.forge.fake import ME, SOMEBODY, TOKEN, WRITER, FakeForge, serving
from tests.integration.world import Run, World, make, params

NUMBER = 7


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def head(world: World) -> str:
    """The commit of a fork's pull request: its branch is called as ours."""
    commit = world.branch("theirs", {"params.yaml": params(0.05)})
    world.git(world.bare, "update-ref", f"refs/pull/{NUMBER}/head", commit)
    world.git(world.bare, "update-ref", "-d", "refs/heads/theirs")
    world.git(world.author, "checkout", "-q", "main")
    return commit


@pytest.fixture
def forge() -> Iterator[FakeForge]:
    with serving(GitHub()) as server:
        yield server


def told(forge: FakeForge) -> dict[str, str]:
    return {"MLBUTLER_FORGE_KIND": "github", "MLBUTLER_FORGE_URL": forge.url, "MLBUTLER_FORGE_TOKEN": TOKEN,
            "MLBUTLER_FORGE_REPOSITORY": "team/digits"}  # fmt: skip


def theirs(world: World, commit: str) -> Path:
    """A clone of the fork's commit, as Jenkins makes it."""
    root = world.clone("origin/main")
    world.git(root, "fetch", "-q", "origin", commit)
    world.git(root, "checkout", "-q", "--detach", commit)
    return root


def of_a_fork(world: World) -> dict[str, str]:
    return world.jenkins("main", NUMBER, CHANGE_FORK="mallory/digits")


def checked(world: World, forge: FakeForge, root: Path, **more: str) -> Run:
    return world.run(root, of_a_fork(world) | told(forge) | more, "--check", verb="approve")


# ------------------------------------------------------------------------------------------ is it approved?


def test_a_writer_s_comment_approves_the_commit_that_it_names(world: World, head: str, forge: FakeForge) -> None:
    root = theirs(world, head)
    said = checked(world, forge, root)
    assert (said.code, said.out, "is not approved" in said.err) == (1, "", True)
    forge.dialect.add(str(NUMBER), f"/mlbutler approve {head}\r\n", WRITER)
    said = checked(world, forge, root)
    assert (said.code, said.out) == (0, f"{head} user{WRITER}\n")
    said = checked(world, forge, root, MLBUTLER_APPROVE_JSON="true")
    assert json.loads(said.out) == {"approved": True, "commit": head, "by": f"user{WRITER}"}
    assert not (root / ".mlbutler" / "record.json").exists()


def test_nothing_else_does(world: World, head: str, forge: FakeForge) -> None:
    root, command = theirs(world, head), f"/mlbutler approve {head}"
    note = forge.dialect.add(str(NUMBER), command, WRITER)
    note.edited = True  # by the author or by somebody else
    for body, author in (
        (command, SOMEBODY), (command, 4711),
        (f"> {command}", WRITER), (f"```\n{command}\n```", WRITER), (f"Nobody should say\n\n{command}", WRITER),
        (f"/mlbutler approve {'0' * 40}", WRITER), (f"/mlbutler approve {head[:20]}", WRITER),
        (command.replace("a", "\u0430"), WRITER), (command + " " * 10**6, WRITER), ("/mlbutler run", WRITER),
    ):  # fmt: skip
        forge.dialect.add(str(NUMBER), body, author)
    forge.dialect.add("8", command, WRITER)  # on another pull request
    for _ in range(50):
        forge.dialect.add(str(NUMBER), command, SOMEBODY)
    sent = len(forge.seen)
    said = checked(world, forge, root)
    assert (said.code, said.out) == (1, ""), said.err
    assert len([seen for seen in forge.seen[sent:] if seen.path.endswith("/permission")]) == 2, "each author once"


def test_a_push_voids_the_approval(world: World, head: str, forge: FakeForge) -> None:
    forge.dialect.add(str(NUMBER), f"/mlbutler approve {head}", WRITER)
    root = theirs(world, head)
    world.git(root, "commit", "-q", "--allow-empty", "-m", "pushed since")
    assert checked(world, forge, root).code == 1


def test_a_pull_request_cannot_name_the_forge_that_is_asked(world: World, head: str, forge: FakeForge) -> None:
    root = theirs(world, head)
    settings = root / "mlbutler.toml"
    folder = 'kind = "folder"'
    assert folder in settings.read_text()
    elsewhere = f'kind = "github"\nurl = "{forge.url}"\nrepository = "team/digits"'
    settings.write_text(settings.read_text().replace(folder, elsewhere))
    forge.dialect.add(str(NUMBER), f"/mlbutler approve {head}", WRITER)
    environ = of_a_fork(world) | {"MLBUTLER_FORGE_TOKEN": TOKEN, "MLBUTLER_FORGE_KIND": "", "MLBUTLER_FORGE_URL": ""}
    said = world.run(root, environ, "--check", verb="approve")
    assert (said.code, "is not sent to" in said.err) == (2, True), said.err
    assert forge.seen == []


# ---------------------------------------------------------------------------------------------- its build


def test_an_approved_commit_runs_with_the_data_and_reports(world: World, head: str, forge: FakeForge) -> None:
    main = world.git(world.bare, "rev-parse", "main")
    approved = {"MLBUTLER_APPROVED": f"{head} user{WRITER}"}
    run = world.run(theirs(world, head), of_a_fork(world) | told(forge) | approved)
    change = run.record["change"]
    assert (change["fork"], change["approved"], change["head_branch"]) == (True, f"user{WRITER}", None), run.err
    assert f"approved by user{WRITER} at {head[:10]}" in (run.root / ".mlbutler/report/report.md").read_text()
    assert run.outcome("push") == "passed", "its data reaches the remote"
    assert [status["sha"] for status in forge.dialect.statuses] == [head, head]
    assert "Better" in forge.dialect.on(str(NUMBER))[0].body
    assert run.outcome("commit") == "skipped"
    assert "its branch is not ours to write" in run.record["commit"]["reason"]
    assert world.git(world.bare, "rev-parse", "main") == main, "whose name the fork's branch has"
    assert not (run.root / ".mlbutler" / "bundle.zip").exists()


def test_a_commit_that_is_not_the_approved_one_gets_nothing(world: World, head: str, forge: FakeForge) -> None:
    root = theirs(world, head)
    world.git(root, "commit", "-q", "--allow-empty", "-m", "pushed since")
    run = world.run(root, of_a_fork(world) | told(forge) | {"MLBUTLER_APPROVED": f"{head} user{WRITER}"})
    assert run.record["change"]["approved"] == ""
    assert run.outcome("publish") == "skipped"
    assert forge.seen == []
    assert (root / ".mlbutler" / "bundle.zip").exists()


def test_a_record_that_says_it_was_approved_is_not_believed(world: World, head: str) -> None:
    root = theirs(world, head)
    environ = of_a_fork(world) | {"MLBUTLER_IN_RUN": "true"}
    world.run(root, environ, verb="plan")
    record = root / ".mlbutler" / "record.json"
    forged = json.loads(record.read_text())
    forged["change"]["approved"] = "ada"
    record.write_text(json.dumps(forged))
    world.run(root, environ, verb="test")  # a verb that uses no credential reads what those before it found
    assert json.loads(record.read_text())["change"]["approved"] == ""


# ------------------------------------------------------------------------------------------- from a laptop


def by_hand(world: World, forge: FakeForge, *args: str, **more: str) -> Run:
    return world.run(world.clone("origin/main"), told(forge) | {"CI": ""} | more, *args, verb="approve")


def test_a_maintainer_approves_from_a_laptop(world: World, head: str, forge: FakeForge) -> None:
    forge.dialect.roles[ME] = "write"
    said = by_hand(world, forge, str(NUMBER), head, MLBUTLER_APPROVE_JSON="true")
    assert said.code == 0, said.err
    assert json.loads(said.out)["commit"] == head
    (note,) = forge.dialect.on(str(NUMBER))
    assert note.body == f"/mlbutler approve {head}"
    assert checked(world, forge, theirs(world, head)).out == f"{head} user{ME}\n"


def test_what_is_no_head_or_nobody_s_to_approve_is_refused(world: World, head: str, forge: FakeForge) -> None:
    assert "may not write" in by_hand(world, forge, str(NUMBER), head).err
    forge.dialect.roles[ME] = "write"
    forge.dialect.administers = False
    assert "does not say" in by_hand(world, forge, str(NUMBER), head).err
    forge.dialect.administers = True
    main = world.git(world.bare, "rev-parse", "main")
    assert f"its head is {head}" in by_hand(world, forge, str(NUMBER), main).err
    assert "no such pull request" in by_hand(world, forge, "8", head).err
    for args in ((str(NUMBER), head[:12]), (str(NUMBER), "main"), ("7; ls", head), (str(NUMBER),), ()):
        assert by_hand(world, forge, *args).code == 2
    on_ci = world.run(theirs(world, head), of_a_fork(world) | told(forge), str(NUMBER), head, verb="approve")
    assert (on_ci.code, "not given on a CI server" in on_ci.err) == (2, True)
    assert forge.dialect.notes == []
