"""Repositories that are not as the examples are: monorepos, submodules, odd names, broken files."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.world import DVC_YAML, SETTINGS, TRAIN, Run, World, make, params

ODD = (
    "a 'quoted' \"name\".txt", "two\nlines.txt", "ünï ☃.txt", "-rf.txt", "$(touch pwned).txt", "tab\there.txt",
    "#%?.txt",
)  # fmt: skip
MAKE = """
stages:
  make:
    cmd: python make.py
    deps: [make.py]
    outs: [made.txt]
"""


@pytest.fixture(scope="module")
def nested(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A monorepo: the project lies in a folder with a space, beside other code."""
    world = make(tmp_path_factory.mktemp("nested"), folder="teams/vision é/model")
    (world.author / "README.md").write_text("a monorepo\n")
    (world.author / "other").mkdir()
    (world.author / "other" / "code.py").write_text("print(1)\n")
    world.git(world.author, "add", "-A")
    world.git(world.author, "commit", "-qm", "beside it")
    world.push("main")
    return world


def changed(world: World, commit: str) -> set[str]:
    names = world.git(world.bare, "-c", "core.quotePath=false", "diff", "--name-only", f"{commit}^", commit)
    return set(names.splitlines())


def test_a_project_in_a_folder_of_a_monorepo(nested: World) -> None:
    run = nested.change("better", {"params.yaml": params(0.02)})
    assert run.code == 0, run.err
    assert run.record["change"]["target_branch"] == "main"
    commit = run.record["commit"]["commit"]
    assert nested.git(nested.bare, "rev-parse", "better") == commit
    where = "teams/vision é/model"
    assert changed(nested, commit) == {f"{where}/dvc.lock", f"{where}/metrics.json", f"{where}/curve.csv"}
    again = nested.run(nested.clone(commit), nested.jenkins("better", 2))
    assert again.code == 0
    assert again.record["plan"]["reason"] == "nothing is stale: 2 of 2 stages up to date"


def test_a_change_beside_the_project_makes_nothing_stale(nested: World) -> None:
    nested.git(nested.author, "checkout", "-q", "-B", "beside", "main")
    (nested.author / "other" / "code.py").write_text("print(2)\n")
    nested.git(nested.author, "commit", "-qam", "other code")
    nested.push("beside")
    run = nested.run(nested.clone("origin/beside"), nested.jenkins("beside", 3))
    assert run.code == 0
    assert run.record["plan"]["reason"] == "nothing is stale: 2 of 2 stages up to date"
    assert run.outcome("commit") != "failed"


def test_two_projects_in_one_repository_do_not_touch_each_other(nested: World) -> None:
    nested.git(nested.author, "checkout", "-q", "-B", "two", "main")
    second = nested.author / "second"
    second.mkdir()
    (second / "dvc.yaml").write_text(MAKE)
    (second / "make.py").write_text("open('made.txt', 'w').write('made')\n")
    for words in (["init", "-q", "--subdir"], ["remote", "add", "-q", "-d", "shared", str(nested.directory / "second")],
                  ["repro", "-q"], ["push", "-q"]):  # fmt: skip
        nested.shell(second, "python", "-m", "dvc", *words)
    nested.git(nested.author, "add", "-A")
    nested.git(nested.author, "commit", "-qm", "a second project")
    (second / "make.py").write_text("open('made.txt', 'w').write('made again')\n")
    nested.git(nested.author, "commit", "-qam", "only the second one changes")
    nested.push("two")
    clone = nested.clone("origin/two")
    top = Path(nested.git(clone, "rev-parse", "--show-toplevel"))
    first = nested.run(clone, nested.jenkins("two", 4), "--only", "plan")
    assert [stage["name"] for stage in first.record["plan"]["stages"]] == ["prepare", "train"]
    assert first.record["plan"]["reason"] == "nothing is stale: 2 of 2 stages up to date"
    # The target branch has no such project, and so no such remote.
    allowed = {"MLBUTLER_REMOTE_HOSTS": str(nested.directory / "second"), "MLBUTLER_DATA_REMOTE": "shared"}
    run = nested.run(top / "second", nested.jenkins("two", 4) | allowed)
    assert run.code == 0, run.err
    assert changed(nested, run.record["commit"]["commit"]) == {"second/dvc.lock"}


