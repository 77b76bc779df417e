"""Whole runs of a project with every kind of stage, on every kind of remote."""

from __future__ import annotations

import dataclasses
import functools
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import forked_python
from tests.integration.world import SETTINGS, World, begin, copied, make, params
from tests.store.world import PASSWORD, USER, Remote

KEY, SECRET = "AKIAPLANTED000000000", "planted/secret/access/key/0123456789"

DVC_YAML = """
vars:
  - config.yaml
stages:
  clean:
    foreach: ${languages}
    do:
      cmd: python src/clean.py ${item} cleaned/${item}
      deps: ["data/${item}", src/clean.py]
      outs: ["cleaned/${item}"]
  train:
    matrix:
      size: [1, 2]
      kind: ${kinds}
    cmd: python src/train.py ${item.size} ${item.kind} > models/${item.size}-${item.kind}.txt
    deps: [cleaned, src/train.py]
    params: [train.rate]
    outs: ["models/${item.size}-${item.kind}.txt"]
  evaluate:
    cmd: python src/evaluate.py ${out.folder}
    deps: [models, src/evaluate.py]
    outs: [{"${out.folder}": {desc: "a directory of numbers"}}]
    metrics:
      - scores.json: {cache: false}
      - scores.yaml: {cache: false}
      - scores.toml
    plots: [{curve.csv: {x: step, y: loss}}]
plots:
  - curve.csv: {x: step, y: loss, title: Loss}
"""
CLEAN = """
import os, sys
source, target = f"data/{sys.argv[1]}", sys.argv[2]
os.makedirs(target, exist_ok=True)
for name in sorted(os.listdir(source)):
    with open(f"{source}/{name}") as read, open(f"{target}/{name}", "w") as written:
        written.write(read.read().strip().upper())
"""
TRAIN = """
import os, sys
rate = eval(open("params.yaml").read().partition("rate:")[2].strip(" }\\n"))
words = "".join(open(f"{folder}/{name}").read() for folder, _, names in os.walk("cleaned") for name in names)
print(len(words) * int(sys.argv[1]) * rate, sys.argv[2])
"""
EVALUATE = """
import os, sys
names = [name.removesuffix(".txt") for name in sorted(os.listdir("models")) if name.endswith(".txt")]
models = {name: float(open(f"models/{name}.txt").read().split()[0]) for name in names}
os.makedirs(sys.argv[1], exist_ok=True)
for name, value in models.items():
    open(f"{sys.argv[1]}/{name} é.txt", "w").write(str(value))
best = max(models.values())
open("scores.json", "w").write(str({"accuracy": best / 1000, "by": models}).replace("'", '"'))
open("scores.yaml", "w").write(f"test:\\n  loss: {1 / best}\\n  per_class: [{best}, {best / 2}]\\n")
open("scores.toml", "w").write(f"[validation]\\nf1 = {best / 2000}\\n")
open("curve.csv", "w").write("step,loss\\n" + "".join(f"{n},{1 / (n + best)}\\n" for n in range(5)))
"""
FILES = {
    "dvc.yaml": DVC_YAML,
    "config.yaml": "languages: [english, français, 日本]\nkinds: [linear, deep]\nout: {folder: results/final}\n",
    "params.yaml": "train: {rate: 0.5}\n",
    "src/clean.py": CLEAN,
    "src/train.py": TRAIN,
    "src/evaluate.py": EVALUATE,
    "mlbutler.toml": "[[gate]]\nmetric = \"scores.toml:validation.f1\"\nmax_drop_relative = 0.2\n"
    "[[gate]]\nmetric = \"scores.json:accuracy\"\nmin = 0.0\n[forge]\nkind = \"folder\"\n",
}  # fmt: skip


@functools.cache
def _trained() -> World:
    """The project, trained and pushed into a folder by its author's own DVC, once for each process; to be committed."""
    directory = Path(_TEMPORARY.name, "zoo")
    directory.mkdir()
    world = World(directory)
    begin(world)
    for language in ("english", "français", "日本"):
        for number in range(4):
            path = world.author / "data" / language / f"text '{number}'.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{language} words {number}\n" * (number + 1))
    for name, content in FILES.items():
        (world.author / name).parent.mkdir(exist_ok=True)
        (world.author / name).write_text(content)
    world.dvc("init", "-q")
    world.dvc("remote", "add", "-q", "-d", "shared", str(world.remote))
    world.dvc("add", "-q", "data/english", "data/français", "data/日本")
    (world.author / "models").mkdir(exist_ok=True)
    (world.author / "models" / ".gitkeep").touch()
    world.dvc("repro", "-q")
    world.dvc("push", "-q")
    return world


