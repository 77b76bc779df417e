from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import time
from pathlib import Path

import pytest

from mlbutler.console import Console
from mlbutler.errors import OutsideError, UsageError
from mlbutler.jenkins.server.background import BackgroundProcess
from mlbutler.jenkins.server.credentials import prepare
from mlbutler.jenkins.server.model import JenkinsServer, Repository
from mlbutler.jenkins.server.native import Native
from mlbutler.jenkins.server.plugins import NEEDED
from mlbutler.jenkins.server.versions import LINES, NAMES_ITS_CONTROLLER
from tests.jenkins import archives

TOKEN = "ghp-planted-token-0123456789"


@pytest.fixture
def native(tmp_path: Path, port: int, java: Path) -> Native:
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    for name in NEEDED:
        archives.plugin(plugins / f"{name}.hpi")
    repository = Repository("https://git.example.org/team/digits.git", "git")
    server = JenkinsServer(name="digits", home=tmp_path / "server", repository=repository, port=port)
    prepare(server.secrets)
    return Native(server, archives.war(tmp_path / "jenkins.war"), plugins)


def test_plugins_are_put_in_and_missing_ones_are_named(native: Native) -> None:
    native.check()
    native.write()
    assert sorted(path.name for path in (native.home / "plugins").iterdir()) == sorted(f"{n}.jpi" for n in NEEDED)
    assert native.plugins is not None
    (native.plugins / "job-dsl.hpi").unlink()
    (native.home / "plugins" / "job-dsl.jpi").unlink()
    with pytest.raises(UsageError, match="job-dsl") as error:
        native.check()
    assert "--plugins" in error.value.remedy
    listed = (native.server.home / "plugins.txt").read_text()
    assert str(native.server.home / "plugins.txt") in error.value.remedy
    assert re.search(r"^job-dsl:\S+$", listed, re.MULTILINE)


def test_an_older_jenkins_gets_a_list_of_plugins_without_versions(native: Native) -> None:
    assert native.war is not None
    archives.war(native.war, archives.OLDER_JENKINS, archives.OLDER_REMOTING)
    (native.plugins or Path()).joinpath("job-dsl.hpi").unlink()
    with pytest.raises(UsageError, match="job-dsl"):
        native.check()
    assert "job-dsl" in (native.server.home / "plugins.txt").read_text().splitlines()


@pytest.mark.parametrize("content", [None, b"", b"PK", b"<html>not found</html>"])
def test_what_is_no_war_is_an_error_with_its_remedy(native: Native, content: bytes | None) -> None:
    assert native.war is not None
    native.war.unlink() if content is None else native.war.write_bytes(content)
    with pytest.raises(UsageError, match=r"jenkins\.war") as error:
        native.check()
    assert "get.jenkins.io" in error.value.remedy


def test_no_java_is_an_error_with_its_remedy(native: Native) -> None:
    native.java = "java-that-is-not-here"
    with pytest.raises(UsageError, match="java-that-is-not-here") as error:
        native.check()
    assert "--java" in error.value.remedy