def test_a_submodule_stays_as_it_is(world: World) -> None:
    library = world.directory / "library"
    world.git(world.directory, "init", "-q", "-b", "main", str(library))
    (library / "lib.py").write_text("VERSION = 1\n")
    world.git(library, "add", "-A")
    world.git(library, "commit", "-qm", "a library")
    world.git(world.author, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(library), "library")
    world.git(world.author, "commit", "-qm", "a submodule")
    world.push("main")
    before = world.git(world.author, "rev-parse", "HEAD:library")
    world.branch("better", {"params.yaml": params(0.02)})
    run = world.run(world.clone("origin/better"), world.jenkins("better"))  # the submodule is not checked out
    assert run.code == 0, run.err
    assert world.git(world.bare, "rev-parse", "better:library") == before
    assert changed(world, run.record["commit"]["commit"]) == {"dvc.lock", "metrics.json", "curve.csv"}


def test_names_that_shells_and_parsers_stumble_over(world: World) -> None:
    world.git(world.author, "checkout", "-q", "-B", "odd", "main")
    raw = world.author / "data" / "raw"
    for name in ODD:
        (raw / name).write_text(f"words of {name!r}")
    stages = DVC_YAML.replace("outs: [model.txt]", 'outs: ["mo del\'s é.txt"]')
    (world.author / "dvc.yaml").write_text(stages)
    (world.author / "src" / "train.py").write_text(TRAIN.replace('"model.txt"', '"mo del\'s é.txt"'))
    world.dvc("add", "-q", "data/raw")
    world.share()
    world.git(world.author, "add", "-A")
    world.git(world.author, "commit", "-qm", "odd names")
    world.push("odd")
    run = world.run(world.clone("origin/odd"), world.jenkins("odd"))
    assert run.code == 0, run.err
    assert {path.name for path in (run.root / "prepared").iterdir()} >= set(ODD)
    assert (run.root / "mo del's é.txt").read_text().startswith("model of")
    assert not list(run.root.rglob("pwned"))
    fresh = world.clone("origin/odd")
    assert world.run(fresh, {}, "--all", verb="sync").code == 0
    assert {path.name for path in (fresh / "data" / "raw").iterdir()} >= set(ODD)
    assert world.shell(fresh, "python", "-m", "dvc", "status", "--json") == "{}"


def no_target(world: World, root: Path) -> dict[str, str]:
    return world.jenkins("bad", CHANGE_TARGET="no-such-branch")


def unrelated(world: World, root: Path) -> dict[str, str]:
    world.git(root, "checkout", "-q", "--orphan", "elsewhere")
    world.git(root, "commit", "-qm", "no parent")
    world.git(root, "push", "-q", "origin", "elsewhere")
    return world.jenkins("elsewhere")


def no_dvc_project(world: World, root: Path) -> dict[str, str]:
    world.git(root, "rm", "-rq", ".dvc")
    world.git(root, "commit", "-qm", "no project")
    for path in (root / ".dvc").rglob("*"):
        path.unlink()
    (root / ".dvc").rmdir() if (root / ".dvc").exists() else None
    return {}


def broken_stages(world: World, root: Path) -> dict[str, str]:
    (root / "dvc.yaml").write_text("stages:\n  train: [not, a, stage\n")
    return {}


def unknown_stage_key(world: World, root: Path) -> dict[str, str]:
    (root / "dvc.yaml").write_text("stages:\n  train:\n    cmd: true\n    dependencies: [x]\n")
    return {}


def broken_lock(world: World, root: Path) -> dict[str, str]:
    (root / "dvc.lock").write_text("<<<<<<< ours\nschema: '2.0'\n=======\n>>>>>>> theirs\n")
    return {}


def unknown_setting(world: World, root: Path) -> dict[str, str]:
    (root / "mlbutler.toml").write_text("[reproduce]\ntimeuot = 3\n")
    return {}


def broken_settings(world: World, root: Path) -> dict[str, str]:
    (root / "mlbutler.toml").write_text("[reproduce\n")
    return {}


def no_commits(world: World, root: Path) -> dict[str, str]:
    for path in (root / ".git").rglob("HEAD"):
        path.write_text("ref: refs/heads/nothing-yet\n")
    return {}


BAD: list[tuple[Callable[[World, Path], dict[str, str]], int, str, str]] = [
    (no_target, 2, "no-such-branch", "project.target"),
    (unrelated, 2, "no common history", "--against"),
    (no_dvc_project, 2, "DVC project", "dvc init"),
    (broken_stages, 2, "dvc.yaml", ""),
    (unknown_stage_key, 2, "dvc.yaml", ""),
    (broken_lock, 2, "dvc.lock", ""),
    (unknown_setting, 2, "timeuot", "timeout"),
    (broken_settings, 2, "mlbutler.toml", ""),
    (no_commits, 2, "no commits", "Commit something"),
]


