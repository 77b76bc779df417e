"""Decide how this run isolates the project's own code, and say so in the record."""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mlbutler.errors import OutsideError
from mlbutler.frozen import frozen
from mlbutler.isolation import Places, prefix, problem, words
from mlbutler.process import project_environment
from mlbutler.secret_files import AS_FILE, NAMED
from mlbutler.secrets import is_secret_name
from mlbutler.steps.agreed import agreed
from mlbutler.steps.context import RunContext
from mlbutler.steps.given_variables import passed

_STATE = ".mlbutler"
_REFUSED = re.compile(r"Read-only file system|Errno 30\b")
_NOT_SEEN = re.compile(r"No such file or directory[^\n]*['\"/ ](?:tmp|var/tmp|run)/")
_NO_NETWORK = re.compile(r"Temporary failure in name resolution|Network is unreachable|Name or service not known")


@frozen
class Isolated:
    """How code runs: `prefix` stands before its command; `words` say it in the record.

    `state`: the folder that it sees as ``.mlbutler``, None where that is the real one.
    """

    words: str
    prefix: tuple[str, ...] = ()
    state: Path | None = None
    network: bool = True

    def hint(self, lines: Iterable[str]) -> str:
        """Return what to do where the last lines of a failed command show that it missed something, else ''."""
        if not self.prefix:
            return ""
        text = "\n".join(lines)
        if _REFUSED.search(text):
            return "It ran isolated: what it has to write outside the workspace belongs in isolation.writable."
        if _NOT_SEEN.search(text):
            return (
                "It ran isolated, with a /tmp and a /run of its own: what it needs there belongs in isolation.writable."
            )
        if not self.network and _NO_NETWORK.search(text):
            return "It ran isolated: the code of a fork has no network."
        return ""


@contextmanager
def isolated(work: RunContext) -> Iterator[Isolated]:
    """Yield how the project's code runs during the block.

    Raises:
        OutsideError: isolation is required, and does not work on this machine.
    """
    settings = agreed(work, "isolation", work.settings.isolation)
    mode = work.isolate or settings.mode
    if mode == "off":
        yield Isolated("off")
        return
    if mode == "auto" and work.record.change.ci == "local":
        yield Isolated("none: not on a CI server")
        return
    if why := problem():
        if mode == "require":
            raise OutsideError(
                f"The project's code cannot be isolated: {why}.",
                "Install bubblewrap on the agent (apt-get install bubblewrap) and let its user make namespaces, or "
                "take --isolate auto.",
            )
        yield Isolated(f"none: {why}")
        return
    with tempfile.TemporaryDirectory(prefix="mlbutler-isolated-", ignore_cleanup_errors=True) as own:
        places = _places(work, settings.writable)
        state, temporary = Path(own, "state"), Path(own, "dvc-tmp")
        covered = {work.root / _STATE: state, work.root / ".dvc" / "tmp": temporary}
        for folder in (*covered, *covered.values()):
            folder.mkdir(exist_ok=True)
        made = prefix(places, Path(own), covered)
        yield Isolated(words(places), made, state, places.network)


def _places(work: RunContext, writable: Sequence[str]) -> Places:
    top = work.git.toplevel()
    if work.mirror is not None and work.mirror.is_relative_to(top):
        work.mirror.mkdir(parents=True, exist_ok=True)  # else the code could make it
    home = work.environ.get("HOME")
    own = [Path(path.replace("~", home or "~", 1) if path.startswith("~/") else path) for path in writable]
    return Places(
        workspace=top,
        # Of .dvc all: what is not there yet, such as config.local, the code could make.
        read_only=(top / ".git", work.root / ".dvc", *([work.mirror] if work.mirror is not None else [])),
        writable=tuple(path if path.is_absolute() else top / path for path in own),
        home=Path(home) if home else None,
        hidden=tuple(_secrets(work, top)),
        network=work.trusted,
    )


def _secrets(work: RunContext, top: Path) -> Iterator[Path]:
    """Yield what lies outside the workspace and holds credentials of this build or one beside it.

    That is files that variables name which the project's code is not given, and the folder beside a workspace in which
    Jenkins puts keys and files for the steps that run now.
    """
    jenkins = top.with_name(f"{top.name}@tmp")
    if jenkins.is_dir():
        yield jenkins
    given = project_environment(work.environ, passed(work))
    for name in NAMED.keys() - given.keys():
        for path in map(Path, NAMED[name].split(os.pathsep)):
            if path.is_file() and not path.resolve().is_relative_to(top) and _is_private(name, path):
                yield path


def _is_private(name: str, path: Path) -> bool:
    mode = path.stat().st_mode
    return AS_FILE.fullmatch(name) is not None or is_secret_name(name) or not mode & (stat.S_IROTH | stat.S_IXUSR)
