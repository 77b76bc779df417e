"""Decide how this run isolates the project's own code, and say so in the record."""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from mlbutler import file_modes
from mlbutler.errors import OutsideError, UsageError
from mlbutler.frozen import frozen
from mlbutler.homes import homes, programs
from mlbutler.isolation import Places, VisiblePaths, prefix, problem, words
from mlbutler.process import project_environment
from mlbutler.redacted_settings import redacted
from mlbutler.remotes.trust import configured_directories
from mlbutler.secret_files import AS_FILE, NAMED
from mlbutler.secrets import is_secret_name
from mlbutler.settings import IsolationSettings, Settings
from mlbutler.sockets import sockets
from mlbutler.steps.agreed import agreed_section
from mlbutler.steps.context import RunContext
from mlbutler.steps.given_variables import passed_variables

_STATE = ".mlbutler"
_REFUSED = re.compile(r"Read-only file system|Errno 30\b")
_MISSING = "o such file"
_PATH = re.compile(r"(?:^|(?<=[\s'\"=:(`‘]))/[^\s'\":,;)`’]{1,200}")
_OWN = tuple(map(Path, ("/tmp", "/var/tmp", "/run", "/dev/shm")))
# What Hugging Face's libraries, NLTK and their like say where a model is not where they keep such.
_NOT_CACHED = re.compile(r"(disk|local) cache\b|cached (files|snapshot)|outgoing traffic|Searched in:")
# Text of the change's author, which may be the path of anything.
_OF_THE_CHANGE = re.compile(r"TITLE|BRANCH|REF|MESSAGE|DESCRIPTION|COMMENT|BODY|TEXT|AUTHOR|TAG|CHANGE", re.IGNORECASE)
_HELD = re.compile(r"Permission denied|Errno 13\b")
_NO_NETWORK = re.compile(r"Temporary failure in name resolution|Network is unreachable|Name or service not known")
_OF_MODES = (
    "With data.link = 'hardlink' root's code may not write into files whose mode forbids it: they may be those of the "
    "cache and the mirror. Have it replace the file, or set data.link = 'copy'."
)


@frozen
class Isolated:
    """How code runs: `prefix` stands before its command; `words` say it in the record.

    `state`: the folder that it sees as ``.mlbutler``, None where that is the real one. `where`: whose settings count,
    as the end of a sentence. `visible`: what it sees.
    """

    words: str
    prefix: tuple[str, ...] = ()
    state: Path | None = None
    network: bool = True
    homes: tuple[Path, ...] = ()
    workspace: Path | None = None
    where: str = ""
    visible: VisiblePaths | None = None

    def hint(self, lines: Iterable[str]) -> str:
        """Return what to do where the last lines of a failed command show that it missed something, else ''."""
        if self.isolates:
            return next(filter(None, map(self._explain_line, reversed(list(lines)))), "")
        return _OF_MODES if self.prefix and _HELD.search("\n".join(lines)) else ""

    @property
    def isolates(self) -> bool:
        """Tell whether the code is kept from the rest of the machine, and not only held to the modes of files."""
        return self.prefix not in ((), file_modes.prefix())

    def _explain_line(self, line: str) -> str:
        if _REFUSED.search(line):
            path = next(iter(self._paths(line)), None)
            return f"It ran isolated, and what it has to write besides the workspace{self._advice(path, 'writable')}"
        for path in self._paths(line) if _MISSING in line else ():
            if any(path.is_relative_to(top) for top in _OWN):
                said = "It ran isolated, with a /tmp and a /run of its own: what it needs there"
                return f"{said}{self._advice(path, 'writable')}"
            if any(path.is_relative_to(top) for top in self.homes):
                return (
                    f"It ran isolated, with a home of its own: what it needs of yours{self._advice(path, 'readable')}"
                )
        if not self.network and _NO_NETWORK.search(line):
            return "It ran isolated: the code of a fork has no network."
        if _NOT_CACHED.search(line):
            said = "It ran isolated, with a home of its own: a cache of yours, such as ~/.cache/huggingface,"
            return f"{said}{self._advice(None, 'readable')}"
        return ""

    def _paths(self, line: str) -> Iterator[Path]:
        """Yield the paths that a line names, but for files of the workspace."""
        found = map(Path, _PATH.findall(line))
        return (path for path in found if self.workspace is None or not path.is_relative_to(self.workspace))

    def _advice(self, path: Path | None, setting: str) -> str:
        shown = f" ({path})" if path is not None else ""
        return f"{shown} belongs in isolation.{setting}{self.where}."


@contextmanager
def isolate_code(context: RunContext) -> Iterator[Isolated]:
    """Yield how the project's code runs during the block.

    Raises:
        OutsideError: isolation is required, and does not work on this machine. UsageError: the command line asks for
            less than what is required.
    """
    settings = agreed_section(context, "isolation", context.settings.isolation)
    mode = context.options.isolate or settings.mode
    if mode != "require" and is_required(context):
        raise UsageError(
            f"--isolate {mode}: isolation.mode is 'require', and other commands of this build rely on that.",
            "Leave --isolate out, or change the setting on the target branch.",
        )
    alone = file_modes.prefix() if _modes_bind(context.root, context.settings) else ()
    if mode == "off":
        yield Isolated("off", alone)
        return
    if mode == "auto" and context.record.change.ci == "local":
        yield Isolated("none: not on a CI server", alone)
        return
    if why := problem():
        if mode == "require":
            raise OutsideError(
                f"The project's code cannot be isolated: {why}.",
                "Install bubblewrap on the agent (apt-get install bubblewrap) and let its user make namespaces, or "
                "do not require it.",
            )
        yield Isolated(f"none: {why}", alone)
        return
    with tempfile.TemporaryDirectory(prefix="mlbutler-isolated-", ignore_cleanup_errors=True) as own:
        places = _places(context, settings)
        state, temporary = Path(own, "state"), Path(own, "dvc-tmp")
        covered = {context.root / _STATE: state, context.root / ".dvc" / "tmp": temporary}
        for folder in (*covered, *covered.values()):
            folder.mkdir(exist_ok=True)
        covered |= {path: _write_redacted(path, Path(own, f"settings-{n}")) for n, path in enumerate(places.redacted)}
        made = prefix(places, Path(own), covered)
        where = " of the target branch's mlbutler.toml" if context.record.change.kind == "pull-request" else ""
        visible = VisiblePaths.of(places)
        yield Isolated(words(places), made, state, places.network, places.homes, places.workspace, where, visible)


