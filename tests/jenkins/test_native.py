from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from pathlib import Path

import pytest

from mlbutler.console import Console
from mlbutler.errors import OutsideError, UsageError
from mlbutler.jenkins.server.credentials import prepare
from mlbutler.jenkins.server.model import Repository, Server
from mlbutler.jenkins.server.native import Native
from mlbutler.jenkins.server.plugins import NEEDED

TOKEN = "ghp-planted-token-0123456789"


@pytest.fixture
def native(tmp_path: Path, port: int, java: Path) -> Native:
    war, plugins = tmp_path / "jenkins.war", tmp_path / "plugins"
    war.write_bytes(b"a war")
    plugins.mkdir()
    for name in NEEDED:
        (plugins / f"{name}.hpi").write_bytes(b"a plugin")
    repository = Repository("https://git.example.org/team/digits.git", "git")
    server = Server(name="digits", home=tmp_path / "server", repository=repository, port=port)
    prepare(server.secrets)
    return Native(server, war, plugins)


def test_plugins_are_put_in_and_missing_ones_are_named(native: Native) -> None:
    native.write()
    assert sorted(path.name for path in (native.home / "plugins").iterdir()) == sorted(f"{n}.jpi" for n in NEEDED)
    assert native.plugins is not None
    (native.plugins / "job-dsl.hpi").unlink()
    (native.home / "plugins" / "job-dsl.jpi").unlink()
    with pytest.raises(UsageError, match="job-dsl") as error:
        native.write()
    assert "--plugins" in error.value.remedy


def test_no_war_is_an_error_with_its_remedy(native: Native) -> None:
    assert native.war is not None
    native.war.unlink()
    with pytest.raises(UsageError, match=r"jenkins\.war") as error:
        native.write()
    assert "get.jenkins.io" in error.value.remedy


def test_no_java_is_an_error_with_its_remedy(native: Native, console: Console) -> None:
    native.java = "java-that-is-not-here"
    native.write()
    with pytest.raises(UsageError, match="java-that-is-not-here"):
        native.start(console)
    assert native.parts() == {}


def test_it_runs_without_the_credentials_of_who_started_it_and_ends_when_told(
    native: Native, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLBUTLER_GIT_TOKEN", TOKEN)
    native.write()
    native.start(console)
    try:
        log = native.server.home / "controller.log"
        until = time.monotonic() + 20
        while not (log.exists() and "{" in log.read_text()) and time.monotonic() < until:
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
        os.kill(_reaped(pid), 0)


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
        native.attend(console)


def _reaped(pid: int) -> int:
    """Collect the child: whoever started it would, had it not been this process."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)
    return pid
