"""Save an experiment's results as DVC saves experiments: a commit on its input, and a ref below its baseline."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from mlbutler.errors import GitError, MlbutlerError
from mlbutler.experiments.attempt_end import AttemptEnd
from mlbutler.experiments.experiment import Experiment
from mlbutler.experiments.measures import read_measures
from mlbutler.experiments.refs import AUTHOR
from mlbutler.git import Git
from mlbutler.git import verified as git_verified
from mlbutler.project.model import Stages
from mlbutler.project.paths import result_paths
from mlbutler.project.project import Project

TRAILER, RESUMED = "Mlbutler-Train", "Mlbutler-Resumed"
_WROTE = ("ran", "restored")


def with_results(end: AttemptEnd, git: Git, experiment: Experiment, top: Path, root: Path) -> AttemptEnd:
    """Save what an attempt made, and return its end with that and its metrics.

    Args:
        git: at the root of the repository that keeps them. top: the clone's root, root: the project's root in it.

    Raises:
        GitError: as `save_results`.
    """
    stages = Project(root, {}).stages
    commit = save_results(git, experiment, top, stages)
    return dataclasses.replace(end, result=commit, metrics=read_measures(git, experiment, root, stages))


def with_metrics(end: AttemptEnd, git: Git, experiment: Experiment, root: Path) -> AttemptEnd:
    """Return the end of an attempt without results, with the metrics that its stages wrote until then.

    Args:
        git: at the root of the repository that keeps the experiment. root: the project's root in the clone.
    """
    ran = [stage.name for stage in end.stages if stage.outcome in _WROTE]  # others' files are as committed
    try:
        return dataclasses.replace(end, metrics=read_measures(git, experiment, root, Project(root, {}).stages, ran))
    except MlbutlerError:  # the project cannot be read, which is why it ended, or was changed by it
        return end


def save_results(git: Git, experiment: Experiment, top: Path, stages: Stages) -> str:
    """Save the results that lie in a clone; return their commit. What was saved before counts.

    Args:
        git: at the root of the repository that keeps them. top: the clone's root. stages: those of the project in it.

    Raises:
        GitError: another experiment has this name, or git failed.
    """
    if (before := saved_commit(git, experiment)) is not None:
        return before
    commit = _commit(git, experiment, Git(top), stages)
    done = git.run("update-ref", experiment.ref, commit, "0" * 40, check=False)
    if done.code == 0:
        return commit
    if (before := saved_commit(git, experiment)) is not None:
        return before
    said = done.err.splitlines()[-1] if done.err else "no reason was given"
    raise GitError(
        f"The results could not be saved as {experiment.name}: {said}",
        f"git branch NAME {commit} keeps them; `mlbutler train rm {experiment.name}` frees the name.",
    )


def saved_commit(git: Git, experiment: Experiment) -> str | None:
    """Return the commit that the experiment's ref holds, where it is of this very experiment."""
    commit = git.resolve(experiment.ref)
    if commit is not None and git.trailers(commit).get(TRAILER) == experiment.id:
        return commit
    return None


def fetch_results(git: Git, experiment: Experiment, remote: str | None) -> str | None:
    """Return the commit with the results, from the remote where they are not here; None where they are nowhere.

    Args:
        git: at the repository's root. remote: the git remote's name, None without one.
    """
    if (here := saved_commit(git, experiment)) is not None or remote is None:
        return here
    # Plain git: DVC's own fetch leaves a shallow clone broken. Never by force: the ref may be another experiment's.
    for source in experiment.result_refs:
        if git.fetch(remote, f"{source}:{experiment.ref}").code == 0:
            break
    return saved_commit(git, experiment)


def send_results(git: Git, remote: str, experiment: Experiment, stages: Stages) -> tuple[str, str]:
    """Send the results that lie in a work tree to the remote; return their commit, and the ref that holds them.

    What an attempt sent before counts. A forge that takes no refs of DVC's gets a branch, of which DVC knows nothing.

    Args:
        git: at the work tree's root, as a CI server's build has it: the project's code may have written there.

    Raises:
        GitError, AccessDenied: the remote did not answer, or took neither.
    """
    refs = experiment.result_refs
    if (before := _fetch_sent_commit(git, remote, experiment, refs)) is not None:
        return before
    commit = _commit(git, experiment, git, stages)
    if git_verified.parents(git_verified.read_objects(git, [commit]).get(commit, b"")) != [experiment.input]:
        raise GitError("The commit with the results is not on the experiment's own.", "Submit it again.")
    for ref in refs:
        done = git.push(remote, commit, ref, expected="")
        if done.code == 0:
            return commit, ref
        if not any(line.startswith("!") for line in done.text.splitlines()):  # it was not the ref that was refused
            break
        if (before := _fetch_sent_commit(git, remote, experiment, refs)) is not None:
            return before  # the answer to what took it was lost
    raise Git.failure("push", done.err)


def _fetch_sent_commit(git: Git, remote: str, experiment: Experiment, refs: Sequence[str]) -> tuple[str, str] | None:
    """Return the commit, and its ref, that an attempt at this very experiment sent."""
    there = git.remote_refs(remote, *refs)
    for ref in refs:
        commit = git.fetch_one(remote, ref) if ref in there else None
        if commit is not None and git.trailers(commit).get(TRAILER) == experiment.id:
            return commit, ref
    return None


def _commit(git: Git, experiment: Experiment, clone: Git, stages: Stages) -> str:
    # What is made goes to where it stays, not into the clone, which is removed.
    there = {"GIT_OBJECT_DIRECTORY": os.fspath(git.path("objects"))}
    clone.run("add", "--update", extra=there)
    listed = [f"{experiment.project}{path}" for path in result_paths(stages)]
    paths = [path for path in listed if os.path.lexists(clone.directory / path)]
    if paths:
        names = b"".join(os.fsencode(path) + b"\0" for path in paths)
        options = ("--force", "--pathspec-from-file=-", "--pathspec-file-nul")
        clone.run("add", *options, input=names, extra=there | {"GIT_LITERAL_PATHSPECS": "1"})
    tree = clone.run("write-tree", extra=there).text
    resumed = f"{RESUMED}: {experiment.resumed}\n" if experiment.resumed else ""
    message = f"Results of {experiment.name}\n\n{TRAILER}: {experiment.id}\n{resumed}"
    return git.run("commit-tree", tree, "-p", experiment.input, "-m", message, extra=AUTHOR).text
