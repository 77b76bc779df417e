"""`mlbutler train` from a work tree to results in DVC's hands, through real git, DVC and processes."""

from __future__ import annotations

import json
import signal
from typing import Any

from tests.experiments.conftest import Laptop, snapshot


def dvc_experiments(laptop: Laptop) -> dict[str, dict[str, Any]]:
    """Return what `dvc exp show` knows of each experiment."""
    (_, baseline) = json.loads(laptop.world.dvc("exp", "show", "--json"))
    revs = [one["revs"][0] for one in baseline["experiments"] or []]
    return {one["name"]: one["data"] for one in revs}


def test_a_sweep_from_a_dirty_tree_becomes_dvc_experiments(laptop: Laptop) -> None:
    (laptop.root / "src" / "train.py").write_text((laptop.root / "src" / "train.py").read_text() + "# edited\n")
    laptop.git("add", "src/train.py")
    (laptop.root / "params.yaml").write_text("# mine\ntrain: {rate: 0.01}\n")
    (laptop.root / "notes.txt").write_text("not sent")
    before = snapshot(laptop.root)

    planned = laptop.train("-n", "lr", "-S", "train.rate=0.02,0.03", "--dry-run")
    assert "lr-1  train.rate=0.02: runs: train; up to date: prepare" in planned
    assert "not sent (untracked): notes.txt" in planned
    assert laptop.list_experiments() == {}

    sent = laptop.train("-n", "lr", "-S", "train.rate=0.02,0.03", "-j", "2")
    assert "2 experiments sent, 2 at once" in sent
    assert laptop.train("wait", "lr").count("done") == 2
    assert snapshot(laptop.root) == before
    assert sorted(laptop.runs()) == ["0.02", "0.03"]

    found = dvc_experiments(laptop)
    assert {name: one["metrics"]["metrics.json"]["data"]["accuracy"] for name, one in found.items()} == {
        "lr-1": 0.92, "lr-2": 0.93,
    }  # fmt: skip
    assert found["lr-1"]["params"]["params.yaml"]["data"] == {"train": {"rate": 0.02}}
    one = laptop.list_experiments()["lr-1"]
    assert one["metrics"] == [{"file": "metrics.json", "name": "accuracy", "value": 0.92, "before": 0.91}]
    assert "lr-1: done: accuracy 0.92 (+0.01)" in laptop.train("list", "-w")
    assert "lr-1  done  train.rate=0.02  accuracy 0.92 (+0.01)" in laptop.train("list")
    assert (one["state"], one["attempt"], one["overrides"]) == ("done", 1, ["train.rate=0.02"])
    assert laptop.git("show", f"{one['input']}:params.yaml") == "# mine\ntrain: {rate: 0.02}"
    assert laptop.git("show", f"{one['result']}:src/train.py").endswith("# edited")
    assert laptop.git("rev-parse", f"{one['input']}^") == laptop.git("rev-parse", "HEAD")
    assert "training at 0.02" in laptop.train("logs", "lr-1")
    laptop.until(lambda: not laptop.processes())

    again = laptop.train("-S", "train.rate=0.03,0.02")
    assert "lr-2  train.rate=0.03: reused: it is done already" in again
    assert sorted(laptop.runs()) == ["0.02", "0.03"], "no point runs twice"

    refused = laptop.train("-n", "lr-1", "-S", "train.rate=0.04", code=2)
    assert "There is an experiment 'lr-1', and this is another one" in refused

    laptop.train("rm", "lr", code=2)
    laptop.train("rm", "lr-1")
    assert not list(laptop.root.glob(f".mlbutler/train/{one['id']}*"))
    assert list(dvc_experiments(laptop)) == ["lr-2"]
    assert list(laptop.list_experiments()) == ["lr-2"]

    assert "-S holds what looks like a credential" in laptop.train("-S", f"key=ghp_{'a1B2' * 10}", code=2)
    laptop.git("stash", "-q")
    laptop.world.dvc("exp", "apply", "lr-2")
    assert json.loads((laptop.root / "metrics.json").read_text())["accuracy"] == 0.93
    laptop.git("checkout", "-q", ".")
    laptop.git("stash", "pop", "-q")
    laptop.world.dvc("exp", "remove", "lr-2")
    assert "lr-2  train.rate=0.03 (again): restored: train" in laptop.train("-S", "train.rate=0.03", "--dry-run")


