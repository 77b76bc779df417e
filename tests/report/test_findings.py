"""A cause behind many findings is reported once."""

from __future__ import annotations

from mlbutler.record import Finding
from mlbutler.report.findings import grouped


def finding(subject: str, problem: str, silent: str = "") -> Finding:
    return Finding(check="pushed", subject=subject, problem=problem, remedy="Run again.", silent_remote=silent)


def test_what_one_remote_does_not_tell_is_one_line_with_a_count() -> None:
    silent = [finding(f"f{number}", f"no answer for /files/{number}", "origin") for number in range(5)]
    other = finding("g", "no answer for /files/9", "backup")
    assert [(f.subject, f.problem) for f in grouped([*silent, other])] == [
        ("f0, f1, f2 and 2 more", "no answer for /files/0"),
        ("g", "no answer for /files/9"),
    ]


def test_different_problems_stay_apart() -> None:
    found = grouped(
        [finding("a", "not on 'origin'"), finding("b", "damaged on 'origin'"), finding("c", "not on 'origin'")]
    )
    assert [f.subject for f in found] == ["a, c", "b"]
