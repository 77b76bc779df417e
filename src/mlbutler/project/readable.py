"""As much of a project as can be read where some of DVC's own files cannot.

Such as a torn dvc.lock, one of DVC 1, or a merge's conflict markers in a .dvc file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlbutler.errors import ProjectError
from mlbutler.frozen import frozen
from mlbutler.project.common_faults import common_fault
from mlbutler.project.dvc_yaml import guard
from mlbutler.project.load import load_stages, one_line
from mlbutler.project.model import Stages

_LOCK = "dvc.lock"
_LONGEST = 200


@frozen
class Readable:
    """The stages of the files that could be read.

    `problem` says which files could not, and why. `declared`: every dvc.yaml could be read, so that at most hashes are
    missing.
    """

    repo: Any
    stages: Stages
    problem: str
    declared: bool


def readable_stages(repo: Any, *, read_params: bool = True) -> Readable:
    """Return what can be read of a project that `load_stages` refuses.

    Args:
        repo: a `dvc.repo.Repo` of its own; it overlooks the broken files from now on.
    """
    from dvc.repo.index import Index

    problems: dict[str, str] = {}
    lost: dict[str, str] = {}

    def overlook(file: str, error: Exception) -> None:
        lost[_relative_path(repo, file)] = _why(repo, file, error)

    guard()
    repo.stage_collection_error_handler = overlook
    repo.__dict__.pop("index", None)
    _without_broken_locks(repo, problems)
    try:
        stages = load_stages(repo, read_params=read_params)
    except ProjectError as error:
        stages, lost = Stages(()), lost or {"dvc.yaml": error.message[:_LONGEST]}
        repo.index = Index(repo)  # DVC's own would raise the same again, whatever is asked of it
    said = "; ".join(f"{file} {why}" for file, why in (problems | lost).items())
    return Readable(repo, stages, said, declared=not any(not file.endswith(".dvc") for file in lost))


def _relative_path(repo: Any, path: str) -> str:
    return str(repo.fs.relpath(repo.fs.abspath(path), repo.root_dir)).replace("\\", "/")


def _without_broken_locks(repo: Any, problems: dict[str, str]) -> None:
    """Have DVC ignore each dvc.lock that it cannot read: then the stages have no hashes."""
    from dvc.dvcfile import Lockfile

    ignored: Callable[..., Any] = repo.dvcignore.is_ignored_file
    known: dict[str, bool] = {}

    def is_broken(path: str) -> bool:
        if path not in known:
            try:
                Lockfile(repo, path)._load_yaml()
                known[path] = False
            except FileNotFoundError:
                known[path] = False
            except Exception as error:  # DVC raises whatever its parsers do
                known[path] = True
                problems[_relative_path(repo, path)] = _why(repo, path, error)
        return known[path]

    def is_ignored_file(path: str, *args: Any, **options: Any) -> bool:
        if ignored(path, *args, **options):
            return True
        return path.endswith(_LOCK) and repo.fs.exists(path) and is_broken(path)

    repo.dvcignore.is_ignored_file = is_ignored_file


def _why(repo: Any, path: str, error: Exception) -> str:
    fault = common_fault(repo, path)
    return f"cannot be read: {fault[0] if fault else one_line(error)[:_LONGEST]}"
