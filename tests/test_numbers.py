from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlbutler import numbers


@pytest.mark.parametrize(
    ("old", "new", "noise", "shown"),
    [
        (0.998, 0.9983, None, ("0.9980", "0.9983", "+0.0003")),
        (0.92083, 0.89444, None, ("0.92083", "0.89444", "−0.02639")),
        (0.31122, 0.27018, 0.0123, ("0.311", "0.270", "−0.041")),
        (0.9201, 0.92011, 0.0047, ("0.92010", "0.92011", "+0.00001")),
        (30, 20, None, ("30", "20", "−10")),
        (1, 0.5, None, ("1.0", "0.5", "−0.5")),
        (0.5, 0.5, None, ("0.5", "0.5", "0")),
        (2**63, 2**63 - 1, None, ("9223372036854775808", "9223372036854775807", "−1")),
        (1e-9, 3e-9, None, ("1e-09", "3e-09", "+2e-09")),
        (-0.00001, 0.4, 0.1, ("0.00", "0.40", "+0.40")),
        (None, 0.4, None, ("—", "0.4", "—")),
        ("ok", "tuned", None, ("ok", "tuned", "—")),
        (float("nan"), 1.0, None, ("nan", "1", "—")),
        (0.1, 0.2, float("inf"), ("0.1", "0.2", "+0.1")),
    ],
)
def test_both_sides_and_the_difference_have_the_same_digits(
    old: object, new: object, noise: float | None, shown: tuple[str, str, str]
) -> None:
    assert numbers.sides_and_difference(old, new, noise=noise) == shown


_NUMBER = st.integers() | st.floats(allow_nan=True, allow_infinity=True) | st.booleans() | st.none() | st.text()


@given(_NUMBER, _NUMBER, st.none() | st.floats(min_value=0), st.integers(1, 17))
def test_two_values_that_differ_look_different(old: object, new: object, noise: float | None, precision: int) -> None:
    before, after, difference = numbers.sides_and_difference(old, new, precision, noise)
    assert before
    assert after
    assert difference
    if numbers.is_finite(old) and numbers.is_finite(new) and max(abs(old), abs(new)) < 1e60:  # type: ignore[arg-type]
        assert (before == after) == (old == new)
        assert "-" not in (before + after + difference).replace("e-", "")


@pytest.mark.parametrize(
    ("p", "said"),
    [
        (6.8e-7, "more than chance explains (p < 0.0001)"),
        (0.002, "more than chance explains (p = 0.002)"),
        (0.3, "no more than chance explains (p = 0.3)"),
    ],
)
def test_a_test_is_told_in_words_first(p: float, said: str) -> None:
    assert numbers.in_words(p, 0.05) == said
