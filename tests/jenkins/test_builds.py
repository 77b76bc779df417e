"""Builds of one job, through a played controller with the quirks of a real one."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlbutler.errors import AccessDenied, OutsideError, UsageError
from mlbutler.jenkins import queue
from mlbutler.jenkins.builds import Job
from mlbutler.jenkins.client import JenkinsClient
from mlbutler.jenkins.console_text import ConsoleText
from mlbutler.jenkins.login import Login, login
from tests.jenkins.controller import Controller
from tests.jenkins.farm import Build, Farm


class Played:
    """A controller with one agent, whose builds do what the test says."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.script: Callable[[Build], str] = lambda build: "SUCCESS"
        self.farm = Farm({"one": ["gpu"]}, lambda build: self.script(build))
        self.controller = Controller(password="pass word", token="t0ken")
        self.controller.prefix, self.controller.farm = "/jenkins", self.farm
        self.controller.serve()
        self.client = JenkinsClient(self.controller.url, "somebody", "t0ken")
        self.job = Job(self.client, "team/train")

    def wait_for_result(self, number: int) -> str:
        until = time.monotonic() + 600
        while (build := self.job.build(number)) is not None and build.building:
            assert time.monotonic() < until
            time.sleep(0.05)
        assert build is not None
        return build.result


@pytest.fixture
def played() -> Iterator[Played]:
    made = Played()
    yield made
    made.go.set()
    made.farm.close()
    made.controller.shutdown()
    made.controller.server_close()


def on_agent(build: Build) -> str:
    with build.node("gpu"):
        assert build.farm.agents[0].build is build
    return "SUCCESS"


def test_a_build_is_asked_for_in_the_body_and_found_by_its_parameter(played: Played) -> None:
    assert played.job.start({"EXPERIMENT": "e" * 40, "LABEL": "gpu"}) is not None
    assert played.wait_for_result(1) == "SUCCESS"
    (build,) = played.job.builds()
    assert (build.number, build.parameters) == (1, {"EXPERIMENT": "e" * 40, "LABEL": "gpu"})
    assert abs(build.started - time.time()) < 3600
    assert not any("eeee" in line for line in played.controller.asked)
    assert played.job.build(7) is None
    assert played.job.parameter_names() == {"EXPERIMENT", "LABEL"}


def test_what_waits_is_not_doubled_and_can_be_taken_back(played: Played) -> None:
    played.farm.held = True
    first = played.job.start({"EXPERIMENT": "e" * 40})
    assert played.job.start({"EXPERIMENT": "e" * 40}) == first
    other = played.job.start({"EXPERIMENT": "f" * 40})
    one, two = queue.waiting(played.client)
    assert (one.id, one.parameters["EXPERIMENT"], one.why) == (
        first,
        "e" * 40,
        "In the quiet period. Expires in 4.9 sec",
    )
    assert played.job.is_mine(one)
    assert not Job(played.client, "team/other").is_mine(one)
    assert two.id == other
    assert queue.cancel(played.client, two.id)
    assert not queue.cancel(played.client, two.id)
    assert [item.id for item in queue.waiting(played.client)] == [first]


def test_a_step_that_waits_for_an_agent_is_known_by_its_build(played: Played) -> None:
    played.farm.agents[0].online = False
    played.script = on_agent
    played.job.start({"EXPERIMENT": "e" * 40})
    while not (found := queue.waiting(played.client)):
        time.sleep(0.01)
    assert (played.job.number(found[0].task), found[0].parameters) == (1, {})
    assert not played.job.is_mine(found[0])
    assert found[0].why == "Waiting for next available executor on \u2018gpu\u2019"
    played.farm.revive("one")
    assert played.wait_for_result(1) == "SUCCESS"


def test_a_job_that_takes_no_such_build_says_why(played: Played) -> None:
    played.farm.disabled = True
    with pytest.raises(UsageError, match="'team/train' is disabled"):
        played.job.start({"EXPERIMENT": "e" * 40})
    played.farm.disabled, played.farm.declared = False, ()
    with pytest.raises(OutsideError, match="answered 500 to a build of 'team/train' with EXPERIMENT"):
        played.job.start({"EXPERIMENT": "e" * 40})
    with pytest.raises(UsageError, match="has no job 'team/other'"):
        Job(played.client, "team/other").parameter_names()
    with pytest.raises(AccessDenied, match="may not start builds"):
        Job(played.client, "team/other").start({})
    with JenkinsClient(played.controller.url, "somebody", "wrong") as client, pytest.raises(AccessDenied) as error:
        Job(client, "team/train").start({"EXPERIMENT": "e" * 40})
    assert "wrong" not in error.value.message + error.value.remedy


@pytest.mark.parametrize(
    ("url", "number"),
    [
        ("http://jenkins.invalid/job/team/job/train/12/", 12),
        ("https://elsewhere/jenkins/job/team/job/train/3", 3),
        ("job/team/job/train/7/", 7),
        ("https://elsewhere/job/team/job/train/", None),
        ("https://elsewhere/job/team/job/train/3/console", None),
        ("https://elsewhere/job/other/job/train/3/", None),
        ("https://elsewhere/x?y=/job/team/job/train/3/", None),
        ("", None),
    ],
)
def test_a_build_is_known_by_its_path_and_asked_for_where_the_controller_is_reached(
    played: Played, url: str, number: int | None
) -> None:
    assert played.job.number(url) == number


