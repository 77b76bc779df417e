"""`mlbutler jenkins up|down|status|validate`: a local server, and checking a Jenkinsfile."""

from __future__ import annotations

import json
import os
import posixpath
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from mlbutler.console import Console, human_seconds
from mlbutler.errors import EXIT_JUDGED, EXIT_OUTSIDE, EXIT_PASSED, MlbutlerError, OutsideError, UsageError
from mlbutler.frozen import frozen
from mlbutler.git import Git
from mlbutler.jenkins.client import JenkinsClient
from mlbutler.jenkins.lint import LintFinding, is_declarative, lint
from mlbutler.jenkins.server.compose import Compose
from mlbutler.jenkins.server.credentials import ADMIN_PASSWORD, GIVEN, admin_password, given_credentials, prepare
from mlbutler.jenkins.server.kinds import ServerBackend, load_server, save_server
from mlbutler.jenkins.server.model import ADMIN, AGENT, JenkinsServer, job_name
from mlbutler.jenkins.server.native import Native
from mlbutler.jenkins.server.source import repository

TRAIN_JENKINSFILE = "Jenkinsfile.train"
_Answer = TypeVar("_Answer")
_PAUSE = 1.0
_TELL_EVERY = 10.0


@frozen
class ServerOptions:
    """What the command line asks of a new server; None where it leaves the choice to us."""

    home: Path | None = None
    name: str | None = None
    url: str | None = None
    source: str | None = None
    server: str | None = None
    script: str = "Jenkinsfile"
    bind: str = "127.0.0.1"
    port: int = 8080
    labels: str = "docker"
    executors: int = 2
    war: Path | None = None
    plugins: Path | None = None
    java: str = "java"


def up(directory: Path, console: Console, options: ServerOptions, *, timeout: float) -> int:
    """Start a local server for the repository at `directory`, and wait until it and its agent answer.

    Args:
        timeout: seconds to wait.

    Raises:
        UsageError: no repository, or Docker, Java or plugins are missing. OutsideError: it did not start.
    """
    server = _server(directory, options)
    kind: ServerBackend = Native(server, options.war, options.plugins, options.java) if options.war else Compose(server)
    kind.check()
    is_new = prepare(server.secrets)
    kind.write()
    save_server(kind)
    console.line(f"Starting Jenkins for {server.repository.url} in {server.home}")
    kind.start(console)
    with JenkinsClient(server.url) as client:
        version = _wait_for("controller", client.answers, kind, console, timeout)
    if isinstance(kind, Native):
        _ask_controller(kind.attend, kind)
    with JenkinsClient(server.url, ADMIN, admin_password(server.secrets)) as client:
        _wait_for(AGENT, lambda: client.is_online(AGENT) or None, kind, console, timeout)
    _tell(kind, console, version, is_new)
    return EXIT_PASSED


def down(directory: Path, console: Console, home: Path | None, *, everything: bool) -> int:
    """Stop the server; `everything` also removes builds, workspaces and the mirror, never the secrets.

    Raises:
        UsageError: there is none. OutsideError: it could not be stopped.
    """
    kind = load_server(home or _home(directory, None))
    kind.stop(console, everything=everything)
    console.line(f"Stopped. {'Its data are gone' if everything else 'Its data are kept'} ({kind.server.home}).")
    if console.json:
        print(json.dumps({"home": str(kind.server.home), "stopped": True, "data_removed": everything}))
    return EXIT_PASSED


def status(directory: Path, console: Console, home: Path | None) -> int:
    """Say whether controller and agent run and what the job does; 0 when all is well, else 3.

    Raises:
        UsageError: there is no server.
    """
    kind = load_server(home or _home(directory, None))
    server = kind.server
    found: dict[str, object] = {"url": server.url, "home": str(server.home), "kind": kind.kind, "parts": {}}
    try:
        found["parts"] = kind.parts()
    except MlbutlerError as error:
        found["trouble"] = error.message
    password = admin_password(server.secrets)
    with JenkinsClient(server.url, ADMIN, password) as client:
        version = None
        try:
            version = client.answers()
        except OutsideError as error:
            found["trouble"] = error.message
        found |= {"answers": version is not None, "version": version or "", "agent_online": False, "job": ""}
        if version is not None:
            found["agent_online"] = client.is_online(AGENT)
            found["job"] = "there" if server.name in client.jobs() else "missing"
    for name, value in found.items():
        console.line(f"{name.replace('_', ' '):<13} {_format_value(value)}")
    if console.json:
        print(json.dumps(found, indent=2))
    return EXIT_PASSED if found["answers"] and found["agent_online"] else EXIT_OUTSIDE


