"""An experiment: what is to be run, and what has become of it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from mlbutler.errors import ProjectError
from mlbutler.experiments import fields
from mlbutler.experiments.choices import ENGINES, GOALS, LOCAL, MOST_GPUS, MOST_JOBS, MOST_RETRIES, MOST_TRIALS
from mlbutler.experiments.fields import Check
from mlbutler.experiments.state import State
from mlbutler.frozen import frozen_by_name

VERSION = 1
_MOST = 10**9


@frozen_by_name
class StageNote:
    """What became of one stage; see `record.StageRun`."""

    name: str
    outcome: str
    seconds: float = 0.0


@frozen_by_name
class Measure:
    """One metric: its file from the project's root, its dotted name, and its value `before`: at the baseline."""

    file: str
    name: str
    value: float
    before: float | None = None


@frozen_by_name
class Search:
    """A search that an experiment is a trial of.

    Attributes:
        metric: named as in a gate. goal: which way it is better, `GOALS`. trials: how many there are to be.
        params: the space, in the grammar of `mlbutler.project.search_space`.
        base: the commit that the overrides of each trial are applied to.
    """

    metric: str
    goal: str
    trials: int
    params: tuple[str, ...]
    base: str


@frozen_by_name
class Experiment:
    """One experiment as a Git ref keeps it.

    Attributes:
        id: the hash of what is run: two laptops give the same point the same one.
        name: the DVC experiment's name. grid: what its submission is called, shared by all experiments of a sweep.
        baseline: the commit that it stands on. input: the commit that is run: the work tree and the overrides.
        project: the DVC project's folder from the repository's root, '' or ``sub/folder/``.
        targets: stages to run, all if empty. overrides: as they were given. number: its place in the grid.
        jobs: how many experiments may run at once when it starts. max_failures: failed experiments after which the
            rest of its grid is cancelled, None for no limit. time_limit: seconds that it may take.
        submitted, started, ended: seconds since the epoch, None while that is ahead.
        attempt: how often it was begun. place: the work tree that it was submitted from, host: on which machine.
        reason: why it is in this state, one sentence. remedy: what to do about it. tail: last lines of a failure's log.
        stages: those that have ended. cancel: seconds of grace for the stage, once somebody asked to cancel.
        cancelled_by: who that was, '' on this machine.
        resumed: the checkpoint that its last attempt went on from, '' for none.
        result: the commit with the results, metrics: the numbers in them.
        engine: what runs it, `ENGINES`. user: who sent it. label: of the agents that may run it, '' for the job's own.
        gpus: how many it needs. retries: attempts beyond the first, for lost agents and set-ups that fail.
        search: what it is a trial of, None for none; of several trials that of the last one counts.
        proposed: the overrides of the trial after it, once somebody has said which they are.
        asked: when a build was asked for, while it waits. build: the address of the build that runs it, or did, ''
            before. agent: the machine that build is on.
    """

    id: str
    name: str
    grid: str
    baseline: str
    input: str
    project: str = ""
    targets: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    number: int = 0
    jobs: int = 1
    max_failures: int | None = None
    time_limit: float | None = None
    host: str = ""
    place: str = ""
    submitted: float = 0.0
    started: float | None = None
    ended: float | None = None
    attempt: int = 0
    state: State = State.WAITING
    reason: str = ""
    remedy: str = ""
    tail: tuple[str, ...] = ()
    stages: tuple[StageNote, ...] = ()
    cancel: float | None = None
    cancelled_by: str = ""
    result: str = ""
    metrics: tuple[Measure, ...] = ()
    engine: str = LOCAL
    user: str = ""
    label: str = ""
    gpus: int = 0
    retries: int = 2
    asked: float | None = None
    build: str = ""
    agent: str = ""
    resumed: str = ""
    search: Search | None = None
    proposed: tuple[str, ...] = ()
    version: int = field(default=VERSION)

    @property
    def ref(self) -> str:
        """Return the ref of the DVC experiment."""
        return f"refs/exps/{self.baseline[:2]}/{self.baseline[2:]}/{self.name}"

    @property
    def result_refs(self) -> tuple[str, str]:
        """Return where results are on a remote: as a DVC experiment, or where the forge takes none as a branch."""
        return self.ref, f"refs/heads/exp/{self.name}"

    def with_(self, **changes: Any) -> Experiment:
        """Return a copy with these fields changed."""
        return dataclasses.replace(self, **changes)


