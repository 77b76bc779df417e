"""`mlbutler board`, as a user sees it: experiments of a real repository, in a clone without data."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import mlbutler
from mlbutler.commands.board.displayed import DisplayedCommit
from mlbutler.commands.board.rows import rows_of
from mlbutler.commitback.earlier import BUILD, REPRODUCED
from mlbutler.experiments.experiment import Experiment, Measure, experiment_id
from mlbutler.experiments.refs import Experiments
from mlbutler.experiments.state import State
from mlbutler.git import Git
from mlbutler.git.log import LoggedCommit
from mlbutler.project.snapshot import SnapshotReader
from mlbutler.record import Change
from tests.commands.conftest import Cli
from tests.project.conftest import commit, dvc

VERB = "board"
DVC_YAML = """\
metrics: [m.json]
params: [params.yaml]
plots:
  - curves: {x: step, y: loss}
"""


def git(root: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def measure(root: Path, accuracy: float, rate: float, message: str) -> str:
    (root / "m.json").write_text(json.dumps({"accuracy": accuracy, "note": "=1+1"}))
    (root / "params.yaml").write_text(f"rate: {rate}\n")
    (root / "curves").mkdir(exist_ok=True)
    (root / "curves" / "train.tsv").write_text(f"step\tloss\n0\t1.0\n1\t{1 - accuracy:.3f}\n")
    return commit(root, message)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`main` with three commits, one of which changed nothing, a pull request, a merged branch, a DVC experiment."""
    root = tmp_path_factory.mktemp("board") / "project"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    dvc(root, "init", "-q")
    (root / "dvc.yaml").write_text(DVC_YAML)
    measure(root, 0.8, 0.1, "first")
    git(root, "checkout", "-q", "-b", "merged")
    measure(root, 0.85, 0.2, "on a merged branch")
    git(root, "checkout", "-q", "main")
    git(root, "-c", "user.name=Ada", "-c", "user.email=a@b.c", "merge", "-q", "--no-ff", "-m", "merge it", "merged")
    (root / "README").write_text("words\n")
    main = commit(root, "words only")
    git(root, "checkout", "-q", "-b", "try")
    tip = measure(root, 0.9, 0.3, "</script> a pull request")
    git(root, "update-ref", "refs/pull/7/head", tip)
    git(root, "checkout", "-q", "--detach", main)
    saved = measure(root, 0.95, 0.4, "experiment")
    git(root, "update-ref", f"refs/exps/{main[:2]}/{main[2:]}/sweep-1", saved)
    git(root, "update-ref", "refs/exps/stash", saved)
    git(root, "checkout", "-q", "main")
    report = git(root, "-c", "user.name=Ada", "-c", "user.email=a@b.c", "commit-tree", "HEAD^{tree}", "-m", "Report")
    git(root, "update-ref", "refs/heads/mlbutler/report-7", report)  # which is no experiment
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "project"
    shutil.copytree(made, root, symlinks=True)
    monkeypatch.chdir(root)
    return root


