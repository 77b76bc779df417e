"""Implement `mlbutler train fetch`: an experiment's results into the work tree, with their data if asked to."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlbutler import atomic
from mlbutler.commands.start import begin
from mlbutler.commands.train.opening import Training, experiment_json, json_text, open_training, print_json
from mlbutler.commands.train.results import experiment_with_results
from mlbutler.console import Console
from mlbutler.errors import EXIT_PASSED, UsageError
from mlbutler.experiments.applying import AppliedChanges, apply_results, is_within
from mlbutler.experiments.experiment import Experiment
from mlbutler.experiments.refs import StoredExperiment
from mlbutler.experiments.state import ENDED, State
from mlbutler.first_few import first_few
from mlbutler.pipeline import run_step
from mlbutler.record import SyncResult
from mlbutler.steps import sync
from mlbutler.steps.context import RunContext

LEFT = ".mlbutler/fetched"
"""What experiments without results left: a folder for each, of its name."""


def fetch(directory: Path, console: Console, name: str, *, data: bool, only: Sequence[str] = ()) -> int:
    """Write what an experiment made into the work tree, as far as Git keeps it; return the exit code.

    Of one that ended without results, log and metrics are written into a folder of their own.

    Args:
        data: bring what DVC keeps of it too. only: files and folders of the project, kept by Git or by DVC.

    Raises:
        UsageError: it has no results. UnsavedWork: files were changed here since. StoreError: data cannot be brought.
    """
    training = open_training(directory, console)
    kept = training.select_one(name)
    if kept.experiment.state in ENDED and kept.experiment.state is not State.DONE and not data and not only:
        return _write_without_results(training, kept)
    experiment = experiment_with_results(training, name)
    paths = [os.path.normpath(path) for path in only]
    owned, recorded = _find_dvc_paths(training, experiment, paths)
    done = _apply(training, experiment, [*paths, *recorded] if only else None)
    console.line(f"written: {first_few(done.written, 5)}" if done.written else "Everything is here already.")
    if done.removed:
        console.line(f"removed: {first_few(done.removed, 5)}")
    document: dict[str, Any] = {"name": experiment.name, "written": list(done.written), "removed": list(done.removed)}
    code = EXIT_PASSED
    if data or owned:
        code, brought = _bring(training, owned)
        document["data"] = {"outcome": str(brought.outcome), "reason": brought.reason} if brought is not None else None
    elif done.written or done.removed:
        console.line("next: mlbutler sync --all brings the data that dvc.lock names now")
    if console.json:
        print_json(document)
    return code


def _apply(training: Training, experiment: Experiment, only: Sequence[str] | None) -> AppliedChanges:
    results = [kept.experiment.result for kept in training.all() if kept.experiment.result]
    others = [commit for commit in results if training.git.resolve(commit)]
    places = None if only is None else [f"{training.prefix}{path}" for path in only]
    return apply_results(training.git, experiment, others, places)


def _find_dvc_paths(training: Training, experiment: Experiment, paths: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return those of `paths` that DVC keeps the data of, or of something below, and the files that record it.

    Raises:
        UsageError: one of them is no part of the results.
    """
    if not paths:
        return [], []
    project = training.project()
    reader = project.snapshots.at_commit(experiment.result, training.prefix)
    outputs = [] if reader is None else [(s, o.path) for s in reader.stages.ordered for o in s.outputs if o.cached]
    tracked = training.git.paths(experiment.result)
    owned, recorded = [], []
    for path in paths:
        files = [stage.lock_file for stage, out in outputs if is_within(out, [path]) or is_within(path, [out])]
        recorded += files
        if files:
            owned.append(path)
        elif not any(is_within(file, [f"{training.prefix}{path}"]) for file in tracked):
            raise UsageError(
                f"--only: the results of {experiment.name} have no {path}.", "Name a file or folder of the project."
            )
    return owned, list(dict.fromkeys(recorded))


def _bring(training: Training, paths: Sequence[str]) -> tuple[int, SyncResult | None]:
    """Bring data into the work tree, that at `paths` alone if there are any."""

    def call(context: RunContext) -> SyncResult:
        return sync.run(context, everything=not paths, only=paths)

    with begin(training.folder.root, training.console) as context:
        run_step(context, "plan")
        return run_step(context, "sync", call), context.record.sync


def _write_without_results(training: Training, kept: StoredExperiment) -> int:
    """Write log and metrics of an experiment that ended without results."""
    experiment, root = kept.experiment, training.folder.root
    training.folder.prepare()
    folder = root / LEFT / experiment.name
    folder.mkdir(parents=True, exist_ok=True)
    log = training.experiments.log(kept) or b""
    atomic.write(folder / "log.txt", log)
    atomic.write(folder / "experiment.json", f"{json_text(experiment_json(training, experiment))}\n".encode())
    training.console.line(
        f"{experiment.name} has no results: it is {experiment.state}. Its log, metrics and state are in "
        f"{LEFT}/{experiment.name}."
    )
    if training.console.json:
        files = [f"{LEFT}/{experiment.name}/{name}" for name in ("log.txt", "experiment.json")]
        print_json({"name": experiment.name, "written": files, "removed": []})
    return EXIT_PASSED
