"""Results verified: real stages in clean clones, forged results found, and honest ones not accused."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlbutler import dsse
from mlbutler.steps.verify import draw
from tests import forked_python
from tests.integration.world import DVC_YAML, PREPARE, SETTINGS, TRAIN, Run, World, began, make, params, waits
from tests.test_dsse import KEY, PUBLIC

FORGED = '{"accuracy": 0.999, "words": 1}'
MODEL = "a model that no command made"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Every test works on a branch of its own; `main` asks for a sample."""
    world = make(tmp_path_factory.mktemp("world"))
    sampled = SETTINGS + '[verify]\nsample = "100%"\n'
    world.branch("main", {"mlbutler.toml": sampled})
    return world


def forge(world: World, branch: str, **more: str) -> None:
    """Write a better metric and another model into dvc.lock, with all objects pushed, as a forger would."""
    world.git(world.author, "checkout", "-q", "-B", branch, "main")
    lock = world.project / "dvc.lock"
    content = yaml.safe_load(lock.read_text())
    for out in content["stages"]["train"]["outs"]:
        text = {"metrics.json": FORGED, "model.txt": MODEL}.get(out["path"])
        if text is None:
            continue
        out |= {"md5": hashlib.md5(text.encode()).hexdigest(), "size": len(text)}
        if out["path"] == "metrics.json":
            (world.project / "metrics.json").write_text(text)
        else:
            kept = world.remote / "files" / "md5" / out["md5"][:2] / out["md5"][2:]
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(text)
    lock.write_text(yaml.safe_dump(content, sort_keys=False))
    for path, text in more.items():
        (world.project / path.replace("_toml", ".toml")).write_text(text)
    world.git(world.author, "commit", "-qam", "a much better model")
    world.push(branch)


def trained(world: World, branch: str, files: dict[str, str], *, push: bool = True) -> None:
    """A branch whose author ran the pipeline and pushed what it made."""
    world.git(world.author, "checkout", "-q", "-B", branch, "main")
    for path, text in files.items():
        (world.project / path).write_text(text)
    world.dvc("repro", "-q")
    if push:
        world.share()
    world.git(world.author, "add", "-A")
    world.git(world.author, "commit", "-qm", "trained")
    world.push(branch)


def verify(world: World, branch: str, *args: str) -> tuple[Run, dict[str, Any]]:
    run = world.run(world.clone(f"origin/{branch}"), {}, "--json", *args, verb="verify")
    return run, json.loads(run.out) if run.out.startswith("{") else {}


def stage(found: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in found["stages"] if one["name"] == name)


def test_honest_results_are_identical_and_no_cache_is_asked(world: World, tmp_path: Path) -> None:
    log = tmp_path / "runs.log"
    counting = f"{TRAIN}\nwith open({str(log)!r}, 'a') as log:\n    log.write('x')\n"
    trained(world, "honest", {"src/train.py": counting})
    before = log.read_text()
    root = world.clone("origin/honest")
    world.shell(root, sys.executable, "-m", "dvc", "pull", "-q")
    for path in (root / ".dvc" / "cache").rglob("*"):  # whatever lies in the cache, it is not believed
        if path.is_file():
            path.chmod(0o644)
            path.write_text("damaged")
    run = world.run(root, {}, "--json", verb="verify")
    assert run.code == 0, run.out + run.err
    found = json.loads(run.out)
    assert {one["name"]: one["state"] for one in found["stages"]} == {"prepare": "identical", "train": "identical"}
    assert found["outcome"] == "passed"
    assert log.read_text() == before + "x"
    assert not (root / ".mlbutler" / "scratch").exists()
    assert not (root / ".mlbutler" / "verify").exists()
    note = json.loads(world.git(root, "notes", "--ref=mlbutler", "show", "HEAD"))
    assert note["verified"] == {"prepare": "identical", "train": "identical"}


