"""Refuse work trees that an experiment would not reproduce, or that hold credentials, before anything is sent."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Collection, Iterator, Sequence

from mlbutler.errors import UsageError
from mlbutler.experiments.capture import Captured
from mlbutler.git import Git
from mlbutler.git.objects import Blob, read_blobs
from mlbutler.project.model import Stage, Stages
from mlbutler.project.project import Project
from mlbutler.secrets import Redactor

_LARGEST = 1024 * 1024
"""Bytes of a file that is read together with others."""
_SHOWN = 5


def refuse_unsent_files(
    git: Git, project: Project, prefix: str, captured: Captured, targets: Collection[str] = ()
) -> None:
    """Refuse a work tree with files that a stage needs and that are not sent.

    Args:
        git: at the repository's root. prefix: the project's path from there. targets: what is to be run; all if empty.

    Raises:
        UsageError: there are some.
    """
    sent = frozenset(git.paths(captured.tree))
    if not any(path.startswith(f"{prefix}.dvc/") for path in sent):
        raise UsageError("The folder .dvc is not in Git: what is sent is not a DVC project.", "git add .dvc")
    found: dict[str, str] = {}
    for stage, path in _read(project.stages, targets):
        for file in _unsent_files(project, prefix, path, sent, captured.untracked):
            found.setdefault(file, stage)
    if not found:
        return
    paths = list(found)
    file, stage = next(iter(found.items()))
    ignored = prefix + file not in captured.untracked
    why = "Git ignores" if ignored else "Git does not track"
    more = f" (and {len(paths) - 1} more files are missing in Git)" if len(paths) > 1 else ""
    send = " ".join(f"--copy-paths {shlex.quote(path)}" for path in paths[:_SHOWN])
    raise UsageError(
        f"Stage '{stage}' needs {file}, which {why}: it would not be sent{more}.",
        f"Send it: {send}; or git add {'-f ' if ignored else ''}{shlex.quote(file)}; or dvc add {shlex.quote(file)}.",
    )


def _select_stages(stages: Stages, targets: Collection[str]) -> tuple[Stage, ...]:
    """Return the stages that are to be run, and the .dvc files whose data they read."""
    if not targets:
        return stages.ordered
    wanted = stages.select(targets)
    names = {stage.name for stage in wanted} | {made.name for stage in wanted for made, _ in stages.producers(stage)}
    return tuple(stage for stage in stages.ordered if stage.name in names)


def _read(stages: Stages, targets: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield stage and path of all that has to be in Git: definitions, records, and what nothing of DVC's makes."""
    for stage in _select_stages(stages, targets):
        yield stage.name, stage.file
        yield stage.name, stage.lock_file
        paths = [dep.path for dep in stage.dependencies if not dep.external] + [file.path for file in stage.params]
        yield from ((stage.name, path) for path in paths if stages.owner(path) is None)


def _unsent_files(
    project: Project, prefix: str, path: str, sent: frozenset[str], untracked: Sequence[str]
) -> Iterator[str]:
    """Yield the files at or below `path` that are in the work tree and not among those `sent`.

    Of a folder that is sent, files that Git ignores stay behind as they do in any clone.
    """
    place, whole = project.root / path, prefix + path
    if not os.path.lexists(place) or whole in sent:
        return
    if place.is_dir() and any(file.startswith(f"{whole}/") for file in sent):
        yield from (file.removeprefix(prefix) for file in untracked if file.startswith(f"{whole}/"))
    elif not place.is_dir() or not project.stages.inside(path):
        yield path


def refuse_changed_data(project: Project, targets: Collection[str] = ()) -> None:
    """Refuse data that differs from what its .dvc file records: the experiment would get the recorded one.

    Args:
        targets: what is to be run; all if empty.

    Raises:
        UsageError: there is some.
    """
    changed = []
    for stage in _select_stages(project.stages, targets):
        for out in stage.outputs if stage.data_source and not stage.imported else ():
            recorded = out.recorded
            if recorded is None or out.external or not project.tree.exists(out.path):
                continue
            now = project.tree.hash(out.path, recorded.algorithm)
            if now is not None and not now.same_as(recorded):
                changed.append(out.path)
    if changed:
        named = " ".join(map(shlex.quote, changed[:_SHOWN]))
        raise UsageError(
            f"{', '.join(changed[:_SHOWN])} differs from what its .dvc file records: an experiment would be run with "
            "the data that is recorded.",
            f"dvc add {named}",
        )


def refuse_credentials(git: Git, captured: Captured, redactor: Redactor) -> None:
    """Refuse to send files with a credential in a line that the baseline does not have.

    Raises:
        UsageError: there is one. What it is, is not said.
    """
    changed = git.changed_paths(captured.baseline, captured.tree)
    sides = captured.baseline, captured.tree
    sizes = {name: blob.size for name, blob in read_blobs(git, _names(sides, changed), -1).items()}
    large = [path for path in changed if any(sizes.get(name, 0) > _LARGEST for name in _names(sides, [path]))]
    small = [path for path in changed if path not in large]
    # Large files one by one: no more than one is in memory.
    for paths in (small, *([path] for path in large)):
        blobs = read_blobs(git, _names(sides, paths), sys.maxsize)
        for path in paths:
            old, new = (blobs.get(name) for name in _names(sides, [path]))
            _refuse_new_credential(path, _content(old), _content(new), redactor)


def _names(revisions: Sequence[str], paths: Sequence[str]) -> list[str]:
    return [f"{revision}:{path}" for path in paths for revision in revisions]


def _content(blob: Blob | None) -> bytes:
    return blob.content or b"" if blob is not None else b""


def _refuse_new_credential(path: str, old: bytes, new: bytes, redactor: Redactor) -> None:
    before = frozenset(old.splitlines())
    for number, line in enumerate(new.splitlines(), 1):
        if line not in before and redactor.finds(line.decode("utf-8", "replace")):
            raise UsageError(
                f"{path}, line {number}, holds what looks like a credential: nothing was sent.",
                "Take it out, and let the program read it from its environment.",
            )
