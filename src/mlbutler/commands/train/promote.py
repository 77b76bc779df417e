"""Implement `mlbutler train promote`: an experiment's results as a branch, and a pull request for it."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path

from mlbutler.change.detect import detect
from mlbutler.commands.train.leaderboard import build_leaderboard
from mlbutler.commands.train.listing import metric_text
from mlbutler.commands.train.opening import Training, open_training, print_json
from mlbutler.commands.train.results import experiment_with_results
from mlbutler.commitback.push_results import refusal
from mlbutler.console import Console
from mlbutler.errors import EXIT_PASSED, GitError, StoreError, UsageError
from mlbutler.escape import markdown
from mlbutler.experiments.experiment import Experiment
from mlbutler.experiments.sending_data import DataToSend
from mlbutler.first_few import first_few
from mlbutler.forge.detect import ForgeLocation, locate_forge
from mlbutler.forge.interface import Forge, NotOffered, PullRequest
from mlbutler.forge.new_pull_request import page
from mlbutler.forge.opening import NoToken, Opening
from mlbutler.forge.registry import open_forge
from mlbutler.git import Git
from mlbutler.record import Change

_TITLE = 200


def promote(directory: Path, console: Console, name: str, branch: str | None, *, pull_request: bool) -> int:
    """Make a branch of an experiment's results, push it after its data, and open a pull request; return the exit code.

    Each step may be repeated: what is there already stays.

    Args:
        branch: its name; that of the experiment with ``-branch`` behind it, as DVC calls it, if None.
        pull_request: open one, where the forge's API can and the environment has a token for it.

    Raises:
        UsageError: the experiment has no results, or the branch has other commits. GitError, AccessDenied: the git
            remote does not take it. StoreError: a DVC remote does not take the data. ForgeError.
    """
    training = open_training(directory, console)
    experiment = experiment_with_results(training, name)
    branch = branch or f"{experiment.name}-branch"
    git = training.git
    change = detect(git, os.environ, training.settings)
    change = dataclasses.replace(change, head=experiment.result, head_branch=branch, number=None)
    here, there = _find_branch(git, change, branch)
    offer = _offer(training, change) if pull_request and change.git_remote is not None else None
    _send_data(training, experiment)
    git.run("update-ref", f"refs/heads/{branch}", experiment.result, here)
    if change.git_remote is None:
        console.line(f"{branch} holds the results of {experiment.name}; there is no git remote to push it to")
        pull, address = None, ""
    else:
        _push(git, change.git_remote, experiment.result, branch, there)
        console.line(f"{branch}, with the results of {experiment.name}, is on {change.git_remote}")
        pull, address = _open_pull_request(training, experiment, change, offer) if offer is not None else (None, "")
    if console.json:
        document = {"name": experiment.name, "branch": branch, "commit": experiment.result, "remote": change.git_remote}
        print_json(document | {"pull_request": pull.url if pull is not None else None, "open_at": address or None})
    return EXIT_PASSED


def _find_branch(git: Git, change: Change, branch: str) -> tuple[str, str]:
    """Return what the branch is here and on the remote, each '' where there is none.

    Raises:
        UsageError: it is no name, or the branch holds something else.
    """
    if not git.is_branch_name(branch):
        raise UsageError(f"'{branch}' is not a valid branch name.", "Choose another one with --branch.")
    ref = f"refs/heads/{branch}"
    there = git.remote_refs(change.git_remote, ref).get(ref) if change.git_remote is not None else None
    here = git.resolve(ref)
    for place, commit in (("here", here), (f"on {change.git_remote}", there)):
        if commit not in (None, change.head):
            raise UsageError(
                f"There is a branch {branch} {place} with other commits. Nothing was sent.",
                "Choose another name with --branch.",
            )
    return here or "", there or ""


def _send_data(training: Training, experiment: Experiment) -> None:
    """Send what the results record to the DVC remotes, as far as they lack it.

    Raises:
        AccessDenied, StoreError: a remote refused or failed, or something is neither here nor there.
    """
    project = training.project()
    reader = project.snapshots.at_commit(experiment.result, training.prefix)
    artifacts = reader.stages.artifacts() if reader is not None else ()
    data = DataToSend(project, training.settings, os.environ)
    with training.console.progress("sending data") as progress:
        for said in data.send(data.find_unsent(artifacts), progress):
            training.console.line(said)
    if lost := data.find_lost(artifacts):
        raise StoreError(
            f"{first_few(lost)} of {experiment.name} is neither in the cache nor on the DVC remote.",
            f"Push it from where it was made, or have it made again: mlbutler train retry {experiment.name}",
        )


def _push(git: Git, remote: str, commit: str, branch: str, expected: str) -> None:
    done = git.push(remote, commit, f"refs/heads/{branch}", expected=expected)
    if done.code == 0:
        return
    if (said := refusal(done)) is not None:
        raise GitError(f"{remote} refused {branch}: {said}", "Choose another name with --branch.")
    raise GitError(f"{branch} changed on {remote} meanwhile. Nothing was pushed.", "Look at it, and run this again.")


@dataclass(frozen=True)
class _Offer:
    """Where a pull request can be opened: `forge` is None, and `problem` says why, where it is for a person to do."""

    place: ForgeLocation | None
    forge: Forge | None = None
    problem: str = "No forge is known here: open the pull request there, if there is one."


def _offer(training: Training, change: Change) -> _Offer:
    """Find the forge: wrong settings are known before anything is sent.

    Raises:
        SettingsError: the settings name none that there is.
    """
    place = locate_forge(training.settings.forge, os.environ, change)
    if change.target_branch is None or place is None:
        return _Offer(None)
    asked = Opening(place=place, environ=os.environ, root=training.folder.root, say=training.console.line)
    try:
        return _Offer(place, open_forge(asked))
    except NoToken as error:
        return _Offer(place, problem=error.message)


def _open_pull_request(
    training: Training, experiment: Experiment, change: Change, offer: _Offer
) -> tuple[PullRequest | None, str]:
    """Open a pull request; return it, else the page where a person opens it, '' where there is none."""
    say, problem = training.console.line, offer.problem
    if offer.forge is not None:
        try:
            pull = offer.forge.open_pull_request(change, *_text(training, experiment))
        except NotOffered as error:
            problem = error.message
        else:
            say(f"pull request {pull.number}: {pull.url}")
            return pull, ""
    if offer.place is None:
        say(problem)
        return None, ""
    if not (address := page(offer.place, change.head_branch or "", change.target_branch or "")):
        say(f"No pull request was opened: {problem}")
        return None, ""
    say(f"Open the pull request at {address}")
    return None, address


def _text(training: Training, experiment: Experiment) -> tuple[str, str]:
    """Return title and description, with the leaderboard of its sweep."""
    metrics = [metric_text(metric) for metric in experiment.metrics[:3]]
    title = ": ".join(filter(None, (f"Experiment {experiment.name}", ", ".join(metrics))))
    lines = [f"Results of the experiment {markdown(experiment.name)}, made from {experiment.baseline[:10]}.", ""]
    lines += [f"- {markdown(text)}" for text in experiment.overrides]
    lines += [f"- {markdown(f'{metric.file}: {metric_text(metric)}')}" for metric in experiment.metrics]
    sweep = [kept.experiment for kept in training.all() if kept.experiment.grid == experiment.grid]
    if len(sweep) > 1:
        lines += ["", *build_leaderboard(experiment.grid, sweep, training.settings.gate).markdown()]
    return title[:_TITLE], "\n".join(lines)