def test_what_is_verified_is_attested_and_read_again_with_who_signed_it(world: World, tmp_path: Path) -> None:
    spying = f"{TRAIN}\nimport os\nprint('key:', os.environ.get('MLBUTLER_SIGNING_KEY'))\n"
    there = "  there:\n    wdir: src\n    cmd: echo x > made.txt\n    outs: [made.txt]\n"
    trained(world, "attested", {"src/train.py": spying, "dvc.yaml": DVC_YAML + there})
    root, file = world.clone("origin/attested"), tmp_path / "verified.intoto.jsonl"
    signing = {"MLBUTLER_SIGNING_KEY": KEY}
    only = ("--stage", "train", "--json")
    below = world.run(root, signing, "--stage", "there", "--attestation", str(file), verb="verify")
    assert below.code == 0, below.out + below.err
    [line] = file.read_text().splitlines()
    assert [one["name"] for one in json.loads(dsse.parse_envelope(line).payload)["subject"]] == ["src/made.txt"]
    run = world.run(root, signing, *only, "--attestation", str(file), verb="verify")
    assert run.code == 0, run.out + run.err
    assert "key: None" in run.err
    assert "J1hsZ3v" not in run.out + run.err
    [line] = file.read_text().splitlines()
    assert dsse.parse_envelope(line).signer({"ci": PUBLIC}) == "ci"
    statement = json.loads(dsse.parse_envelope(line).payload)
    model = next(one for one in statement["subject"] if one["name"] == "model.txt")
    text = (world.project / "model.txt").read_bytes()
    assert model["digest"] == {"md5": hashlib.md5(text).hexdigest(), "sha256": hashlib.sha256(text).hexdigest()}
    assert statement["predicate"]["buildDefinition"]["externalParameters"]["stage"] == "train"

    known = {"MLBUTLER_VERIFY_SIGNERS": json.dumps([f"ci {PUBLIC}"])}
    again = world.run(root, known, *only, verb="verify")
    [said] = stage(json.loads(again.out), "train")["attested"]
    assert said.startswith("attested by ci (urn:mlbutler:local, 20")
    forged = json.loads(dsse.parse_envelope(line).payload)
    forged["subject"][0]["digest"]["md5"] = "0" * 32
    other = dsse.sign(json.dumps(forged).encode(), KEY)
    note = "\n".join((line, other, "damaged", line.replace('"sig": "', '"sig": "AAAA')))
    world.git(root, "notes", "--ref=mlbutler-attestations", "add", "-f", "-m", note, "HEAD")
    again = world.run(root, known, *only, verb="verify")
    sentences = stage(json.loads(again.out), "train")["attested"]
    assert len(sentences) == 3
    assert sentences[1] == f"ci attested something else: {forged['subject'][0]['name']}"
    assert sentences[2].startswith("attested with a key that verify.signers does not name (")
    assert "cannot be read: not valid JSON" in again.err
    assert again.code == 0, "what somebody attests changes no result"


def test_a_forged_result_is_found_and_named(world: World) -> None:
    forge(world, "forged")
    run, found = verify(world, "forged")
    assert run.code == 1, run.out + run.err
    train = stage(found, "train")
    assert train["state"] == "different"
    outputs = {out["path"]: out["difference"] for out in train["outputs"] if not out["same"]}
    assert outputs == {
        "metrics.json": "accuracy: 0.999 recorded, 0.91 made",
        "model.txt": f"line 1: '{MODEL}' recorded, 'model of 195 at 0.01' made",
    }
    assert any("written by hand" in cause for cause in train["causes"])
    assert stage(found, "prepare")["state"] == "identical"


