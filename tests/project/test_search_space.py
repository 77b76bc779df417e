"""A space is read as Hydra's Optuna sweeper reads it, and each point of it is an experiment as DVC knows them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlbutler.errors import UsageError
from mlbutler.project.overrides import points
from mlbutler.project.search_space import Choice, SearchInterval, Space, read_space


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a=interval(0, 10)", SearchInterval("a", 0.0, 10.0, log=False, whole=False)),
        ("a=tag(log, interval(1e-5,1e-1))", SearchInterval("a", 1e-5, 0.1, log=True, whole=False)),
        ("a=int(interval(2,8))", SearchInterval("a", 2, 8, log=False, whole=True)),
        ("o.yaml:+a.b=tag(log,int(interval(1,100)))", SearchInterval("o.yaml:+a.b", 1, 100, log=True, whole=True)),
        ("a=choice(x,'y z',{k:1})", Choice("a", ("x", "y\\ z", "{k:1}"), ordered=False)),
        ("a=true,null,2,2", Choice("a", ("True", "null", "2"), ordered=False)),
        ("a=range(1,10,4)", Choice("a", ("1", "5", "9"), ordered=True)),
        ("a=range(0.5,2,0.5)", Choice("a", ("0.5", "1.0", "1.5"), ordered=True)),
    ],
)
def test_a_parameter_has_the_values_that_hydra_gives_it(text: str, found: object) -> None:
    assert read_space(["fixed=1", text]) == Space((found,), ("fixed=1",))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("params", "said"),
    [
        (["a=1"], "nothing to search"), ([], "nothing to search"), (["a=interval(1"], "cannot be read"),
        (["a=interval(2,1)"], "lower end"), (["a=interval(0,inf)"], "lower end"), (["a=interval(nan,1)"], "lower end"),
        (["a=tag(log,interval(0,1))"], "above 0"), (["a=tag(lin,interval(1,2))"], "only tag"),
        (["a=glob(*)"], "glob"), (["a=shuffle(range(1,9))"], "shuffle"), (["a=tag(x,choice(1,2))"], "tag"),
        (["a=range(5,1)"], "no values"), (["a=range(0,1e9)"], "too many"), (["a=range(1,2,0)"], "listed"),
        (["a=1,2", "a=3"], "given twice"), (["a=1,2", "+a=3"], "given twice"),
        (["/etc/passwd:a=1,2"], "not in the project"), (["../p.yaml:a=1,2"], "not in the project"),
    ],
)  # fmt: skip
def test_what_is_no_space_is_refused_with_a_way_out(params: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said) as error:
        read_space(params)
    assert error.value.remedy


_ENDS = st.tuples(*[st.floats(-1e6, 1e6, allow_subnormal=False)] * 2).map(sorted).filter(lambda ends: ends[0] < ends[1])


@settings(max_examples=25)
@given(_ENDS, st.floats(0, 1))
@example(ends=[-1.0, -1.0624054674837116e-256], part=1.0)
@example(ends=[0.1234567, 1.0], part=0.0)
def test_a_number_of_an_interval_stays_in_it_and_comes_back(ends: list[float], part: float) -> None:
    (one,) = read_space([f"a=interval({ends[0]!r},{ends[1]!r})"]).dimensions
    text = one.text(ends[0] + part * (ends[1] - ends[0]))
    assert ends[0] <= float(text) <= ends[1]
    value = one.value(text)
    assert value is not None
    assert one.text(value) == text


_SPACES = st.lists(
    st.sampled_from(["interval(0,1)", "tag(log,interval(0.001,1))", "int(interval(1,9))", "range(2,9,3)", "a,'b c',3"]),
    min_size=1, max_size=4,
).map(lambda ranges: read_space(["z=7", *(f"p{number}.q={text}" for number, text in enumerate(ranges))]))  # fmt: skip


@settings(max_examples=25)
@given(_SPACES, st.data())
def test_a_point_is_one_experiment_of_dvc_and_comes_back(space: Space, data: st.DataObject) -> None:
    values = {}
    for one in space.dimensions:
        numbers = st.floats(one.low, one.high) if isinstance(one, SearchInterval) and not one.whole else None
        values[one.key] = data.draw(st.sampled_from(list(one.every())) if numbers is None else numbers)
    overrides = space.overrides(values)
    ((point,), sweep) = points(overrides)
    assert (not sweep, point) == (True, {"params.yaml": overrides})
    found = space.values(overrides)
    assert found is not None
    assert space.overrides(found) == overrides
    assert space.values(overrides[:-1]) is None


@settings(max_examples=25)
@given(st.text("ab=:,()[]{}'\"\\$ .+~*1e-9intervalchoicetaglogrange", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert read_space(["a=1,2", text]).dimensions


def test_all_points_of_a_space_with_an_end() -> None:
    space = read_space(["a=x,y", "b=int(interval(1,3))"])
    assert space.size == 6
    assert len({space.overrides(values) for values in space.every()}) == 6
    assert read_space(["a=x,y", "b=interval(1,3)"]).size is None