def test_results_are_fetched_and_unsaved_work_is_not_overwritten(better: Laptop) -> None:
    laptop = better
    (laptop.root / "metrics.json").write_text("{}")
    before = snapshot(laptop.root)
    assert "Changed here since better was sent: metrics.json. Nothing was written" in laptop.train(
        "fetch", "better", code=1
    )
    assert snapshot(laptop.root) == before
    laptop.git("checkout", "-q", "metrics.json")
    index = (laptop.root / ".git" / "index").read_bytes()
    assert "written: dvc.lock, metrics.json, params.yaml" in laptop.train("fetch", "better")
    assert (laptop.root / ".git" / "index").read_bytes() == index
    assert json.loads((laptop.root / "metrics.json").read_text())["accuracy"] == 0.95
    assert laptop.world.run(laptop.root, {}, "--all", verb="sync").code == 0
    assert (laptop.root / "model.txt").read_text() == "model at 0.05"
    assert "up to date" in laptop.world.dvc("status")
    assert "Everything is here already" in laptop.train("fetch", "better")


def test_a_failure_says_why_and_the_rest_is_cancelled(laptop: Laptop) -> None:
    laptop.train("-n", "lr", "-S", "train.rate=0.5,0.02,0.03", "--max-failures", "1")
    followed = laptop.train("logs", "-f", "lr-1")
    assert "training at 0.5\n" in followed
    assert "\ndiverged\n" in followed
    assert "lr-1 is failed: stage 'train' failed: exit code 1" in followed
    waited = laptop.train("wait", "lr", code=1)
    assert "lr-1: failed: stage 'train' failed: exit code 1" in waited
    found = laptop.list_experiments()
    assert [one["state"] for one in found.values()] == ["failed", "cancelled", "cancelled"]
    assert found["lr-2"]["reason"] == "1 of lr failed: lr-1"
    assert laptop.runs() == ["0.5"]
    assert laptop.train("wait", "lr-1", code=1)
    attached = laptop.train("attach", "lr-1", code=1)
    assert "\ndiverged\n" in attached
    assert "next: mlbutler train logs lr-1" in attached
    last = laptop.train("logs", "-n", "2", "lr-1")
    assert last.startswith("diverged\nERROR: failed to run"), "what the stage printed last is at the end"
    assert last.count("\n") == 2
    assert laptop.train("logs", "lr-1", "--since", "1h") == laptop.train("logs", "lr-1")
    assert laptop.train("logs", "lr-1", "--since", "0.001") == "", "it ended before"
    assert "or a moment such as 2026-11-27T14:00." in laptop.train("logs", "lr-1", "--since", "yesterday", code=2)
    shown = laptop.train("show", "lr-1")
    assert "| diverged" in shown
    laptop.train("wait", "lr-2", code=130)
    assert "next: mlbutler train logs lr-1" in shown
    assert (
        "lr-1 has no results: it is failed. Its log, metrics and state are in .mlbutler/fetched/lr-1"
        in laptop.train("pull", "lr-1")
    )
    assert "\ndiverged\n" in (laptop.root / ".mlbutler/fetched/lr-1/log.txt").read_text()
    assert json.loads((laptop.root / ".mlbutler/fetched/lr-1/experiment.json").read_text())["state"] == "failed"
    assert "lr-1 has no results: it is failed" in laptop.train("fetch", "lr-1", "--data", code=2)
    assert dvc_experiments(laptop) == {}
    assert "lr-1  train.rate=0.5 (again): runs: train" in laptop.train("-S", "train.rate=0.5", "--dry-run")
    laptop.train("retry", "lr-2")
    laptop.train("wait", "lr-2")  # the failure of before does not cancel it again


def test_cancel_ends_what_waits_and_what_runs_and_records_no_half_stage(laptop: Laptop) -> None:
    laptop.train("-n", "long", "-S", "train.rate=0.6,0.7")
    laptop.until(lambda: "training at 0.6" in laptop.train("logs", "long-1") if laptop.runs() else False)
    assert "1 running, 1 waiting\nlong-1  running  train.rate=0.6  for " in laptop.train("list")
    attached = laptop.begin("attach", "long-1")
    assert attached.stdout is not None
    lines = iter(attached.stdout)
    assert next(lines) == "== long-1: running\n"
    # A line without the stage's name may come first: what is shown may be of the moment before the stage began.
    assert next(line for line in lines if "stage 1 of 1:" in line) == "== stage 1 of 1: train\n"
    attached.send_signal(signal.SIGINT)
    assert "`mlbutler train attach long-1` comes back" in attached.communicate()[0]
    logs = laptop.begin("logs", "-f", "long-1")
    assert logs.stdout is not None
    assert logs.stdout.readline()
    logs.stdout.close()
    assert logs.wait() == 0, "it ends when its reader does, and not with the experiment"
    waiting = laptop.begin("wait", "long")
    assert waiting.stdout is not None
    assert waiting.stdout.readline() == "long-1: running\n"
    waiting.send_signal(signal.SIGINT)
    said = waiting.communicate()[0]
    assert waiting.returncode == 130
    assert "the experiments go on.\n  `mlbutler train wait long` comes back to them" in said
    done = laptop.train("cancel", "long", "--grace", "300")
    assert "long-1: cancelled: stage 'train' was ended; none of its processes is left" in done
    assert "long-2: cancelled: before it began" in done
    assert "checkpoint saved" in laptop.train("logs", "long-1")
    laptop.until(lambda: not laptop.processes())
    assert dvc_experiments(laptop) == {}
    assert laptop.runs() == ["0.6"]
    planned = laptop.train("-S", "train.rate=0.6", "--dry-run")
    assert "runs: train" in planned, "what a stage leaves when it is asked to end is no result"
    assert "long-1 is cancelled already" in laptop.train("cancel", "long-1")


