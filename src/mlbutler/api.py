"""The public functions for notebooks and scripts.

Each does what the verb of its name does, in a process that goes on: the working directory is put back, nothing is
printed, an error is raised and no exit code returned.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import msgspec

from mlbutler.commands.start import begin
from mlbutler.console import Console
from mlbutler.errors import ProjectError
from mlbutler.pipeline import run_step
from mlbutler.record import CompareResult, PlanResult, Record
from mlbutler.record_file import read_record


def plan(path: str | Path = ".", stages: Sequence[str] = ()) -> PlanResult:
    """Find out which stages are stale, and why; needs no data.

    Args:
        path: a directory of a DVC project. stages: plan these and what they need; all by default.

    Returns:
        The result that `mlbutler plan --json` prints. Its `outcome` is ``error`` where something outside failed, such
        as a remote, with `reason` and `remedy`.

    Raises:
        mlbutler.errors.MlbutlerError: no DVC project, wrong settings, or another mlbutler works in this clone.
    """
    return cast(PlanResult, _step("plan", path, stages=stages))


def compare(path: str | Path = ".", against: str | None = None) -> CompareResult:
    """Compare metrics, params, plots, data and predictions with another revision, and judge the gates.

    Args:
        path: a directory of a DVC project. against: a branch, tag or commit; by default the target branch.

    Returns:
        The result that `mlbutler compare --json` prints; `metrics` holds a row for each number.

    Raises:
        mlbutler.errors.MlbutlerError: as `plan`; or there is no such revision.
    """
    return cast(CompareResult, _step("compare", path, against=against))


def load_record(path: str | Path = ".mlbutler/record.json") -> Record:
    """Read what a run found out, from its record or from a build's ``report.json``.

    Raises:
        mlbutler.errors.ProjectError: there is no such file, or it is no record of this version.
    """
    record = read_record(Path(path), strict=True)
    if record is None:
        raise ProjectError(f"There is no record at {path}.", "Run `mlbutler run` first, or name a build's report.json.")
    return record


def board(path: str | Path = ".", *, commits: int = 5000, all_commits: bool = False, fetch: bool = False) -> Any:
    """Return all experiments of the repository: a pandas DataFrame where pandas is installed, else dictionaries.

    Each row has what the experiment is, then its metrics and params, as `mlbutler board --csv` prints them.

    Args:
        path: a directory of a DVC project. commits: of the target branch, and of all others, to look at.
        all_commits: those of merged branches too. fetch: bring what Git's remote has first.

    Raises:
        mlbutler.errors.MlbutlerError: no DVC project, or wrong settings.
    """
    from mlbutler.commands.board.gather import gather
    from mlbutler.report.board.data import flat

    with unchanged_directory(), begin(Path(path).absolute(), Console(quiet=True), watching=True) as context:
        rows = list(flat(gather(context, commits, merged=all_commits, fetching=fetch)))
    # By its name: mlbutler works without it.
    return importlib.import_module("pandas").DataFrame(rows) if importlib.util.find_spec("pandas") else rows


def _step(name: str, path: str | Path, *, against: str | None = None, stages: Sequence[str] = ()) -> object:
    with unchanged_directory(), begin(Path(path).absolute(), Console(quiet=True), against) as context:
        if stages:
            reproduce = msgspec.structs.replace(context.settings.reproduce, targets=tuple(stages))
            context.loaded = replace(
                context.loaded, settings=msgspec.structs.replace(context.settings, reproduce=reproduce)
            )
        run_step(context, name)
        return getattr(context.record, name)


@contextmanager
def unchanged_directory() -> Iterator[None]:
    """Restore the working directory: opening a project changes to its root, since DVC names stages from there."""
    before = Path.cwd()
    try:
        yield
    finally:
        os.chdir(before)
