"""Read what is compared: at a commit through Git's objects, and in the work tree. No checkout is made.

What is the same object on both sides is not read at all, so that a change which touches no data fetches none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlbutler.comparison.snapshot import Snapshot, Source
from mlbutler.errors import ProjectError
from mlbutler.project.committed import files_at
from mlbutler.project.data import ProjectData
from mlbutler.project.load import load_stages, one_line
from mlbutler.project.model import Stages
from mlbutler.project.overlooked import find_overlooked_files, why
from mlbutler.project.readable import readable_stages
from mlbutler.project.revision_reader import LARGEST, LEADS_OUT, TOO_LARGE, RevisionReader, Tracked, leads_out


class SnapshotReader:
    """Reads one project at commits and in its work tree; remembers the commits that it opened."""

    def __init__(self, project: ProjectData) -> None:
        self._project = project
        self.git = project.git
        self._opened: dict[tuple[str, str], RevisionReader | None] = {}

    def read_snapshots(self, base: str | None, prefix: str, tables: Sequence[str] = ()) -> tuple[Snapshot, Snapshot]:
        """Return both sides of a comparison: the commit `base` and the work tree.

        The first is empty when `base` is None or holds no project. Where DVC's own files cannot be read on one side,
        `problem` says so; what Git keeps is read all the same: a change that fixes the target branch must be able to
        pass.

        Args:
            prefix: the project's path from the repository's root, '' or ``sub/folder/``.
            tables: paths of files that are compared row by row; they may be of any size.

        Raises:
            ProjectError: DVC cannot open the work tree.
        """
        new = self._work_tree()
        old, problem = None, ""
        try:
            old = self.at_commit(base, prefix) if base else None
        except ProjectError as error:
            problem = error.message
        same = same_objects(old.stages, new.stages) if old else frozenset()
        after = new.read_snapshot(same, tables)
        if old is not None:
            before = old.read_snapshot(same, tables)
        else:
            before = Snapshot(base or "", definitions=None if problem else (), problem=problem)
        if base and before.definitions is None:
            before = _add_missing_files(before, _FromGit(self._project.root, base, prefix), after)
        elif after.definitions is None:
            after = _add_missing_files(after, _FromDisk(self._project.root), before)
        gone = [path for path in before.artifacts if path not in after.artifacts]
        found = find_overlooked_files(self._project.root, new.stages, gone)
        after = replace(after, hidden={path: why(file) for path, file in found.items()})
        return _complete_contents(before, after), _complete_contents(after, before)

    def at_commit(self, commit: str, prefix: str) -> RevisionReader | None:
        """Return the project as of a commit, None when there was none in this folder; read once for each commit.

        Args:
            prefix: the project's path from the repository's root, '' or ``sub/folder/``.

        Raises:
            ProjectError: DVC cannot open the project of then. Where it is single files that cannot be read, the side's
                `problem` says which.
        """
        if (commit, prefix) not in self._opened:
            self._opened[commit, prefix] = self.open_at_commit(commit, prefix)
        return self._opened[commit, prefix]

    def open_at_commit(self, commit: str, prefix: str) -> RevisionReader | None:
        """Return the same as `at_commit`, without remembering it."""
        from dvc.exceptions import NotDvcRepoError

        project = self._project
        try:
            repo = _repo_of(project.root, commit, prefix)
            inside = repo.root_dir.strip("/") == prefix.rstrip("/")
            if not inside:  # the project, or its folder, is new in this change
                return None
        except NotDvcRepoError:
            return None
        except Exception as error:  # DVC raises whatever its parsers, Python or git do
            raise ProjectError(
                f"DVC cannot open the project: {one_line(error)}", "Fix it on that branch, or name another commit."
            ) from error
        files = _FromGit(project.root, commit, prefix)
        try:
            return RevisionReader(project, repo, load_stages(repo, read_params=False), commit, files)
        except ProjectError:
            found = readable_stages(_repo_of(project.root, commit, prefix), read_params=False)
            return RevisionReader(
                project, found.repo, found.stages, commit, files, found.problem, declared=found.declared
            )

    def _work_tree(self) -> RevisionReader:
        project = self._project
        files = _FromDisk(project.root)
        try:
            return RevisionReader(project, project.repo, project.stages, "", files)
        except ProjectError:
            found = readable_stages(project.open_another_repo())
            return RevisionReader(
                project.of(found.repo, found.stages), found.repo, found.stages, "", files, found.problem,
                declared=found.declared,
            )  # fmt: skip


def _add_missing_files(one: Snapshot, tracked: Tracked, other: Snapshot) -> Snapshot:
    """Add the files that the other side declares: where dvc.yaml cannot be read, Git may keep them all the same."""

    def add_missing(files: Mapping[str, Source], others: Iterable[str]) -> dict[str, Source]:
        more = [path for path in others if path not in files]
        tracked.ahead(more)
        return {**files, **{path: tracked(path) or Source(None, one.problem) for path in more}}

    return replace(
        one,
        metrics=add_missing(one.metrics, other.metrics),
        params=add_missing(one.params, other.params),
        plot_data=add_missing(one.plot_data, other.plot_data),
    )


def _complete_contents(one: Snapshot, other: Snapshot) -> Snapshot:
    """Add the contents that are not available on this side, and are the same on the other."""

    def complete(files: Mapping[str, Source], others: Mapping[str, Source]) -> dict[str, Source]:
        return {
            path: twin
            if source.content is None and (twin := others.get(path)) is not None and twin.is_same_as(source)
            else source
            for path, source in files.items()
        }

    return replace(
        one,
        metrics=complete(one.metrics, other.metrics),
        params=complete(one.params, other.params),
        plot_data=complete(one.plot_data, other.plot_data),
    )


def _repo_of(root: Path, commit: str, prefix: str) -> Any:
    """Return DVC's `Repo` as of a commit.

    ``.dvc/config.local`` is left out where it does not fit what was configured then.
    """
    from dvc.config import ConfigError
    from dvc.repo import Repo
    from dvc.scm import SCM

    class Committed(Repo):  # type: ignore[misc]
        local_dvc_dir = None

    scm = SCM(str(root))
    where, files = "/" + prefix.rstrip("/"), files_at(scm, commit)
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
        from mlbutler.git.objects import read_blobs

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
        """Do nothing: reading them together is no quicker."""

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


def same_objects(old: Stages, new: Stages) -> frozenset[str]:
    """Return cached outputs that are recorded as the same object on both sides."""
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
