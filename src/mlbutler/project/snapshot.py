"""Reads what is compared: at a commit through Git's objects, and in the work tree. No checkout is made.

What is the same object on both sides is not read at all, so that a change which touches no data fetches none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlbutler.compare.snapshot import Snapshot, Source
from mlbutler.errors import ProjectError
from mlbutler.project.load import load_stages, one_line
from mlbutler.project.model import Stages
from mlbutler.project.side import LARGEST, LEADS_OUT, TOO_LARGE, Side, leads_out

if TYPE_CHECKING:
    from mlbutler.project.project import Project


def read_snapshots(
    project: Project, base: str | None, prefix: str, tables: Sequence[str] = ()
) -> tuple[Snapshot, Snapshot]:
    """The commit `base` and the work tree.

    The first is empty when `base` is None, when it holds no project, and when what it holds is broken: a change that
    mends the target branch must be able to pass.

    Args:
        tables: paths of files that are compared row by row; they may be of any size.

    Raises:
        ProjectError: the work tree cannot be read.
    """
    new = Side(project, project.repo, project.stages, "", _FromDisk(project.root))
    problem = ""
    try:
        old = at_commit(project, base, prefix) if base else None
    except ProjectError as error:
        old, problem = None, error.message
    same = _same_objects(old.stages, new.stages) if old else frozenset()
    empty = Snapshot(base or "", problem=problem)
    return (old.read(same, tables) if old else empty), new.read(same, tables)


def at_commit(project: Project, commit: str, prefix: str) -> Side | None:
    """The project as of a commit, None when there was none in this folder; read once for each commit.

    Args:
        prefix: the project's path from the repository's root, '' or ``sub/folder/``.

    Raises:
        ProjectError: the project of then cannot be read.
    """
    if (commit, prefix) not in project.sides:
        project.sides[commit, prefix] = opened_at(project, commit, prefix)
    return project.sides[commit, prefix]


def opened_at(project: Project, commit: str, prefix: str) -> Side | None:
    """As `at_commit`, but not remembered."""
    from dvc.exceptions import NotDvcRepoError

    try:
        repo = _repo_of(project.root, commit, prefix)
        inside = repo.root_dir.strip("/") == prefix.rstrip("/")
        if not inside:  # the project, or its folder, is new in this change
            return None
        stages = load_stages(repo, read_params=False)
    except NotDvcRepoError:
        return None
    except ProjectError as error:
        raise _broken_then(commit, error.message) from error
    except Exception as error:  # DVC raises whatever its parsers, Python or git do
        raise _broken_then(commit, f"DVC cannot open the project: {one_line(error)}") from error
    return Side(project, repo, stages, commit, _FromGit(project.root, commit, prefix))


def _broken_then(commit: str, message: str) -> ProjectError:
    return ProjectError(f"As of {commit[:10]}: {message}", "Mend it on that branch, or name another commit.")


def _repo_of(root: Path, commit: str, prefix: str) -> Any:
    """DVC's `Repo` as of a commit. ``.dvc/config.local`` is left out where it does not fit what was configured then."""
    from dvc.config import ConfigError
    from dvc.fs import GitFileSystem
    from dvc.repo import Repo
    from dvc.scm import SCM

    class Committed(Repo):  # type: ignore[misc]
        local_dvc_dir = None

    scm = SCM(str(root))
    where, files = "/" + prefix.rstrip("/"), GitFileSystem(scm=scm, rev=commit)
    try:
        return Repo(where, fs=files, scm=scm)
    except ConfigError:
        return Committed(where, fs=files, scm=scm)


class _FromGit:
    """Files that Git tracks, as of one commit."""

    def __init__(self, root: Path, commit: str, prefix: str) -> None:
        from mlbutler.git import Git

        self._git, self._commit, self._prefix = Git(root), commit, prefix
        self._start = f"{commit}:{prefix}"
        self._known: dict[str, Source | None] = {}

    def ahead(self, paths: Iterable[str]) -> None:
        """Read all of these at once: a process for each would cost more than the files."""
        from mlbutler.git_objects import read_blobs

        asked = [path for path in dict.fromkeys(paths) if path not in self._known]
        blobs = read_blobs(self._git, [self._start + path for path in asked], LARGEST)
        for path in asked:
            blob = blobs.get(self._start + path)
            too_large = TOO_LARGE if blob is not None and blob.content is None else ""
            self._known[path] = None if blob is None else Source(blob.content, too_large)

    def __call__(self, path: str) -> Source | None:
        self.ahead([path])
        return self._known[path]

    def below(self, path: str) -> tuple[str, ...]:
        found = self._git.tree(self._commit, f"{self._prefix}{path}/")
        return tuple(entry.path.removeprefix(self._prefix) for entry in found if entry.mode.startswith("100"))


class _FromDisk:
    """Files of the work tree."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def ahead(self, paths: Iterable[str]) -> None:
        """Nothing is gained by reading them together."""

    def __call__(self, path: str) -> Source | None:
        file = self._root / path
        try:
            if leads_out(self._root, file):
                return Source(None, LEADS_OUT)
            if not file.is_file():
                return None
            if file.stat().st_size > LARGEST:
                return Source(None, TOO_LARGE)
            return Source(file.read_bytes())
        except OSError as error:
            return Source(None, f"cannot be read: {error.strerror}")

    def below(self, path: str) -> tuple[str, ...]:
        folder = self._root / path
        if not folder.is_dir() or leads_out(self._root, folder):
            return ()
        return tuple(file.relative_to(self._root).as_posix() for file in sorted(folder.rglob("*")) if file.is_file())


def _same_objects(old: Stages, new: Stages) -> frozenset[str]:
    """Cached outputs that are recorded as the same object on both sides."""
    return frozenset(
        path
        for path, (_, out) in new.owners.items()
        if (before := old.owners.get(path)) is not None
        and out.cached
        and before[1].cached
        and out.recorded is not None
        and before[1].recorded is not None
        and out.recorded.same_as(before[1].recorded)
    )
