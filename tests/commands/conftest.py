"""The verb that a module's tests are of, called in their own process."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mlbutler.cli import main

Cli = Callable[..., int]


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
