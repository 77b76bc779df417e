"""Implement `mlbutler train compare`: what an experiment changed, judged as `mlbutler compare` judges a branch."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlbutler.commands.step import step
from mlbutler.commands.train.comment import post_leaderboard
from mlbutler.commands.train.leaderboard import build_leaderboard, rank_experiments
from mlbutler.commands.train.opening import Training, experiment_json, open_training, print_json
from mlbutler.commands.train.results import experiment_with_results
from mlbutler.console import Console
from mlbutler.errors import EXIT_PASSED
from mlbutler.experiments.experiment import Experiment
from mlbutler.experiments.notices import judge_metrics
from mlbutler.experiments.refs import AUTHOR
from mlbutler.experiments.state import State
from mlbutler.git import Git
from mlbutler.process import project_environment
from mlbutler.reproduce.scratch import configure, make_clone
from mlbutler.steps.context import StepOptions


def compare(
    directory: Path, console: Console, name: str, other: str | None, form: str | None = None, *, comment: bool = False
) -> int:
    """Compare an experiment's results with its baseline, or with another experiment's; return the exit code.

    Several experiments, such as those of a sweep, become a leaderboard, which judges nothing.

    Args:
        name: one experiment, or several. other: the experiment to compare with, None for the commit that the first one
            stands on. form: ``text``, ``markdown`` or ``html``: a leaderboard of however many.
        comment: put the leaderboard on the pull request of the branch that is checked out.

    Raises:
        UsageError: one of them has no results.
    """
    training = open_training(directory, console)
    found = [kept.experiment for kept in training.select([name])]
    if comment:
        post_leaderboard(training, name, build_leaderboard(name, found, training.settings.gate))
        return EXIT_PASSED
    if form is not None or (other is None and len(found) > 1):
        return _print_leaderboard(training, name, found, form or "text")
    one = experiment_with_results(training, name)
    commit, against, named = one.result, one.baseline, f"its baseline {one.baseline[:10]}"
    if other is not None:
        second = experiment_with_results(training, other)
        commit, against, named = _commit_on_top(training.git, one, second), second.result, second.name
    console.line(f"{one.name} compared with {named}")
    environ = dict(os.environ)
    if (mirror := training.settings.data.mirror_path(training.folder.root)) is not None:
        environ["MLBUTLER_DATA_MIRROR"] = os.fspath(mirror)
    with _clone_commit(training, commit) as root, contextlib.chdir(root):
        return step(root, console, "compare", StepOptions(compared_with=against), environ=environ)


def _print_leaderboard(training: Training, name: str, experiments: list[Experiment], form: str) -> int:
    gates = training.settings.gate
    if training.console.json:
        order, metric = rank_experiments(experiments, gates)
        verdicts = [judge_metrics(one, gates)[0] if one.state is State.DONE else None for one in order]
        rows = [experiment_json(training, one) | {"verdict": word} for one, word in zip(order, verdicts, strict=True)]
        print_json({"metric": metric, "experiments": rows})
        return EXIT_PASSED
    table = build_leaderboard(name, experiments, gates)
    lines = {"markdown": table.markdown, "html": table.html}.get(form, table.text)()
    print(training.console.redactor.hide("\n".join(lines)))
    return EXIT_PASSED


def _commit_on_top(git: Git, one: Experiment, other: Experiment) -> str:
    """Return a commit with the results of one experiment that stands on those of another.

    What is compared is a commit and the one that it grew from; two experiments grew from the same baseline.
    """
    args = ("commit-tree", f"{one.result}^{{tree}}", "-p", other.result, "-m", f"{one.name} beside {other.name}")
    return git.run(*args, extra=AUTHOR).text


@contextmanager
def _clone_commit(training: Training, commit: str) -> Iterator[Path]:
    """Yield the project's root in a clone of this commit, which has the project's cache and no data of its own."""
    folder = training.folder.path / f"compare-{os.getpid()}"
    training.folder.prepare()
    shutil.rmtree(folder, ignore_errors=True)
    main = training.project()
    environ = project_environment(os.environ)
    try:
        root = make_clone(training.git, folder, commit, training.prefix, environ)
        configure(root, main.cache_dir, main.remote_directories())
        if remote := training.settings.project.git_remote:  # the project's settings name it, and it must be there
            Git(folder, environ).run("remote", "add", "--", remote, os.fspath(folder))
        yield root
    finally:
        shutil.rmtree(folder, ignore_errors=True)
