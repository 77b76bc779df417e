"""Waivers: what they cover, and when they stop."""

from __future__ import annotations

from datetime import date

import pytest

from mlbutler.errors import SettingsError
from mlbutler.gate.waivers import apply_waivers, parse_waivers
from mlbutler.record import GateResult

TEXT = """
[[waiver]]
gate = "m.json:accuracy"
reason = "the new labels are harder"
owner = "ada@example.org"
until = 2026-03-31
"""


def result(metric: str = "m.json:accuracy", outcome: str = "failed", rule: str = "max drop 0.01") -> GateResult:
    return GateResult(metric=metric, rule=rule, level="fail", outcome=outcome, sentence="accuracy 0.9 -> 0.8")


@pytest.mark.parametrize(
    ("day", "outcome"), [(date(2026, 3, 30), "waived"), (date(2026, 3, 31), "waived"), (date(2026, 4, 1), "failed")]
)
def test_it_holds_until_the_end_of_its_last_day(day: date, outcome: str) -> None:
    (judged,), notes = apply_waivers([result()], parse_waivers(TEXT), day)
    assert judged.outcome == outcome
    assert not notes
    if outcome == "waived":
        assert judged.waiver == "until 2026-03-31, ada@example.org: the new labels are harder"
    else:
        assert "its waiver lapsed on 2026-03-31 (ada@example.org: the new labels are harder)" in judged.sentence


@pytest.mark.parametrize(
    ("gate", "outcomes"),
    [
        ("accuracy", ["waived", "waived"]),
        ("m.json:accuracy: min 0.9", ["failed", "waived"]),
        ("accuracy: max drop 0.01", ["waived", "failed"]),
        ("m.json:acc", ["failed", "failed"]),
    ],
)
def test_it_covers_a_number_or_one_limit_of_it(gate: str, outcomes: list[str]) -> None:
    text = TEXT.replace("m.json:accuracy", gate)
    judged, notes = apply_waivers([result(), result(rule="min 0.9")], parse_waivers(text), date(2026, 1, 1))
    assert [one.outcome for one in judged] == outcomes
    assert bool(notes) == (gate == "m.json:acc")


@pytest.mark.parametrize("outcome", ["passed", "warned", "not judged"])
def test_what_did_not_fail_is_left_alone(outcome: str) -> None:
    (judged,), _ = apply_waivers([result(outcome=outcome)], parse_waivers(TEXT), date(2026, 1, 1))
    assert judged == result(outcome=outcome)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (TEXT.replace('owner = "ada@example.org"', ""), r"\[\[waiver\]\] 1: owner: is missing\.$"),
        (TEXT.replace("reason", "reasn"), r"toml: unknown key 'reasn' in \[\[waiver\]\] 1\.$"),
        (TEXT.replace("until = 2026-03-31", 'until = "soon"'), "until: must be a date as 2026-12-31, not 'soon'"),
        (TEXT.replace("[[waiver]]", "[[wavier]]"), "wavier"),
        ("[[", "not valid TOML"),
    ],
)
def test_a_broken_file_waives_nothing(text: str, why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        parse_waivers(text)
