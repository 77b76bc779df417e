from __future__ import annotations

from defusedxml import ElementTree
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlbutler.record import PlotChange, PlotKind, Scalar
from mlbutler.report.plots import svg
from tests.report.hostile import hostile_text

Points = tuple[tuple[Scalar, ...], ...]
scalars: st.SearchStrategy[Scalar] = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(["NaN", "Infinity", 10**400]), hostile_text
)
points = st.lists(st.one_of(st.tuples(scalars, scalars), st.tuples(scalars)), max_size=8).map(tuple)


def plot(old: Points, new: Points, **names: str) -> PlotChange:
    return PlotChange(file="p.csv", title=names.get("title", "p"), kind=PlotKind.LINEAR, changed=True, old=old, new=new,
                      x=names.get("x", "step"), y=names.get("y", "loss"))  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(points, points, hostile_text)
def test_any_points_and_names_make_a_valid_drawing_inside_its_frame(old: Points, new: Points, name: str) -> None:
    drawing = svg.line_chart(plot(old, new, title=name, x=name, y=name))
    if not drawing:
        return
    root = ElementTree.fromstring(drawing)
    for circle in root.iter("{http://www.w3.org/2000/svg}circle"):
        assert 0 <= float(circle.get("cx", "")) <= svg.COMMENT.width
        assert 0 <= float(circle.get("cy", "")) <= svg.COMMENT.height


def test_ticks_are_round_numbers() -> None:
    assert svg.ticks(0, 30, 6) == [0, 5, 10, 15, 20, 25, 30]
    assert [round(t, 9) for t in svg.ticks(0.27, 0.93, 5)] == [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    assert svg.ticks(1, 11.5, 5) == [2, 4, 6, 8, 10]  # and not 5 and 10 alone


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(4, 8))
@example(5e-324, 6.0, 4)
@settings(max_examples=50, deadline=None)
def test_an_axis_has_three_ticks_at_least_and_no_crowd(low: float, span: float, wanted: int) -> None:
    found = svg.ticks(low, low + span, wanted)
    assert 3 <= len(found) <= 2 * wanted
    assert all(low <= number <= low + span for number in found)


def test_a_number_that_is_none_interrupts_the_line() -> None:
    drawing = svg.line_chart(plot((), ((0, 1), (1, 2), (2, "NaN"), (3, 4), (4, 5))))
    assert drawing.count("<polyline") == 2


def test_names_on_the_axis_are_numbered_through() -> None:
    drawing = svg.line_chart(plot((("mon", 1), ("tue", 2)), (("mon", 2), ("wed", 3))))
    assert ">mon<" in drawing
    assert ">wed<" in drawing


def test_a_scatter_plot_is_not_joined() -> None:
    assert "<polyline" not in svg.line_chart(plot((), ((3, 1), (1, 2), (2, 3))))


def test_no_point_to_draw_is_no_drawing() -> None:
    assert svg.line_chart(plot((), (("a", "b"), (1, None)))) == ""
