"""What a stage finished is not run twice, whatever became of the stages after it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.world import World

STAGES = """
stages:
  one:
    cmd: echo one >> {ran}; cat data/raw/* > one.txt
    deps: [data/raw]
    outs: [one.txt]
  two:
    cmd: >-
      echo two >> {ran}; wc -c < one.txt > two.txt; echo '{{"accuracy": 0.9}}' > metrics.json
    deps: [one.txt]
    outs: [two.txt]
    metrics: [metrics.json: {{cache: false}}]
  lists:
    cmd: echo lists >> {ran}; ls data/raw > list.txt
    deps: [data/raw]
    outs: [list.txt: {{cache: false}}]
  three:
    cmd: echo three >> {ran}; sh src/three.sh
    deps: [two.txt, list.txt, src/three.sh]
    outs: [three.txt]
  four:
    cmd: echo four >> {ran}; cp three.txt four.txt
    deps: [three.txt]
    outs: [four.txt]
"""
NO_MIRROR = {"MLBUTLER_DATA_MIRROR": ""}


@pytest.mark.parametrize("end", ["exit 1", "kill -9 $$"])
def test_another_agent_without_a_mirror_goes_on_where_a_stage_failed(world: World, tmp_path: Path, end: str) -> None:
    ran = tmp_path / "ran"
    world.git(world.author, "rm", "-q", "dvc.lock")
    first = world.branch("four", {"dvc.yaml": STAGES.format(ran=ran), "src/three.sh": end})
    failed = world.run(world.clone(first), world.jenkins("four") | NO_MIRROR)
    assert failed.code == 1, failed.out + failed.err
    outcomes = {name: failed.outcome(name) for name in ("reproduce", "push", "compare", "commit")}
    assert outcomes == {"reproduce": "failed", "push": "passed", "compare": "passed", "commit": "skipped"}
    assert failed.record["push"]["run_cache"] == "origin"
    assert sorted(ran.read_text().split()) == ["lists", "one", "three", "two"]
    ran.write_text("")
    second = world.branch("four", {"src/three.sh": "cat two.txt list.txt > three.txt"}, start="four")
    done = world.run(world.clone(second), world.jenkins("four") | NO_MIRROR)
    assert done.code == 0, done.out + done.err
    assert ran.read_text().split() == ["three", "four"]
    stages = {stage["name"]: stage["outcome"] for stage in done.record["reproduce"]["stages"]}
    assert stages == {"one": "restored", "two": "restored", "lists": "restored", "three": "ran", "four": "ran"}