def is_required(context: RunContext) -> bool:
    """Return whether no command of a CI server's build may run the project's code without isolation."""
    settings = agreed_section(context, "isolation", context.settings.isolation)
    return settings.mode == "require" and context.record.change.ci != "local"


def visible_paths(context: RunContext) -> VisiblePaths | None:
    """Return what the project's code may see on this machine, None where it is not isolated."""
    settings = agreed_section(context, "isolation", context.settings.isolation)
    mode = context.options.isolate or settings.mode
    here = mode != "off" and (mode != "auto" or context.record.change.ci != "local") and not problem()
    return VisiblePaths.of(_places(context, settings)) if here else None


def _places(context: RunContext, settings: IsolationSettings) -> Places:
    top = context.git.toplevel()
    if context.mirror is not None and context.mirror.is_relative_to(top):
        context.mirror.mkdir(parents=True, exist_ok=True)  # else the code could make it
    home = context.environ.get("HOME")
    given = project_environment(context.environ, passed_variables(context))
    tops = homes(context.environ)
    # Links of outputs lead to objects, wherever the cache is; nothing else of a folder that the change may name.
    objects = [path / "files" / "md5" for path in configured_directories(context.root)]
    return Places(
        workspace=top,
        # Of .dvc all: what is not there yet, such as config.local, the code could make.
        read_only=(top / ".git", context.root / ".dvc", *([context.mirror] if context.mirror is not None else [])),
        writable=tuple(_resolve_paths(settings.writable, home, top)),
        homes=tops,
        home=Path(home).resolve() if home and any(Path(home).resolve().is_relative_to(one) for one in tops) else None,
        readable=(
            *programs(given, tops, {top, context.root}),
            *objects,
            *(_read_alternates(top) if context.trusted else ()),  # others may be private
            *_paths_in_variables(context, given),
            *_resolve_paths(settings.readable, home, top),
        ),
        hidden=(
            *_secrets(context, top, given),
            *(path for path in sockets(context.environ) if not path.is_relative_to(top)),
        ),
        redacted=tuple(
            path for path in _find_settings_files(context.root, top) if redacted(text := _text(path)) != text
        ),
        network=context.trusted,
        modes_bind=_modes_bind(context.root, context.settings),
    )


def _read_alternates(top: Path) -> Iterator[Path]:
    """Yield folders of objects that the clone shares with others: without them Git reads nothing."""
    try:
        lines = (top / ".git" / "objects" / "info" / "alternates").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return
    yield from (Path(line) for line in lines if line.startswith("/") and Path(line).name == "objects")


def _modes_bind(root: Path, settings: Settings) -> bool:
    """Tell whether root's code is held to the modes of files: where files of the work tree may be those of stores."""
    return settings.data.link == "hardlink" and file_modes.bind(root)


def _resolve_paths(paths: Sequence[str], home: str | None, top: Path) -> Iterator[Path]:
    for text in paths:
        path = Path(text.replace("~", home or "~", 1) if text.startswith("~/") else text)
        yield path if path.is_absolute() else top / path


def _paths_in_variables(context: RunContext, given: Mapping[str, str]) -> Iterator[Path]:
    """Yield what variables name that the code is given by name: it may have them, and so read them."""
    for name in passed_variables(context):
        value = given.get(name, "")
        if value.startswith("/") and not _OF_THE_CHANGE.search(name):
            yield Path(value)


def _find_settings_files(root: Path, top: Path) -> Iterator[Path]:
    """Yield the workspace's files of settings in which jobs and CI servers leave credentials."""
    git, dvc = top / ".git", root / ".dvc"
    found = (git / "config", git / "config.worktree", git / "credentials", *(git / "modules").rglob("config"))
    return (path for path in (*found, dvc / "config", dvc / "config.local") if path.is_file())


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="surrogateescape")


def _write_redacted(path: Path, copy: Path) -> Path:
    copy.write_text(redacted(_text(path)), encoding="utf-8", errors="surrogateescape")
    return copy


def _secrets(context: RunContext, top: Path, given: Mapping[str, str]) -> Iterator[Path]:
    """Yield what lies outside the workspace and holds credentials of this build or one beside it.

    That is files that variables name which the project's code is not given, and the folder beside a workspace in which
    Jenkins puts keys and files for the steps that run now.
    """
    yield from (path for path in top.parent.glob("*@tmp") if path.is_dir())
    for name in NAMED.keys() - given.keys():
        for path in map(Path, NAMED[name].split(os.pathsep)):
            if path.is_file() and not path.resolve().is_relative_to(top) and _is_private(name, path):
                yield path


def _is_private(name: str, path: Path) -> bool:
    mode = path.stat().st_mode
    return AS_FILE.fullmatch(name) is not None or is_secret_name(name) or not mode & (stat.S_IROTH | stat.S_IXUSR)
