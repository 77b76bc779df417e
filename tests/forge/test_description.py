"""The judge of requests catches what it should; without it the contract is kept but not compared with the vendors'."""

from __future__ import annotations

import pytest

from tests.forge.description import Description, load

NOTES = "/api/v4/projects/a%2Fb/merge_requests/7/notes"


@pytest.fixture
def gitlab() -> Description:
    found = load("gitlab")
    if found is None:
        pytest.skip("the vendors' descriptions are not here (../shared/specs): requests are not compared with them")
    return found


@pytest.mark.parametrize(
    ("method", "path", "query", "body", "word"),
    [
        ("POST", NOTES, "", b'{"body": "x"}', ""),
        ("GET", NOTES, "page=2&per_page=100&sort=asc", b"", ""),
        ("POST", NOTES, "", b'{"text": "x"}', "'body' is a required property"),
        ("POST", NOTES, "", b'{"body": 7}', "is not of type 'string'"),
        ("POST", NOTES, "", b'{"body": "x", "colour": "red"}', "unknown field colour"),
        ("GET", NOTES, "sort=up", b"", "is not one of"),
        ("GET", NOTES, "colour=red", b"", "unknown parameter"),
        ("PATCH", NOTES, "", b"", "no such operation"),
        ("GET", "/api/v4/projects/a/b/merge_requests/7/notes", "", b"", "no such operation"),
    ],
)
def test_a_request_is_judged(gitlab: Description, method: str, path: str, query: str, body: bytes, word: str) -> None:
    faults = gitlab.faults(method, path, query, "application/json" if body else "", body)
    assert (word in " ".join(faults)) if word else faults == []
