"""What breaks while an experiment is sent, run or saved: none is lost, and none has two results."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlbutler.errors import GitError
from mlbutler.experiments.state import State
from tests.experiments.agents import Agent, now, open_shared, read_stored, send
from tests.experiments.conftest import Laptop


@contextlib.contextmanager
def away(laptop: Laptop) -> Iterator[None]:
    """The Git remote does not answer."""
    bare = laptop.world.bare
    elsewhere = bare.with_name("away")
    bare.rename(elsewhere)
    try:
        yield
    finally:
        elsewhere.rename(bare)


def results(laptop: Laptop) -> list[str]:
    return laptop.git("ls-remote", "origin", "refs/exps/*").split()


def test_a_git_remote_that_is_away_when_it_is_sent_begun_run_and_saved(laptop: Laptop) -> None:
    (one,) = send(laptop, "train.rate=0.02", name="lr")
    open_shared(laptop).remove(read_stored(laptop, one))
    with away(laptop), pytest.raises(GitError):
        open_shared(laptop).keep_all([(one, None)])
    assert [open_shared(laptop).keep_all([(one, None)]) for _ in range(2)] == [[True], [False]]
    assert [found.experiment for found in open_shared(laptop).all()] == [one]
    agent = Agent(laptop, one)
    with away(laptop):
        agent.begin(code=3)
    assert (now(laptop, one).state, agent.attempt) == (State.WAITING, "")
    agent.begin()
    with away(laptop):
        agent.call("run")
        saving = agent.start("save")
        assert saving.stdout is not None
        said = ""
        while "Not saved yet" not in said:
            said += saving.stdout.readline()
    saving.communicate()
    assert saving.returncode == 0
    done = now(laptop, one)
    assert (done.state, done.attempt, laptop.runs()) == (State.DONE, 1, ["0.02"])
    assert results(laptop) == [done.result, done.ref]


def fill_disk(folder: Path) -> Path:
    """Fill the disk that a folder is on."""
    path = folder / ".git" / "filled"
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return path


def test_an_agent_whose_disk_is_full(laptop: Laptop, small_disk: Callable[..., None]) -> None:
    (one,) = send(laptop, "train.rate=0.02", name="lr", retries=5)
    small_disk(laptop.world.directory / "agent-1-one", 16)
    agent = Agent(laptop, one)
    full = fill_disk(agent.root)
    assert "No space left" in agent.call("begin", code=3).err
    assert now(laptop, one).state is State.WAITING
    full.unlink()
    agent.begin()
    full = fill_disk(agent.root)
    assert "No space is left" in agent.call("run", code=3).err
    full.unlink()
    agent.call("save", code=3)
    waiting = now(laptop, one)
    assert waiting.state is State.WAITING
    assert waiting.reason == "attempt 1 was lost: what ran it was killed, or its disk was full"
    other = Agent(laptop, one, name="two")
    other.begin()
    other.call("run")
    other.call("save")
    done = now(laptop, one)
    assert (done.state, done.attempt, done.agent, laptop.runs()) == (State.DONE, 2, "two", ["0.02"])
    assert results(laptop) == [done.result, done.ref]