def test_time_that_is_over_ends_an_experiment(laptop: Laptop) -> None:
    laptop.train("-n", "long", "-S", "train.rate=0.6", "--time", "1")
    assert "long: timed out: its time of 1.0 s was over" in laptop.train("wait", code=1)
    laptop.until(lambda: not laptop.processes())


def test_what_would_be_another_experiment_is_refused_before_anything_is_spent(laptop: Laptop) -> None:
    root = laptop.root
    (root / ".gitignore").write_text((root / ".gitignore").read_text() + "*.secret\n")
    dvc_yaml = (root / "dvc.yaml").read_text()
    (root / "dvc.yaml").write_text(dvc_yaml.replace("deps: [prepared,", "deps: [words.secret, prepared,"))
    missing = laptop.train("--dry-run", "-n", "one")
    assert "cannot run: train" in missing
    assert "Stage 'train' cannot run: words.secret is missing. Nothing was sent" in laptop.train("-n", "one", code=2)
    (root / "words.secret").write_text("words")
    refused = laptop.train("-n", "one", code=2)
    assert "Stage 'train' needs words.secret, which Git ignores: it would not be sent" in refused
    assert "--copy-paths words.secret" in refused
    assert "one: runs: train" in laptop.train("-n", "one", "--copy-paths", "words.secret", "--dry-run")

    (root / "words.secret").write_text("ghp_" + "a1B2" * 10)
    found = laptop.train("-n", "one", "--copy-paths", "words.secret", code=2)
    assert "words.secret, line 1, holds what looks like a credential" in found
    assert "a1B2" not in found

    laptop.git("checkout", "-q", "dvc.yaml")
    (root / "data" / "raw" / "more.txt").write_text("more")
    assert "data/raw differs from what its .dvc file records" in laptop.train("-n", "one", code=2)
    (root / "data" / "raw" / "more.txt").unlink()

    for words, said in (
        (("-n", "a/b"), "is not a valid name for an experiment"),
        (("-n", "main"), "there is a branch or tag 'main'"),
        (("-n", "stash"), "'stash' is a name that DVC or Git keeps for itself"),
        (("-n", "x" * 201), "at most 200 of them"),
        (("-n", "x" * 199, "-S", "train.rate=0.2,0.3"), "at most 198 of them"),
        (("--target", "trian"), "There is no stage 'trian'"),
        (("-S", "train.speed=1"), "params.yaml: 'train.speed=1' cannot be set"),
        (("-S", "absent.yaml:a=1"), "Git does not track absent.yaml"),
        (("--time", "soon"), "is not a duration: write 90, 30m, 8h or 2d."),
        (("--search", "train.rate=interval(0,1)", "--trials", "2"), "what is varied is given by -S"),
        (("--on", "jenkins"), "No Jenkins job is configured"),
        (("--label", "gpu"), "this machine has none"),
    ):
        assert said in laptop.train(*words, "--dry-run", code=2)
    assert laptop.list_experiments() == {}
    assert laptop.runs() == []


def test_experiments_that_are_not_there_are_an_error_with_a_remedy(laptop: Laptop) -> None:
    assert "mlbutler train -n" in laptop.train("--help")
    assert "There are no such experiments" in laptop.train("list")
    assert "No experiment is under way" in laptop.train("wait")
    for verb in ("show", "logs", "wait", "cancel", "fetch", "rm"):
        said = laptop.train(verb, "none", code=2)
        assert "There is no experiment 'none'" in said
        assert "mlbutler train list" in said
    head = laptop.git("rev-parse", "HEAD").strip()
    laptop.git("update-ref", f"refs/exps/{head[:2]}/{head[2:]}/theirs", head)
    assert "dvc exp apply theirs" in laptop.train("fetch", "theirs", code=2)
    run = laptop.world.run(laptop.root, laptop.world.jenkins("main"), "list", verb="train")
    assert run.code == 2
    assert "mlbutler run" in run.err


