"""Where DVC says "up to date" or "stale" and is wrong: its own answer beside ours, without data as CI has it.

Each test fails when DVC's answer changes too: then the case can go.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from mlbutler.project.lock_check import check_lock, leftovers
from mlbutler.project.project import Project
from tests import forked_python
from tests.project.conftest import dvc

CHANGED = "DVC gives another answer than it did: the comparison can go"


def dvc_would_run(root: Path, *targets: str) -> set[str]:
    """Stages that `dvc repro --allow-missing --dry` would run, as far as it gets: for want of data it may end there."""
    done = forked_python.run("dvc", "repro", "--allow-missing", "--dry", *targets, cwd=root)
    assert done.returncode == 0 or "No such file or directory" in done.stderr, done.stderr
    return set(re.findall(r"(?:Running stage|failed to reproduce) '(.*?)'", done.stdout + done.stderr))


def dvc_status(root: Path) -> dict[str, object]:
    done = forked_python.run("dvc", "status", "--json", cwd=root)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def ours(root: Path) -> set[str]:
    """Stages whose entry in dvc.lock is not up to date."""
    return {finding.subject for finding in check_lock(Project(root, {}).planning.plan()).findings}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that one stage makes and another reads a file of, from data that `dvc add` tracks."""
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    dvc(tmp_path, "init", "-q")
    (tmp_path / "in.txt").write_text("1\n2\n")
    (tmp_path / "dvc.yaml").write_text(
        "stages:\n"
        "  make: {cmd: mkdir -p d && cp in.txt d/a && echo b > d/b, deps: [in.txt], outs: [d]}\n"
        "  read: {cmd: cp d/a out.txt, deps: [d/a], outs: [out.txt]}\n"
    )
    dvc(tmp_path, "add", "-q", "in.txt")
    dvc(tmp_path, "repro", "-q")
    assert ours(tmp_path) == set()
    return tmp_path


def without_data(root: Path) -> None:
    shutil.rmtree(root / "d")
    (root / "out.txt").unlink()
    (root / "in.txt").unlink()


def test_a_dependency_inside_an_upstream_directory(project: Path) -> None:
    """Called up to date: DVC's #11099."""
    (project / "in.txt").write_text("another\n")
    dvc(project, "add", "-q", "in.txt")
    dvc(project, "repro", "-q", "-s", "make")  # the lock now contradicts itself
    without_data(project)
    assert dvc_would_run(project) == set(), CHANGED
    assert ours(project) == {"read"}


def test_an_output_that_the_lock_lacks(project: Path) -> None:
    """Called up to date."""
    text = (project / "dvc.yaml").read_text()
    (project / "dvc.yaml").write_text(text.replace("outs: [out.txt]", "outs: [out.txt, more.txt]"))
    without_data(project)
    assert dvc_would_run(project) == set(), CHANGED
    assert ours(project) == {"read"}


def test_an_entry_of_a_stage_that_is_gone(project: Path) -> None:
    """Passed over in silence: DVC keeps it forever. It makes nothing stale, and a note names it."""
    text = (project / "dvc.yaml").read_text()
    (project / "dvc.yaml").write_text(text[: text.index("  read:")])
    without_data(project)
    assert dvc_would_run(project) == set(), CHANGED
    assert ours(project) == set()
    note = "dvc.lock keeps what no dvc.yaml declares any more, which harms nothing: read"
    assert leftovers(Project(project, {}).stages.orphans) == (note,)


def test_the_two_hashes_of_the_same_content(project: Path) -> None:
    """Called changed: DVC's #9818. DVC 2 named text by the hash of its normalised lines, and wrote no `hash`."""
    lock = project / "dvc.lock"
    before = lock.read_text()
    lock.write_text(before.replace("    - path: in.txt\n      hash: md5\n", "    - path: in.txt\n"))
    assert lock.read_text() != before
    without_data(project)
    assert dvc_would_run(project) == {"make"}, CHANGED
    assert ours(project) == set()


def test_data_that_is_only_absent(project: Path) -> None:
    """`dvc status` calls everything deleted, in any fresh clone."""
    without_data(project)
    assert set(dvc_status(project)) >= {"make", "read"}, CHANGED
    assert ours(project) == set()
