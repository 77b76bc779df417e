"""The library's fan-out: which stages run, in which order, when some of them fail."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.groovy.jenkins import needs_groovy
from tests.groovy.stand_in import LIBRARY, Done, stand_in

pytestmark = needs_groovy

Stage = dict[str, Any]
CALL = """
for (graph in new groovy.json.JsonSlurper().parseText(env.GRAPHS)) {
    List stashes = []
    List broken = []
    catchError { mlbutlerStages([:], graph, stashes, broken) }
    echo("broken: ${broken.sort().join(' ')}; stashes: ${stashes.size()}")
}
"""


def graph(number: int, draw: random.Random) -> list[Stage]:
    """A graph whose stages need some of those before them; a few are up to date."""
    names = [f"g{number}s{at}" for at in range(draw.randint(1, 7))]
    density = draw.choice([0.2, 0.5, 0.8])
    return [
        {"name": name, "state": "unchanged" if draw.random() < 0.1 else draw.choice(["stale", "restorable"]),
         "label": "", "after": [other for other in names[:at] if draw.random() < density]}
        for at, name in enumerate(names)
    ]  # fmt: skip


def run(directory: Path, graphs: list[list[Stage]], failing: list[str]) -> Done:
    calls = [f"reproduce {name} @{name}" for name in failing]
    return stand_in(directory, CALL, calls, environ={"GRAPHS": json.dumps(graphs)})


def expected(stages: list[Stage], failing: list[str]) -> tuple[set[str], set[str]]:
    """Which stages run, and which of them fail."""
    ran: set[str] = set()
    kept_back: set[str] = set()
    for stage in stages:
        if stage["state"] == "unchanged":
            continue
        if kept_back.intersection(stage["after"]):
            kept_back.add(stage["name"])
            continue
        ran.add(stage["name"])
        if stage["name"] in failing:
            kept_back.add(stage["name"])
    return ran, ran.intersection(failing)


def test_each_stage_runs_once_after_those_that_it_needs_and_not_after_a_failed_one(tmp_path: Path) -> None:
    draw = random.Random(20)
    graphs = [graph(number, draw) for number in range(12)]
    failing = [stage["name"] for stages in graphs for stage in stages if draw.random() < 0.2]
    done = run(tmp_path, graphs, failing)
    said = [line for line in done.built.log.splitlines() if line.startswith("broken: ")]
    for stages, line in zip(graphs, said, strict=True):
        ran, failed = expected(stages, failing)
        own = {stage["name"] for stage in stages}
        begun = [call.partition(" @")[2] for call in done.begun if call.startswith("reproduce ")]
        assert sorted(name for name in begun if name in own) == sorted(ran)
        assert line == f"broken: {' '.join(sorted(failed))}; stashes: {len(ran - failed)}"
        for stage in stages:
            for other in ran.intersection(stage["after"]) if stage["name"] in ran else ():
                begins = done.lines.index(f"begin sync {stage['name']} @{stage['name']}")
                assert done.lines.index(f"end push @{other}") < begins
    assert done.built.result == "FAILURE"


def test_a_stage_that_is_not_run_says_which_one_it_needed(tmp_path: Path) -> None:
    stages = [stage("one"), stage("two", "one"), stage("three", "two"), stage("four")]
    done = run(tmp_path, [stages], ["one"])
    assert "two is not run: it needs one" in done.built.log
    assert "three is not run: it needs two" in done.built.log
    ran = sorted(call for call in done.begun if call.startswith("reproduce"))
    assert ran == ["reproduce four @four", "reproduce one @one"]


def stage(name: str, *after: str) -> Stage:
    return {"name": name, "state": "stale", "label": "", "after": list(after)}


def test_stages_that_part_and_meet_again_do_not_lie_ever_deeper_in_one_another(tmp_path: Path) -> None:
    """Jenkins keeps a branch until its branches ended: what follows one that was the last begins beside it."""
    stages = [stage("s0")]
    for at in range(1, 5):
        stages += [stage(f"left{at}", f"s{at - 1}"), stage(f"right{at}", f"s{at - 1}")]
        stages += [stage(f"s{at}", f"left{at}", f"right{at}")]
    done = run(tmp_path, [stages], [])
    assert done.built.result == "SUCCESS"
    paths = {event["path"] for event in done.built.events if event["step"] == "sh"}
    assert {"s0", "left1/left1", "right1/right1", "s1", "left4/left4", "s4"} <= paths
    assert max(len(path.split("/")) for path in paths) == 2


def test_nothing_that_the_library_calls_is_called_again_while_it_waits() -> None:
    """Each call of such a step is kept forever with the build, and listed in its log."""
    texts = [path.read_text() for path in (LIBRARY / "vars").glob("*.groovy")]
    assert not any(word in text for text in texts for word in ("waitUntil", "sleep("))


@pytest.mark.parametrize("failed", [[], ["one"]])
def test_an_abort_ends_all_and_begins_nothing(tmp_path: Path, failed: list[str]) -> None:
    """Also where a stage has failed before it: Jenkins then throws the failure of `parallel`, and not the abort."""
    stages = [stage("one"), stage("slow"), stage("three", "slow")]
    calls = [f"reproduce {name} @{name}" for name in failed]
    call = "mlbutlerStages([:], new groovy.json.JsonSlurper().parseText(env.GRAPH))"
    done = stand_in(
        tmp_path / "work", call, calls, environ={"GRAPH": json.dumps(stages)}, abort="slow", aborted_by=tmp_path
    )
    assert done.built.result == "ABORTED", done.built.log
    assert not any("@three" in call for call in done.begun)
