"""Resolve what a command line asks for to experiments: each point of a sweep once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from enum import StrEnum

from mlbutler.errors import UsageError
from mlbutler.experiments import saved_results as results
from mlbutler.experiments.capture import Captured
from mlbutler.experiments.choices import LOCAL
from mlbutler.experiments.experiment import Experiment, Search, experiment_id
from mlbutler.experiments.fields import LONGEST_NAME, is_name
from mlbutler.experiments.local import host_name
from mlbutler.experiments.points import InputCommits, override_texts
from mlbutler.experiments.refs import Experiments, StoredExperiment
from mlbutler.experiments.state import AGAIN, State
from mlbutler.experiments.train_folder import TrainFolder
from mlbutler.frozen import frozen
from mlbutler.git import Git
from mlbutler.project import overrides

_RESERVED = frozenset(("HEAD", "stash", "apply", "celery", "exec", "temp"))
"""Names that DVC uses below refs/exps itself."""
_TRIES = 100


class Fate(StrEnum):
    """What a submission makes of a point.

    `REUSED`: it was run, or waits to be. `AGAIN`: it was run, and has no result.
    """

    NEW = "new"
    AGAIN = "again"
    REUSED = "reused"


@frozen
class ExperimentOptions:
    """The options of experiments that are sent together, completed by the settings.

    Attributes:
        params: overrides in DVC's grammar. targets: stages, all if empty. jobs: experiments at once.
        max_failures: failed experiments after which the rest is cancelled. time_limit: seconds for each.
        search: what to search, without its base; None for no search.
        engine: what runs them. label, gpus: what an agent must have. retries: see `Experiment`. user: who sends them.
    """

    name: str | None = None
    params: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    jobs: int = 1
    max_failures: int | None = None
    time_limit: float | None = None
    engine: str = LOCAL
    label: str = ""
    gpus: int = 0
    retries: int = 2
    user: str = ""
    search: Search | None = None


@frozen
class ExistingExperiments:
    """The experiments that exist already.

    Attributes:
        stored: experiments by id, wherever they run. names: of experiments, DVC's own too.
        needs_run: tells whether one that was sent before is run when it is sent again.
    """

    stored: Mapping[str, StoredExperiment]
    names: frozenset[str]
    needs_run: Callable[[Experiment], bool]


@frozen
class SubmittedExperiment:
    """An experiment that was sent, and what became of it. `stored`: what was there before, None for a new one."""

    experiment: Experiment
    fate: Fate
    stored: StoredExperiment | None = None


def find_existing(git: Git, found: Iterable[StoredExperiment], more: Iterable[str] = ()) -> ExistingExperiments:
    """Return the experiments that exist, and the names that they take, DVC's own included.

    Args:
        git: at the repository's root. found: experiments. more: names that are taken, too.
    """
    kept = {one.experiment.id: one for one in found}
    refs = git.run("for-each-ref", "--format=%(refname)", "refs/exps").text.splitlines()
    names = {ref.rpartition("/")[2] for ref in refs} | {one.experiment.name for one in kept.values()}
    return ExistingExperiments(kept, frozenset((*names, *more)), lambda experiment: needs_run(git, experiment))


def resolve_experiments(
    git: Git,
    known: ExistingExperiments,
    folder: TrainFolder,
    captured: Captured,
    prefix: str,
    options: ExperimentOptions,
) -> tuple[SubmittedExperiment, ...]:
    """Return the experiments that are asked for; nothing is kept yet but their inputs, as Git objects.

    Args:
        git: at the repository's root. prefix: the project's path from there.

    Raises:
        UsageError: an override or a name is refused.
    """
    points, sweep = overrides.points(options.params)
    names = ExperimentNames(git, captured.baseline, known.names)
    grid = names.choose(options.name, f"-{len(points)}" if sweep else "")
    like, found = experiment_template(captured, prefix, folder, options, grid), dict[str, SubmittedExperiment]()
    inputs = InputCommits(git, captured, prefix)
    for number, point in enumerate(points, 1):
        commit = inputs.commit(point)
        id = experiment_id(commit, prefix, options.targets)
        if id in found:  # two points of a sweep that set the same
            continue
        kept = known.stored.get(id)
        fate = Fate.NEW if kept is None else Fate.AGAIN if known.needs_run(kept.experiment) else Fate.REUSED
        name = f"{grid}-{number}" if sweep else grid
        if kept is not None and (fate is Fate.REUSED or options.name is None):
            name = kept.experiment.name
        elif kept is None or kept.experiment.name != name:
            names.refuse_taken(name)
        experiment = like.with_(id=id, name=name, input=commit, overrides=override_texts(point), number=number)
        found[id] = SubmittedExperiment(
            kept.experiment if kept is not None and fate is Fate.REUSED else experiment, fate, kept
        )
    return tuple(found.values())


def experiment_template(
    captured: Captured, prefix: str, folder: TrainFolder, options: ExperimentOptions, grid: str
) -> Experiment:
    """Return an experiment with the fields that all experiments of one submission share."""
    return Experiment(
        id="", name=grid, grid=grid, baseline=captured.baseline, input=captured.baseline, project=prefix,
        targets=options.targets, jobs=options.jobs, max_failures=options.max_failures, time_limit=options.time_limit,
        host=host_name(), place=os.fspath(folder.root), submitted=time.time(), engine=options.engine, user=options.user,
        label=options.label, gpus=options.gpus, retries=options.retries,
    )  # fmt: skip


def store_experiments(
    experiments: Experiments, submitted: Sequence[SubmittedExperiment]
) -> tuple[SubmittedExperiment, ...]:
    """Store the experiments that are to be run, and return what became of each.

    One that somebody else submitted in this moment is reused.
    """
    due = [one for one in submitted if one.fate is not Fate.REUSED]
    pairs = [(one.experiment, _of_same_engine(one)) for one in due]
    done = dict(zip((one.experiment.id for one in due), experiments.keep_all(pairs), strict=True))
    return tuple(one if done.get(one.experiment.id, True) else _other(experiments, one) for one in submitted)


def _of_same_engine(one: SubmittedExperiment) -> StoredExperiment | None:
    """Return what the new state takes the place of: what ran elsewhere stays where it is."""
    return one.stored if one.stored is not None and one.stored.experiment.engine == one.experiment.engine else None


def _other(experiments: Experiments, one: SubmittedExperiment) -> SubmittedExperiment:
    other = experiments.read(one.experiment.id)
    return SubmittedExperiment(other.experiment if other is not None else one.experiment, Fate.REUSED, other)


def needs_run(git: Git, experiment: Experiment) -> bool:
    """Return whether an experiment that was sent before is run when it is sent again: it has ended without a result.

    Args:
        git: at the repository's root.
    """
    gone = experiment.state is State.DONE and results.saved_commit(git, experiment) is None
    return experiment.state in AGAIN or gone


def reset_experiment(experiment: Experiment) -> Experiment:
    """Return an experiment that has ended as one that waits for its first attempt."""
    return experiment.with_(
        state=State.WAITING, submitted=time.time(), started=None, ended=None, attempt=0, reason="", remedy="", tail=(),
        stages=(), cancel=None, cancelled_by="", result="", metrics=(), build="", agent="", asked=None, resumed="",
    )  # fmt: skip


class ExperimentNames:
    """Check and choose names of experiments.

    Args:
        taken: names that experiments have.
    """

    def __init__(self, git: Git, baseline: str, taken: Collection[str]) -> None:
        self._git, self._baseline, self._taken = git, baseline, taken

    def choose(self, name: str | None, number: str = "") -> str:
        """Return the name that was asked for, or where none was, one that nothing has.

        Args:
            number: what is appended to the name of a sweep, at most.

        Raises:
            UsageError: DVC or Git would stumble over it.
        """
        if name is None:
            return self._random()
        if name in _RESERVED:
            raise UsageError(f"-n: '{name}' is a name that DVC or Git keeps for itself.", "Choose another name.")
        ref = f"refs/exps/{self._baseline[:2]}/{self._baseline[2:]}/{name}"
        if not is_name(name + number) or self._git.run("check-ref-format", ref, check=False).code != 0:
            raise UsageError(
                f"-n: '{name}' is not a valid name for an experiment.",
                f"Use letters, digits, and any of . _ + = @ -, at most {LONGEST_NAME - len(number)} of them.",
            )
        if any(self._git.resolve(f"refs/{kind}/{name}") for kind in ("heads", "tags")):
            raise UsageError(f"-n: there is a branch or tag '{name}'.", "Choose another name.")
        return name

    def refuse_taken(self, name: str) -> None:
        """Refuse a name that an experiment has.

        Raises:
            UsageError: there is one.
        """
        if name in self._taken:
            raise UsageError(
                f"There is an experiment '{name}', and this is another one.",
                f"Choose another name with -n, or remove it: mlbutler train rm {name}",
            )

    def _random(self) -> str:
        """Return a name that nothing has."""
        for _ in range(_TRIES):
            name = overrides.random_name()
            if name not in self._taken and not any(taken.startswith(f"{name}-") for taken in self._taken):
                return name
        raise UsageError("There are too many experiments to find another name.", "Name it: -n NAME")
