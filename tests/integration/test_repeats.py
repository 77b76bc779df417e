"""Repeated runs on both sides of a pull request, through real DVC and its run cache."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests import forked_python
from tests.integration.world import DVC_YAML, World, began, make, waits

_TEMPORARY = tempfile.TemporaryDirectory(prefix="mlbutler-repeats-")
_RUNS = Path(_TEMPORARY.name, "runs.log")

# Accuracy is `skill` plus noise that the seed decides; every run leaves a line, so that runs can be counted.
_NOISY = """
import math, os, _random
pairs = [line.partition(":") for line in open("params.yaml")]
p = {name.strip(): eval(value) for name, _, value in pairs if value.strip()}
words = sum(len(open(f"prepared/{name}").read()) for name in os.listdir("prepared"))
open("model.txt", "w").write(f"{words} {p}")
draw = _random.Random(p["seed"] + int(1e6 * p["skill"])).random
noise = math.cos(draw() * 2 * math.pi) * math.sqrt(-2 * math.log(1 - draw())) * 0.01
open("metrics.json", "w").write(f'{{"accuracy": {p["skill"] + noise}}}')
open("curve.csv", "w").write("step,loss\\n0,1\\n")
with open("COUNT", "a") as log:
    log.write(f"{p}\\n")
""".replace("COUNT", str(_RUNS))
_SETTINGS = """
[[gate]]
metric = "metrics.json:accuracy"
max_drop = 0.02
repeats = 4
[repeat]
seed = "params.yaml:train.seed"
[forge]
kind = "folder"
"""
_THREE = {"mlbutler.toml": _SETTINGS.replace("repeats = 4", "repeats = 3")}


def noisy_params(skill: float, seed: int = 5) -> str:
    return f"train:\n  skill: {skill}  # a comment\n  seed: {seed}\n"


_FILES = (
    ("dvc.yaml", DVC_YAML.replace("params: [train.rate]", "params: [train.skill, train.seed]")),
    ("src/train.py", _NOISY), ("params.yaml", noisy_params(0.9)), ("mlbutler.toml", _SETTINGS),
)  # fmt: skip


@pytest.fixture
def noisy(tmp_path: Path) -> World:
    """`main` is trained with a stage that depends on a seed."""
    return make(tmp_path / "world", files=_FILES)


def count() -> int:
    return len(_RUNS.read_text().splitlines())


def test_a_real_drop_fails_and_noise_does_not(noisy: World) -> None:
    run = noisy.change("worse", {"params.yaml": noisy_params(0.8)})
    assert run.code == 1, run.out + run.err
    (gate,) = run.record["compare"]["gates"]
    assert gate["outcome"] == "failed"
    assert "on average of 4 seeds" in gate["sentence"]
    assert "95 % interval" in gate["sentence"]
    (found,) = run.record["compare"]["repeats"]
    assert found["seeds"] == [5, 6, 7, 8]
    assert found["verdict"] == "worse"
    assert found["low"] < -0.1 + 0.02
    assert found["high"] < -0.08 + 0.02
    comment = next(iter(noisy.forge.rglob("*.md"))).read_text()
    assert "on average of 4 seeds" in comment.splitlines()[2]
    assert "Repeated runs" in comment
    assert not (run.root / ".mlbutler" / "scratch").exists()
    assert (run.root / "params.yaml").read_text() == noisy_params(0.8)

    before = count()
    again = noisy.run(noisy.clone("origin/worse"), noisy.jenkins("worse"))
    assert again.record["compare"]["repeats"][0]["new"] == found["new"]
    assert count() == before, "another build on the agent finds every run in the run cache"
    assert again.record["compare"]["repeats"][0]["restored"] >= 6


def test_too_few_seeds_are_inconclusive_which_fails_nothing(noisy: World) -> None:
    files = {"params.yaml": noisy_params(0.885), "mlbutler.toml": _SETTINGS.replace("repeats = 4", "repeats = 2")}
    run = noisy.change("unsure", files)
    assert run.code == 0, run.out + run.err
    (gate,) = run.record["compare"]["gates"]
    assert gate["outcome"] == "inconclusive"
    assert "more seeds" in gate["sentence"]
    assert "Inconclusive" in next(iter(noisy.forge.rglob("*.md"))).read_text()


def test_a_change_of_no_stage_runs_nothing(noisy: World) -> None:
    before = count()
    run = noisy.change("words", {"README": "words"})
    assert run.code == 0, run.out + run.err
    assert count() == before
    assert run.record["compare"]["gates"][0]["outcome"] == "passed"


def test_where_builds_do_not_train_they_do_not_repeat_either(noisy: World) -> None:
    noisy.branch("by-hand", {"params.yaml": noisy_params(0.8)})
    noisy.dvc("repro", "-q")
    noisy.share()
    noisy.git(noisy.author, "commit", "-qam", "trained")
    noisy.push("by-hand")
    before = count()
    manual = noisy.jenkins("by-hand") | {"MLBUTLER_REPRODUCE_WHEN": "manual"}
    run = noisy.run(noisy.clone("origin/by-hand"), manual)
    assert run.code == 0, run.out + run.err
    (gate,) = run.record["compare"]["gates"]
    assert gate["outcome"] == "not judged"
    assert "nothing was run, so nothing is repeated: reproduce.when is 'manual'" in gate["sentence"]
    assert count() == before


def test_an_interrupted_repeat_leaves_the_comparison_and_nothing_else(noisy: World, tmp_path: Path) -> None:
    wait = "".join(f"    {line}\n" for line in waits(tmp_path).splitlines())
    slow = _NOISY + f"if p['seed'] == 6:\n{wait}"
    noisy.branch("slow", {"src/train.py": slow})
    root = noisy.clone("origin/slow")
    process = forked_python.Popen(
        [sys.executable, "-m", "mlbutler", "run"], cwd=root, env=noisy.run_environ(noisy.jenkins("slow")),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert began(tmp_path, process), process.communicate()[0]
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate()
    assert process.returncode == 130, out
    record = json.loads((root / ".mlbutler" / "record.json").read_text())
    assert record["compare"]["outcome"] == "interrupted"
    assert [metric["name"] for metric in record["compare"]["metrics"]] == ["accuracy"]
    assert not (root / ".mlbutler" / "scratch").exists()


def test_without_a_named_seed_the_comparison_is_kept_and_the_remedy_told(noisy: World) -> None:
    settings = _SETTINGS.replace('seed = "params.yaml:train.seed"', "")
    run = noisy.change("seedless", {"params.yaml": noisy_params(0.8), "mlbutler.toml": settings})
    assert run.code == 2, run.out + run.err
    compare = run.record["compare"]
    assert (compare["outcome"], compare["metrics"][0]["name"]) == ("error", "accuracy")
    assert "repeat.seed" in compare["reason"]
    assert 'seed = "params.yaml:train.seed"' in compare["remedy"]


def test_a_seed_that_changes_nothing_is_refused(noisy: World) -> None:
    deaf = _NOISY.replace('p["seed"]', "1").replace("{p}", "{p['skill']}")
    run = noisy.change("deaf", {"params.yaml": noisy_params(0.91), "src/train.py": deaf} | _THREE)
    assert run.code == 1, run.out + run.err
    sentence = run.record["compare"]["gates"][0]["sentence"]
    assert "here the seed params.yaml:train.seed does not change the outcome: identical bytes with 3 seeds" in sentence


def test_a_stage_that_breaks_with_some_seed_breaks_the_gate(noisy: World) -> None:
    fragile = _NOISY + 'assert p["seed"] != 7, "seven"\n'
    run = noisy.change("fragile", {"src/train.py": fragile} | _THREE)
    assert run.code == 1, run.out + run.err
    assert "here, seed 7: stage 'train' failed: exit code 1" in run.record["compare"]["gates"][0]["sentence"]


def test_repeats_can_be_asked_for_by_hand(noisy: World) -> None:
    noisy.branch("by-hand", {"params.yaml": noisy_params(0.8)})
    noisy.dvc("repro", "-q")
    run = noisy.run(noisy.project, {}, "--repeats", "3", "--only", "accuracy", "--against", "main", verb="compare")
    assert run.code == 1, run.out + run.err
    (found,) = run.record["compare"]["repeats"]
    assert (found["metric"], len(found["seeds"])) == ("metrics.json:accuracy", 3)
    odd = noisy.run(noisy.project, {}, "--repeats", "3", "--only", "speed", "--against", "main", verb="compare")
    assert odd.code == 2
    assert "There is no metric 'speed' on both sides" in odd.err
    assert json.loads((noisy.project / "metrics.json").read_text())["accuracy"] < 0.85
    assert "on average of 3 seeds" in " ".join(run.out.split())


def test_a_project_in_a_folder_is_repeated_in_that_folder(tmp_path: Path) -> None:
    noisy = make(tmp_path / "world", folder="models/digits", files=_FILES)
    run = noisy.change("worse", {"params.yaml": noisy_params(0.8)} | _THREE)
    assert run.code == 1, run.out + run.err
    (found,) = run.record["compare"]["repeats"]
    assert (found["verdict"], len(found["old"]), len(found["new"])) == ("worse", 3, 3)


def test_a_fork_is_repeated_without_credentials(noisy: World, tmp_path: Path) -> None:
    spying = _NOISY
    spying += f'import os; open("{tmp_path}/seen", "a").write(os.environ.get("MLBUTLER_GIT_TOKEN", "none") + "\\n")\n'
    noisy.branch("forked", {"params.yaml": noisy_params(0.8), "src/train.py": spying} | _THREE)
    environ = noisy.jenkins("forked", CHANGE_FORK="mallory") | {"MLBUTLER_GIT_TOKEN": "hunter2-hunter2"}
    run = noisy.run(noisy.clone("origin/forked"), environ)
    (found,) = run.record["compare"]["repeats"]
    assert found["verdict"] == "worse", run.out + run.err
    assert set((tmp_path / "seen").read_text().split()) == {"none"}


def test_a_gate_is_calibrated_on_the_target_alone(noisy: World) -> None:
    noisy.branch("any", {"params.yaml": noisy_params(0.7)})
    before = count()
    run = noisy.run(noisy.project, {}, "calibrate", "--runs", "8", "--repeats", "3", "--json", "--against", "main",
                    verb="gate")  # fmt: skip
    assert run.code == 0, run.out + run.err
    (tried,) = json.loads(run.out)["gates"]
    assert len(tried["values"]) == 8
    assert count() == before + 7, "the seed in use has been run before"
    assert all(0.85 < value < 0.95 for value in tried["values"]), "it is the target that is run"
    none, *_, large = tried["found"]["rates"]
    assert none["failed"] <= 0.025
    assert none["any_drop"] > 0.4
    assert large["failed"] > 0.9
    assert "False alarms" in run.err
