"""What a stage lacks is found when it is planned, not after an hour; and what is not known is neither green nor red."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mlbutler.project.lock_check import check_lock
from mlbutler.project.project import Project
from mlbutler.record import StageState
from tests.project.conftest import Plan, commit, dvc

UP, STALE, CANNOT, NOT_KNOWN = (
    StageState.UP_TO_DATE, StageState.STALE, StageState.CANNOT_RUN, StageState.NOT_KNOWN,
)  # fmt: skip


def edit(root: Path, old: str, new: str, file: str = "dvc.yaml") -> None:
    text = (root / file).read_text()
    assert old in text
    (root / file).write_text(text.replace(old, new))


def test_a_file_that_nobody_keeps_is_named_and_the_other_stages_run(with_manifests: Path, plan: Plan) -> None:
    edit(with_manifests, "deps: [data/raw, src/prepare.py]", "deps: [data/raw, src/prepare.py, notes.txt]")
    edit(with_manifests, "picked.txt\n", "picked.txt && true\n")
    stages = plan(with_manifests)
    found = {name: stage.state for name, stage in stages.items()}
    assert found == {"prepare": CANNOT, "train@1": CANNOT, "train@2": CANNOT, "final": CANNOT, "pick": STALE}
    cause = next(cause for cause in stages["prepare"].causes if cause.kind == "missing")
    assert (cause.subject, cause.detail) == ("notes.txt", "in neither Git nor DVC, and no stage makes it")
    assert "git add notes.txt" in cause.remedy
    assert next((c.subject, c.detail) for c in stages["final"].causes) == ("train@1", "cannot run")
    assert stages["prepare"].needs == ()
    found_wrong = {finding.subject: finding for finding in check_lock(stages.values()).findings}
    assert {name: found_wrong[name].remedy for name in ("prepare", "train@1", "final")} == dict.fromkeys(
        ("prepare", "train@1", "final"), cause.remedy
    )  # no `dvc repro` of a stage helps while one before it cannot run
    assert found_wrong["final"].problem.count("upstream train@1: cannot run") == 1
    assert found_wrong["pick"].remedy == "dvc repro pick"


def test_a_file_that_was_deleted_is_the_same(with_manifests: Path, plan: Plan) -> None:
    (with_manifests / "src" / "prepare.py").unlink()
    stages = plan(with_manifests)
    assert stages["prepare"].state is CANNOT
    assert [(c.kind, c.subject) for c in stages["prepare"].causes] == [("missing", "src/prepare.py")]
    assert stages["pick"].state is UP


def test_a_file_that_is_in_no_version_of_a_directory_is_the_same(with_manifests: Path, plan: Plan) -> None:
    edit(with_manifests, 'deps: ["data/raw/f 1.txt"]', 'deps: ["data/raw/f 9.txt"]')
    assert plan(with_manifests)["pick"].state is CANNOT


def test_a_parameter_that_the_file_lacks_is_the_same(with_manifests: Path, plan: Plan) -> None:
    edit(with_manifests, "params: [n]", "params: [n, ./my.yaml:]")
    stage = plan(with_manifests)["train@1"]
    assert stage.state is CANNOT
    cause = next(cause for cause in stage.causes if cause.kind == "missing")
    assert "write `./my.yaml: null`" in cause.remedy


def test_a_date_in_the_parameters_is_found_before_the_stage_runs(full: Path, plan: Plan) -> None:
    """DVC fails with "Object of type date is not JSON serializable"."""
    (full / "day.yaml").write_text("day: 2024-01-01\n")
    edit(full, "params: [n]", "params: [n, {day.yaml: [day]}]")
    stage = plan(full)["train@1"]
    assert stage.state is CANNOT
    assert ("unreadable", "day.yaml:day") in {(cause.kind, cause.subject) for cause in stage.causes}
    (full / "day.yaml").write_text("day: '2024-01-01'\n")
    assert plan(full)["train@1"].state is STALE


def test_what_dvc_would_run_every_time_says_what_to_write(full: Path, plan: Plan) -> None:
    (full / "my.yaml").write_text("k: 1\n")
    (full / "nan.yaml").write_text("n: .nan\n")
    edit(
        full,
        "  pick:\n",
        "  dotted: {cmd: echo d > d.txt, params: [{./my.yaml: null}], outs: [d.txt]}\n"
        "  never: {cmd: echo e > e.txt, params: [{nan.yaml: [n]}], outs: [e.txt]}\n"
        "  pick:\n",
    )
    dvc(full, "repro", "-q", "dotted", "never")
    plans = Project(full, {}).planning.plan()
    found = {finding.subject: finding for finding in check_lock(plans).findings}
    assert set(found) == {"dotted", "never"}
    assert found["dotted"].remedy == "Write my.yaml instead of ./my.yaml in dvc.yaml."
    assert found["never"].remedy == "Write null, or a text instead."
    assert {cause.kind for stage in plans for cause in stage.causes} == {"always"}
    assert Project(full, {}).planning.not_up_to_date() == ()  # their outputs are those of what is here


@pytest.mark.parametrize("kind", ["remote that is not there", "remote without it", "no remote"])
def test_a_list_of_files_out_of_reach_is_not_known(bare: Path, tmp_path: Path, plan: Plan, kind: str) -> None:
    """Nothing is stale, and nothing can be said of the one file of the directory."""
    expected = {
        "remote that is not there": ("does not exist: /nonexistent/remote", "mount the disk"),
        "remote without it": ("the remote 'origin' does not have it", "dvc push -r origin data/raw"),
        "no remote": ("no DVC remote is configured", "dvc remote add --default"),
    }[kind]
    if kind == "remote without it":
        (tmp_path / "empty").mkdir()
        (bare / ".dvc" / "config.local").write_text(f"['remote \"origin\"']\n    url = {tmp_path / 'empty'}\n")
    if kind == "no remote":
        (bare / ".dvc" / "config.local").unlink()
        (bare / ".dvc" / "config").write_text("")
    stages = plan(bare)
    assert {name for name, stage in stages.items() if stage.state is NOT_KNOWN} == {"pick"}
    assert {stage.state for name, stage in stages.items() if name != "pick"} == {UP}
    (cause,) = stages["pick"].causes
    assert (cause.kind, cause.subject) == ("not known", "data/raw/f 1.txt")
    assert expected[0] in cause.detail
    assert expected[1] in cause.remedy
    checked = check_lock(stages.values())
    assert (checked.findings, [finding.subject for finding in checked.undetermined]) == ((), ["pick"])
    assert "dvc repro" not in checked.undetermined[0].remedy


def test_a_frozen_stage_whose_uncached_output_is_gone_cannot_be_asked_for_it(full: Path, plan: Plan) -> None:
    edit(full, "  final:\n", "  show: {cmd: cp m1.json shown.json, deps: [m1.json], outs: [shown.json]}\n  final:\n")
    edit(full, "  train:\n", "  train:\n    frozen: true\n")
    (full / "m1.json").unlink()
    stage = plan(full)["show"]
    assert stage.state is CANNOT
    cause = next(cause for cause in stage.causes if cause.kind == "missing")
    assert (cause.subject, "frozen" in cause.detail) == ("m1.json", True)


def test_what_is_in_the_run_cache_needs_nothing(full: Path, plan: Plan) -> None:
    edit(full, "n: 5", "n: 6", "params.yaml")
    dvc(full, "repro", "-q")
    commit(full, "six")
    edit(full, "n: 6", "n: 5", "params.yaml")
    shutil.rmtree(full / "model1")
    assert plan(full)["train@1"].state is StageState.RESTORABLE


def test_what_an_ignored_file_of_dvcs_tracks_is_told_from_what_nobody_tracks(with_manifests: Path, plan: Plan) -> None:
    with (with_manifests / ".gitignore").open("a") as ignored:
        ignored.write("/data/raw.dvc\n")
    stages = plan(with_manifests)
    causes = {cause.subject: cause for cause in (*stages["prepare"].causes, *stages["pick"].causes)}
    for path in ("data/raw", "data/raw/f 1.txt"):
        assert causes[path].kind == "missing"
        assert causes[path].detail.startswith("data/raw.dvc tracks it, but DVC does not read that file")
        assert "git check-ignore --verbose --no-index data/raw.dvc" in causes[path].remedy
