"""Is dvc.lock up to date?"""

from __future__ import annotations

import subprocess
from pathlib import Path

from mlbutler.project.lock_check import check_lock, leftovers
from mlbutler.project.project import Project
from tests.project.conftest import dvc


def findings(root: Path) -> dict[str, str]:
    return {finding.subject: finding.remedy for finding in check_lock(Project(root, {}).planning.plan()).findings}


def test_a_good_lock_has_no_findings_without_data(with_manifests: Path) -> None:
    assert findings(with_manifests) == {}


def test_stale_stages_are_named_with_the_command_that_mends_them(with_manifests: Path) -> None:
    (with_manifests / "src" / "prepare.py").write_text("# new\n")
    found = findings(with_manifests)
    assert set(found) == {"prepare", "train@1", "train@2", "final"}
    assert found["train@1"] == "dvc repro train@1"


def test_an_entry_of_a_stage_that_is_gone_is_a_note(with_manifests: Path) -> None:
    """DVC keeps it forever, and `dvc status` says nothing of it."""
    text = (with_manifests / "dvc.yaml").read_text()
    (with_manifests / "dvc.yaml").write_text(text.replace("  final:", "  last:"))
    assert set(findings(with_manifests)) == {"last"}
    entries = Project(with_manifests, {}).stages.orphans
    assert entries == (("dvc.lock", "final"),)
    assert leftovers(entries) == ("dvc.lock keeps what no dvc.yaml declares any more, which harms nothing: final",)


def test_words_that_older_yaml_takes_for_others_are_names(tmp_path: Path) -> None:
    """A stage "no" with an output "yes": DVC writes both without quotes."""
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    dvc(tmp_path, "init", "-q")
    (tmp_path / "params.yaml").write_text("lr: 1e-3\n")
    stage = 'stages:\n  "no":\n    cmd: echo 1 > yes\n    params: [lr]\n    outs: ["yes"]\n'
    (tmp_path / "dvc.yaml").write_text(stage)
    dvc(tmp_path, "repro", "-q")
    assert "\n  no:\n" in (tmp_path / "dvc.lock").read_text()
    assert findings(tmp_path) == {}


def test_a_stage_that_always_runs_is_not_a_stale_lock(with_manifests: Path) -> None:
    text = (with_manifests / "dvc.yaml").read_text()
    (with_manifests / "dvc.yaml").write_text(text.replace("  pick:\n", "  pick:\n    always_changed: true\n"))
    assert findings(with_manifests) == {}