def test_one_stage_alone_is_another_point(laptop: Laptop) -> None:
    planned = json.loads(
        laptop.world.run(laptop.root, {}, "--target", "prepare", "--dry-run", "--json", "-n", "part", verb="train").out
    )
    (one,) = planned["experiments"]
    assert [stage["name"] for stage in one["plan"]["stages"]] == ["prepare"]
    whole = json.loads(laptop.world.run(laptop.root, {}, "--dry-run", "--json", "-n", "all", verb="train").out)
    assert whole["experiments"][0]["id"] != one["id"]
    assert one["input"] == one["baseline"] == laptop.git("rev-parse", "HEAD")


def test_only_what_a_target_needs_has_to_be_sent(laptop: Laptop) -> None:
    (laptop.root / "dvc.yaml").write_text(
        (laptop.root / "dvc.yaml")
        .read_text()
        .replace("deps: [prepared, src/train.py]", "deps: [prepared, words.secret]")
    )
    (laptop.root / "words.secret").write_text("words")
    (laptop.root / ".gitignore").write_text((laptop.root / ".gitignore").read_text() + "words.secret\n")
    assert "words.secret, which Git ignores" in laptop.train("-n", "one", "--dry-run", code=2)
    assert "one: up to date: prepare" in laptop.train("-n", "one", "--dry-run", "--target", "prepare")
    (laptop.root / "data" / "raw" / "more.txt").write_text("more")
    assert "data/raw differs" in laptop.train("-n", "one", "--dry-run", "--target", "prepare", code=2)


def test_a_damaged_ref_is_shown_and_stops_nothing(laptop: Laptop) -> None:
    bad = "refs/mlbutler/train/" + "1" * 40
    laptop.git("update-ref", bad, "HEAD")
    laptop.train("-n", "lr", "-S", "train.rate=0.02")
    laptop.train("wait")
    shown = laptop.train("list")
    assert "lr  done" in shown
    assert f"damaged: {bad} holds no state of an experiment" in shown
    assert f"git update-ref -d {bad}" in shown
    (damaged,) = json.loads(laptop.train("list", "--json"))["damaged"]
    assert damaged["ref"] == bad


PREPARE = """
import os, pathlib, time
places = pathlib.Path(os.environ["PLACES"])
with open(places / "prepared.log", "a") as log:
    log.write("prepared\\n")
until = time.monotonic() + 600
while not (places / "prepare").exists() and time.monotonic() < until:
    time.sleep(0.05)
pathlib.Path("prepared").mkdir(exist_ok=True)
pathlib.Path("prepared/words.txt").write_text("words")
"""


def waiting(laptop: Laptop) -> list[str]:
    """Return the experiments that wait for the same stage to end elsewhere."""
    logs = {path.stem: path.read_text() for path in (laptop.root / ".mlbutler" / "train").glob("*.log")}
    named = {one["id"]: name for name, one in laptop.list_experiments().items()}
    return [named[id] for id, text in logs.items() if "Stage 'prepare' runs with the same inputs elsewhere" in text]


def prepare_log(laptop: Laptop) -> str:
    """Return a line for each time that the stage has begun."""
    log = laptop.places / "prepared.log"
    return log.read_text() if log.exists() else ""


def test_the_same_first_stage_runs_once(laptop: Laptop) -> None:
    (laptop.root / "src" / "prepare.py").write_text(PREPARE)
    laptop.train("-n", "lr", "-S", "train.rate=0.02,0.03", "-j", "2")
    laptop.until(lambda: bool(waiting(laptop)))
    (laptop.places / "prepare").touch()
    laptop.train("wait")
    assert prepare_log(laptop) == "prepared\n"
    assert sorted(laptop.runs()) == ["0.02", "0.03"]
    found = laptop.list_experiments()
    stages = sorted(stage["outcome"] for one in found.values() for stage in one["stages"] if stage["name"] == "prepare")
    assert stages == ["ran", "restored"]
    for one in found.values():
        laptop.train("fetch", one["name"])
        laptop.world.dvc("checkout", "-q", "prepared")
        assert (laptop.root / "prepared" / "words.txt").read_text() == "words", "what the first has made now"


def test_who_waits_for_the_same_stage_runs_it_when_the_first_is_ended(laptop: Laptop) -> None:
    (laptop.root / "src" / "prepare.py").write_text(PREPARE)
    laptop.train("-n", "lr", "-S", "train.rate=0.02,0.03", "-j", "2")
    laptop.until(lambda: bool(waiting(laptop)))
    laptop.until(lambda: prepare_log(laptop) == "prepared\n")
    (first,) = {"lr-1", "lr-2"} - {*waiting(laptop)}
    laptop.train("cancel", first, "--grace", "0")
    laptop.until(lambda: prepare_log(laptop) == "prepared\n" * 2)
    (laptop.places / "prepare").touch()
    laptop.train("wait", "lr", code=130)
    assert sorted(one["state"] for one in laptop.list_experiments().values()) == ["cancelled", "done"]
