"""Read what `dvc exp run --queue` has queued, by Git alone.

DVC keeps an entry as a commit in the reflog of one ref: the work tree with the overrides in it, and a pickle with the
command's options. A message of Celery's beside it knows of nothing more.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlbutler.commitback.scratch import scratch_index
from mlbutler.comparison.documents import read_document
from mlbutler.comparison.snapshot import Source
from mlbutler.errors import UsageError
from mlbutler.experiments.capture import Captured
from mlbutler.experiments.fields import is_name
from mlbutler.experiments.plain_pickle import NotPlain, read_pickle
from mlbutler.experiments.submission import (
    ExistingExperiments,
    ExperimentOptions,
    Fate,
    SubmittedExperiment,
    resolve_experiments,
)
from mlbutler.experiments.train_folder import TrainFolder
from mlbutler.frozen import frozen
from mlbutler.git import Git
from mlbutler.project import overrides

_REF = "refs/exps/celery/stash"
_OPTIONS = ".dvc/tmp/repro.dat"
_MESSAGE = re.compile(r"(?:commit: )?dvc-exp:(?P<head>[0-9a-f]+):(?P<baseline>[0-9a-f]+):(?P<name>[^:]*)(?::.*)?")
_REFUSED = ("single_item", "downstream", "force", "force_downstream", "recursive", "glob", "interactive", "no_commit")
"""Options of `dvc exp run` that make it run something else than the stages that are stale."""


@frozen
class QueueEntry:
    """One entry: its work tree, and the stages that it was queued for, all if empty. `entry`: its commit."""

    name: str
    entry: str
    captured: Captured
    targets: tuple[str, ...] = ()


def read_queue(git: Git, prefix: str) -> tuple[QueueEntry, ...]:
    """Return the entries of one project, in the order in which they were queued.

    Args:
        git: at the repository's root. prefix: the project's path from there.

    Raises:
        UsageError: an entry was queued with options that change what is run, or cannot be read.
    """
    return tuple(_queue_entries(git, prefix))


def _queue_entries(git: Git, prefix: str) -> Iterator[QueueEntry]:
    done = git.run("log", "--walk-reflogs", "--format=%H %gs", _REF, "--", check=False)
    lines = done.text.splitlines() if done.code == 0 else []
    for line in reversed(lines):
        commit, _, message = line.partition(" ")
        match, options = _MESSAGE.fullmatch(message.strip()), git.show(commit, f"{prefix}{_OPTIONS}")
        if match is None or options is None:  # of another project in this repository
            continue
        name = match["name"] or commit[:7]
        if not is_name(name):
            raise UsageError(
                f"The queue's entry {commit[:7]} has a name that no experiment can have.",
                f"dvc queue remove {commit[:7]}",
            )
        targets = _targets(name, options)
        yield QueueEntry(name, commit, Captured(match["baseline"], _tree(git, commit, prefix), ()), targets)


def resolve_queued(
    git: Git,
    known: Callable[[str], ExistingExperiments],
    folder: TrainFolder,
    entries: Sequence[QueueEntry],
    prefix: str,
    options: ExperimentOptions,
    params: Collection[str],
) -> tuple[SubmittedExperiment, ...]:
    """Return the experiments that entries of the queue are, as one grid; see `submission.resolve_experiments`.

    Args:
        known: returns for a baseline what there is already. options: what the command line asks for besides; its name
            is the grid's. params: the project's parameter files.

    Raises:
        UsageError: a name is refused.
    """
    grid, found = options.name or _grid(entries), list[SubmittedExperiment]()
    for number, entry in enumerate(entries, 1):
        asked = replace(options, name=entry.name, params=(), targets=entry.targets or options.targets)
        args = (known(entry.captured.baseline), folder, entry.captured, prefix, asked)
        for one in resolve_experiments(git, *args):
            given = _overrides(git, entry.captured, prefix, params)
            experiment = one.experiment.with_(grid=grid, number=number, overrides=given)
            found.append(one if one.fate is Fate.REUSED else replace(one, experiment=experiment))
    names = [one.experiment.name for one in found if one.fate is not Fate.REUSED]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(
            f"Several of the queue are called {twice[0]}.", f"dvc queue remove {twice[0]}, and queue them again."
        )
    return tuple({one.experiment.id: one for one in found}.values())


def _grid(entries: Sequence[QueueEntry]) -> str:
    """Return what the experiments are called together: the name that a sweep was queued with, else a new one."""
    stems = {entry.name.rpartition("-")[0] for entry in entries if entry.name.rpartition("-")[2].isdigit()}
    if len(entries) == 1:
        return entries[0].name
    return stems.pop() if len(stems) == 1 and "" not in stems else f"queue-{overrides.random_name()}"


def _overrides(git: Git, captured: Captured, prefix: str, files: Collection[str]) -> tuple[str, ...]:
    """Return which parameters of these files differ from the baseline: DVC has written them in."""
    changed = {path.removeprefix(prefix) for path in git.changed_paths(captured.baseline, captured.tree)}
    found = []
    for file in (file for file in files if file in changed):
        sides = (Source(git.show(side, prefix + file)) for side in (captured.baseline, captured.tree))
        old, new = (read_document(file, side).values for side in sides)
        given = [f"{name}={value}" for name, value in new.items() if old.get(name) != value]
        found += [text if file == "params.yaml" else f"{file}:{text}" for text in given]
    return tuple(found)


def remove_from_queue(root: Path, entries: Iterable[QueueEntry], environ: Mapping[str, str]) -> str:
    """Remove entries from DVC's queue, by DVC; return its message where that failed, else ''.

    Args:
        root: the project's.
    """
    command = [sys.executable, "-P", "-m", "dvc", "queue", "remove", *(entry.entry for entry in entries)]
    done = subprocess.run(command, cwd=root, env=dict(environ), capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else (done.stderr.strip() or done.stdout.strip()).splitlines()[-1]


def _tree(git: Git, commit: str, prefix: str) -> str:
    """Return the entry's work tree, without the file that DVC put into it."""
    with scratch_index(git, commit) as index:
        index.set_entries({f"{prefix}{_OPTIONS}": None})
        return index.tree()


def _targets(name: str, content: bytes) -> tuple[str, ...]:
    try:
        given: Any = read_pickle(content)["kwargs"]
        targets = given.get("targets") or ()
        targets = (targets,) if isinstance(targets, str) else tuple(map(str, targets))
        other = [option for option in _REFUSED if given.get(option)]
    except (NotPlain, LookupError, TypeError, AttributeError) as error:
        raise UsageError(
            f"The options with which {name} was queued cannot be read.", "Run it with DVC: dvc queue start"
        ) from error
    if other:
        option = other[0].replace("_", "-")
        raise UsageError(
            f"{name} was queued with --{option}, which `mlbutler train` does not know.",
            "Run it with DVC: dvc queue start",
        )
    return targets
