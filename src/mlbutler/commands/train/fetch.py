"""Implement `mlbutler train fetch`: an experiment's results into the work tree."""

from __future__ import annotations

from pathlib import Path

from mlbutler.commands.train.opening import opened, print_json
from mlbutler.console import Console
from mlbutler.errors import EXIT_PASSED, UsageError
from mlbutler.few import few
from mlbutler.train import results
from mlbutler.train.applying import apply
from mlbutler.train.state import State


def fetch(directory: Path, console: Console, name: str) -> int:
    """Write what an experiment made into the work tree, as far as Git keeps it; return the exit code.

    Raises:
        UsageError: it has no results. UnsavedWork: files were changed here since.
    """
    training = opened(directory, console)
    experiment = training.one(name).experiment
    if experiment.state is not State.DONE:
        raise UsageError(
            f"{experiment.name} has no results: it is {training.engine.shown(experiment)}.",
            f"mlbutler train show {experiment.name}",
        )
    commit = results.saved(training.git, experiment)
    if commit is None:
        raise UsageError(f"The results of {experiment.name} were removed.", "Send it again: `mlbutler train`.")
    others = [kept.experiment.result for kept in training.all() if kept.experiment.result]
    done = apply(training.git, experiment.with_(result=commit), [one for one in others if training.git.resolve(one)])
    console.line(f"written: {few(done.written, 5)}" if done.written else "Everything is here already.")
    if done.removed:
        console.line(f"removed: {few(done.removed, 5)}")
    if done.written or done.removed:
        console.line("next: mlbutler sync --all brings the data that dvc.lock names now")
    if console.json:
        print_json({"name": experiment.name, "written": list(done.written), "removed": list(done.removed)})
    return EXIT_PASSED
