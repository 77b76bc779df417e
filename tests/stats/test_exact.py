"""Paired tests against SciPy and statsmodels, on published examples too."""

from __future__ import annotations

import functools
import gc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlbutler.stats.exact import binomial_tail, got_worse, holm, mcnemar


@given(st.integers(0, 3000), st.integers(0, 3000))
@settings(max_examples=200, deadline=None)
def test_the_tail_is_scipys(successes: int, more: int) -> None:
    scipy = pytest.importorskip("scipy.stats")
    trials = successes + more
    # Below that SciPy says 0 where the exact sum is not.
    assert binomial_tail(successes, trials) == pytest.approx(
        scipy.binom.cdf(successes, trials, 0.5), rel=1e-9, abs=1e-250
    )


def test_a_million_pairs_are_no_problem() -> None:
    scipy = pytest.importorskip("scipy.stats")
    assert mcnemar(501_500, 498_500) == pytest.approx(scipy.binomtest(498_500, 1_000_000, 0.5).pvalue, rel=1e-6)


@given(st.integers(0, 400), st.integers(0, 400))
@settings(max_examples=200, deadline=None)
def test_both_tests_are_scipys_binomial_tests(broken: int, fixed: int) -> None:
    scipy = pytest.importorskip("scipy.stats")
    if broken + fixed == 0:
        assert mcnemar(0, 0) == got_worse(0, 0) == 1.0
        return
    two = scipy.binomtest(broken, broken + fixed, 0.5).pvalue
    one = scipy.binomtest(broken, broken + fixed, 0.5, alternative="greater").pvalue
    assert mcnemar(broken, fixed) == pytest.approx(two, rel=1e-9)
    assert got_worse(broken, fixed) == pytest.approx(one, rel=1e-9)


def test_a_published_table() -> None:
    """Agresti, Categorical Data Analysis (2002), table 10.1: approval of the prime minister, 150 against 86."""
    statsmodels = pytest.importorskip("statsmodels.stats.contingency_tables")
    table = [[794, 150], [86, 570]]
    assert mcnemar(150, 86) == pytest.approx(statsmodels.mcnemar(table, exact=True).pvalue, rel=1e-9)
    assert mcnemar(150, 86) == pytest.approx(3.7e-5, rel=0.02)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([]) == ()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
@settings(deadline=None)
def test_holm_is_statsmodels(p_values: list[float]) -> None:
    assert holm(p_values) == pytest.approx(_multitest().multipletests(p_values, method="holm")[1])


@functools.cache
def _multitest() -> Any:
    module = pytest.importorskip("statsmodels.stats.multitest")
    gc.freeze()  # it collects garbage with every answer, and would search all that it imported
    return module
