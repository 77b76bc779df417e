"""How long stages took, from build to build."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.integration.world import Run, World, params

GATE = '[[gate]]\nstage = "train"\nmax_drop_relative = 1.0\nlevel = "warn"\n'


def stage(run: Run, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(plan for plan in run.record["plan"]["stages"] if plan["name"] == name)
    return found


def slower(world: World, seconds: float) -> str:
    return f"import time; time.sleep({seconds})\n" + (world.project / "src" / "train.py").read_text()


def remembered(path: Path) -> list[dict[str, float]]:
    """What each file says, by its last line."""
    lines = [file.read_bytes().split(b"\n") for file in sorted(path.glob("**/state/times/*"))]
    return [json.loads([line for line in found if line][-1].partition(b" ")[2]) for found in lines]


def test_a_later_build_in_another_clone_knows_and_a_gate_judges_by_it(world: World) -> None:
    settings = (world.project / "mlbutler.toml").read_text() + GATE
    world.git(world.author, "checkout", "-q", "main")
    (world.project / "mlbutler.toml").write_text(settings)
    world.git(world.author, "commit", "-qam", "a gate on time")
    world.push("main")
    first = world.change("one", {"params.yaml": params(0.02)})
    assert first.code == 0, first.out + first.err
    assert stage(first, "train")["last_duration"] is None
    [times] = remembered(world.mirror)
    assert list(times) == ["train"]
    assert times["train"] > 0
    quick = slower(world, 3 * times["train"] + 1)
    second = world.change("two", {"params.yaml": params(0.03), "src/train.py": quick}, number=2)
    assert second.code == 0, second.out + second.err
    assert stage(second, "train")["last_duration"] == times["train"]
    assert second.record["plan"]["expected"]["seconds"] == round(times["train"], 1)
    gate = next(gate for gate in second.record["compare"]["gates"] if gate["metric"].startswith("train"))
    assert (gate["outcome"], gate["old"]) == ("warned", times["train"])
    assert remembered(world.mirror)[0]["train"] > times["train"]


def test_a_stage_that_failed_is_not_remembered_but_one_before_it_is(world: World) -> None:
    prepare = (world.project / "src" / "prepare.py").read_text()
    run = world.change("broken", {"src/prepare.py": f"{prepare}# more\n", "src/train.py": "1 / 0\n"})
    assert run.outcome("reproduce") == "failed"
    assert [list(times) for times in remembered(world.mirror)] == [["prepare"]]


def test_a_forks_build_keeps_it_to_itself(world: World) -> None:
    world.branch("theirs", {"params.yaml": params(0.02)})
    root = world.clone("origin/theirs")
    run = world.run(root, world.jenkins("theirs", CHANGE_FORK="mallory"))
    assert run.outcome("reproduce") == "passed"
    assert remembered(world.mirror) == []
    assert [list(times) for times in remembered(root / ".mlbutler")] == [["train"]]


def test_without_a_mirror_the_clone_remembers(world: World) -> None:
    world.branch("one", {"params.yaml": params(0.02)})
    root, environ = world.clone("origin/one"), world.jenkins("one") | {"MLBUTLER_DATA_MIRROR": ""}
    assert world.run(root, environ).code == 0
    (root / "params.yaml").write_text(params(0.03))
    again = world.run(root, environ, verb="plan")
    assert stage(again, "train")["last_duration"] > 0