@pytest.mark.parametrize(("damage", "code", "said", "remedy"), BAD, ids=[bad[0].__name__ for bad in BAD])
def test_bad_input_is_said_with_its_remedy_and_changes_nothing(
    world: World, damage: Callable[[World, Path], dict[str, str]], code: int, said: str, remedy: str
) -> None:
    root = world.clone("origin/main")
    environ = damage(world, root)
    before = state(root)
    run = world.run(root, environ)
    assert run.code == code, run.err
    assert said in run.err, run.err
    assert remedy in run.err, run.err
    assert "Traceback" not in run.err
    assert state(root) == before


def state(root: Path) -> tuple[str, ...]:
    """What Git sees of a clone."""
    asked = ("status --porcelain -z --untracked-files=no", "log --format=%H --all", "symbolic-ref HEAD")
    return tuple(
        subprocess.run(["git", *words.split()], cwd=root, capture_output=True, text=True, check=False).stdout
        for words in asked
    )


def test_outside_of_a_repository(world: World, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    run = world.run(empty, {"GIT_CEILING_DIRECTORIES": str(tmp_path)})
    assert run.code == 2
    assert "git repository" in run.err
    assert not list(empty.iterdir())


def markdown(run: Run) -> Path:
    return next((run.root / ".mlbutler").rglob("*.md"))


METRICS = {
    "nan": ("NaN", "which is not a number"), "infinite": ("Infinity", "which is not a number"),
    "text": ('"very good"', "which is not a number"), "list": ("[1, 2]", ""),
    "deep": ('{"a": {"b": {"c": [{"d": 1}]}}}', ""),
}  # fmt: skip


def measuring(values: dict[str, str]) -> str:
    """Return a program like TRAIN that writes these metrics."""
    text = ", ".join(f'"{name}": {value}' for name, value in values.items())
    return f"{TRAIN}\nopen('metrics.json', 'w').write({'{' + text + '}'!r})\n"


@pytest.fixture(scope="module")
def odd_metrics(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A pull request that makes something odd of metrics that were numbers, each of which has a gate."""
    gates = "".join(f'[[gate]]\nmetric = "metrics.json:{name}"\nmax_drop = 0.01\n' for name in METRICS)
    files = {"src/train.py": measuring(dict.fromkeys(METRICS, "0.9")), "mlbutler.toml": SETTINGS + gates}
    world = make(tmp_path_factory.mktemp("odd") / "world", files=tuple(files.items()))
    return world.change("odd", {"src/train.py": measuring({name: value for name, (value, _) in METRICS.items()})})


@pytest.mark.parametrize(("name", "said"), [(name, said) for name, (_, said) in METRICS.items()])
def test_odd_metrics_are_said_and_a_gate_on_them_is_no_pass(odd_metrics: Run, name: str, said: str) -> None:
    run = odd_metrics
    assert run.code == 1, run.err  # the gates could not be judged
    assert "Traceback" not in run.err
    (gate,) = [gate for gate in run.record["compare"]["gates"] if gate["metric"] == f"metrics.json:{name}"]
    assert gate["outcome"] in ("failed", "not judged")
    assert said in gate["sentence"]
    assert name in markdown(run).read_text()


def test_a_metric_file_that_is_not_written_any_more(world: World) -> None:
    stages = DVC_YAML.replace("    metrics: [{metrics.json: {cache: false}}]\n", "")
    world.git(world.author, "checkout", "-q", "-B", "gone", "main")
    world.git(world.author, "rm", "-q", "metrics.json")
    world.git(world.author, "commit", "-qm", "no metrics")
    (world.author / "dvc.yaml").write_text(stages)
    (world.author / "src" / "train.py").write_text(TRAIN.replace('open("metrics.json", "w")', 'open("/dev/null", "w")'))
    world.git(world.author, "commit", "-qam", "no metrics any more")
    world.push("gone")
    run = world.run(world.clone("origin/gone"), world.jenkins("gone"))
    assert run.code == 1, run.err
    assert {metric["verdict"] for metric in run.record["compare"]["metrics"]} == {"gone"}


def test_a_metric_file_above_the_limit(world: World) -> None:
    train = TRAIN + 'open("metrics.json", "a").write(" " * (21 << 20))\n'
    run = world.change("huge", {"src/train.py": train})
    assert "Traceback" not in run.err
    assert run.code in (0, 1)
    compared = json.dumps(run.record["compare"])
    assert "too large" in compared or "larger" in compared
    assert "larger than 20 MB" in run.record["compare"]["reason"]
    assert markdown(run).stat().st_size < 1 << 20


def test_a_pull_request_mends_what_is_broken_on_the_target_branch(world: World) -> None:
    stages = (world.author / "dvc.yaml").read_text()
    world.branch("broken", {"dvc.yaml": "stages: ["})
    world.git(world.author, "push", "-q", "-f", "origin", "broken:main")
    world.branch("fixed", {"dvc.yaml": stages, "params.yaml": params(0.02)}, start="broken")
    run = world.run(world.clone("origin/fixed"), world.jenkins("fixed"))
    assert run.code == 0, run.err
    assert run.outcome("reproduce") == run.outcome("commit") == "passed"
    subject, reason = run.record["compare"]["not_judged"][0]
    assert subject == "the target"
    assert "dvc.yaml" in reason
    assert run.record["compare"]["old_rev"] == run.record["change"]["base"]
    assert "dvc.yaml cannot be read" in run.record["compare"]["old_problem"]
    assert "dvc.yaml" in markdown(run).read_text()


def test_a_password_in_local_settings_that_did_not_fit_the_remote_of_then(world: World) -> None:
    """The change moves the remote to HTTP; DVC refuses a password for the directory that it was before."""
    config = (world.author / ".dvc" / "config").read_text()
    world.branch("http", {".dvc/config": config.replace(str(world.directory), "http://127.0.0.1:1")})
    root = world.clone("origin/http")
    assert "http://127.0.0.1:1" in (root / ".dvc" / "config").read_text()
    name = re.findall(r'remote "(\w+)"', config)[0]
    world.shell(root, "python", "-m", "dvc", "remote", "modify", "--local", name, "password", "pa55word-long")
    run = world.run(root, {}, "--json", "--against", "origin/http~1", verb="compare")
    assert run.code == 0, run.err
    assert run.record["compare"]["metrics"]
    assert not [subject for subject, _ in run.record["compare"]["not_judged"] if subject == "the target"]


@pytest.mark.parametrize("path", ["metrics.json", "data/raw/pipe", "model.txt"])
def test_a_pipe_in_the_place_of_a_file_is_said_and_not_waited_for(world: World, path: str) -> None:
    root = world.clone("origin/main")
    world.run(root, {}, "--all", verb="sync")
    (root / path).unlink(missing_ok=True)
    os.mkfifo(root / path)
    run = world.run(root, {}, verb="plan")
    assert run.code == 2, run.err
    assert f"{path} is neither a file nor a folder" in run.err
    assert f"rm {path}" in run.err


def test_a_project_from_the_days_of_dvc_2(world: World) -> None:
    """Lock files without hash names, objects without the `files/md5` prefix."""
    for name in ("dvc.lock", "data/raw.dvc"):
        path = world.author / name
        path.write_text("".join(line for line in path.read_text().splitlines(keepends=True) if "hash: md5" not in line))
    for folder in (world.remote / "files" / "md5").iterdir():
        folder.rename(world.remote / folder.name)
    (world.remote / "files" / "md5").rmdir()
    (world.remote / "files").rmdir()
    world.git(world.author, "commit", "-qam", "as DVC 2 wrote it")
    world.push("main")
    same = world.change("same", {"README.md": "words"})
    assert same.code == 0, same.err
    assert same.record["plan"]["reason"] == "nothing is stale: 2 of 2 stages up to date"
    assert same.outcome("check") == "passed"
    run = world.change("better", {"params.yaml": params(0.05)}, number=2)
    assert run.code == 0, run.err
    states = {stage["name"]: stage["state"] for stage in run.record["plan"]["stages"]}
    assert states == {"prepare": "up to date", "train": "stale"}
    colleague = world.clone("origin/better")
    world.shell(colleague, "python", "-m", "dvc", "pull", "-q")
    assert (colleague / "model.txt").read_text().endswith("at 0.05")
    again = world.run(world.clone("origin/better"), world.jenkins("better", 3))
    assert again.record["plan"]["reason"] == "nothing is stale: 2 of 2 stages up to date"
