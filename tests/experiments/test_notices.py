"""People are notified once of what matters, with the verdict in one line."""

from __future__ import annotations

import json
import os
import socket
import socketserver
import stat
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from mlbutler.errors import ForgeError, SettingsError
from mlbutler.experiments import desktop
from mlbutler.experiments.delivery import deliver_notice
from mlbutler.experiments.experiment import Experiment, Measure
from mlbutler.experiments.notices import Event, Notice, end_notice, judge_metrics, loss_notice, time_notice
from mlbutler.experiments.state import State
from mlbutler.forge import mail
from mlbutler.settings import Gate, Settings
from mlbutler.settings.sections import NotifySettings
from tests.experiments.agents import Agent, send
from tests.experiments.conftest import Laptop


def experiment(number: int, state: State, **metrics: tuple[float, float]) -> Experiment:
    measures = tuple(Measure(file="m.toml", name=name, value=new, before=old) for name, (old, new) in metrics.items())
    reason = "stage 'train' failed: exit code 1" if state is State.FAILED else ""
    return Experiment(
        id=str(number) * 40, name=f"lr-{number}", grid="lr", baseline="b" * 40, input="c" * 40, state=state,
        reason=reason, metrics=measures, overrides=(f"train.rate=0.{number}",), tail=("diverged",) if reason else (),
    )  # fmt: skip


def test_the_first_failure_and_the_end_of_all_are_told_once() -> None:
    one, two, three = (experiment(number, State.WAITING) for number in (1, 2, 3))
    done = experiment(1, State.DONE, accuracy=(0.9, 0.92))
    assert end_notice(done, [done, two, three], ()) is None
    failed = experiment(2, State.FAILED)
    notice = end_notice(failed, [done, failed, three], ())
    assert notice is not None
    assert (notice.event, notice.title) == (Event.FAILED, "lr-2: failed: stage 'train' failed: exit code 1")
    again = experiment(3, State.FAILED)
    assert end_notice(again, [one, failed, again], ()) is None, "it is not the first"
    best = experiment(3, State.DONE, accuracy=(0.9, 0.95))
    end = end_notice(best, [done, failed, best], ())
    assert end is not None
    assert end.title == "lr: all ended: 2 done, 1 failed. lr-3: Better or noise: accuracy 0.90 → 0.95 (+0.05)."
    assert (end.event, end.verdict) == (Event.DONE, "better")
    assert "lr-2  failed  train.rate=0.2  stage 'train' failed: exit code 1\n    | diverged" in end.text()


def test_one_that_was_sent_alone_is_told_with_its_verdict() -> None:
    done = experiment(1, State.DONE, accuracy=(0.9, 0.85), loss=(0.5, 0.4))
    notice = end_notice(done, [done], ())
    assert notice is not None
    assert notice.title.startswith("lr-1: done. Mixed or noise: loss")
    failed = experiment(2, State.FAILED)
    notice = end_notice(failed, [failed], ())
    assert notice is not None
    assert notice.event is Event.FAILED
    assert end_notice(experiment(1, State.CANCELLED), [experiment(1, State.CANCELLED)], ()) is None


def test_a_gate_says_which_way_a_number_is_better() -> None:
    odd = experiment(1, State.DONE, odd=(1.0, 2.0))
    assert judge_metrics(odd, ())[0] == "not judged"
    for name in ("odd", "m.toml:odd"):
        assert judge_metrics(odd, [Gate(metric=name, goal="minimize", max=9)])[0] == "worse"


def test_lost_ones_and_time_that_is_nearly_over() -> None:
    waiting = experiment(1, State.WAITING).with_(reason="attempt 1 was lost: killed")
    assert loss_notice(waiting).title == "lr-1: lost, and waits again: attempt 1 was lost: killed"
    assert time_notice(waiting, 360).title == "lr-1: its time is over in 6 min"


class Hook(BaseHTTPRequestHandler):
    """A webhook that keeps what it gets."""

    received: ClassVar[list[Any]] = []

    def do_POST(self) -> None:
        self.received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture
def hook() -> Iterator[str]:
    Hook.received = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/secret"
    server.shutdown()
    server.server_close()