def test_a_branch_with_a_slash_is_a_job_whose_name_is_quoted_twice(played: Played) -> None:
    job = Job(played.client, "team/train/feature%2Fx")
    assert job.url.endswith("/jenkins/job/team/job/train/job/feature%252Fx/")
    assert job.number("http://h/job/team/job/train/job/feature%252Fx/4/") == 4


def text_of(played: Played, number: int = 1) -> list[str]:
    text = ConsoleText(played.job, number)
    found: list[str] = []
    while True:
        found += text.lines()
        if not text.more:
            return found
        time.sleep(0.01)


def test_a_log_comes_once_and_plain_wherever_the_connection_breaks(played: Played) -> None:
    def script(build: Build) -> str:
        build.pipeline("begin")
        build.say("Gr\u00fc\u00dfe \N{SNOWMAN}")
        played.go.wait(600)
        for number in range(50):
            build.say(f"line {number} \N{SNOWMAN}")
        build.log += b"no end"
        return "SUCCESS"

    played.script = script
    played.job.start({})
    text = ConsoleText(played.job, 1)
    found: list[str] = []
    while len(found) < 2:
        found += text.lines()
    assert text.more
    played.go.set()
    played.wait_for_result(1)
    played.controller.cuts = [0, 7, 301, 302]
    found += text.lines()
    assert not text.more
    assert found == [
        "[Pipeline] begin", "Gr\u00fc\u00dfe \N{SNOWMAN}", *(f"line {number} \N{SNOWMAN}" for number in range(50)),
        "no endFinished: SUCCESS",
    ]  # fmt: skip
    assert list(text.lines()) == []
    assert text_of(played) == found


TEXTS = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\x1b"), max_size=9), max_size=9)


def test_whatever_is_written_between_two_looks_comes_once(played: Played) -> None:
    @settings(max_examples=30)
    @given(TEXTS)
    def check(pieces: list[str]) -> None:
        build = Build(played.farm, len(played.farm.builds) + 1, {})
        played.farm.builds.append(build)
        text = ConsoleText(played.job, build.number)
        found: list[str] = []
        whole = "\n".join(pieces).encode()
        for at in range(0, len(whole), 7):
            build.log += whole[at : at + 7]
            found += text.lines()
        build.building = False
        found += text.lines()
        assert "\n".join(found) == whole.decode().removesuffix("\n")

    check()


def test_a_build_is_ended_softly_and_then_by_force(played: Played) -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    )

    def script(build: Build) -> str:
        with build.node("gpu"):
            build.sh(sys.executable, "-c", stubborn, cwd="/", environ={})
        return "SUCCESS"

    played.script = script
    played.job.start({})
    text = ConsoleText(played.job, 1)
    seen: list[str] = []
    while "up" not in seen:
        seen += text.lines()
    for how in ("stop", "term"):
        assert played.job.end(1, how)
        found = played.job.build(1)
        assert found is not None
        assert found.building
    assert played.job.end(1, "kill")
    assert played.wait_for_result(1) == "ABORTED"
    assert not played.job.end(2, "stop")


def test_a_job_that_is_called_login_is_no_login_page(played: Played) -> None:
    played.farm.path = "job/login"
    job = Job(played.client, "login")
    job.start({})
    assert job.end(1, "stop"), "the answer is a redirect to the build's page"
    played.controller.redirects = True
    with pytest.raises(AccessDenied, match="refused"):
        job.builds()


def test_a_question_of_a_build_is_answered_once_with_what_it_asks_for(played: Played) -> None:
    def script(build: Build) -> str:
        build.ask("Stop").wait(600)
        return build.answers["Stop"]["GRACE"]

    assert not played.job.proceed(1, "Stop", {"GRACE": "30"})
    played.script = script
    played.job.start({})
    while not played.job.proceed(1, "Stop", {"GRACE": "30"}):
        time.sleep(0.01)
    assert not played.job.proceed(1, "Stop", {})
    assert played.wait_for_result(1) == "30"


def test_a_controller_that_starts_is_asked_again_and_nothing_is_started_twice(played: Played) -> None:
    played.controller.starting = 2
    assert played.job.builds() == ()
    played.controller.starting = 1
    played.job.start({})
    assert len([line for line in played.controller.asked if "buildWithParameters" in line]) == 1


URL = "https://jenkins.example.org/ci/"


def test_the_login_is_the_environments_else_the_keyrings_else_that_of_netrc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(
        "machine other.example.org login a password b\nmachine jenkins.example.org login ada password n3t\n"
    )
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert login(URL, {"NETRC": str(tmp_path / "none")}) == Login()
    assert login(URL, {"NETRC": str(netrc)}) == Login("ada", "n3t")
    assert login("https://elsewhere/", {"NETRC": str(netrc)}) == Login()
    ring = ModuleType("keyring")
    ring.get_credential = lambda url, user: SimpleNamespace(username="eve", password="r1ng") if url == URL else None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", ring)
    assert login(URL, {"NETRC": str(netrc)}) == Login("eve", "r1ng")
    assert login(URL, {"MLBUTLER_JENKINS_USER": "bob", "MLBUTLER_JENKINS_TOKEN": "env"}) == Login("bob", "env")

    def broken(url: str, user: str | None) -> None:
        raise RuntimeError("no such service")

    ring.get_credential = broken  # type: ignore[attr-defined]
    assert login(URL, {"NETRC": str(netrc)}) == Login("ada", "n3t")
    assert "r1ng" not in repr(Login("eve", "r1ng"))
