"""Several pipelines of one project on one pull request, in turn in one clone."""

from __future__ import annotations

import json
from pathlib import Path

from tests.integration.world import Run, World, params


def told(world: World) -> dict[str, str]:
    """Each comment's text, and each status' name."""
    comments = (world.forge / "pull-requests" / "1" / "comments").iterdir()
    statuses = (world.forge / "statuses").iterdir()
    return {path.name: path.read_text() for path in comments} | {
        name: name for name in (json.loads(path.read_text())["context"] for path in statuses)
    }


def test_each_pipeline_has_a_record_a_comment_and_a_status(world: World) -> None:
    world.branch("better", {"params.yaml": params(0.05)})
    root = world.clone("origin/better")

    def run(name: str, *args: str, verb: str = "run") -> Run:
        done = world.run(root, world.jenkins("better") | {"MLBUTLER_REPORT_NAME": name}, *args, verb=verb)
        assert done.code == 0, done.out + done.err
        return done

    def record(name: str) -> Path:
        return root / ".mlbutler" / f"record-{name}.json"

    for name in ("gpu", "cpu"):
        assert f"record: .mlbutler/record-{name}.json" in run(name, "--only", "plan,report,publish").out
    assert not (root / ".mlbutler" / "record.json").exists()
    assert [json.loads(record(name).read_text())["report_name"] for name in ("gpu", "cpu")] == ["gpu", "cpu"]
    before = told(world)
    assert sorted(before) == ["mlbutler%2Fcpu.md", "mlbutler%2Fgpu.md", "mlbutler/cpu", "mlbutler/gpu"]

    # Code of the change can write the record: whose comment that is is no more believed than the change itself.
    forged = json.loads(record("gpu").read_text()) | {"report_name": "cpu", "project": "of/others"}
    forged["plan"]["reason"] = "forged"
    record("gpu").write_text(json.dumps(forged))
    run("gpu", verb="publish")
    after = told(world)
    assert "forged" in after.pop("mlbutler%2Fgpu.md")
    assert before.pop("mlbutler%2Fgpu.md")
    assert after == before


def test_a_laptop_is_told_which_pipeline_has_no_record(world: World) -> None:
    done = world.run(world.author, {"MLBUTLER_REPORT_NAME": "gpu"}, verb="report")
    assert done.code == 2
    assert "There is no record of a run named 'gpu' in this clone." in done.out + done.err


def test_a_change_cannot_take_the_name_of_another_pipeline(world: World) -> None:
    settings = (world.author / "mlbutler.toml").read_text()
    world.branch("taken", {"mlbutler.toml": settings + '[report]\nname = "gpu"\n'})
    root = world.clone("origin/taken")
    done = world.run(root, world.jenkins("taken"), "--only", "plan,report,publish")
    assert done.code == 0, done.out + done.err
    assert "set MLBUTLER_REPORT_NAME in the job" in done.out + done.err
    assert sorted(told(world)) == ["mlbutler", "mlbutler.md"]
    laptop = world.run(world.author, {}, "--only", "plan")
    assert "record: .mlbutler/record-gpu.json" in laptop.out