@pytest.mark.parametrize(
    ("jenkins", "runs", "said"),
    [
        ("2.346.3", "11.0.2", "2.361.1 or newer is supported"),
        ("2.361.1", "1.8.0_292", "does not run with Java 8"),
        ("2.426.2", "25", "does not run with Java 25"),
        ("2.541.3", "11.0.25", "does not run with Java 11"),
        ("2.555.1", "17.0.15", "does not run with Java 17"),
        ("2.545", "17.0.15", "does not run with Java 17"),
    ],
)
def test_versions_that_do_not_fit_are_refused(
    native: Native, jenkins: str, runs: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert native.war is not None
    archives.war(native.war, jenkins)
    monkeypatch.setenv("PLAYED_JAVA", runs)
    with pytest.raises(UsageError, match=said) as error:
        native.check()
    assert re.search(r"get\.jenkins\.io|--java PATH", error.value.remedy)


@pytest.mark.parametrize(("jenkins", "runs"), [("2.361.1", "11.0.2"), ("2.426.2", "21"), ("2.600.1", "25.0.1")])
def test_versions_that_fit_pass(native: Native, jenkins: str, runs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert native.war is not None
    archives.war(native.war, jenkins)
    for path in (native.plugins or Path()).iterdir():
        archives.plugin(path, jenkins)
    monkeypatch.setenv("PLAYED_JAVA", runs)
    native.check()


def test_a_plugin_for_a_newer_jenkins_is_named(native: Native) -> None:
    assert native.war is not None
    assert native.plugins is not None
    archives.war(native.war, archives.OLDER_JENKINS)
    archives.plugin(native.plugins / "git.hpi", "2.479.1")
    with pytest.raises(UsageError, match=r"newer Jenkins than 2\.426\.2: git \(2\.479\.1\)"):
        native.check()
    (native.plugins / "git.hpi").write_bytes(b"half a downl")
    with pytest.raises(UsageError, match=r"git\.hpi is not a whole plugin"):
        native.check()


def test_the_documented_versions_are_those_that_are_checked() -> None:
    page = (Path(__file__).parents[2] / "docs" / "jenkins-server.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (2\.\d+\.1), weekly 2\.(\d+) \| (\d[^|]*\d) \|", page, re.MULTILINE)
    documented = [(lts, int(weekly), tuple(map(int, re.findall(r"\d+", java)))) for lts, weekly, java in rows]
    assert documented == [(line.lts, line.weekly, line.java) for line in LINES]
    assert f"remoting {NAMES_ITS_CONTROLLER}" in page


def test_what_an_earlier_start_wrote_is_not_shown_as_the_end_of_this_one(tmp_path: Path) -> None:
    process = BackgroundProcess(tmp_path, "agent")
    for text in ("first", "second"):
        process.start(["/bin/sh", "-c", f"echo {text}"], {})
        _wait_until_ended(process)
    assert process.log_tail() == "second"
    assert process.log.read_text() == "first\nsecond\n"


def test_it_runs_without_the_credentials_of_who_started_it_and_ends_when_told(
    native: Native, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLBUTLER_GIT_TOKEN", TOKEN)
    native.write()
    native.start(console)
    try:
        log = native.server.home / "controller.log"
        until = time.monotonic() + 300
        while not (log.exists() and "\n" in log.read_text()) and time.monotonic() < until:
            time.sleep(0.05)
        environ = json.loads(log.read_text().splitlines()[0])
        assert environ["JENKINS_HOME"] == str(native.home)
        assert TOKEN not in log.read_text()
        assert native.parts() == {"controller": "running"}
        native.start(console)  # a second one is not started
        pid = json.loads((native.server.home / "controller.process.json").read_text())["pid"]
    finally:
        native.stop(console, everything=False)
    assert native.parts() == {}
    assert native.home.is_dir()
    with pytest.raises(ProcessLookupError):
        os.kill(_reap(pid), 0)


def test_another_process_with_the_same_number_is_left_alone(native: Native, console: Console) -> None:
    native.write()
    kept = {"pid": os.getpid(), "started": "1"}
    (native.server.home / "controller.process.json").write_text(json.dumps(kept))
    before = signal.getsignal(signal.SIGTERM)
    native.stop(console, everything=False)
    assert signal.getsignal(signal.SIGTERM) is before
    assert native.parts() == {}


def test_an_agent_is_not_started_for_a_controller_that_is_gone(native: Native, console: Console) -> None:
    native.write()
    with pytest.raises(OutsideError, match="does not answer"):
        native.attend()


def _wait_until_ended(process: BackgroundProcess) -> None:
    until = time.monotonic() + 300
    while process.runs and time.monotonic() < until:
        time.sleep(0.01)


def _reap(pid: int) -> int:
    """Collect the child: its parent would, had it not been this process."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)
    return pid
