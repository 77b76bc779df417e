from __future__ import annotations

import json
import re

import pytest

from mlbutler.cli import main


def run_help(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["help", *words])
    shown = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, shown.out, shown.err


def test_the_pages_are_listed_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run_help(capsys)
    assert code == 0
    listed = [re.fullmatch(r"(  mlbutler help [a-z-]+ +)\S.*", line) for line in out.splitlines()[:-2]]
    assert len({len(line[1]) for line in listed if line}) == 1, "the titles stand in a column"
    assert all(listed)
    assert re.search("help credentials +Credentials\n", out)
    assert "architecture" not in out
    assert run_help(capsys, "credentials")[1].startswith("# Credentials\n")
    assert json.loads(run_help(capsys, "credentials", "--json")[1])["title"] == "Credentials"
    assert json.loads(run_help(capsys, "--json")[1])["topics"]["credentials"] == "Credentials"


def test_a_verb_has_its_own_help(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run_help(capsys, "plan")
    assert code == 0
    assert out.startswith("Usage: mlbutler plan [OPTIONS]")


def test_a_page_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run_help(capsys, "credential")
    assert (code, "Did you mean `mlbutler help credentials`?" in err) == (2, True)
    assert run_help(capsys, "../README")[0] == 2