def test_one_stage_of_another_commit(world: World) -> None:
    forge(world, "forged")
    root = world.clone("origin/main")
    run = world.run(root, {}, "origin/forged", "--stage", "prepare", verb="verify")
    assert run.code == 0, run.out + run.err
    assert "train" not in run.out
    assert world.run(root, {}, "origin/forged", "--stage", "train", verb="verify").code == 1
    odd = world.run(root, {}, "--stage", "trian", verb="verify")
    assert (odd.code, "There is no stage 'trian'" in odd.err) == (2, True)
    odd = world.run(root, {}, "--sample", "0%", verb="verify")
    assert (odd.code, "above 0" in odd.err) == (2, True)
    odd = world.run(root, {}, "v7", verb="verify")
    assert (odd.code, "There is no commit 'v7'" in odd.err) == (2, True)


def test_the_run_of_a_pull_request_verifies_what_it_brings(world: World) -> None:
    forge(world, "forged")
    run = world.run(world.clone("origin/forged"), world.jenkins("forged"))
    assert run.code == 1, run.out + run.err
    assert run.outcome("check") == "failed"
    assert "not reproducible: train" in run.record["check"]["reason"]
    assert [one["name"] for one in run.record["check"]["verified"]["stages"]] == ["train"], "prepare is as on main"
    comment = next(iter(world.forge.rglob("*.md"))).read_text()
    assert "**Failed**: check: not reproducible: train" in comment
    assert "Verified" in comment
    assert "accuracy: 0.999 recorded, 0.91 made" in comment
    world.git(world.author, "fetch", "-q", "origin", "+refs/notes/mlbutler:refs/notes/mlbutler")
    note = world.git(world.author, "notes", "--ref=mlbutler", "show", "forged")
    assert json.loads(note.splitlines()[-1])["verified"] == {"train": "different"}


def test_a_pull_request_cannot_turn_it_off(world: World) -> None:
    forge(world, "turned-off", mlbutler_toml=SETTINGS + "[verify]\ntolerance = 1.0\n")
    run = world.run(world.clone("origin/turned-off"), world.jenkins("turned-off", 2))
    assert run.code == 1, run.out + run.err
    assert run.record["check"]["verified"]["tolerance"] == 0
    assert "not reproducible: train" in run.record["check"]["reason"]


@pytest.mark.parametrize(("there", "instead", "why"), [
    ("  train:\n", "  train:\n    frozen: true\n", "it is frozen"),
    ("outs: [model.txt]", "outs: [{model.txt: {persist: true}}]", "it goes on from its own earlier output"),
], ids=["frozen", "persist"])  # fmt: skip
def test_a_forged_result_that_the_change_keeps_from_being_verified_is_not_known(
    world: World, there: str, instead: str, why: str
) -> None:
    forge(world, "evading", **{"dvc.yaml": DVC_YAML.replace(there, instead)})
    run = world.run(world.clone("origin/evading"), world.jenkins("evading", 6), "--only", "plan,sync,check")
    assert (run.code, run.outcome("check")) == (3, "not known"), run.out + run.err
    assert f"train: its new results in dvc.lock are not verified: {why}" in run.record["check"]["reason"]
    assert stage(run.record["check"]["verified"], "train")["state"] == "not verified"


def test_numbers_that_a_stage_made_and_none_makes_any_more_are_not_known(world: World) -> None:
    plain = DVC_YAML.partition("  train:")[0] + "metrics: [metrics.json]\n"
    forge(world, "by-hand", **{"dvc.yaml": plain})
    run = world.run(world.clone("origin/by-hand"), world.jenkins("by-hand", 7), "--only", "plan,sync,check")
    assert (run.code, run.outcome("check")) == (3, "not known"), run.out + run.err
    assert "metrics.json: its numbers are new, and no stage makes them any more" in run.record["check"]["reason"]


def test_an_honest_pull_request_is_shown_as_verified(world: World) -> None:
    trained(world, "good", {"params.yaml": params(0.02)})
    run = world.run(world.clone("origin/good"), world.jenkins("good", 3))
    assert run.code == 0, run.out + run.err
    assert "verified in a clean clone: identical: train, 1 of 1 stage drawn" in run.record["check"]["reason"]


