"""The verb that a module's tests are of, called in their own process."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest

from mlbutler.cli import main
from mlbutler.scaffold import wheel

Cli = Callable[..., int]
_packed = functools.cache(wheel.running_wheel)


@pytest.fixture
def cli(request: pytest.FixtureRequest) -> Cli:
    """Call `mlbutler VERB`, as the module names it, with these words; return the exit code."""
    verb: str = request.module.VERB

    def call(*words: str) -> int:
        with pytest.raises(SystemExit) as ended:
            main([verb, *words])
        assert isinstance(ended.value.code, int)
        return ended.value.code

    return call


@pytest.fixture
def packed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the running mlbutler, which stays as it is, packed for the first image alone; it takes a third of `init`."""
    monkeypatch.setattr(wheel, "running_wheel", _packed)