def _instance_of(kind: type, checks: dict[str, Check]) -> Check:
    return lambda found: kind(**{name: checks[name](value) for name, value in dict(found).items()})


_SECONDS = fields.optional(fields.number)
_COUNT = fields.integer(0, _MOST)
_CHECKS: dict[str, Check] = {
    "id": fields.identifier, "name": fields.name, "grid": fields.name, "baseline": fields.commit,
    "input": fields.commit, "project": fields.folder, "targets": fields.several(fields.any_text),
    "overrides": fields.several(fields.sentence), "number": _COUNT, "jobs": fields.integer(1, MOST_JOBS),
    "max_failures": fields.optional(_COUNT), "time_limit": _SECONDS, "host": fields.sentence, "place": fields.place,
    "submitted": fields.number, "started": _SECONDS, "ended": _SECONDS, "attempt": _COUNT, "state": State,
    "reason": fields.sentence, "remedy": fields.sentence, "tail": fields.several(fields.sentence),
    "stages": fields.several(_instance_of(StageNote, {
        "name": fields.sentence, "outcome": fields.sentence, "seconds": fields.number,
    })),
    "cancel": _SECONDS, "cancelled_by": fields.sentence, "result": fields.commit_or_none,
    "metrics": fields.several(_instance_of(Measure, {
        "file": fields.sentence, "name": fields.sentence, "value": fields.metric_value,
        "before": fields.optional(fields.metric_value),
    })),
    "engine": fields.one_of(ENGINES), "user": fields.sentence, "label": fields.label,
    "gpus": fields.integer(0, MOST_GPUS), "retries": fields.integer(0, MOST_RETRIES), "asked": _SECONDS,
    "build": fields.address, "agent": fields.sentence, "resumed": fields.sentence,
    "search": fields.optional(_instance_of(Search, {
        "metric": fields.sentence, "goal": fields.one_of(GOALS), "trials": fields.integer(1, MOST_TRIALS),
        "params": fields.several(fields.sentence), "base": fields.commit,
    })),
    "proposed": fields.several(fields.sentence),
    "version": fields.integer(VERSION, VERSION),
}  # fmt: skip
"""What each field may be: some become paths, refs and arguments, and all are shown."""
OPTION_CHECKS: Mapping[str, tuple[Check, str]] = {
    "jobs": (fields.integer(1, MOST_JOBS), f"a whole number from 1 to {MOST_JOBS}"),
    "gpus": (fields.integer(0, MOST_GPUS), f"a whole number from 0 to {MOST_GPUS}"),
    "retries": (fields.integer(0, MOST_RETRIES), f"a whole number from 0 to {MOST_RETRIES}"),
    "max_failures": (fields.integer(1, _MOST), "a whole number from 1"),
    "time_limit": (fields.seconds, "a number of seconds above 0"),
    "trials": (fields.integer(1, MOST_TRIALS), f"a whole number from 1 to {MOST_TRIALS}"),
    "on": (fields.one_of(ENGINES), " or ".join(ENGINES)),
    "label": (fields.label, "the name of one label, and no expression"),
}
"""What may be asked for: a state with anything else could not be read again."""


def experiment_id(commit: str, project: str, targets: tuple[str, ...]) -> str:
    """Return what names a point: the commit that is run, overrides included, and what of it."""
    text = json.dumps([commit, project, sorted(targets)])
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def dump_experiment(experiment: Experiment) -> bytes:
    """Return it as JSON."""
    return json.dumps(dataclasses.asdict(experiment), ensure_ascii=True, sort_keys=True).encode()


def parse_experiment(content: bytes) -> Experiment:
    """Return what `dump_experiment` wrote; texts that are shown come without what would steer a terminal.

    Raises:
        ProjectError: it is of another version of mlbutler, damaged, or made by hand: a field holds what it must not, or
            the id is not that of what is to be run.
    """
    try:
        found = json.loads(content)
        known = {name: value for name, value in found.items() if name in _CHECKS}  # a later version may know more
        experiment = Experiment(**{name: _CHECKS[name](value) for name, value in ({"version": None} | known).items()})
        if experiment.id != experiment_id(experiment.input, experiment.project, experiment.targets):
            raise ValueError(experiment.id)
        return experiment
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ProjectError(
            "An experiment's state cannot be read: another version of mlbutler wrote it, or it is damaged.",
            "Use that version; `git for-each-ref refs/mlbutler/train` lists the states.",
        ) from error