def test_a_stage_that_the_run_reproduces_itself_is_not_verified(world: World) -> None:
    run = world.change("by-ci", {"params.yaml": params(0.03)}, number=4)
    assert run.code == 0, run.out + run.err
    assert run.record["check"]["verified"]["stages"] == []
    assert run.record["check"]["verified"]["outcome"] == "skipped"


def test_a_fork_is_verified_without_a_note(world: World) -> None:
    forge(world, "forged")
    environ = world.jenkins("forged", 5, CHANGE_FORK="mallory", MLBUTLER_GIT_TOKEN="hunter2-hunter2")
    before = world.git(world.bare, "for-each-ref", "refs/notes")
    run = world.run(world.clone("origin/forged"), environ)
    assert "not reproducible: train" in run.record["check"]["reason"], run.out + run.err
    assert world.git(world.bare, "for-each-ref", "refs/notes") == before


def test_a_stage_that_repeats_nothing_names_what_draws_random_numbers(world: World) -> None:
    random = TRAIN.replace("import os", "import os, random").replace("0.9 + rate", "random.random()")
    trained(world, "random", {"src/train.py": random})
    run, found = verify(world, "random", "--stage", "train")
    assert run.code == 1
    train = stage(found, "train")
    assert (train["state"], train["runs"]) == ("differs each time", 2)
    assert any("src/train.py uses a library that draws them, and nothing sets a seed" in c for c in train["causes"])


def test_metrics_may_differ_within_the_tolerance(world: World) -> None:
    trained(
        world,
        "noisy",
        {"src/train.py": TRAIN.replace("round(0.9 + rate, 4)", "0.9 + __import__('os').getpid() * 1e-12")},
    )
    assert verify(world, "noisy", "--stage", "train")[0].code == 1
    run, found = verify(world, "noisy", "--stage", "train", "--tolerance", "1e-6")
    assert run.code == 0, run.out + run.err
    assert stage(found, "train")["state"] == "within tolerance"
    assert found["tolerance"] == 1e-6


def test_code_that_is_used_without_being_declared_is_named(world: World) -> None:
    helped = "from helper import BONUS\n" + TRAIN.replace("0.9 + rate", "0.9 + rate + BONUS")
    trained(world, "undeclared", {"src/helper.py": "BONUS = 0.01\n", "src/train.py": helped})
    (world.project / "src" / "helper.py").write_text("BONUS = 0.025\n")
    world.git(world.author, "commit", "-qam", "more")
    world.push("undeclared")
    run, found = verify(world, "undeclared", "--stage", "train")
    assert run.code == 1
    (said, *_) = stage(found, "train")["causes"]
    assert "src/helper.py is used without being declared (imported by src/train.py, and changed in" in said
    assert "after dvc.lock" in said


def test_a_file_that_only_the_author_has_fails_the_stage_in_a_clean_clone(world: World) -> None:
    ignored = world.git(world.author, "show", "main:.gitignore") + "\n/secret.txt\n"
    (world.project / "secret.txt").write_text("12")
    private = {".gitignore": ignored, "src/train.py": "bonus = open('secret.txt').read()\n" + TRAIN}
    trained(world, "private", private)
    root = world.clone("origin/private")
    (root / "secret.txt").write_text("12")
    run = world.run(root, {}, "--json", "--stage", "train", verb="verify")
    assert run.code == 1
    train = stage(json.loads(run.out), "train")
    assert (train["state"], train["reason"]) == ("failed", "in a clean clone stage 'train' failed: exit code 1")
    assert train["causes"] == [
        "secret.txt is on this machine, in neither Git nor DVC: git add or dvc add it, and declare it."
    ]
    assert "No such file or directory: 'secret.txt'" in "\n".join(train["tail"])


def test_what_another_stage_makes_without_being_a_dependency(world: World) -> None:
    yaml_text = DVC_YAML.replace("deps: [prepared, src/train.py]", "deps: [src/train.py]")
    trained(world, "disconnected", {"dvc.yaml": yaml_text})
    run, found = verify(world, "disconnected", "--stage", "train")
    assert run.code == 1
    assert stage(found, "train")["causes"] == [
        "prepared is made by 'prepare', and not declared as a dependency of 'train'."
    ]


