"""What reviewers read of flipped examples."""

from __future__ import annotations

import dataclasses

from mlbutler.record import CompareResult, PredictionChange, Record, Verdict
from mlbutler.report import html, markdown
from mlbutler.settings import ReportSettings as Settings


def with_change(record: Record, **values: object) -> Record:
    assert isinstance(record.compare, CompareResult)
    change = dataclasses.replace(record.compare.predictions[0], **values)  # type: ignore[arg-type]
    return dataclasses.replace(record, compare=dataclasses.replace(record.compare, predictions=(change,)))


def test_the_slice_that_got_worse_is_under_the_verdict(record: Record) -> None:
    head = markdown.render(record, Settings()).split("<details>")[0]
    assert "worse where scanner = B: 93.3 % → 77.0 % right, more than chance explains (p &lt; 0.0001)" in head
    assert "71 examples right → wrong, 23 wrong → right, more than chance explains (p &lt; 0.0001)" in head


def test_examples_slices_and_scores_are_told(record: Record) -> None:
    text = markdown.render(record, Settings())
    assert "1,797 examples, 92.10 % right in the target, 89.43 % here." in text
    assert "1 of 2 slices got significantly worse (one-sided exact tests, Holm's correction, level 0.05)." in text
    assert "| <code>7/scan 0012.png</code> | 7 | 7 | 1 | 0.98 | 0.03 |" in text
    assert "−0.060 to +0.020" in text


def test_the_worst_examples_are_pictures_in_the_page(record: Record) -> None:
    page = html.render(record, Settings())
    assert "7/scan 0012.png: 7, taken for 1, before for 7" in page
    assert page.count('src="data:image/png') >= 3


def test_what_is_no_more_than_noise_is_folded(record: Record) -> None:
    calm = with_change(record, verdict=Verdict.WITHIN_NOISE, p=0.3, slices=())
    text = markdown.render(calm, Settings())
    said = "71 right → wrong, 23 wrong → right, no more than chance explains (p = 0.3)"
    assert f"<details><summary><b>Predictions</b>: {said}</summary>" in text


def test_what_could_not_be_compared_says_why(record: Record) -> None:
    assert record.compare is not None
    odd = PredictionChange(file="p.csv", reason="in the target: the file is missing")
    text = markdown.render(
        dataclasses.replace(record, compare=dataclasses.replace(record.compare, predictions=(odd,))), Settings()
    )
    assert "<code>p.csv</code>: in the target: the file is missing." in text
