"""What a results commit says of its build, and what is believed of such a message."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlbutler.commitback.build import message
from mlbutler.commitback.earlier import earlier_build, trailers
from mlbutler.git import Git
from mlbutler.record import Change, EarlierBuild, StageRun

HEAD = "4f1c2a9be07d3c5518e6a0b1c2d3e4f5a6b7c8d9"
RUNS = (
    StageRun(name="prepare", outcome="restored"),
    StageRun(name="train@lr-0.1", outcome="ran", duration=12.5, peak_memory=1 << 20),
    StageRun(name="report", outcome="unchanged"),
)


def change(url: str = "https://ci.example/job/x/7/") -> Change:
    return Change(ci="jenkins", kind="pull-request", head=HEAD, checkout=HEAD, build_url=url)


@pytest.fixture
def read_back(tmp_path: Path, git: Callable[..., str]) -> Callable[[str], EarlierBuild | None]:
    git(tmp_path, "init", "-q")

    def commit(text: str) -> EarlierBuild | None:
        tree = git(tmp_path, "write-tree")
        done = Git(tmp_path).run("-c", "user.name=a", "-c", "user.email=a@b", "commit-tree", tree, "-F", "-",
                                 input=text.encode("utf-8", "surrogatepass"))  # fmt: skip
        return earlier_build(done.text, Git(tmp_path).trailers(done.text))

    return commit


def test_the_next_build_reads_what_this_one_knew(read_back: Callable[[str], EarlierBuild | None]) -> None:
    found = read_back(message("Results of {short}", change(), ["train"], RUNS))
    assert found is not None
    assert (found.head, found.url) == (HEAD, "https://ci.example/job/x/7/")
    assert [(r.name, r.outcome, r.duration, r.peak_memory) for r in found.stages] == [
        ("prepare", "restored", 0.0, None), ("train@lr-0.1", "ran", 12.5, 1 << 20),
    ]  # fmt: skip


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=100), min_size=1, max_size=4,
                unique=True))  # fmt: skip
def test_any_name_comes_back_and_nothing_in_the_message_is_active(
    read_back: Callable[[str], EarlierBuild | None], names: list[str]
) -> None:
    runs = [StageRun(name=name, outcome="ran", duration=1.0) for name in names]
    for line in trailers(runs, ""):
        assert re.fullmatch(r'Mlbutler-Runs: [A-Za-z0-9_@.:/\\",\[\]-]+', line)
        assert "[skip" not in line
        assert "#" not in line
    found = read_back(message("Results", change(), [], runs))
    assert found is not None
    assert [run.name for run in found.stages] == names


def test_many_stages_keep_those_that_took_longest() -> None:
    runs = [StageRun(name=f"s{number}", outcome="ran", duration=float(number)) for number in range(300)]
    [line] = trailers(runs, "")
    assert len(line) < 2000
    assert '"s299"' in line
    assert '"s10"' not in line


@pytest.mark.parametrize(
    "said",
    [
        "[", "{}", "7", "[[1,2,3,4]]", '[["a","ran",-1,null]]', '[["a","ran",1e999,null]]', '[["a","ran",NaN,null]]',
        '[["a","burnt",1,null]]', '[["a","ran",true,null]]', '[["a","ran",1,"x"]]', "[" * 5000, '[["","ran",1,null]]',
    ],
)  # fmt: skip
def test_a_message_that_is_not_ours_says_nothing(read_back: Callable[[str], EarlierBuild | None], said: str) -> None:
    found = read_back(f"x\n\nMlbutler-Reproduced: {HEAD}\nMlbutler-Build: javascript:alert(1)\nMlbutler-Runs: {said}\n")
    assert found is not None
    assert (found.url, found.stages) == ("", ())
    assert read_back(f"x\n\nMlbutler-Reproduced: main\nMlbutler-Runs: {said}\n") is None


def test_a_build_page_with_a_password_or_a_line_of_its_own_is_not_told() -> None:
    assert list(trailers((), "https://user:secret@ci.example/7/")) == ["Mlbutler-Build: https://ci.example/7/"]
    assert list(trailers((), "https://ci.example/7/\nX-Evil: 1")) == []
