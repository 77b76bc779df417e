"""What metrics were at the commits of a branch, from Git's objects and what cache and mirror hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlbutler.compare.snapshot import Source
from mlbutler.git import Git
from mlbutler.git_objects import Blob, Commit, first_parents, read_blobs
from mlbutler.project.side import Side
from mlbutler.project.snapshot import at_commit, opened_at

if TYPE_CHECKING:
    from mlbutler.project.project import Project

LARGEST = 1024 * 1024
"""Bytes of the largest metrics file whose past is read: every version of it is held at once."""

_TOO_LARGE = f"larger than {LARGEST >> 20} MB: its past is not read"


@dataclass(frozen=True)
class Past:
    """The metrics files at one commit: those that were there, by path from the project's root."""

    commit: Commit
    metrics: Mapping[str, Source]


def read_past(project: Project, prefix: str, tip: str, limit: int) -> tuple[Past, ...]:
    """The last `limit` first-parent commits up to `tip`, newest first, with the metrics that `tip` declares.

    Files in Git are read through one process, however many commits there are. Files that DVC keeps are read
    from cache or mirror; one that is in neither has no content there. No remote is asked.

    Args:
        prefix: the project's path from the repository's root, '' or ``sub/folder/``.

    Raises:
        GitError: there is no commit `tip`. ProjectError: its dvc.yaml cannot be read.
    """
    git = Git(project.root)
    commits = first_parents(git, tip, limit)
    side = at_commit(project, commits[0].oid, prefix)
    if side is None:
        return ()
    paths = list(dict.fromkeys(side.metric_paths()))
    kept = [path for path in paths if side.is_object(path)]
    tracked = [path for path in paths if path not in kept]
    blobs = read_blobs(git, [f"{commit.oid}:{prefix}{path}" for commit in commits for path in tracked], LARGEST)
    sources: dict[str, Source] = {}
    objects = _objects(project, prefix, git, commits, side, kept)
    return tuple(
        Past(commit, {**_tracked(commit, prefix, tracked, blobs, sources), **stored})
        for commit, stored in zip(commits, objects, strict=True)
    )


def _tracked(
    commit: Commit, prefix: str, paths: Sequence[str], blobs: Mapping[str, Blob], sources: dict[str, Source]
) -> dict[str, Source]:
    found = {}
    for path in paths:
        blob = blobs.get(f"{commit.oid}:{prefix}{path}")
        if blob is not None:  # the same content is the same `Source`, however many commits have it
            problem = _TOO_LARGE if blob.content is None else ""
            found[path] = sources.setdefault(blob.oid, Source(blob.content, problem))
    return found


def _objects(
    project: Project, prefix: str, git: Git, commits: Sequence[Commit], side: Side, paths: Sequence[str]
) -> Iterator[Mapping[str, Source]]:
    """For each commit the metrics that DVC keeps, read again where a lock file is another than at the commit after."""
    owners = [owner[0].file for path in paths if (owner := side.stages.owner(path)) is not None]
    recorded = sorted({*owners, *(_lock_of(file) for file in owners)})
    blobs = read_blobs(git, [f"{commit.oid}:{prefix}{file}" for commit in commits for file in recorded], largest=-1)
    before: tuple[str, ...] | None = None
    found: Mapping[str, Source] = {}
    for commit in commits:
        names = (f"{commit.oid}:{prefix}{file}" for file in recorded)
        key = tuple(blobs[name].oid if name in blobs else "" for name in names)
        if paths and key != before:
            then = opened_at(project, commit.oid, prefix) if any(key) else None
            every = then.metrics(remote=False) if then is not None else {}
            found, before = {path: every[path] for path in paths if path in every}, key
        yield found


def _lock_of(file: str) -> str:
    folder, slash, _ = file.rpartition("/")
    return f"{folder}{slash}dvc.lock"
