"""A whole run that tells a forge over HTTP: at the start, at the end, and again after the forge was down."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.forge.dialects import GitHub, GitLab
from tests.forge.fake import TOKEN, Answer, Dialect, FakeForge, Fault, serving
from tests.integration.world import Run, World, params


@pytest.fixture(params=[GitHub, GitLab], ids=lambda dialect: dialect.__name__)
def forge(request: pytest.FixtureRequest) -> Iterator[FakeForge]:
    """One forge with the host and the pull request 1 of the world's builds."""
    with serving(request.param()) as server:
        yield server


def environ(world: World, forge: FakeForge) -> dict[str, str]:
    dialect: Dialect = forge.dialect
    return world.jenkins("better") | {
        "MLBUTLER_FORGE_KIND": dialect.kind,
        "MLBUTLER_FORGE_URL": forge.url,
        "MLBUTLER_FORGE_REPOSITORY": dialect.repository,
        "MLBUTLER_FORGE_TOKEN": TOKEN,
    }


def nowhere(run: Run) -> None:
    """The token is in no output and no file."""
    assert TOKEN not in run.out + run.err
    files = [path for path in (run.root / ".mlbutler").rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if TOKEN.encode() in path.read_bytes()]


def test_the_reviewers_are_told_at_the_start_and_at_the_end(world: World, forge: FakeForge) -> None:
    world.branch("better", {"params.yaml": params(0.05)})
    run = world.run(world.clone("origin/better"), environ(world, forge))
    assert run.code == 0, run.out + run.err
    states = [status["state"] for status in forge.dialect.statuses]
    assert states[0] in ("pending", "running")
    assert states[1:] == ["success", "success"]
    shas = [status["sha"] for status in forge.dialect.statuses]
    assert shas[0] == shas[1] == run.record["change"]["head"]
    assert shas[2] == run.record["commit"]["commit"]  # the results commit, for which no build comes
    assert forge.dialect.statuses[1]["said"].startswith("Better or noise: accuracy 0.91 → 0.95")
    assert forge.dialect.statuses[1]["url"] == "http://jenkins.example/job/x/1/"
    (note,) = forge.dialect.on("1")
    assert "\n**Better or noise**" in note.body
    if forge.dialect.kind == "gitlab":
        assert [name for name in forge.dialect.files if name.endswith(".svg")]
        assert "](/uploads/" in note.body
    else:
        pictures = world.git(world.bare, "rev-parse", "mlbutler/report-1")
        assert f"]({forge.url}/team/digits/raw/{pictures}/mlbutler/plot-" in note.body
    nowhere(run)


def test_a_forge_that_is_down_loses_no_report_and_publish_can_be_run_again(world: World, forge: FakeForge) -> None:
    world.branch("better", {"params.yaml": params(0.05)})
    root = world.clone("origin/better")
    forge.faults = [Fault(answer=Answer(403, {"message": f"token {TOKEN} is blocked"}), times=99)]
    run = world.run(root, environ(world, forge))
    assert run.code == 3
    assert "No status for now: " in run.out
    assert run.outcome("publish") == "error"
    assert "Better" in (root / ".mlbutler" / "report" / "report.md").read_text()
    nowhere(run)
    forge.faults = []
    again = world.run(root, environ(world, forge), verb="publish")
    assert again.code == 0, again.out + again.err
    assert "\n**Better or noise**" in forge.dialect.on("1")[0].body
    assert forge.dialect.statuses[-1]["state"] == "success"


def test_a_run_that_is_left_out_of_publishing_says_nothing(world: World, forge: FakeForge) -> None:
    run = world.run(world.clone("origin/main"), environ(world, forge), "--no-publish", "--only", "plan")
    assert run.code == 0, run.out + run.err
    assert forge.seen == []


def test_a_pull_request_cannot_have_the_token_sent_elsewhere(world: World, forge: FakeForge) -> None:
    elsewhere = FakeForge(type(forge.dialect)())
    settings = (world.project / "mlbutler.toml").read_text() + f'api = "{elsewhere.url}"\n'
    world.branch("better", {"mlbutler.toml": settings})
    run = world.run(world.clone("origin/better"), environ(world, forge))
    assert run.code == 2
    assert "The token is not sent to" in run.record["publish"]["reason"]
    assert "MLBUTLER_FORGE_API" in run.record["publish"]["remedy"]
    assert elsewhere.seen == forge.seen == []
    elsewhere.shutdown()
    elsewhere.server_close()


def test_the_doctor_tells_of_the_forge_and_tries_it_when_asked(world: World, forge: FakeForge) -> None:
    world.branch("better", {"params.yaml": params(0.05)})
    root, told = world.clone("origin/better"), environ(world, forge)
    found = {
        item["subject"]: item for item in json.loads(world.run(root, told, "--json", verb="doctor").out)["examined"]
    }
    assert found["forge"]["state"] == "ok"
    assert forge.seen == []
    without = {name: value for name, value in told.items() if name != "MLBUTLER_FORGE_TOKEN"}
    found = {
        item["subject"]: item for item in json.loads(world.run(root, without, "--json", verb="doctor").out)["examined"]
    }
    assert found["forge"]["state"] == "missing"
    assert "MLBUTLER_FORGE_TOKEN" in found["forge"]["remedy"]
    tried = world.run(root, told, "--forge", verb="doctor")
    assert tried.code == 0, tried.out + tried.err
    assert "comment: one was written and removed" in tried.out
    forge.faults = [Fault("POST", answer=Answer(403, {"message": "insufficient scope"}), times=9)]
    tried = world.run(root, told, "--forge", verb="doctor")
    assert tried.code == 1
    assert "insufficient scope" in tried.out
