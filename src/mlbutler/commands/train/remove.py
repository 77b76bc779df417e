"""Implement `mlbutler train rm`: forget experiments that have ended, with their results."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from mlbutler.commands.train.opening import open_training, print_json
from mlbutler.console import Console
from mlbutler.errors import EXIT_OUTSIDE, EXIT_PASSED, UsageError
from mlbutler.experiments import saved_results as results
from mlbutler.experiments.experiment import Experiment
from mlbutler.experiments.state import ENDED
from mlbutler.first_few import first_few


def remove(
    directory: Path, console: Console, names: Sequence[str], *, yes: bool, older_than: float | None = None
) -> int:
    """Remove the named experiments: state, log, and the DVC experiment; return the exit code.

    What a branch or another experiment holds stays: refs alone are removed.

    Args:
        names: all experiments if empty, which goes with `older_than` alone: those that ended so many seconds ago.
        yes: several at once, too, without a question.

    Raises:
        UsageError: one has not ended, or several are meant without `yes` where nobody can be asked.
    """
    training = open_training(directory, console)
    found = training.select(names) if names else training.all()
    if older_than is not None:
        before = time.time() - older_than
        found = [kept for kept in found if kept.experiment.ended is not None and kept.experiment.ended < before]
    if open_ones := [kept.experiment.name for kept in found if kept.experiment.state not in ENDED]:
        raise UsageError(
            f"{first_few(open_ones, 5)} has not ended.", f"mlbutler train cancel {' '.join(open_ones[:5])}"
        )
    if not found:
        console.line("There are no such experiments.")
    if len(found) > 1 and not yes:
        _ask(console, [kept.experiment for kept in found])
    removed = []
    for kept in found:
        name = kept.experiment.name
        commit = results.saved_commit(training.git, kept.experiment)
        if not training.experiments.repository_of(kept.experiment).remove(kept):
            console.error(f"{name} was not removed: it was changed at this moment. Run it again.")
            continue
        if commit is not None:
            training.git.run("update-ref", "-d", kept.experiment.ref, commit)
        if training.experiments.shared is not None:
            training.experiments.shared.remove_result(kept.experiment)
        training.folder.forget(kept.experiment.id)
        removed.append(name)
        console.line(f"{name} removed")
    if console.json:
        print_json({"removed": removed})
    return EXIT_PASSED if len(removed) == len(found) else EXIT_OUTSIDE


def _ask(console: Console, experiments: Sequence[Experiment]) -> None:
    """Have a person confirm how many are removed.

    Raises:
        UsageError: there is nobody to ask.
    """
    states = [one.state for one in experiments]
    counts = ", ".join(f"{states.count(state)} {state}" for state in ENDED if state in states)
    said = f"{len(experiments)} experiments ({counts}): {first_few([one.name for one in experiments], 5)}"
    if console.json or console.quiet or not sys.stdin.isatty():
        raise UsageError(f"These are {said}.", "Pass --yes to remove them all.")
    import click

    click.confirm(f"Remove {said}?", abort=True, err=True)