_TEMPORARY = tempfile.TemporaryDirectory(prefix="mlbutler-zoo-")
"""Each test works in a copy."""


def zoo(world: World, url: str, store: Path | None = None) -> World:
    """Fill the places of `world`: the trained project on the remote `url`, whose objects go into `store`, a folder."""
    copied(_trained(), world.directory, url)
    if store is not None:
        shutil.copytree(_trained().remote, store, dirs_exist_ok=True)
    return world


def commit_first(world: World) -> World:
    """Put the project on `main`."""
    world.git(world.author, "add", "-A")
    world.git(world.author, "commit", "-qm", "first")
    world.push("main")
    return world


@pytest.fixture
def http(tmp_path: Path) -> Iterator[Remote]:
    (tmp_path / "store").mkdir()
    remote = Remote(tmp_path / "store", auth="basic")
    yield remote
    remote.close()


@pytest.fixture
def http_world(tmp_path: Path, http: Remote) -> World:
    """A project on a remote over HTTP whose password CI has; its author sits at the server's own disk."""
    world = World(tmp_path, environ={"MLBUTLER_REMOTE_USER": USER, "MLBUTLER_REMOTE_PASSWORD": PASSWORD})
    zoo(world, http.url, tmp_path / "store")
    folder = world.author / ".dvc"
    with (folder / "config").open("a") as config:  # the remote is what it ends with
        config.write("    auth = basic\n")
    (folder / "config.local").write_text(f"['remote \"author\"']\n    url = {tmp_path}/store\n")
    return commit_first(world)


@pytest.fixture(scope="module")
def s3_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    import httpx
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    httpx.put(f"http://{host}:{port}/bucket", timeout=600)
    forked_python.preload("s3fs", "aiobotocore.session")
    environ = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": "us-east-1"}
    world = zoo(World(tmp_path_factory.mktemp("s3"), environ=environ), "s3://bucket/some/prefix")
    with (world.author / ".dvc" / "config").open("a") as config:  # the remote is what it ends with
        config.write(f"    endpointurl = http://{host}:{port}\n")
    pushed = _trained().remote
    with httpx.Client(base_url=f"http://{host}:{port}/bucket/some/prefix/", timeout=600) as client:
        for path in filter(Path.is_file, pushed.rglob("*")):
            client.put(path.relative_to(pushed).as_posix(), content=path.read_bytes()).raise_for_status()
    yield commit_first(world)
    server.stop()


@pytest.fixture
def local_world(tmp_path: Path) -> World:
    return commit_first(zoo(World(tmp_path), str(tmp_path / "dvc-remote"), tmp_path / "dvc-remote"))