def test_inputs_that_are_on_no_remote(world: World) -> None:
    trained(world, "unpushed", {"src/prepare.py": PREPARE.replace("upper", "title")}, push=False)
    run, found = verify(world, "unpushed")
    assert run.code == 1
    assert stage(found, "prepare")["state"] == "identical"
    assert (stage(found, "train")["state"], stage(found, "train")["reason"]) == (
        "inputs missing", "what it needs is on no remote: prepared",
    )  # fmt: skip


def test_a_lock_of_other_parameters_is_stale(world: World) -> None:
    world.branch("stale", {"params.yaml": params(0.07)})
    run, found = verify(world, "stale")
    assert run.code == 1
    train = stage(found, "train")
    assert (train["state"], train["runs"]) == ("stale", 0)
    assert "params.yaml:train.rate changed (0.01 → 0.07)" in train["reason"]


def test_the_first_file_of_a_directory_that_differs_is_named(world: World) -> None:
    text = PREPARE.replace("upper())", "upper() + (str(os.getpid()) if '3' in name else ''))")
    trained(world, "folder", {"src/prepare.py": text})
    run, found = verify(world, "folder", "--stage", "prepare")
    assert run.code == 1
    (output,) = stage(found, "prepare")["outputs"]
    assert output["difference"].startswith("text 3 é.txt, line 5: '")


def test_a_frozen_stage_is_not_verified(world: World) -> None:
    trained(world, "frozen", {"dvc.yaml": DVC_YAML.replace("  train:\n", "  train:\n    frozen: true\n")})
    run, found = verify(world, "frozen")
    assert run.code == 0
    assert stage(found, "train")["state"] == "not verified"
    assert verify(world, "frozen", "--stage", "train")[0].code == 3


def test_ctrl_c_ends_the_stage_and_leaves_nothing(world: World, tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    trained(world, "slower", {"src/train.py": waits(tmp_path) + TRAIN})
    for name in ("go", "begun"):
        (tmp_path / name).unlink()
    root = world.clone("origin/slower")
    process = forked_python.Popen(
        [sys.executable, "-m", "mlbutler", "verify"], cwd=root, env=world.run_environ({}),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert began(tmp_path, process), process.communicate()[0]
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate()
    assert process.returncode == 130, out
    assert "prepare" in out
    assert "interrupted in stage 'train'; 1 stage verified before" in out
    assert not (root / ".mlbutler" / "scratch").exists()
    assert not (root / ".mlbutler" / "verify").exists()
    assert world.git(root, "status", "--porcelain") == ""


def test_a_project_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "world").mkdir()
    world = make(tmp_path / "world", folder="models/digits")
    forge(world, "forged")
    run, found = verify(world, "forged")
    assert run.code == 1, run.out + run.err
    assert stage(found, "train")["state"] == "different"
    assert "0.91 made" in stage(found, "train")["reason"]


@pytest.mark.parametrize(
    ("stages", "share", "size"), [(1, 0.1, 1), (7, 0.1, 1), (30, 0.1, 3), (7, 1.0, 7), (0, 0.5, 0)]
)
def test_a_share_of_the_stages_is_drawn_at_least_one(stages: int, share: float, size: int) -> None:
    names = [f"s{number}" for number in range(stages)]
    drawn = draw(names, share)
    assert len(drawn) == size
    assert drawn == [name for name in names if name in drawn]


def test_each_stage_is_drawn_as_often_as_the_documentation_says() -> None:
    names = [f"s{number}" for number in range(10)]
    counts = Counter(name for _ in range(5000) for name in draw(names, 0.1))
    assert set(counts) == set(names)
    assert all(350 < count < 650 for count in counts.values())  # 7 standard deviations