class Post(socketserver.StreamRequestHandler):
    """A mail server without encryption, which keeps what it gets; `refuses`: everything."""

    received: ClassVar[list[str]] = []
    said: ClassVar[list[str]] = []
    refuses = False

    def handle(self) -> None:
        self.answer("220 here")
        while line := self.rfile.readline().decode().strip():
            self.said.append(line)
            verb = line.upper().split()[0]
            if verb == "EHLO":
                self.wfile.write(b"250-here\r\n250 AUTH PLAIN\r\n")
            elif verb == "AUTH":
                self.answer("235 welcome")
            elif verb == "DATA":
                self.answer("354 go on")
                lines = []
                while (text := self.rfile.readline().decode().rstrip("\r\n")) != ".":
                    lines.append(text)
                self.received.append("\n".join(lines))
                self.answer("250 taken")
            elif verb == "QUIT":
                self.answer("221 bye")
                return
            else:
                self.answer("550 not for you" if self.refuses and verb == "MAIL" else "250 fine")

    def answer(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@pytest.fixture
def post() -> Iterator[str]:
    Post.received, Post.said, Post.refuses = [], [], False
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Post)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"smtp://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_webhook_and_mail_get_it_and_only_wanted_events(hook: str, post: str) -> None:
    failed = experiment(2, State.FAILED)
    notice = end_notice(failed, [failed], ())
    assert notice is not None
    said: list[str] = []
    environ = {"MLBUTLER_NOTIFY_WEBHOOK": hook, "MLBUTLER_SMTP_URL": post, "MLBUTLER_SMTP_USER": "ada@example.org",
               "MLBUTLER_SMTP_PASSWORD": "planted"}  # fmt: skip
    only_done = Settings(notify=NotifySettings(experiments=("done",), mail_to=("team@example.org",)))
    deliver_notice(notice, only_done, environ, said.append)
    assert (Hook.received, Post.received) == ([], [])
    settings = Settings(notify=NotifySettings(mail_to=("team@example.org", "bob@example.org")))
    deliver_notice(notice, settings, environ, said.append)
    [document] = Hook.received
    assert (document["event"], document["name"]) == ("failed", "lr-2")
    assert document["experiments"][0]["overrides"] == ["train.rate=0.2"]
    [message] = Post.received
    assert "Subject: mlbutler: lr-2: failed: stage 'train' failed: exit code 1" in message
    assert "To: team@example.org, bob@example.org" in message
    assert "From: ada@example.org" in message
    assert "    | diverged" in message
    assert any(line.startswith("AUTH PLAIN") for line in Post.said)
    assert said == []


def test_who_cannot_be_reached_is_said_and_the_others_are_notified(hook: str, post: str) -> None:
    Post.refuses = True
    said: list[str] = []
    environ = {"MLBUTLER_NOTIFY_WEBHOOK": "no address", "MLBUTLER_SMTP_URL": post}
    notice = Notice(Event.DONE, "lr", "all ended", ())
    deliver_notice(notice, Settings(notify=NotifySettings(mail_to=("team@example.org",))), environ, said.append)
    assert "MLBUTLER_NOTIFY_WEBHOOK is not an address" in said[0]
    assert "550 not for you" in said[1]
    deliver_notice(
        notice, Settings(notify=NotifySettings(form="slack")), {"MLBUTLER_NOTIFY_WEBHOOK": hook}, said.append
    )
    assert Hook.received == [{"text": "*lr*: all ended"}]


