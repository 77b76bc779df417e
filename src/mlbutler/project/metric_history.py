"""What metrics were at the commits of a branch, from Git's objects and what cache and mirror hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mlbutler.comparison.snapshot import Source
from mlbutler.errors import ProjectError
from mlbutler.frozen import frozen
from mlbutler.git import Git
from mlbutler.git.objects import Blob, Commit, first_parents, read_blobs
from mlbutler.project.revision_reader import RevisionReader
from mlbutler.project.snapshot import SnapshotReader

LARGEST = 1024 * 1024
"""Bytes of the largest metrics file whose past is read: every version of it is held at once."""

_TOO_LARGE = f"larger than {LARGEST >> 20} MB: its past is not read"


@frozen
class CommitMetrics:
    """The metrics files at one commit: those that were there, by path from the project's root."""

    commit: Commit
    metrics: Mapping[str, Source]


@frozen
class DeclaredMetrics:
    """The metrics files that a branch declares, and the side that declares them; None where no commit can be read.

    `problems` are (commit, why) of the newest commits, where DVC's files there cannot be read and metrics with them.
    """

    side: RevisionReader | None
    paths: tuple[str, ...] = ()
    problems: tuple[tuple[str, str], ...] = ()


_MOST_UNREADABLE = 20


def find_declared_metrics(snapshots: SnapshotReader, prefix: str, commits: Sequence[Commit]) -> DeclaredMetrics:
    """Return what the newest of the commits whose dvc.yaml can be read declares.

    Args:
        commits: newest first.
    """
    problems: list[tuple[str, str]] = []
    for commit in commits[:_MOST_UNREADABLE]:
        try:
            side = snapshots.at_commit(commit.oid, prefix)
        except ProjectError as error:
            problems.append((commit.oid[:10], error.message))
            continue
        if side is None:
            return DeclaredMetrics(side, (), tuple(problems))
        paths = tuple(dict.fromkeys(side.metric_paths())) if side.declared else ()
        if side.problem and not (side.declared and _are_all_read(side, paths)):
            problems.append((commit.oid[:10], side.problem))
        if side.declared:
            return DeclaredMetrics(side, paths, tuple(problems))
    return DeclaredMetrics(None, (), tuple(problems))


def _are_all_read(side: RevisionReader, paths: Sequence[str]) -> bool:
    """Tell whether Git keeps all of these, which then can be read although files of DVC cannot."""
    return all(source.content is not None for source in side.sources(paths, remote=False).values())


def metric_history(
    snapshots: SnapshotReader, prefix: str, tip: str, limit: int, *, remote: bool = False
) -> tuple[CommitMetrics, ...]:
    """Return the last `limit` first-parent commits up to `tip`, newest first, with their metrics.

    The newest whose dvc.yaml can be read declares them for all. Files in Git are read through one process, however
    many commits there are. Files that DVC keeps are read from cache or mirror; one that is in neither has no content
    there.

    Args:
        prefix: the project's path from the repository's root, '' or ``sub/folder/``. remote: may the remote be asked
            for files that DVC keeps?

    Raises:
        GitError: there is no commit `tip`.
    """
    git = snapshots.git
    commits = first_parents(git, tip, limit)
    named = find_declared_metrics(snapshots, prefix, commits)
    if named.side is None:
        return ()
    side, paths = named.side, named.paths
    kept = [path for path in paths if side.is_object(path)]
    tracked = [path for path in paths if path not in kept]
    blobs = read_blobs(git, [f"{commit.oid}:{prefix}{path}" for commit in commits for path in tracked], LARGEST)
    sources: dict[str, Source] = {}
    objects = _objects(snapshots, prefix, git, commits, side, kept, remote=remote)
    return tuple(
        CommitMetrics(commit, {**_tracked_sources(commit, prefix, tracked, blobs, sources), **stored})
        for commit, stored in zip(commits, objects, strict=True)
    )


def _tracked_sources(
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
    snapshots: SnapshotReader,
    prefix: str,
    git: Git,
    commits: Sequence[Commit],
    side: RevisionReader,
    paths: Sequence[str],
    *,
    remote: bool,
) -> Iterator[Mapping[str, Source]]:
    """Return the metrics that DVC keeps for each commit, read again where a lock file differs from the commit after."""
    owners = [owner[0].file for path in paths if (owner := side.stages.owner(path)) is not None]
    recorded = sorted({*owners, *(_lock_of(file) for file in owners)})
    blobs = read_blobs(git, [f"{commit.oid}:{prefix}{file}" for commit in commits for file in recorded], largest=-1)
    before: tuple[str, ...] | None = None
    found: Mapping[str, Source] = {}
    for commit in commits:
        names = (f"{commit.oid}:{prefix}{file}" for file in recorded)
        key = tuple(blobs[name].oid if name in blobs else "" for name in names)
        if paths and key != before:
            found, before = (_sources_at(snapshots, prefix, commit, paths, remote=remote) if any(key) else {}), key
        yield found


def _sources_at(
    snapshots: SnapshotReader, prefix: str, commit: Commit, paths: Sequence[str], *, remote: bool
) -> dict[str, Source]:
    try:
        then = snapshots.open_at_commit(commit.oid, prefix)
    except ProjectError as error:
        return {path: Source(None, error.message) for path in paths}
    found = then.sources(paths, remote=remote) if then is not None else {}
    return {path: source for path, source in found.items() if not source.absent}


def _lock_of(file: str) -> str:
    folder, slash, _ = file.rpartition("/")
    return f"{folder}{slash}dvc.lock"
