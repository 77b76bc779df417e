"""What is stale, and why: with all data present, and in a clone that holds none."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from mlbutler.errors import ProjectError, UsageError
from mlbutler.project.project import Project
from mlbutler.record import StageState
from tests.project.conftest import Plan, commit, dvc

UP, STALE, RESTORABLE, FROZEN = StageState.UP_TO_DATE, StageState.STALE, StageState.RESTORABLE, StageState.FROZEN


def not_up_to_date(root: Path) -> tuple[str, ...]:
    return tuple(stage.name for stage in Project(root, {}).planning.not_up_to_date())


def causes(stage: object) -> set[tuple[str, str]]:
    return {(cause.kind, cause.subject) for cause in stage.causes}  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["full", "with_manifests"])
def test_nothing_is_stale_after_a_reproduction(kind: str, request: pytest.FixtureRequest, plan: Plan) -> None:
    stages = plan(request.getfixturevalue(kind))
    assert list(stages) == ["prepare", "pick", "train@1", "train@2", "final"] or set(stages) == {
        "prepare", "pick", "train@1", "train@2", "final",
    }  # fmt: skip
    assert {stage.state for stage in stages.values()} == {UP}
    assert all(stage.needs == () for stage in stages.values())


@pytest.mark.parametrize("kind", ["full", "with_manifests"])
def test_changed_code_makes_its_stage_and_those_after_it_stale(
    kind: str, request: pytest.FixtureRequest, plan: Plan
) -> None:
    root = request.getfixturevalue(kind)
    (root / "src" / "prepare.py").write_text("# something\n")
    stages = plan(root)
    assert causes(stages["prepare"]) == {("code", "src/prepare.py")}
    assert causes(stages["train@1"]) == {("upstream", "prepare")}
    assert causes(stages["final"]) == {("upstream", "train@1"), ("upstream", "train@2")}
    assert stages["pick"].state is UP
    assert stages["prepare"].needs == ("data/raw",)
    assert stages["train@1"].needs == ()  # what it reads is made again


def test_a_changed_param_names_old_and_new_value(with_manifests: Path, plan: Plan) -> None:
    (with_manifests / "params.yaml").write_text("n: 6\nother: 2\n")
    stages = plan(with_manifests)
    found = {cause.subject: cause.detail for cause in stages["train@1"].causes}
    assert found["params.yaml:n"] == "5 → 6"
    assert "params.yaml:other" not in found
    assert stages["train@1"].needs == ("prepared.txt",)
    assert stages["prepare"].state is UP


def test_changed_data_is_seen_in_a_clone_without_data(with_manifests: Path, master: Path, plan: Plan) -> None:
    pointer = with_manifests / "data" / "raw.dvc"
    text = pointer.read_text()
    before = next(line.split()[-1] for line in text.splitlines() if "md5:" in line)
    pointer.write_text(text.replace(before, "0" * 32 + ".dir"))
    stages = plan(with_manifests)
    assert causes(stages["prepare"]) == {("data", "data/raw")}
    assert causes(stages["pick"]) == {("not known", "data/raw/f 1.txt")}  # nobody has the new list of files
    assert stages["pick"].state is StageState.NOT_KNOWN


def test_one_file_of_a_directory_is_compared_by_itself(full: Path, plan: Plan) -> None:
    (full / "data" / "raw" / "f 2.txt").write_text("changed\n")
    dvc(full, "add", "-q", "data/raw")
    stages = plan(full)
    assert stages["prepare"].state is STALE
    assert stages["pick"].state is UP


def test_an_undeclared_output_in_the_lock_is_not_up_to_date(full: Path, plan: Plan) -> None:
    """`dvc repro --allow-missing --dry` calls this up to date."""
    text = (full / "dvc.yaml").read_text()
    (full / "dvc.yaml").write_text(text.replace("outs: [final.txt]", "outs: [final.txt, more.txt]"))
    stages = plan(full)
    assert causes(stages["final"]) == {("output", "more.txt")}


def test_the_run_cache_makes_a_stage_restorable_and_what_follows_exact(full: Path, plan: Plan) -> None:
    (full / "params.yaml").write_text("n: 6\nother: 1\n")
    dvc(full, "repro", "-q")
    (full / "params.yaml").write_text("n: 5\nother: 1\n")
    stages = plan(full)
    assert stages["train@1"].state is RESTORABLE
    assert stages["train@2"].state is RESTORABLE
    assert stages["final"].state is UP  # the models are byte for byte the same
    shutil.rmtree(full / ".dvc" / "cache" / "runs")
    assert plan(full)["train@1"].state is STALE


def test_a_frozen_stage_stays_as_it_is(full: Path, plan: Plan) -> None:
    dvc(full, "freeze", "prepare")
    (full / "src" / "prepare.py").write_text("# something\n")
    stages = plan(full)
    assert stages["prepare"].state is FROZEN
    assert stages["train@1"].state is UP


def test_a_new_stage_was_never_run(with_manifests: Path, plan: Plan) -> None:
    with (with_manifests / "dvc.yaml").open("a") as file:
        file.write("  extra: {cmd: echo hi > extra.txt, deps: [final.txt], outs: [extra.txt]}\n")
    stages = plan(with_manifests)
    assert causes(stages["extra"]) == {("never run", "extra")}
    assert stages["extra"].needs == ("final.txt",)
    assert stages["final"].state is UP


def test_targets_restrict_the_plan_to_what_they_depend_on(with_manifests: Path, plan: Plan) -> None:
    assert set(plan(with_manifests, "train@1")) == {"prepare", "train@1"}
    assert set(plan(with_manifests, "train")) == {"prepare", "train@1", "train@2"}
    with pytest.raises(UsageError, match="There is no stage 'trian'") as error:
        plan(with_manifests, "trian")
    assert "train" in error.value.remedy


def test_an_output_that_nobody_keeps_is_made_again_when_needed(tmp_path: Path, plan: Plan) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    dvc(tmp_path, "init", "-q")
    (tmp_path / "dvc.yaml").write_text(
        "stages:\n"
        "  make: {cmd: cp in.txt made.txt, deps: [in.txt], outs: [{made.txt: {cache: false}}]}\n"
        "  read: {cmd: cp made.txt out.txt, deps: [made.txt, code.py], outs: [out.txt]}\n"
    )
    (tmp_path / "in.txt").write_text("1\n")
    (tmp_path / "code.py").write_text("1\n")
    dvc(tmp_path, "repro", "-q")
    (tmp_path / "made.txt").unlink()
    assert plan(tmp_path)["make"].state is UP
    (tmp_path / "code.py").write_text("2\n")
    stages = plan(tmp_path)
    assert stages["make"].state in (STALE, RESTORABLE)
    assert stages["read"].state is STALE


def test_a_changed_output_in_the_work_tree_is_noticed(full: Path, plan: Plan) -> None:
    (full / "m1.json").write_text('{"acc": 1.0}')
    assert causes(plan(full)["train@1"]) == {("output", "m1.json")}


def test_a_stage_in_a_sub_directory_is_named_as_dvc_names_it(full: Path, plan: Plan) -> None:
    (full / "sub").mkdir()
    (full / "sub" / "dvc.yaml").write_text(
        "stages:\n  inner: {cmd: cp ../final.txt inner.txt, deps: [../final.txt], outs: [inner.txt]}\n"
    )
    dvc(full, "repro", "-q", "sub/dvc.yaml")
    commit(full, "sub")
    assert plan(full)["sub/dvc.yaml:inner"].state is UP
    (full / "sub" / "dvc.yaml").write_text(
        "stages:\n  inner: {cmd: cat ../final.txt > inner.txt, deps: [../final.txt], outs: [inner.txt]}\n"
    )
    assert causes(plan(full)["sub/dvc.yaml:inner"]) == {("command", "sub/dvc.yaml:inner")}


def test_a_dvc_yaml_that_does_not_parse_is_an_error_with_a_remedy(full: Path) -> None:
    (full / "dvc.yaml").write_text("stages: [\n")
    with pytest.raises(ProjectError, match=r"dvc\.yaml") as error:
        Project(full, {}).planning.plan()
    assert error.value.remedy


def test_the_lock_of_dvc_2_is_read(full: Path, plan: Plan) -> None:
    """Such a lock has no `hash: md5`, and names text files by the hash of their normalised lines."""
    for file in (full / "dvc.lock", full / "data" / "raw.dvc"):
        lines = [line for line in file.read_text().splitlines() if "hash: md5" not in line]
        file.write_text("\n".join(lines) + "\n")
    assert {stage.state for stage in plan(full).values()} == {UP}


def test_what_is_stale_without_asking_any_cache(full: Path) -> None:
    assert not_up_to_date(full) == ()
    (full / "params.yaml").write_text("n: 6\nother: 1\n")
    assert not_up_to_date(full) == ("train@1", "train@2", "final")


def test_a_stage_that_always_runs_is_not_stale_for_that(full: Path) -> None:
    text = (full / "dvc.yaml").read_text().replace("  pick:\n", "  pick:\n    always_changed: true\n")
    (full / "dvc.yaml").write_text(text)
    dvc(full, "repro", "-q")
    assert not_up_to_date(full) == ()
    (full / "data" / "raw" / "f 1.txt").write_text("another\n")
    assert "pick" in not_up_to_date(full)
