"""The same large report on every forge: whole sections go, the marker stays, the forge takes it."""

from __future__ import annotations

from mlbutler import record as r
from mlbutler.record import Outcome, Verdict
from mlbutler.report import markdown
from mlbutler.settings import ReportSettings as Settings
from tests.forge.conftest import Meeting, change

ENVIRONMENT = r.Environment(mlbutler="1", dvc="3", git="2", python="3.11", platform="x", host="h", cpus=2, memory=4)


def large(rows: int = 100) -> r.Record:
    """More than 700 characters a row, and many more bytes."""
    params = tuple(
        r.ParamChange(
            file="p" * 150,
            name=f"größe.ключ{i}",
            kind="changed",
            stages=("train", "evaluate it all"),
            old="ä" * 150,
            new=f"<b>{i}</b>" + "é" * 140,
        )
        for i in range(rows)
    )
    data = tuple(
        r.DataChange(path=f"data/Ω {i}" + "w" * 80, kind="added", new_size=i, reason="漢" * 150) for i in range(rows)
    )
    metric = r.MetricChange(
        file="metrics.json", name="accuracy", old=0.9, new=0.8, difference=-0.1, relative=-0.11,
        verdict=Verdict.WORSE, goal="maximize",
    )  # fmt: skip
    compare = r.CompareResult(
        outcome=Outcome.FAILED, reason="x", verdict=Verdict.WORSE, sentence="Worse: accuracy 0.9 -> 0.8",
        metrics=(metric,), params=params, data=data,
    )  # fmt: skip
    return r.Record(change=change(), environment=ENVIRONMENT, compare=compare)


def test_a_large_report_fits_every_forge(meeting: Meeting) -> None:
    forge = meeting.open()
    takes = forge.capabilities
    whole = markdown.render(large(), Settings())
    assert len(whole) > 70_000
    limits = markdown.Limits(takes.comment_limit, takes.unit, takes.html, takes.folds)
    text = markdown.render(large(), Settings(), limits)
    forge.comment(change(), "mlbutler", text, lambda head: False)
    (note,) = meeting.ours()
    assert "\n**Worse**: accuracy 0.9 -> 0.8" in note.body
    if takes.comment_limit is not None and takes.comment_limit < 100_000:
        assert not meeting.dialect.too_long(text)
        assert "Dropped to fit here: " in note.body
        assert "rows not shown)" in note.body
    else:
        assert note.body.split() == whole.split()
