"""What a webhook is sent, and when."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlbutler.errors import ForgeError, MlbutlerError, SettingsError
from mlbutler.forge import http
from mlbutler.record import Outcome, Verdict
from mlbutler.steps import publish
from mlbutler.steps.context import RunContext
from mlbutler.variables import WEBHOOK
from tests.conftest import GitCommand
from tests.forge.fake import Answer, Dialect, FakeForge, Fault, Note, Seen
from tests.forge.run_context import run_context

SECRET = "/services/T00000000/planted0webhook0secret"


class Receiver(Dialect):
    """Takes whatever is posted to one address."""

    token_header = ("Content-Type", "application/json")
    routes = (("POST", SECRET, "take"),)

    def note(self, note: Note, path: str) -> dict[str, Any]:
        """It keeps no comments."""
        return {}

    def take(self, seen: Seen, query: dict[str, str]) -> Answer:
        return Answer(200, "ok")


@pytest.fixture
def server() -> Iterator[FakeForge]:
    receiver = FakeForge(Receiver())
    yield receiver
    receiver.shutdown()
    receiver.server_close()


@pytest.fixture
def clone(tmp_path: Path, git: GitCommand) -> Path:
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "one")
    return tmp_path


def job(server: FakeForge, clone: Path, git: GitCommand, settings: str = "", **more: Any) -> RunContext:
    environ = {WEBHOOK: f"{server.url}{SECRET}"}
    return run_context(clone, git(clone, "rev-parse", "HEAD"), environ, settings, **more)


def received_messages(server: FakeForge) -> list[Any]:
    return [seen.json for seen in server.seen]


def test_the_end_of_a_run_is_told_as_a_document(server: FakeForge, clone: Path, git: GitCommand) -> None:
    result = publish.run(job(server, clone, git, title="Träin <longer>", build_url="https://ci.example.org/1"))
    assert "the webhook was notified" in result.reason
    (document,) = received_messages(server)
    assert (document["state"], document["verdict"], document["sentence"]) == ("success", "Better", "f1 0.8 -> 0.9")
    assert document["change"]["number"] == "17"
    assert document["change"]["title"] == "Träin <longer>"
    assert document["build_url"] == "https://ci.example.org/1"
    assert document["previous"] == ""


def test_slack_gets_a_line_whose_markup_is_ours_alone(server: FakeForge, clone: Path, git: GitCommand) -> None:
    title = "<!channel> @here <https://evil.example.org|the build>"
    settings = '[notify]\nform = "slack"\n'
    publish.run(job(server, clone, git, settings, title=title, url="https://git.example.org/pulls/17"))
    (document,) = received_messages(server)
    assert list(document) == ["text"]
    assert document["text"].startswith("mlbutler, <https://git.example.org/pulls/17|pull request 17: &lt;!channel&gt; ")
    assert "*Better*: f1 0.8 -&gt; 0.9" in document["text"]
    assert document["text"].count("<") == 1
    assert "@here" not in document["text"]


def test_only_another_verdict_is_told_where_that_is_asked_for(server: FakeForge, clone: Path, git: GitCommand) -> None:
    settings = '[notify]\non = "verdict-change"\n'
    for verdict in (Verdict.BETTER, Verdict.BETTER, Verdict.WORSE, Verdict.WORSE):
        result = publish.run(job(server, clone, git, settings, verdict=verdict))
    assert "nobody was notified" in result.reason
    assert [(d["previous"], d["verdict"]) for d in received_messages(server)] == [("", "Better"), ("Better", "Worse")]
    publish.run(job(server, clone, git, settings, verdict=Verdict.WORSE, number="18"))
    assert len(received_messages(server)) == 3  # another pull request has a history of its own


def test_each_pipeline_has_a_verdict_of_its_own_to_differ_from(server: FakeForge, clone: Path, git: GitCommand) -> None:
    settings = '[notify]\non = "verdict-change"\n'
    for verdict, name in ((Verdict.BETTER, "gpu"), (Verdict.WORSE, "cpu"), (Verdict.BETTER, "gpu")):
        run = job(server, clone, git, settings, verdict=verdict)
        run.record = dataclasses.replace(run.record, report_name=name)
        publish.run(run)
    assert [(d["title"], d["previous"]) for d in received_messages(server)] == [
        ("mlbutler/gpu", ""),
        ("mlbutler/cpu", ""),
    ]


def test_builds_in_fresh_clones_know_the_last_verdict_from_the_mirror(
    server: FakeForge, clone: Path, git: GitCommand, tmp_path: Path
) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    settings = f'[notify]\non = "verdict-change"\n[data]\nmirror = "{mirror}"\n'
    for name in ("one", "two"):
        git(clone, "clone", "-q", str(clone), str(tmp_path / name))
        publish.run(job(server, tmp_path / name, git, settings, repository="https://git.example.org/a/b"))
    assert len(received_messages(server)) == 1


def test_a_message_that_was_not_taken_is_an_error_without_the_address(
    server: FakeForge, clone: Path, git: GitCommand, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(http, "sleep", lambda seconds: None)
    settings = '[notify]\non = "verdict-change"\n'
    for fault in (Fault(answer=Answer(404), times=9), Fault(cut=True, done=False, times=9)):
        server.faults = [fault]
        with pytest.raises(ForgeError) as caught:
            publish.run(job(server, clone, git, settings))
        said = f"{caught.value.message} {caught.value.remedy} {caught.value.partial} {capsys.readouterr()}"
        assert "planted0webhook0secret" not in said
        assert "T00000000" not in said
        assert caught.value.exit_code == 3
    server.faults = []
    publish.run(job(server, clone, git, settings))
    assert received_messages(server)[-1]["verdict"] == "Better"  # it was not taken for told


def test_the_webhook_is_told_although_the_forge_is_down(
    server: FakeForge, clone: Path, git: GitCommand, tmp_path: Path
) -> None:
    (tmp_path / "forge").write_text("in the way")
    with pytest.raises(MlbutlerError):
        publish.run(job(server, clone, git, '[forge]\nkind = "folder"\nurl = "forge"\n'))
    assert len(received_messages(server)) == 1


def test_a_fork_has_no_webhook(server: FakeForge, clone: Path, git: GitCommand) -> None:
    assert publish.run(job(server, clone, git, fork=True)).outcome is Outcome.SKIPPED
    assert server.seen == []


@pytest.mark.parametrize("address", ["hooks.example.org/x", "file:///etc/passwd", "https://"])
def test_a_webhook_that_is_no_address_is_named_by_its_variable(clone: Path, git: GitCommand, address: str) -> None:
    with pytest.raises(SettingsError) as caught:
        publish.run(run_context(clone, git(clone, "rev-parse", "HEAD"), {WEBHOOK: address}))
    assert WEBHOOK in caught.value.message
    assert address not in caught.value.message
