"""Implement `mlbutler train rm`: forget experiments that have ended, with their results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mlbutler.commands.train.opening import opened, print_json
from mlbutler.console import Console
from mlbutler.errors import EXIT_OUTSIDE, EXIT_PASSED, UsageError
from mlbutler.few import few
from mlbutler.train import results
from mlbutler.train.state import ENDED


def remove(directory: Path, console: Console, names: Sequence[str], *, yes: bool) -> int:
    """Remove the named experiments: state, log, and the DVC experiment; return the exit code.

    What a branch or another experiment holds stays: refs alone are removed.

    Args:
        yes: several at once, too.

    Raises:
        UsageError: one has not ended, or several are meant without `yes`.
    """
    training = opened(directory, console)
    found = training.named(names)
    if open_ones := [kept.experiment.name for kept in found if kept.experiment.state not in ENDED]:
        raise UsageError(f"{few(open_ones, 5)} has not ended.", f"mlbutler train cancel {' '.join(open_ones[:5])}")
    shown = [kept.experiment.name for kept in found]
    if len(found) > 1 and not yes:
        raise UsageError(f"These are {len(found)} experiments: {few(shown, 5)}.", "Pass --yes to remove them all.")
    removed = []
    for kept in found:
        name = kept.experiment.name
        commit = results.saved(training.git, kept.experiment)
        if not training.experiments.remove(kept):
            console.error(f"{name} was not removed: it was changed at this moment. Run it again.")
            continue
        if commit is not None:
            training.git.run("update-ref", "-d", kept.experiment.ref, commit)
        training.place.forget(kept.experiment.id)
        removed.append(name)
        console.line(f"{name} removed")
    if console.json:
        print_json({"removed": removed})
    return EXIT_PASSED if len(removed) == len(found) else EXIT_OUTSIDE