@pytest.mark.parametrize("kind", ["http_world", "s3_world", "local_world"])
def test_a_pull_request_on_each_kind_of_remote(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    world: World = request.getfixturevalue(kind)
    docs = world.change("docs", {"README": "words"})
    assert docs.code == 0, docs.out + docs.err
    assert docs.record["sync"]["moved"] == []
    run = world.change("b", {"params.yaml": "train: {rate: 0.75}\n"}, number=2)
    assert run.code == 0, run.out + run.err
    stages = {stage["name"]: stage["outcome"] for stage in run.record["reproduce"]["stages"]}
    assert {name for name, outcome in stages.items() if outcome == "ran"} == {
        "train@1-linear", "train@1-deep", "train@2-linear", "train@2-deep", "evaluate",
    }  # fmt: skip
    assert {name for name, outcome in stages.items() if outcome == "unchanged"} == {
        "clean@english", "clean@français", "clean@日本",
    }  # fmt: skip
    metrics = {(m["file"], m["name"]): m for m in run.record["compare"]["metrics"]}
    assert metrics["scores.toml", "validation.f1"]["verdict"] == "better"
    assert metrics["scores.yaml", "test.loss"]["verdict"] == "better"
    assert metrics["scores.json", "accuracy"]["relative"] == pytest.approx(0.5)
    assert not (run.root / "data" / "english").exists()  # the cleaned data were enough
    commit = run.record["commit"]["commit"]
    fresh = world.clone(commit)
    if kind == "http_world":
        shutil.copy(world.author / ".dvc" / "config.local", fresh / ".dvc" / "config.local")
        for option in ("user", "password"):  # DVC wants them of every remote, also of one it does not use
            world.shell(fresh, "python", "-m", "dvc", "remote", "modify", "--local", "shared", option, "unused")
    remote = "author" if kind == "http_world" else "shared"
    world.shell(fresh, "python", "-m", "dvc", "pull", "-r", remote)  # a colleague's own DVC finds everything
    assert world.shell(fresh, "python", "-m", "dvc", "status", "--json") == "{}"
    again = world.run(world.clone(commit), world.jenkins("b", 2))
    assert (again.code, again.record["plan"]["reason"]) == (0, "nothing is stale: 8 of 8 stages up to date")
    assert again.record["check"]["outcome"] == "passed"
    for secret in (PASSWORD, SECRET):
        for path in (run.root, world.mirror, world.forge):
            assert not [f for f in path.rglob("*") if f.is_file() and secret.encode() in f.read_bytes()]


@pytest.mark.parametrize(("kind", "files"), [
    ("http_world", {"MLBUTLER_REMOTE_USER": USER, "MLBUTLER_REMOTE_PASSWORD_FILE": "password"}),
    ("s3_world", {"AWS_SHARED_CREDENTIALS_FILE": "aws"}),
])  # fmt: skip
def test_credentials_come_in_files_as_well(
    kind: str, files: dict[str, str], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    world: World = dataclasses.replace(request.getfixturevalue(kind), environ={}, clones=100)
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    (tmp_path / "aws").write_text(f"[default]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n")
    world.branch("small", {"README": "words"})
    shutil.rmtree(world.mirror, ignore_errors=True)
    root, build = world.clone("origin/small"), world.jenkins("small")
    without = world.run(root, build, "--all", verb="sync")
    assert without.code == 3, without.out + without.err
    given = {name: str(tmp_path / value) if "FILE" in name else value for name, value in files.items()}
    run = world.run(root, build | given, "--all", verb="sync")
    assert run.code == 0, run.out + run.err
    assert run.outcome("sync") == "passed"


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        (401, 3, "401 Unauthorized"),
        (403, 3, "403 Forbidden"),
        (500, 3, "500"),
        ("login", 3, "wrong content"),
        (404, 1, "in no store"),
    ],
)
def test_what_a_remote_answers_is_told_apart(http_world: World, http: Remote, fault: Any, code: int, said: str) -> None:
    http.faults[""] = [fault]
    run = http_world.change("b", {"src/clean.py": CLEAN + "\n"})
    assert run.code == code, run.out + run.err
    assert said in run.record["sync"]["reason"], run.record["sync"]
    assert run.record["sync"]["remedy"]
    assert run.outcome("reproduce") == "skipped"
    assert run.outcome("report") == "passed"
    assert not list((run.root / ".dvc" / "cache").rglob("*.tmp"))
    assert http_world.git(run.root, "status", "--porcelain") == ""


def test_a_remote_that_is_not_there_is_no_judgement(http_world: World, http: Remote) -> None:
    http.close()
    run = http_world.change("b", {"src/clean.py": CLEAN + "\n"})
    assert run.code == 3, run.out + run.err
    assert "missing" not in run.record["sync"]["reason"]
    assert run.record["check"]["findings"] == [] or all(f["check"] == "lock" for f in run.record["check"]["findings"])


