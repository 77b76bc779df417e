"""The states of an experiment."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """What an experiment is doing, or how it ended.

    `FAILED`: the program that it runs did. `NOT_SET_UP`: it could not be prepared, or its results not be saved.
    `STALLED`: it runs, and for some time nothing has happened.
    `LOST` is never kept: an experiment is lost when it is under way and the process that runs it is gone.
    """

    WAITING = "waiting"
    PREPARING = "preparing"
    RUNNING = "running"
    STALLED = "stalled"
    SAVING = "saving"
    LOST = "lost"
    DONE = "done"
    FAILED = "failed"
    NOT_SET_UP = "not set up"
    TIMED_OUT = "timed out"
    CANCELLED = "cancelled"


UNDER_WAY = (State.PREPARING, State.RUNNING, State.STALLED, State.SAVING)
ENDED = (State.DONE, State.FAILED, State.NOT_SET_UP, State.TIMED_OUT, State.CANCELLED)
FAILED = (State.FAILED, State.NOT_SET_UP, State.TIMED_OUT)
"""In these an experiment ended without a result, and not because somebody wanted it."""
AGAIN = (*FAILED, State.CANCELLED)
"""From these an experiment is run again when it is submitted again."""