def _format_value(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{part} {state}" for part, state in value.items()) or "none"
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def validate(directory: Path, console: Console, file: Path, url: str | None) -> int:
    """Check a Jenkinsfile: offline always, and by a controller when its address is given.

    A declarative pipeline goes to the controller's validator, any other Jenkinsfile to its compiler.

    Raises:
        UsageError: there is no such file. AccessDenied, OutsideError: the controller did not judge.
    """
    path = directory / file
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        remedy = "Name the file: mlbutler jenkins validate PATH"
        raise UsageError(f"{path} cannot be read: {error.strerror}.", remedy) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text.", "Save it as UTF-8.") from error
    findings, declarative = lint(text), is_declarative(text)
    if url:
        with JenkinsClient.from_environment(url, os.environ) as client:
            said = client.validate(text) if declarative else client.compile(text)
        findings += [LintFinding("error", 0, f"the controller says: {line}") for line in said]
    wrong = any(finding.level == "error" for finding in findings)
    for finding in findings:
        where = f"{file}:{finding.line}" if finding.line else str(file)
        console.line(f"{where}: {finding.level}: {finding.text}")
    judges = "offline and by the controller" if url else "offline"
    judges += "" if declarative else " (no declarative pipeline: its syntax alone)"
    console.line(f"{file}: {'not valid' if wrong else 'valid'}, checked {judges}")
    if console.json:
        rows = [{"level": finding.level, "line": finding.line, "text": finding.text} for finding in findings]
        print(json.dumps({"file": str(file), "valid": not wrong, "checked": judges, "findings": rows}, indent=2))
    return EXIT_JUDGED if wrong else EXIT_PASSED


# -------------------------------------------------------------------------------------- what to start


def _server(directory: Path, options: ServerOptions) -> JenkinsServer:
    home = options.home or _home(directory, options.name)
    if options.labels and not re.fullmatch(r"[\w.+-]+( [\w.+-]+)*", options.labels):
        raise UsageError(
            f"'{options.labels}' are not labels.", "Words with single spaces between: --label 'docker gpu'"
        )
    found = repository(options.url or _remote_url(directory), options.source, options.server)
    return JenkinsServer(
        name=job_name(options.name or home.name), home=home.resolve(), repository=found, script=options.script,
        address=options.bind, port=options.port, labels=options.labels, executors=options.executors,
        train=_train_script(directory, options.script), branch=_default_branch(directory),
    )  # fmt: skip


def _train_script(directory: Path, script: str) -> str:
    """Return the path of the Jenkinsfile for experiments, beside the other one; '' where there is none."""
    path = posixpath.join(posixpath.dirname(script), TRAIN_JENKINSFILE)
    try:
        return path if (Git(directory).toplevel() / path).is_file() else ""
    except UsageError:  # no repository is here: its address was given
        return ""


def _default_branch(directory: Path) -> str:
    """Return the default branch as the clone has it from the remote; main where it does not say."""
    prefix = "refs/remotes/origin/"
    done = Git(directory).run("symbolic-ref", "--quiet", f"{prefix}HEAD", check=False)
    return done.text.removeprefix(prefix) if done.code == 0 else "main"


def _home(directory: Path, name: str | None) -> Path:
    """Return a directory outside the repository: secrets are in it."""
    base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "mlbutler" / "jenkins" / job_name(name or Git(directory).toplevel().name)


def _remote_url(directory: Path) -> str:
    git = Git(directory)
    git.toplevel()
    remotes = git.remotes()
    if not remotes:
        raise UsageError("The repository has no remote that Jenkins could read.", "Name its address: --url URL")
    return remotes.get("origin", next(iter(remotes.values())))


# ------------------------------------------------------------------------------------------ waiting


def _wait_for(
    part: str, ask: Callable[[], _Answer | None], kind: ServerBackend, console: Console, timeout: float
) -> _Answer:
    """Return what `ask` answers for a part of the server, as soon as that is not None.

    Raises:
        OutsideError: any part of it has ended, or it takes more than `timeout` seconds.
    """
    began = told = time.monotonic()
    while True:
        if (ended := kind.find_ended()) is not None:
            name, state = ended
            raise _start_error(f"the {name} {state}", kind, name)
        if (answer := _ask_controller(ask, kind)) is not None:
            return answer
        now = time.monotonic()
        if now - began > timeout:
            raise _start_error(f"the {part} did not answer within {human_seconds(timeout)}", kind, part)
        if now - told >= _TELL_EVERY:
            console.line(f"  waiting for the {part}, {human_seconds(now - began)}")
            told = now
        time.sleep(_PAUSE)


def _ask_controller(ask: Callable[[], _Answer], kind: ServerBackend) -> _Answer:
    """Return what the controller answers; its log goes with an error of it."""
    try:
        return ask()
    except OutsideError as error:
        raise _start_error(error.message.removesuffix("."), kind, "controller") from error


def _start_error(why: str, kind: ServerBackend, part: str) -> OutsideError:
    """Return the error that shows the end of a part's log."""
    words = kind.log_tail(part).strip() or "It wrote nothing."
    return OutsideError(
        f"Jenkins did not start: {why}. The end of the log of the {part}:\n{words}",
        f"All of it: {kind.whole_log(part)}  `mlbutler jenkins down` stops what runs; --timeout waits longer.",
    )


def _tell(kind: ServerBackend, console: Console, version: str, is_new: bool) -> None:
    server = kind.server
    password = server.secrets / ADMIN_PASSWORD
    there = {credential.id for credential in given_credentials(server.secrets)}
    lacking = [credential for credential in GIVEN if credential.id not in there]
    console.line(f"\nJenkins {version} answers at {server.url}")
    console.line(f"  job       {server.url}job/{server.name}/")
    if server.train:
        console.line(f"  training  {server.url}job/{server.train_job}/")
    if is_new:
        console.line(f"  user      {ADMIN}, password {password.read_text(encoding='ascii')}  (shown this once)")
    else:
        console.line(f"  user      {ADMIN}, password in {password}")
    console.line(f"  files     {server.home}")
    if lacking:
        console.line(f"\nCredentials that were not given, each as files in {server.secrets}; then run this again:")
        for credential in lacking:
            console.line(f"  {credential.id:<17} {', '.join(credential.files):<42} {credential.text}")
    if console.json:
        training = f"{server.url}job/{server.train_job}/" if server.train else ""
        rows = {"url": server.url, "job": f"{server.url}job/{server.name}/", "train_job": training,
                "user": ADMIN, "version": version,
                "password_file": str(password), "home": str(server.home), "kind": kind.kind,
                "credentials": sorted(there)}  # fmt: skip
        print(json.dumps(rows, indent=2))