def test_a_wrong_password_is_said_with_the_variables_to_set(http_world: World) -> None:
    http_world.branch("b", {"src/clean.py": CLEAN + "\n"})
    environ = http_world.jenkins("b") | {"MLBUTLER_REMOTE_PASSWORD": "wr0ng-passw0rd"}
    run = http_world.run(http_world.clone("origin/b"), environ)
    assert run.code == 3
    assert "MLBUTLER_REMOTE" in run.record["sync"]["remedy"]
    assert "wr0ng-passw0rd" not in run.out + run.err + json.dumps(run.record)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A project of two stages; each test has a branch of its own."""
    return make(tmp_path_factory.mktemp("small"))


@pytest.mark.parametrize(
    ("when", "environ", "runs"),
    [
        ("pull-request", {}, True),
        ("every-commit", {}, True),
        ("target-branch", {}, False),
        ("manual", {}, False),
        ("message", {}, False),
        ("message", {"message": "Try it [run]"}, True),
        ("pull-request", {"message": "Only words [skip experiment]"}, False),
    ],
)
def test_when_to_run(small: World, when: str, environ: dict[str, str], runs: bool) -> None:
    branch = f"{when}-{len(environ)}-{runs}"
    files = {
        "mlbutler.toml": f'{SETTINGS}[reproduce]\nwhen = "{when}"\n',
        "params.yaml": params(0.02 + small.clones / 100),
    }
    small.branch(branch, files, environ.get("message", "A change"))
    steps = ("--only", "plan,sync,reproduce", "--no-publish")
    run = small.run(small.clone(f"origin/{branch}"), small.jenkins(branch), *steps)
    assert run.outcome("reproduce") == ("passed" if runs else "skipped"), run.out
    assert run.record["reproduce"]["reason"]


def test_a_full_disk_is_said_and_leaves_nothing_half_written(
    http_world: World, small_disk: Callable[[Path], None]
) -> None:
    http_world.git(http_world.author, "checkout", "-q", "-B", "b", "main")
    (http_world.author / "data" / "english" / "long.txt").write_text("words and more words\n" * 100_000)  # 2 MB
    http_world.dvc("add", "-q", "data/english")
    http_world.dvc("push", "-q", "-r", "author")
    http_world.branch("b", {"src/clean.py": CLEAN + "\n"}, start="b")
    root = http_world.clone("origin/b")
    small_disk(root / ".dvc" / "cache")
    run = http_world.run(root, http_world.jenkins("b") | {"MLBUTLER_DATA_MIRROR": ""})
    assert run.code == 3, run.out + run.err
    assert "space" in run.record["sync"]["reason"]
    assert run.record["sync"]["remedy"]
    assert not list((root / ".dvc" / "cache").rglob("*.tmp"))


def test_that_all_is_pushed_is_remembered_until_something_changes(http_world: World, http: Remote) -> None:
    """The second answer reads nothing but the plan's signature; it says how old it is."""
    root = http_world.clone("origin/main")

    def check(*words: str) -> tuple[int, dict[str, Any], int]:
        asked = len(http.requests)
        run = http_world.run(root, {}, "pushed", *words, verb="check")
        return run.code, run.record["check"], len(http.requests) - asked

    assert http_world.run(root, {}, verb="plan").code == 0
    time.sleep(2.1)  # a file that was written just now could change once more within its time stamp
    assert http_world.run(root, {}, verb="plan").code == 0
    code, first, asked = check()
    assert (code, first["remembered"]) == (0, 0)
    assert asked > 0
    code, again, asked = check()
    assert (code, asked, again["checked"], again["remembered"]) == (0, 0, first["checked"], first["checked"])
    assert again["left_out"] == first["left_out"]
    assert "when last asked" in again["reason"]
    assert again["answers_age"] > 0
    shutil.rmtree(http_world.mirror / "mlbutler" / "state")
    lost = next(path for path in sorted((http.root / "files" / "md5").rglob("*")) if path.is_file())
    lost.unlink()
    assert check()[0] == 0  # by its age an answer of before, as it says
    assert check("--anew")[0] == 1
    raw = root / "data" / "english.dvc"
    raw.write_text(raw.read_text() + "meta: {note: changed}\n")
    code, _, asked = check()
    assert code == 1
    assert asked > 0


@pytest.mark.parametrize(("fault", "said"), [(401, "401"), (403, "403"), (500, "500"), ("down", "cannot be reached")])
def test_a_metric_on_a_remote_that_does_not_answer_is_not_known(
    http_world: World, http: Remote, fault: Any, said: str
) -> None:
    """`scores.toml` is kept by DVC: neither side has it here."""
    root = http_world.clone("origin/main")
    if fault == "down":
        http.close()
    else:
        http.faults[""] = [fault]
    run = http_world.run(root, {}, verb="compare")
    assert run.code == 3, run.out + run.err
    assert said in run.record["compare"]["reason"]
    assert run.record["compare"]["outcome"] == "not known"
    [[_, why]] = [pair for pair in run.record["compare"]["not_judged"] if pair[0] == "scores.toml"]
    assert "the remote could not be asked: " in why
    assert said in why
    asked = len(http.requests)
    assert http_world.run(root, {}, verb="plan").code == 3  # not known: lists of files are on that remote alone
    assert len(http.requests) - asked <= 4  # a remote that is down is not asked for each stage


def test_a_metric_that_is_nowhere_is_not_judged(http_world: World, http: Remote) -> None:
    root = http_world.clone("origin/main")
    shutil.rmtree(http.root / "files")
    run = http_world.run(root, {}, verb="compare")
    assert run.code in (0, 1), run.out + run.err
    assert {gate["outcome"] for gate in run.record["compare"]["gates"]} <= {"failed", "not judged"}
    assert ["scores.toml", "here: in neither cache, mirror nor remote"] in run.record["compare"]["not_judged"]
