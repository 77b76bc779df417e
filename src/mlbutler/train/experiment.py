"""An experiment: what is to be run, and what has become of it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from mlbutler.errors import ProjectError

VERSION = 1


class State(StrEnum):
    """What an experiment is doing, or how it ended.

    `FAILED`: the program that it runs did. `NOT_SET_UP`: it could not be prepared, or its results not be saved.
    `LOST` is never kept: an experiment is lost when it is under way and the process that runs it is gone.
    """

    WAITING = "waiting"
    PREPARING = "preparing"
    RUNNING = "running"
    SAVING = "saving"
    LOST = "lost"
    DONE = "done"
    FAILED = "failed"
    NOT_SET_UP = "not set up"
    TIMED_OUT = "timed out"
    CANCELLED = "cancelled"


UNDER_WAY = (State.PREPARING, State.RUNNING, State.SAVING)
ENDED = (State.DONE, State.FAILED, State.NOT_SET_UP, State.TIMED_OUT, State.CANCELLED)
AGAIN = (State.FAILED, State.NOT_SET_UP, State.TIMED_OUT, State.CANCELLED)
"""From these an experiment is run again when it is submitted again."""


@dataclass(frozen=True, kw_only=True)
class StageNote:
    """What became of one stage; see `record.StageRun`."""

    name: str
    outcome: str
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One metric: its file from the project's root, its dotted name, and its value `before`: at the baseline."""

    file: str
    name: str
    value: float
    before: float | None = None


@dataclass(frozen=True, kw_only=True)
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
        result: the commit with the results, metrics: the numbers in them.
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
    result: str = ""
    metrics: tuple[Measure, ...] = ()
    version: int = field(default=VERSION)

    @property
    def ref(self) -> str:
        """Return the ref of the DVC experiment."""
        return f"refs/exps/{self.baseline[:2]}/{self.baseline[2:]}/{self.name}"

    def with_(self, **changes: Any) -> Experiment:
        """Return a copy with these fields changed."""
        return dataclasses.replace(self, **changes)


_FIELDS = frozenset(one.name for one in dataclasses.fields(Experiment))


def identity(commit: str, project: str, targets: tuple[str, ...]) -> str:
    """Return what names a point: the commit that is run, overrides included, and what of it."""
    text = json.dumps([commit, project, sorted(targets)])
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def dumps(experiment: Experiment) -> bytes:
    """Return it as JSON."""
    return json.dumps(dataclasses.asdict(experiment), ensure_ascii=True, sort_keys=True).encode()


def loads(content: bytes) -> Experiment:
    """Return what `dumps` wrote.

    Raises:
        ProjectError: it is of another version of mlbutler, or damaged.
    """
    try:
        found = json.loads(content)
        if found["version"] != VERSION:
            raise ValueError(found["version"])
        found = {name: value for name, value in found.items() if name in _FIELDS}  # a later version may know more
        found["stages"] = tuple(StageNote(**stage) for stage in found["stages"])
        found["metrics"] = tuple(Measure(**metric) for metric in found.get("metrics", ()))
        found |= {name: tuple(found[name]) for name in ("targets", "overrides", "tail")}
        return Experiment(**{**found, "state": State(found["state"])})
    except (ValueError, TypeError, KeyError) as error:
        raise ProjectError(
            "An experiment's state cannot be read: another version of mlbutler wrote it.",
            "Use that version; `git for-each-ref refs/mlbutler/train` lists the states.",
        ) from error
