"""Find the homes of the machine's users, and what programs need of them: interpreters, environments and libraries.

All else in a home is for its owner: keys, tokens, configuration, other projects. So is the folder of a CI server's
agent, which holds its own key, other jobs' workspaces and the files of their credentials.
"""

from __future__ import annotations

import os
import pwd
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

_OF_USERS = ("/home", "/root")
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/dev", "/proc", "/sys", "/tmp")
_OF_CI = ("JENKINS_HOME", "CI_BUILDS_DIR")
"""The controller's own folder, with its secrets, where builds run on the controller; GitLab's folder of all builds."""
_NAMES_A_PLACE = re.compile(r"\w*(PATH|ROOT|HOME|PREFIX|DIR|CACHE|EXE|DATA|ENV|DIRECTORY|Location)|(R|PERL5)_?LIBS?\w*")
# What CI servers say may be text of the change's author: a branch, a title, which are the path of a folder of keys.
_NOT_FOR_PROGRAMS = re.compile(
    r"PATH|HOME|XDG_\w+|(JENKINS|HUDSON|CARGO)_HOME|(CI|GIT|GITHUB|CHANGE|RUN|BUILD|JOB|TAG)_\w+|TMPDIR"
)
_CERTIFICATES = re.compile(r"SSL_CERT_(FILE|DIR)|\w*CA_BUNDLE|NODE_EXTRA_CA_CERTS|PIP_CERT|GIT_SSL_CA\w+")
_LIBRARIES = (".local/bin", ".local/lib", "R", ".julia/packages", ".julia/artifacts", ".julia/compiled",
              ".julia/registries", ".julia/environments", ".julia/juliaup")  # fmt: skip
"""Where pip, R and Julia put what a user installs without an environment."""
_OF_A_PREFIX = ("bin", "sbin", "lib", "lib64", "libexec", "include")
_MOST_LINKS = 5000


def homes(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Return the folders that are homes, or hold them: of all users, of this one, and of the CI server on its agent.

    A home that is, or holds, a folder of the system's is none.
    """
    named = [environ.get(name, "") for name in ("HOME", *_OF_CI)]
    places = [*_OF_USERS, *named, _of_this_user(), *map(os.fspath, _of_agent(environ))]
    found = [Path(path).resolve() for path in places if path and Path(path).is_dir()]
    programs = {Path(entry).resolve() for entry in environ.get("PATH", "").split(os.pathsep) if entry}
    kept = {path for path in found if path not in programs and not _holds_the_system(path)}
    return tuple(sorted((p for p in kept if not any(p != q and p.is_relative_to(q) for q in kept)), key=os.fspath))


def _of_agent(environ: Mapping[str, str]) -> Iterator[Path]:
    """Yield the folder of all workspaces of an agent of Jenkins' or GitHub's, and that of the agent itself."""
    for above in Path(environ.get("WORKSPACE", "")).parents:
        if above.name == "workspace":
            yield from (above, above.parent)
    if runner := environ.get("RUNNER_WORKSPACE", ""):
        work = Path(runner).parent
        yield work
        if (work.parent / ".credentials").exists():  # else the work folder lies elsewhere
            yield work.parent


def _of_this_user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:  # a container's user has no entry
        return ""


def _holds_the_system(home: Path) -> bool:
    return any(Path(system) == home or Path(system).is_relative_to(home) for system in _SYSTEM)


def programs(environ: Mapping[str, str], covered: Iterable[Path], workspaces: Iterable[Path]) -> tuple[Path, ...]:
    """Return what programs need of these homes: folders and files to read.

    Args:
        environ: what the project's code is given. workspaces: folders that may hold virtual environments.
    """
    tops = tuple(covered)
    found = {path.resolve() for path in _program_paths(environ, tops, tuple(workspaces)) if path.exists()}
    inside = {path for path in found if any(path != top and path.is_relative_to(top) for top in tops)}
    homes = {Path(environ.get("HOME") or "/").resolve(), Path(_of_this_user() or "/").resolve()}
    return tuple(sorted(inside - homes))


def _program_paths(environ: Mapping[str, str], tops: tuple[Path, ...], workspaces: tuple[Path, ...]) -> Iterator[Path]:
    own = {Path(environ.get("HOME") or "/"), Path(_of_this_user() or "/")}
    entries = [Path(entry) for entry in environ.get("PATH", "").split(os.pathsep) if entry.startswith("/")]
    local = [home / _LIBRARIES[0] for home in own]
    for entry in (*entries, *local):
        yield from _around(entry, own)
        yield from _link_targets(entry, tops)
    yield from (home / name for home in own for name in _LIBRARIES)
    yield from (Path(sys.prefix), Path(sys.base_prefix))
    yield from filter(None, map(_interpreter, _environments(workspaces)))
    for name, value in environ.items():
        of_programs = _NAMES_A_PLACE.fullmatch(name) and not _NOT_FOR_PROGRAMS.fullmatch(name)
        if of_programs or _CERTIFICATES.fullmatch(name):
            yield from (Path(text) for text in value.split(os.pathsep) if text.startswith("/"))


def _around(entry: Path, own: set[Path]) -> Iterator[Path]:
    """Yield what belongs to the programs of an entry of PATH."""
    above = entry.parent
    if above in own or entry in own:
        yield from () if entry in own else (entry,)
    elif entry.name in ("shims", "condabin") or (entry.name in ("bin", "Scripts") and _is_environment(above)):
        yield above
    elif entry.name in ("bin", "sbin"):
        yield from (above / name for name in _OF_A_PREFIX)
    else:
        yield entry


def _is_environment(folder: Path) -> bool:
    """Return whether a folder is Python's: an installation, or an environment of venv or conda."""
    made = (folder / "pyvenv.cfg").is_file() or (folder / "conda-meta").is_dir()
    return made or any(folder.glob("lib/python3*/os.py"))


def _link_targets(entry: Path, tops: tuple[Path, ...]) -> Iterator[Path]:
    """Yield where programs of a home really lie: uv, pipx and juliaup put links to them into one folder."""
    if not any(entry.is_relative_to(top) for top in tops):
        return
    try:
        with os.scandir(entry) as found:
            links = [one.path for one, _ in zip(found, range(_MOST_LINKS), strict=False) if one.is_symlink()]
    except OSError:
        return
    for link in links:
        real = Path(os.path.realpath(link))
        if real.parent.name == "bin":
            yield from _around(real.parent, set())


def _environments(workspaces: tuple[Path, ...]) -> Iterator[Path]:
    for folder in workspaces:
        yield from (file.parent for file in folder.glob("*/pyvenv.cfg"))


def _interpreter(environment: Path) -> Path | None:
    """Return the installation that a virtual environment is made from.

    The environment may have come with a pull request: what its link leads to has to be an installation of Python.
    """
    prefix = Path(os.path.realpath(environment / "bin" / "python")).parent.parent
    return prefix if any(prefix.glob("lib/python3*/os.py")) else None
