"""What is read of the project's data on the way to a plan or a comparison."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mlbutler.project.opened import OpenedProject
from mlbutler.project.project import Project
from mlbutler.remotes import opening
from mlbutler.store.interface import Store
from mlbutler.store.retry import RetryPolicy


def test_the_remote_is_opened_once_for_all_lists_of_files(full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a bucket is takes botocore a tenth of a second each time."""
    opened: list[str | None] = []
    usual = opening.open_remote

    def open_remote(project: OpenedProject, name: str | None, environ: dict[str, str], *, policy: RetryPolicy) -> Store:
        opened.append(name)
        return usual(project, name, environ, policy=policy)

    monkeypatch.setattr(opening, "open_remote", open_remote)
    project = Project(full, {})

    def read(path: str) -> None:
        _, output = project.stages.owners[path]
        assert output.recorded is not None
        assert output.recorded.oid is not None
        shutil.rmtree(full / ".dvc" / "cache")
        assert project.objects.object_file(output.recorded.oid)

    read("data/raw")
    project.reload()  # reads the same configuration
    read("model1")
    assert opened == ["origin"]
    with (full / ".dvc" / "config").open("a") as file:
        file.write("['remote \"another\"']\n    url = /another\n")
    project.reload()
    read("model2")
    assert opened == ["origin", "origin"]
