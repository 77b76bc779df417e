"""An entry is valid while key and inputs are what they were and its time is not over."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

from mlbutler.state.rule import is_valid

NOW = 1_700_000_000.0


def test_what_nothing_speaks_against_is_valid() -> None:
    assert is_valid()
    assert is_valid(("key", "key"), [("1 2 3", "1 2 3"), ("", "")], NOW, NOW + 1)


@pytest.mark.parametrize(
    ("key", "inputs", "expiry"),
    [
        (("key", "other"), [], math.inf),
        ((None, "key"), [], math.inf),
        (("key", "key"), [("1 2 3", "1 2 3"), ("1 2 3", "1 2 4")], math.inf),
        (("key", "key"), [("1 2 3", None)], math.inf),
        (("key", "key"), [(None, None)], math.inf),  # what is not known is equal to nothing
        (("key", "key"), [], NOW),
        (("key", "key"), [], NOW - 1),
        (("key", "key"), [], math.nan),
    ],
)
def test_each_part_alone_ends_it(
    key: tuple[object, object], inputs: list[tuple[object, object]], expiry: float
) -> None:
    assert not is_valid(key, inputs, NOW, expiry)


def test_nothing_is_looked_at_after_what_differs() -> None:
    def inputs_that_differ() -> Iterator[tuple[str, str]]:
        yield "1", "2"
        raise AssertionError

    assert not is_valid(inputs=inputs_that_differ())
    assert not is_valid(("key", "other"), inputs_that_differ())