def test_a_password_goes_to_no_other_machine_in_the_clear(post: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.create_connection
    port = int(post.rpartition(":")[2])
    monkeypatch.setattr(socket, "create_connection", lambda address, *more, **named: real(("127.0.0.1", port), *more))
    environ = {"MLBUTLER_SMTP_URL": "smtp://mail.example:25", "MLBUTLER_SMTP_PASSWORD": "planted"}
    with pytest.raises(ForgeError, match="offers no encryption"):
        mail.send_mail(["team@example.org"], None, "subject", "text", environ)
    assert not [line for line in Post.said if line.startswith("AUTH")]
    for url in ("", "mail.example", "http://mail.example", "smtp://me:secret@mail.example"):
        with pytest.raises(SettingsError, match="not the address of a mail server") as error:
            mail.send_mail(["team@example.org"], None, "subject", "text", {"MLBUTLER_SMTP_URL": url})
        assert "secret" not in str(error.value)


def test_a_desktop_shows_it_as_text(tmp_path: Path) -> None:
    program = tmp_path / "notify-send"
    program.write_text(f'#!/bin/sh\nprintf "%s|" "$@" > {tmp_path}/shown\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    environ = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "DISPLAY": ":0"}
    assert desktop.notify("--help", "$(touch here)", environ)
    assert (tmp_path / "shown").read_text() == "--app-name=mlbutler|--|--help|$(touch here)|"
    assert not desktop.notify("title", "text", environ | {"DISPLAY": ""})
    program.write_text("#!/bin/sh\nexit 1\n")
    assert not desktop.notify("title", "text", environ)


def test_experiments_that_nobody_watches_notify(laptop: Laptop, hook: str) -> None:
    def events() -> list[tuple[str, str]]:
        return [(document["event"], document["name"]) for document in Hook.received]

    laptop.world.environ["MLBUTLER_NOTIFY_WEBHOOK"] = hook
    laptop.train("-n", "lr", "-S", "train.rate=0.5,0.02,0.03")
    laptop.until(lambda: len(events()) == 2)
    assert events() == [("failed", "lr-1"), ("done", "lr")]
    assert Hook.received[1]["sentence"] == (
        "all ended: 2 done, 1 failed. lr-3: Better or noise: accuracy 0.91 → 0.93 (+0.02)."
    )
    laptop.until(lambda: not laptop.processes())

    Hook.received.clear()
    laptop.train("-n", "long", "-S", "train.rate=0.6", "--time", "600")
    laptop.until(lambda: laptop.runs()[-1] == "0.6")
    laptop.kill("mlbutler.experiments.worker")
    (laptop.places / "go").touch()
    laptop.train("wait", "long")
    laptop.until(lambda: len(events()) == 2)
    assert events() == [("lost", "long"), ("done", "long")]
    (laptop.places / "go").unlink()

    Hook.received.clear()
    laptop.train("-n", "late", "-S", "train.rate=0.7", "--time", "2")
    laptop.until(lambda: len(events()) == 2)
    assert sorted(events()) == [("failed", "late"), ("time", "late")]


def test_builds_of_jenkins_notify(laptop: Laptop, hook: str) -> None:
    for number, one in enumerate(send(laptop, "train.rate=0.5,0.02", name="lr"), 1):
        agent = Agent(laptop, one, build=number)
        agent.begin()
        failed = number == 1
        agent.call("run")
        agent.call("save", code=int(failed), environ={"MLBUTLER_NOTIFY_WEBHOOK": hook})
    assert [(document["event"], document["name"]) for document in Hook.received] == [("failed", "lr-1"), ("done", "lr")]


def test_those_who_wait_see_the_end_on_their_desktop(laptop: Laptop) -> None:
    folder = laptop.places / "bin"
    folder.mkdir()
    program = folder / "notify-send"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$4" >> {laptop.places}/shown\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    path = laptop.world.base_environ()["PATH"]
    laptop.world.environ |= {"PATH": f"{folder}{os.pathsep}{path}", "DISPLAY": ":0"}
    laptop.train("-n", "lr", "-S", "train.rate=0.02,0.5")
    laptop.train("wait", "lr", code=1)
    shown = (laptop.places / "shown").read_text()
    assert shown == "lr: all ended: 1 done, 1 failed. lr-1: Better or noise: accuracy 0.91 → 0.92 (+0.01).\n"
    laptop.train("list", "-w", "lr-1")
    assert (laptop.places / "shown").read_text().splitlines()[1:] == [
        "lr-1: done. Better or noise: accuracy 0.91 → 0.92 (+0.01)."
    ]
    laptop.world.environ["MLBUTLER_NOTIFY_DESKTOP"] = "false"
    laptop.train("wait", "lr", code=1)
    assert len((laptop.places / "shown").read_text().splitlines()) == 2
