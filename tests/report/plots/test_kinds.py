"""The table of the kinds of plots."""

from __future__ import annotations

import pytest

from mlbutler.record import PlotChange, PlotKind
from mlbutler.report.pictures import is_picture, of_plot
from mlbutler.report.plots.kinds import KINDS


@pytest.mark.parametrize("kind", PlotKind)
def test_a_plot_of_any_kind_without_content_says_why_it_is_not_shown(kind: PlotKind) -> None:
    empty = PlotChange(file="a", title="A", kind=kind, changed=True, reason="it is gone")
    shows, old, new = KINDS[kind].summary(empty, 4)
    assert shows
    assert (old, new) == ("—", "—")
    figure = KINDS[kind].figure(empty)
    assert figure.problem or all(image.problem == "it is gone" for image in figure.images)
    assert [file.problem for file in of_plot(empty)] == ["it is gone"] * len(of_plot(empty))
    assert is_picture(empty) == bool(of_plot(empty)) == (kind in (PlotKind.LINEAR, PlotKind.IMAGE))
