"""The two ways to run a local server, and which one a folder was made for."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Protocol

from mlbutler.atomic import write
from mlbutler.console import Console
from mlbutler.errors import UsageError
from mlbutler.jenkins.server.compose import Compose
from mlbutler.jenkins.server.model import JenkinsServer, Repository
from mlbutler.jenkins.server.native import Native

_FILE = "server.json"


class ServerBackend(Protocol):
    """Start, stop and inspect a server in one of the two ways."""

    kind: str
    server: JenkinsServer

    def check(self) -> None:
        """Raise where it cannot be started, before anything is written."""
        ...

    def write(self) -> None:
        """Write every file that it is made from."""
        ...

    def start(self, console: Console) -> None:
        """Start it, or update what runs to the files."""
        ...

    def stop(self, console: Console, *, everything: bool) -> None:
        """Stop it; with `everything` remove what it has stored."""
        ...

    def parts(self) -> dict[str, str]:
        """Return the name of each part -> its state in words; empty when nothing runs."""
        ...

    def find_ended(self) -> tuple[str, str] | None:
        """Return the name of a part that has ended and what is to be said of it, None while all run."""
        ...

    def log_tail(self, part: str) -> str:
        """Return the end of a part's log."""
        ...

    def whole_log(self, part: str) -> str:
        """Return where the whole log of a part is: a path or a command."""
        ...


def save_server(kind: ServerBackend) -> None:
    """Write a server's description beside its files, for later commands. It holds no secret."""
    fields = dataclasses.asdict(kind.server) | {"home": str(kind.server.home), "kind": kind.kind}
    write(kind.server.home / _FILE, json.dumps(fields, indent=2).encode())


def load_server(home: Path) -> ServerBackend:
    """Return the server that was made in `home`.

    Raises:
        UsageError: there is none.
    """
    try:
        fields = json.loads((home / _FILE).read_text(encoding="utf-8"))
        kind = fields.pop("kind")
        server = JenkinsServer(**(fields | {"home": home, "repository": Repository(**fields["repository"])}))
    except FileNotFoundError as error:
        raise UsageError(f"There is no Jenkins server in {home}.", "Start one: mlbutler jenkins up") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{home / _FILE} is not readable.", "Run `mlbutler jenkins up` again.") from error
    return Compose(server) if kind == "compose" else Native(server)
