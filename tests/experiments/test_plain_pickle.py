"""Plain data comes out of a pickle as it went in, and nothing in one is ever called."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlbutler.experiments.plain_pickle import NotPlain, read_pickle

LEAVES = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(), inner, max_size=4)
        | st.tuples(inner, inner)
        | st.tuples(inner, inner, inner, inner)
    ),
)


@given(value=VALUES, protocol=st.integers(2, pickle.HIGHEST_PROTOCOL))
@settings(deadline=None)
def test_plain_data_comes_out_as_it_went_in(value: Any, protocol: int) -> None:
    assert read_pickle(pickle.dumps({"same": [value, value]}, protocol)) == {"same": [value, value]}


@given(content=st.binary(max_size=200) | st.binary(max_size=50).map(lambda rest: b"\x80\x04" + rest))
@settings(deadline=None)
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        read_pickle(content)
    except NotPlain:
        return


class _Touches:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_what_would_call_something_is_refused_and_not_called(tmp_path: Path) -> None:
    with pytest.raises(NotPlain):
        read_pickle(pickle.dumps({"args": [_Touches(tmp_path / "called")]}))
    assert not (tmp_path / "called").exists()
