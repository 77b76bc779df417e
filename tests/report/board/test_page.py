"""The page as a file: one, inert, and readable where scripts are forbidden."""

from __future__ import annotations

import base64
import gzip
import json
import re
from hashlib import sha256
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlbutler.report.board import page
from mlbutler.report.board.columnar import short_names
from mlbutler.report.board.model import Board
from mlbutler.report.board.redaction import redact_board
from mlbutler.secrets import Redactor
from tests.report.hostile import hostile_text
from tests.report.test_html import Page

from .conftest import board_of, poison_board

LIBRARIES = ("table-library", "chart-library")


def decompress(document: str, id: str) -> str:
    found = re.search(rf'<script type="text/plain" id="{id}">([A-Za-z0-9+/=]*)</script>', document)
    assert found is not None
    return gzip.decompress(base64.b64decode(found[1])).decode()


def experiments(document: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(decompress(document, "experiments"))
    return found


def check_inert(document: str) -> Page:
    """The only programs are ours; the policy names them and what they unpack, and nothing else can run or be asked."""
    found = Page(document)
    assert not found._open
    assert found.all("script") == [{"type": "text/plain", "id": id} for id in ("experiments", *LIBRARIES)] + [{}]
    policy = next(meta["content"] for meta in found.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    programs = [page._program(), *(decompress(document, id) for id in LIBRARIES)]
    hashes = " ".join(f"'sha256-{base64.b64encode(sha256(t.encode()).digest()).decode()}'" for t in programs)
    assert policy == f"default-src 'none'; style-src 'unsafe-inline'; script-src {hashes}"
    assert found.programs[-1] == page._program()
    for tag, attrs in found.tags:
        assert tag not in ("iframe", "object", "embed", "form", "link", "base", "b", "img")
        assert not [name for name in attrs if name.startswith("on") or name == "style"]
        assert attrs.get("href", "https://").startswith("https://")
    return found


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_text_of_a_pull_request_is_inert_wherever_it_stands(board: Board, data: st.DataObject) -> None:
    pool = data.draw(st.lists(hostile_text, min_size=7, max_size=7))
    turn = iter(range(10**6))
    document = page.render(poison_board(board, lambda: pool[next(turn) % len(pool)]))
    check_inert(document)
    assert "\x00" not in document
    assert document.encode("utf-8")
    for links in experiments(document)["rows"]["links"]:
        assert all(address.startswith(("https://", "http://")) for _, address in links)


def test_our_own_program_ends_no_element() -> None:
    assert not re.search(r"</script|<!--", page._program(), re.IGNORECASE)


def test_without_scripts_there_is_a_table_and_a_line(board: Board) -> None:
    found = check_inert(page.render(board))
    text = " ".join(" ".join(found.texts).split())
    for expected in ("Experiments of team/project", "6 experiments", "sweep-1", "Larger rate", "#7", "0.96", "0.02"):
        assert expected in text
    assert "test.accuracy on main" in text
    assert len(found.all("polyline")) == 1
    addresses = [link["href"] for link in found.all("a")]
    assert f"https://forge.example/team/project/commit/{1:040x}" in addresses


def test_a_board_of_nothing_is_a_page(board: Board) -> None:
    document = page.render(board_of())
    check_inert(document)
    assert experiments(document)["rows"]["name"] == []


def test_credentials_are_hidden_wherever_they_stand(board: Board) -> None:
    secret = "ghp_" + "a1B2" * 9
    evil = poison_board(board, lambda: f"x {secret} y")
    shown = redact_board(evil, Redactor(()).hide)
    assert secret in page.render(evil)
    document = page.render(shown)
    assert secret not in document
    assert secret in decompress(page.render(evil), "experiments")
    assert secret not in decompress(document, "experiments")
    known = experiments(page.render(redact_board(board, Redactor(()).hide)))
    assert known == experiments(page.render(board))  # nothing else is


def test_the_same_experiments_give_the_same_page(board: Board) -> None:
    assert page.render(board) == page.render(board)


def test_each_row_knows_its_baseline_and_its_curves(board: Board) -> None:
    found = experiments(page.render(board))
    assert found["rows"]["baseline"] == [4, 4, 4, 4, 5, -1]
    assert found["rows"]["same"] == [0, 0, 1, 0, 0, 0]
    assert found["xs"] == [[0, 1, 2]]  # all curves have the same x
    assert [len(curves) for curves in found["rows"]["curves"]] == [0, 1, 1, 1, 1, 1]
    assert found["rows"]["links"][1] == [["commit", "https://forge.example/team/project/commit/{commit}"]]


def test_a_curve_is_called_by_as_little_as_tells_it_from_others() -> None:
    assert short_names(["dvclive/loss.tsv: loss"]) == ["loss"]
    assert short_names(["a/train.tsv", "a/test.tsv"]) == ["train", "test"]
    assert short_names(["a/1.tsv: loss", "b/1.tsv: loss"]) == ["a/1.tsv: loss", "b/1.tsv: loss"]
