"""On a CI server an import gets credentials only where the target branch has it from the same place."""

from __future__ import annotations

import os
import pickle
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from mlbutler.commands.step import step
from mlbutler.console import Console
from mlbutler.steps import sync
from tests.elsewhere import Elsewhere
from tests.store.dvc_world import clone, commit, copy_remote, dvc, template

JENKINS = {"JENKINS_URL": "http://ci/", "BUILD_URL": "http://ci/1/", "BRANCH_NAME": "feature"}
MD5 = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone in a build of Jenkins, whose git asks a program for the password."""
    root = clone(tmp_path / "clone", str(copy_remote(tmp_path / "remote")))
    program = tmp_path / "askpass"
    program.write_text("#!/bin/sh\necho hunter2-hunter2\n")
    program.chmod(0o700)
    environ = {
        "GIT_ASKPASS": str(program), "GIT_USERNAME": "ci", "GIT_PASSWORD": "hunter2-hunter2",
        "MLBUTLER_GIT_URL": str(template().repo), "MLBUTLER_REMOTE_HOSTS": str(tmp_path),
    }  # fmt: skip
    for name, value in (JENKINS | environ).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(root)
    return root


def sync_all(root: Path) -> int:
    return step(root, Console(quiet=True), "sync", call=lambda context: sync.run(context, everything=True))


def add(root: Path, dependency: str) -> None:
    """A .dvc file of an import, in a commit that the target branch does not have."""
    output = f"outs:\n- md5: {MD5}\n  hash: md5\n  path: new.txt\n"
    (root / "new.dvc").write_text(f"frozen: true\ndeps:\n- {dependency}\n{output}")
    subprocess.run(["git", "add", "-f", "new.dvc"], cwd=root, check=True)
    commit(root, "an import")


def test_a_repository_that_only_the_change_names_is_not_given_the_password_of_git(
    root: Path, elsewhere: Elsewhere
) -> None:
    url = f"{elsewhere.url}/x.git"
    add(root, f"path: model.txt\n  repo:\n    url: {url}\n    rev_lock: {'a' * 40}")
    assert sync_all(root) == 1
    assert elsewhere.came
    assert elsewhere.was_sent_no_password()


@pytest.mark.parametrize(
    "dependency",
    [
        "path: /etc/hostname",
        "path: file:///etc/hostname",
        "path: remote://origin/../outside",
        "path: s3://bucket/x\n  fs_config:\n    endpointurl: http://127.0.0.1:1/",
        "path: x\n  repo:\n    url: ../other\n    rev_lock: {rev}",
        "path: x\n  repo:\n    url: file:///srv/other\n    rev_lock: {rev}",
        "path: x\n  repo:\n    url: 'ext::sh -c date'\n    rev_lock: {rev}",
        "path: x\n  repo:\n    url: ssh://-oProxyCommand=date/x\n    rev_lock: {rev}",
    ],
)
def test_no_directory_or_program_of_the_agent_is_asked(
    root: Path, dependency: str, capsys: pytest.CaptureFixture[str]
) -> None:
    add(root, dependency.replace("{rev}", "a" * 40))
    assert sync_all(root) == 3
    assert "new.dvc is not fetched" in capsys.readouterr().err


def test_an_import_that_the_target_branch_has_is_brought(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    author = clone(tmp_path / "author", str(tmp_path / "remote"))
    dvc(author, "import", "-q", str(template().repo), "train.py", "-o", "imported.py")
    commit(author, "an import")
    subprocess.run(["git", "fetch", "-q", str(author), "HEAD"], cwd=root, check=True)
    subprocess.run(["git", "reset", "-q", "--hard", "FETCH_HEAD"], cwd=root, check=True)
    monkeypatch.setenv("MLBUTLER_GIT_URL", str(author))
    assert sync_all(root) == 0
    assert (root / "imported.py").read_bytes() == (template().repo / "train.py").read_bytes()
    # The same address in a file that the target branch does not have is another import.
    (root / "imported.py.dvc").rename(root / "moved.py.dvc")
    (root / "imported.py").unlink()
    subprocess.run(["rm", "-rf", ".dvc/cache", ".mlbutler"], cwd=root, check=True)
    commit(root, "moved")
    assert sync_all(root) == 3


class _Planted:
    """What runs when a file of DVC's site cache is read as DVC reads it."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


def plant(site: Path, mark: Path) -> int:
    """Put an object into each of DVC's databases, as a stage of this build or of an earlier one can."""
    files = list(site.rglob("cache.db"))
    for file in files:
        with closing(sqlite3.connect(file)) as base, base:
            for raw, key in ((0, pickle.dumps(_Planted(mark))), (1, "a" * 32), (1, "a" * 28 + ".dir")):
                base.execute(
                    "INSERT INTO Cache(key, raw, store_time, access_time, mode, value) VALUES (?, ?, 0, 0, 4, ?)",
                    (key, raw, pickle.dumps(_Planted(mark))),
                )
    return len(files)


def test_what_the_project_s_code_left_in_the_site_cache_of_dvc_is_not_loaded(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "table.csv").write_text("a,b\n1,2\n")
    author = clone(tmp_path / "author", str(tmp_path / "remote"))
    dvc(author, "import-url", "-q", str(tmp_path / "source"), "imported")
    commit(author, "an import")
    subprocess.run(["git", "fetch", "-q", str(author), "HEAD"], cwd=root, check=True)
    subprocess.run(["git", "reset", "-q", "--hard", "FETCH_HEAD"], cwd=root, check=True)
    monkeypatch.setenv("MLBUTLER_GIT_URL", str(author))
    sync_all(root)
    subprocess.run(["rm", "-rf", ".dvc/cache", ".mlbutler", "imported"], cwd=root, check=True)
    assert plant(tmp_path / "site", tmp_path / "mark")
    sync_all(root)
    assert not (tmp_path / "mark").exists()
