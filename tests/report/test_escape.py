"""Text of a pull request as it is shown: nothing in it acts, and nothing of it is unseen."""

from __future__ import annotations

import pytest

from mlbutler.report.escape import markdown, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("zero\u200bwidth", r"zero\u200bwidth"),
        ("soft\u00adhyphen", r"soft\xadhyphen"),
        ("tag\U000e0041", r"tag\U000e0041"),
        ("fill\u3164er", r"fill\u3164er"),
        ("e\u0301, \u6f22\u5b57, \U0001f389", "e\u0301, \u6f22\u5b57, \U0001f389"),
    ],
)
def test_what_shows_nothing_is_made_visible(text: str, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.parametrize("name", ["smile", "100", "+1", "-1", "heart_eyes"])
def test_a_name_between_colons_becomes_no_picture(name: str) -> None:
    assert f":{name}:" not in markdown(f"metrics.json:{name}: no direction is known").replace("&#95;", "_")


def test_a_name_can_be_copied_as_it_is() -> None:
    assert markdown("metrics.json:accuracy: no direction is known").startswith("metrics.json:accuracy")
    assert markdown("metrics.json:accuracy 0.5 -> 0.6") == "metrics.json:accuracy 0.5 -> 0.6"
