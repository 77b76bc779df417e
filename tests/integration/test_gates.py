"""Gates on data and stages, and waivers, in whole runs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.world import SETTINGS, World, params

TODAY = datetime.now(UTC).date()


def waiver(gate: str, days: int) -> str:
    until = TODAY + timedelta(days=days)
    return f'[[waiver]]\ngate = "{gate}"\nreason = "<b>known</b>"\nowner = "ada"\nuntil = {until}\n'


def on_main(world: World, **files: str) -> None:
    world.git(world.author, "checkout", "-q", "main")
    for path, content in files.items():
        (world.project / path.replace("__", "-").replace("_toml", ".toml")).write_text(content)
    world.git(world.author, "add", "-A")
    world.git(world.author, "commit", "-qm", "settings")
    world.push("main")


def test_a_pull_request_that_loses_data_is_stopped(world: World) -> None:
    gates = """
[[gate]]
data = "data/raw"
measure = "files"
max_drop_relative = 0.05
[[gate]]
stage = "train"
max = "10m"
[[gate]]
data = "model.txt"
max = "1 KB"
"""
    on_main(world, mlbutler_toml=SETTINGS + gates)
    world.git(world.author, "checkout", "-q", "-B", "less", "main")
    (world.project / "data/raw/text 4 é.txt").unlink()
    world.dvc("add", "-q", "data/raw")
    world.share()
    world.git(world.author, "add", "-A")
    world.git(world.author, "commit", "-qm", "less data")
    world.push("less")
    run = world.run(world.clone("origin/less"), world.jenkins("less"))
    assert run.code == 1, run.out + run.err
    found = {gate["metric"]: (gate["outcome"], gate["sentence"]) for gate in run.record["compare"]["gates"]}
    assert found["data/raw:files"] == ("failed", "data/raw:files 5 → 4 (−1, limit 5 % of 5)")
    assert found["train:seconds"][0] == "passed"
    assert found["model.txt:bytes"][0] == "passed"
    assert "data/raw:files 5 → 4" in next(iter(world.forge.rglob("*.md"))).read_text()


def test_rows_are_counted_in_a_directory_and_not_at_all_when_it_is_the_same(world: World) -> None:
    gate = '[[gate]]\ndata = "data/raw"\nmeasure = "rows"\nmax_drop_relative = 0.05\n'
    on_main(world, mlbutler_toml=SETTINGS + gate)
    for number in range(2):
        (world.project / f"data/raw/{number}.csv").write_text("a\n" + "1\n" * 100)
    world.dvc("add", "-q", "data/raw")
    world.dvc("repro", "-q")
    world.share()
    on_main(world, mlbutler_toml=SETTINGS + gate + "\n")
    same = world.change("words", {"README": "words"})
    assert same.code == 0, same.out + same.err
    assert [gate["sentence"] for gate in same.record["compare"]["gates"]][1:] == ["data/raw is the same on both sides"]

    world.git(world.author, "checkout", "-q", "-B", "less", "main")
    (world.project / "data/raw/1.csv").write_text("a\n" + "1\n" * 85)
    world.dvc("add", "-q", "data/raw")
    world.share()
    world.git(world.author, "commit", "-qam", "less")
    world.push("less")
    less = world.run(world.clone("origin/less"), world.jenkins("less", 2))
    assert less.code == 1, less.out + less.err
    assert less.record["compare"]["gates"][1]["sentence"] == ("data/raw:rows 200 → 185 (−15, limit 5 % of 200)")


@pytest.mark.parametrize(("days", "code", "outcome"), [(1, 0, "waived"), (-1, 1, "failed")])
def test_a_waiver_on_the_target_branch_holds_until_it_lapses(world: World, days: int, code: int, outcome: str) -> None:
    on_main(world, mlbutler__waivers_toml=waiver("metrics.json:accuracy", days))
    run = world.change("worse", {"params.yaml": params(-0.2)})
    assert run.code == code, run.out + run.err
    (gate,) = run.record["compare"]["gates"]
    assert gate["outcome"] == outcome
    comment = next(iter(world.forge.rglob("*.md"))).read_text()
    until = str(TODAY + timedelta(days=days))
    assert until in comment
    assert "<b>known" not in comment
    assert ("\n**Waived**" if days > 0 else "\n**Worse**") in comment


def test_the_doctor_tells_of_waivers_and_of_repeats_without_a_seed(world: World) -> None:
    on_main(world, mlbutler__waivers_toml=waiver("accuracy", -1),
            mlbutler_toml=SETTINGS.replace("max_drop = 0.01", "max_drop = 0.01\nrepeats = 3"))  # fmt: skip
    run = world.run(world.project, {}, "--json", verb="doctor")
    rows = {row["subject"]: row for row in json.loads(run.out)["examined"]}
    assert (rows["waivers"]["state"], rows["waivers"]["text"]) == ("note", "lapsed: accuracy")
    assert (rows["gates"]["state"], rows["gates"]["remedy"]) == (
        "missing",
        "Set repeat.seed (`mlbutler help compare`).",
    )


def test_a_pull_request_does_not_waive_itself(world: World) -> None:
    own = {"params.yaml": params(-0.2), "mlbutler-waivers.toml": waiver("accuracy", 30),
           "mlbutler.toml": SETTINGS + '[waivers]\ntrust = "change"\n'}  # fmt: skip
    run = world.change("sly", own)
    assert run.code == 1, run.out + run.err
    assert run.record["compare"]["gates"][0]["outcome"] == "failed"
    assert ["mlbutler-waivers.toml", "changed by this pull request: only what is on the target branch counts"] in (
        run.record["compare"]["not_judged"]
    )


def test_a_pull_request_waives_itself_where_the_target_branch_allows_it(world: World) -> None:
    on_main(world, mlbutler_toml=SETTINGS + '[waivers]\ntrust = "change"\n')
    run = world.change("open", {"params.yaml": params(-0.2), "mlbutler-waivers.toml": waiver("accuracy", 30)})
    assert run.code == 0, run.out + run.err
    assert run.record["compare"]["gates"][0]["outcome"] == "waived"


@pytest.mark.parametrize("how", ["manual", "message", "alone"])
def test_no_gate_is_judged_by_numbers_from_before_the_change(world: World, how: str) -> None:
    """A worse change whose stages did not run has the good numbers of its parent in its files."""
    files = {"params.yaml": params(-0.2)}
    if how != "alone":
        files["mlbutler.toml"] = SETTINGS + f'[reproduce]\nwhen = "{how}"\n'
    world.branch("lazy", files)
    root = world.clone("origin/lazy")
    run = world.run(root, world.jenkins("lazy"), verb="compare" if how == "alone" else "run")
    compare = run.record["compare"]
    (gate,) = compare["gates"]
    assert gate["outcome"] == "not judged"
    said = "metrics.json: stage 'train' is stale and did not run: what is here is from before the change"
    assert said in gate["sentence"]
    assert compare["verdict"] == "not judged"
    assert compare["sentence"].startswith("Not judged: metrics.json:accuracy: stage 'train' is stale")
    assert {metric["verdict"] for metric in compare["metrics"]} == {"not judged"}


def test_numbers_of_stages_that_need_not_run_are_judged_without_running_them(world: World) -> None:
    world.branch("docs", {"README.md": "new\n"})
    run = world.run(world.clone("origin/docs"), world.jenkins("docs"), verb="compare")
    assert run.code == 0, run.out + run.err
    assert run.record["compare"]["gates"][0]["outcome"] == "passed"
    assert run.record["compare"]["verdict"] == "same"
