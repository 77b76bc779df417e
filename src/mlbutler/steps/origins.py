"""Where the numbers come from: this build, an earlier build of mlbutler, or the author who committed dvc.lock."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from mlbutler.commitback import earlier
from mlbutler.errors import GitError, ProjectError
from mlbutler.git import Git
from mlbutler.git.recent import Recent, recent_changes
from mlbutler.project.model import Output, Stage, Stages
from mlbutler.record import EarlierBuild, Origin
from mlbutler.steps.attestations import with_signers
from mlbutler.steps.context import RunContext

if TYPE_CHECKING:
    from mlbutler.project.project import Project

_BUILT = {"ran": "this build", "restored": "run cache"}
_MOST = 30
"""Groups of files whose history is asked for; each may take a process of git."""


def origins(
    context: RunContext, theirs: Iterable[str], ours: Iterable[str], base: str | None
) -> tuple[tuple[Origin, ...], tuple[Origin, ...]]:
    """Return where the numbers of the target's metrics files (`theirs`) come from, and those of the files here.

    Nothing is judged by it, so an error of git leaves it empty and stops nothing.

    Raises:
        ProjectError: the project cannot be read. UsageError: a key in ``verify.signers`` is none.
    """
    before = _stages_at(context.prefix, context.project, base)
    old, new = _group_by_stage(before, theirs)[:_MOST], _group_by_stage(context.project.stages, ours)[:_MOST]
    run = context.record.reproduce
    became = {stage.name: _BUILT.get(stage.outcome, "") for stage in run.stages} if run is not None else {}
    finder = _OriginFinder(context.git, context.prefix)
    try:
        edited = frozenset(context.git.dirty(untracked=True))
        finder.look_ahead("HEAD", new)
        finder.look_ahead(base or "", old)
        here = [origin for stage, paths in new for origin in finder.find_in_work_tree(stage, paths, became, edited)]
        there = [origin for stage, paths in old for origin in finder.find_at(base, stage, paths)] if base else []
    except GitError:
        return (), ()
    return with_signers(context, there, before), with_signers(context, here, context.project.stages)


def _stages_at(prefix: str, project: Project, base: str | None) -> Stages:
    """Return the stages of the target, or of here where that cannot be read."""
    try:
        reader = project.snapshots.at_commit(base, prefix) if base else None
    except ProjectError:
        reader = None
    return reader.stages if reader is not None else project.stages


def last_build(context: RunContext) -> EarlierBuild | None:
    """Return the build of mlbutler that made what dvc.lock records here, None where an author did.

    Raises:
        ProjectError: the project cannot be read.
    """
    locks = dict.fromkeys(context.prefix + stage.lock_file for stage in context.project.stages.pipeline())
    if not locks:
        return None
    try:
        finder = _OriginFinder(context.git, context.prefix)
        commit = finder.last(context.record.change.checkout, locks)
        return finder.build_of(commit) if commit else None
    except GitError:
        return None


_Group = tuple[tuple[Stage, Output] | None, tuple[str, ...]]


def _group_by_stage(stages: Stages, files: Iterable[str]) -> Sequence[_Group]:
    """Return the files grouped by the stage that writes them, since one run of it wrote them all."""
    owned = [(stages.owner(path), path) for path in dict.fromkeys(files)]
    owned.sort(key=lambda pair: pair[0][0].name if pair[0] is not None else "")
    found: list[_Group] = []
    for name, pairs in groupby(owned, key=lambda pair: pair[0][0].name if pair[0] is not None else ""):
        items = list(pairs)
        if name:
            found.append((items[0][0], tuple(path for _, path in items)))
        else:
            found += [(None, (path,)) for _, path in items]
    return found


class _OriginFinder:
    """Find with git the commit that a file's content came with."""

    def __init__(self, git: Git, prefix: str) -> None:
        self._git, self._prefix = git, prefix
        self._cut_off = git.shallow_commits()
        self._trailers: dict[str, Mapping[str, str]] = {}
        self._recent: dict[str, tuple[Recent, ...]] = {}

    def look_ahead(self, revision: str, groups: Sequence[_Group]) -> None:
        """Ask for what Git keeps of several groups at once: a process for each would cost more than its answer."""
        kept = [paths for owner, paths in groups if owner is None or not owner[1].cached]
        if revision and len(kept) > 1:
            files = [self._prefix + path for paths in kept for path in paths]
            self._recent[revision] = recent_changes(self._git, revision, files)

    def build_of(self, commit: str) -> EarlierBuild | None:
        """Return the build that a commit which was found says to be the results of."""
        return earlier.earlier_build(commit, self._trailers[commit])

    def find_in_work_tree(
        self,
        owner: tuple[Stage, Output] | None,
        paths: Sequence[str],
        became: Mapping[str, str],
        edited: Collection[str],
    ) -> Iterator[Origin]:
        """Yield origins of files in the work tree."""
        stage = owner[0].name if owner is not None else ""
        if built := became.get(stage):
            yield Origin(files=tuple(paths), kind=built, stage=stage)
            return
        looked_at = [self._prefix + path for path in paths]
        if owner is not None:
            looked_at.append(self._prefix + owner[0].lock_file)
        if any(path in edited for path in looked_at):
            yield Origin(files=tuple(paths), kind="work tree", stage=stage)
            return
        for origin in self.find_at("HEAD", owner, paths):
            yield replace(origin, kind="work tree") if origin.kind == "in no commit" else origin

    def find_at(self, revision: str, owner: tuple[Stage, Output] | None, paths: Sequence[str]) -> Iterator[Origin]:
        """Yield origins of files at a commit."""
        stage = owner[0].name if owner is not None else ""
        commit = self._commit(revision, owner, paths)
        if not commit or commit in self._cut_off:
            yield Origin(files=tuple(paths), kind="not known" if commit else "in no commit", stage=stage)
        elif (build := self.build_of(commit)) is not None:
            yield Origin(
                files=tuple(paths), kind="earlier build", stage=stage, commit=commit, head=build.head, url=build.url
            )
        else:
            yield Origin(files=tuple(paths), kind="dvc.lock" if owner else "file", stage=stage, commit=commit)

    def _commit(self, revision: str, owner: tuple[Stage, Output] | None, paths: Sequence[str]) -> str:
        if owner is None or not owner[1].cached:
            return self.last(revision, [self._prefix + path for path in paths])
        recorded = owner[1].recorded
        if recorded is None:
            return ""
        where = self._prefix + owner[0].lock_file
        return self._find_last_commit(revision, [where], f"-S{recorded.value}")

    def last(self, revision: str, paths: Iterable[str]) -> str:
        """Return the last commit that changed one of these files, '' for none."""
        wanted = frozenset(paths)
        for commit in self._recent.get(revision, ()):
            if commit.changed & wanted:
                self._trailers[commit.oid] = commit.trailers
                return commit.oid
        return self._find_last_commit(revision, wanted)

    def _find_last_commit(self, revision: str, paths: Iterable[str], *options: str) -> str:
        found = self._git.last_commit(revision, *options, paths=paths)
        if found is None:
            return ""
        self._trailers[found[0]] = found[1]
        return found[0]