def run_json(cli: Cli, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert cli("--json", *words) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def refuse(*_: object) -> None:
    raise AssertionError("DVC was asked again")


def by_name(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in found["experiments"]}


def test_commits_pull_requests_and_experiments_each_against_its_baseline(
    root: Path, cli: Cli, capsys: pytest.CaptureFixture[str]
) -> None:
    found = run_json(cli, capsys)
    rows = by_name(found)
    assert (found["target"], found["main"]) == ("main", "m.json:accuracy")
    assert set(rows) == {"first", "merge it", "words only", "</script> a pull request", "sweep-1"}
    pull, saved, words = rows["</script> a pull request"], rows["sweep-1"], rows["words only"]
    assert (pull["kind"], pull["branch"], pull["pull_request"]) == ("pull request", "try", "7")
    assert (saved["kind"], saved["branch"], saved["author"]) == ("experiment", "", "")
    assert pull["baseline"] == saved["baseline"] == words["commit"]
    assert (pull["metrics"]["m.json:accuracy"], pull["params"]) == (0.9, {"params.yaml:rate": 0.3})
    assert [rows[name]["unchanged"] for name in ("words only", "merge it", "first")] == [True, False, False]


def test_commits_of_merged_branches_where_they_are_asked_for(
    root: Path, cli: Cli, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = by_name(run_json(cli, capsys, "--all-commits"))
    assert rows["on a merged branch"]["branch"] == "merged"
    assert rows["on a merged branch"]["baseline"] == rows["first"]["commit"]


def test_what_was_read_once_is_not_read_again(
    root: Path, cli: Cli, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = run_json(cli, capsys)
    monkeypatch.setattr(SnapshotReader, "open_at_commit", refuse)
    assert run_json(cli, capsys) == before
    newest = measure(root, 0.7, 0.5, "new, with the same dvc.yaml")
    rows = by_name(run_json(cli, capsys))
    assert rows["new, with the same dvc.yaml"]["commit"] == newest
    assert rows["new, with the same dvc.yaml"]["metrics"]["m.json:accuracy"] == 0.7


def test_another_dvc_yaml_is_read_anew(root: Path, cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    run_json(cli, capsys)
    (root / "dvc.yaml").write_text("metrics: [other.json]\n")
    (root / "other.json").write_text('{"f1": 0.5}')
    commit(root, "another file")
    rows = by_name(run_json(cli, capsys))
    assert rows["another file"]["metrics"] == {"other.json:f1": 0.5}
    assert "m.json:accuracy" in rows["first"]["metrics"]


def test_a_folder_of_metrics_is_listed_at_each_commit(root: Path, cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "dvc.yaml").write_text("metrics: [folder]\n")
    (root / "folder").mkdir()
    (root / "folder" / "a.json").write_text("1")
    commit(root, "one")
    (root / "folder" / "b.json").write_text("2")
    commit(root, "two")
    rows = by_name(run_json(cli, capsys))
    assert set(rows["one"]["metrics"]) == {"folder/a.json:value"}
    assert set(rows["two"]["metrics"]) == {"folder/a.json:value", "folder/b.json:value"}


def test_paths_that_params_fill_in_are_those_of_each_commit(
    root: Path, cli: Cli, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "dvc.yaml").write_text("vars: [params.yaml]\nstages:\n  s:\n    cmd: 'true'\n"
                                   "    metrics: [{'${name}.json': {cache: false}}]\n")  # fmt: skip
    for name in ("one", "two"):
        (root / "params.yaml").write_text(f"name: {name}\n")
        (root / f"{name}.json").write_text('{"f1": 0.5}')
        commit(root, name)
    rows = by_name(run_json(cli, capsys))
    assert set(rows["one"]["metrics"]) == {"one.json:f1"}
    assert set(rows["two"]["metrics"]) == {"two.json:f1"}


def test_a_metric_that_is_only_in_the_cache(
    root: Path, tmp_path: Path, cli: Cli, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "dvc.yaml").write_text("stages:\n  s:\n    cmd: 'true'\n    metrics: [c.json]\n")
    (root / "c.json").write_text('{"f1": 0.25}')
    dvc(root, "commit", "-q", "-f", "s")
    commit(root, "cached")
    assert by_name(run_json(cli, capsys))["cached"]["metrics"] == {"c.json:f1": 0.25}
    kept = shutil.move(root / ".dvc" / "cache", tmp_path / "kept")
    shutil.rmtree(root / ".mlbutler")
    found = run_json(cli, capsys)
    assert by_name(found)["cached"]["metrics"] == {}
    assert by_name(found)["cached"]["state"] == "c.json: not here"
    assert "1 commit has metrics in DVC's cache" in found["notes"][0]
    with monkeypatch.context() as patched:
        patched.setattr(SnapshotReader, "open_at_commit", refuse)
        assert run_json(cli, capsys) == found
    shutil.copytree(kept, root / ".dvc" / "cache")
    assert by_name(run_json(cli, capsys))["cached"]["metrics"] == {"c.json:f1": 0.25}


def test_experiments_that_were_trained_elsewhere(root: Path, cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    main = git(root, "rev-parse", "main")
    id = experiment_id(main, "", ())
    experiment = Experiment(
        id=id, name="far-1", grid="far", baseline=main, input=main, state=State.FAILED, reason="it ended with 3",
        overrides=("rate=0.7", "other.yaml:n=2"), metrics=(Measure(file="m.json", name="accuracy", value=0.5),),
        submitted=2e9, user="Grace", build="https://jenkins.example/job/train/3/",
    )  # fmt: skip
    Experiments(Git(root)).create(experiment)
    row = run_json(cli, capsys)["experiments"][0]
    assert (row["name"], row["kind"], row["author"]) == ("far-1", "training", "Grace")
    assert row["state"] == "failed: it ended with 3"
    assert row["params"] == {"params.yaml:rate": 0.7, "other.yaml:n": 2}
    assert row["metrics"] == {"m.json:accuracy": 0.5}
    assert row["links"] == {"build": "https://jenkins.example/job/train/3/"}
    assert row["baseline"] == main


def test_what_only_the_remote_has(root: Path, tmp_path: Path, cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    git(tmp_path, "clone", "-q", "--bare", "--mirror", str(root), "there.git")
    git(tmp_path, "clone", "-q", "--single-branch", str(tmp_path / "there.git"), "clone")
    clone = tmp_path / "clone"
    assert set(by_name(run_json(cli, capsys, "-C", str(clone)))) == {"first", "merge it", "words only"}
    found = by_name(run_json(cli, capsys, "-C", str(clone), "--fetch"))
    assert found["</script> a pull request"]["pull_request"] == "7"
    assert found["sweep-1"]["metrics"]["m.json:accuracy"] == 0.95
    assert git(clone, "for-each-ref", "refs/exps") == ""  # DVC sees no experiments of others


def test_a_page_is_written_and_a_clone_without_its_project_is_refused(
    root: Path, tmp_path: Path, cli: Cli, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli() == 0
    assert "5 experiments: " in capsys.readouterr().out
    page = (root / ".mlbutler" / "board" / "index.html").read_text()
    assert "&lt;/script&gt; a pull request" in page
    assert git(root, "status", "--porcelain") == ""
    assert cli("-o", str(tmp_path / "public" / "page.html"), "--quiet") == 0
    assert (tmp_path / "public" / "page.html").read_text() == page
    assert cli("-o", str(tmp_path)) == 2
    assert cli("-o", str(tmp_path / "public" / "page.html" / "below.html")) == 3
    assert cli("-C", str(tmp_path)) == 2
    assert cli("--csv", "--json") == 2


@pytest.mark.parametrize(
    ("repository", "commit", "pull"),
    [
        ("git@github.com:team/p.git", "https://github.com/team/p/commit/{}", "https://github.com/team/p/pull/7"),
        ("https://gitlab.com/a/b/c.git", "https://gitlab.com/a/b/c/-/commit/{}",
         "https://gitlab.com/a/b/c/-/merge_requests/7"),
        ("https://gitea.example:3000/a/b", "https://gitea.example:3000/a/b/commit/{}",
         "https://gitea.example:3000/a/b/pulls/7"),
        ("https://bitbucket.org/a/b.git", "https://bitbucket.org/a/b/commits/{}",
         "https://bitbucket.org/a/b/pull-requests/7"),
        ("/srv/git/p.git", "", ""),
    ],
)  # fmt: skip
def test_links_to_commit_pull_request_and_build(repository: str, commit: str, pull: str) -> None:
    oid = "a" * 40
    change = Change(ci="jenkins", kind="branch", head=oid, checkout=oid, repository=repository,
                    build_url="https://jenkins.example/job/p/7/")  # fmt: skip
    logged = LoggedCommit(oid, "", (), 0, "Ada", "subject", "", {BUILD: "https://jenkins.example/job/p/6/"})
    [row] = rows_of(change, [DisplayedCommit(logged, "try", "7")], {})
    wanted = {"commit": commit.format(oid), "pull request": pull, "build": "https://jenkins.example/job/p/7/",
              "report": "https://jenkins.example/job/p/7/mlbutler/"}  # fmt: skip
    assert row.links == {word: address for word, address in wanted.items() if address}
    [other] = rows_of(dataclasses.replace(change, checkout="b" * 40), [DisplayedCommit(logged, "try", "7")], {})
    assert other.links["build"] == "https://jenkins.example/job/p/6/"
    assert other.links["report"] == "https://jenkins.example/job/p/6/mlbutler/"
    reproduced = dataclasses.replace(logged, oid="c" * 40, trailers={})
    results = dataclasses.replace(logged, trailers={**logged.trailers, REPRODUCED: reproduced.oid})
    elsewhere = dataclasses.replace(change, checkout="b" * 40)
    assert [
        dict(row.links)["report"]
        for row in rows_of(elsewhere, [DisplayedCommit(results), DisplayedCommit(reproduced)], {})
    ] == ["https://jenkins.example/job/p/6/mlbutler/"] * 2
    github = dataclasses.replace(logged, trailers={BUILD: "https://github.com/team/p/actions/runs/6"})
    [row] = rows_of(elsewhere, [DisplayedCommit(github)], {})
    assert ("report" in row.links, row.links["build"]) == (False, "https://github.com/team/p/actions/runs/6")
    evil = dataclasses.replace(logged, trailers={BUILD: "javascript:alert(1)"})
    [row] = rows_of(dataclasses.replace(change, build_url=""), [DisplayedCommit(evil)], {})
    assert "build" not in row.links


def test_in_a_notebook(root: Path) -> None:
    found = mlbutler.board()
    rows = found if isinstance(found, list) else found.to_dict("records")
    assert {row["name"]: row["accuracy"] for row in rows}["sweep-1"] == 0.95
    assert Path.cwd() == root


def test_csv_where_no_text_is_a_formula(root: Path, cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli("--csv") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["name"] for row in rows if row["kind"] == "experiment"] == ["sweep-1"]
    assert {row["accuracy"] for row in rows} == {"0.8", "0.85", "0.9", "0.95"}
    assert {row["note"] for row in rows} == {"'=1+1"}
