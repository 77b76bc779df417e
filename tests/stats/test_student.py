"""Student's t against SciPy and a published table."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlbutler.stats.student import t_cdf, t_interval, t_quantile


@pytest.mark.parametrize(
    ("freedom", "quantile"), [(1, 12.706), (2, 4.303), (4, 2.776), (9, 2.262), (30, 2.042), (120, 1.980)]
)
def test_the_table_of_every_textbook(freedom: int, quantile: float) -> None:
    assert t_quantile(0.975, freedom) == pytest.approx(quantile, abs=5e-4)


@given(st.floats(-50, 50), st.integers(1, 2000))
@settings(deadline=None)
def test_the_distribution_is_scipys(t: float, freedom: int) -> None:
    scipy = pytest.importorskip("scipy.stats")
    assert t_cdf(t, freedom) == pytest.approx(scipy.t.cdf(t, freedom), rel=1e-8, abs=1e-15)


@given(st.floats(0.51, 0.9999), st.integers(1, 2000))
@settings(deadline=None)
def test_quantiles_are_scipys(probability: float, freedom: int) -> None:
    scipy = pytest.importorskip("scipy.stats")
    assert t_quantile(probability, freedom) == pytest.approx(scipy.t.ppf(probability, freedom), rel=1e-7)


def test_students_own_example() -> None:
    """Student (1908): the difference in hours of sleep of ten patients; mean 1.58, 95 % from 0.70 to 2.46."""
    found = t_interval([1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4], 0.95)
    assert (found.mean, found.low, found.high) == pytest.approx((1.58, 0.7001142, 2.4598858))
