"""Which changed files are dependencies of which stages, and which are used without being declared."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from mlbutler.git import Git
from mlbutler.project.model import Stage, Stages
from mlbutler.project.opened import OpenedProject
from mlbutler.project.python_imports import imported_files, module_files, named_paths
from mlbutler.record import CodeChange

_KINDS = {"A": "added", "D": "removed"}
_DVCS = {"dvc.yaml", "dvc.lock", ".gitignore", ".dvcignore", ".gitattributes"}
_MOST_SOURCES = 500


def code_changes(project: OpenedProject, git: Git, prefix: str, base: str) -> tuple[CodeChange, ...]:
    """Return every file in Git that differs between `base` and the work tree, with the stages that depend on it.

    Outputs, parameter files and DVC's own files are left out: they are compared as what they are. A file
    outside the project is named only where a stage uses it.

    Args:
        prefix: the project's path from the repository's root, '' or ``sub/folder/``.

    Raises:
        GitError: git failed.
    """
    stages = project.stages
    params = {file.path for stage in stages.pipeline() for file in stage.params} | {"params.yaml"}
    changed = {
        path: kind
        for path, kind in _changed_files(git, prefix, base)
        if posixpath.basename(path) not in _DVCS
        and not path.endswith(".dvc")
        and not path.startswith(".dvc/")
        and path not in params
        and stages.owner(path) is None
    }
    declared = {path: tuple(_declaring(project.root.resolve(), stages, path)) for path in changed}
    undeclared: dict[str, list[tuple[str, str]]] = {}
    if changed:
        for stage in stages.pipeline():
            open_ = [path for path in changed if stage.name not in declared[path]]
            for path, why in _uses(project.root, stage, open_):
                undeclared.setdefault(path, []).append((stage.name, why))
    return tuple(
        CodeChange(path=path, kind=kind, stages=declared[path], undeclared=tuple(undeclared.get(path, ())))
        for path, kind in changed.items()
        if not path.startswith("../") or declared[path] or path in undeclared
    )


def find_undeclared_uses(root: Path, stages: Stages, stage: Stage, files: Iterable[str]) -> dict[str, str]:
    """Return those of `files` that a stage's command names or its Python code imports undeclared, with why it seems so.

    Args:
        files: paths from the project's root.
    """
    own = {params.path for params in stage.params}
    others = [path for path in files if path not in own and stages.owner(path) is None
              and posixpath.basename(path) not in _DVCS]  # fmt: skip
    return dict(_uses(root, stage, [path for path in others if not _declares(root, stage, path)]))


def python_sources(root: Path, stage: Stage) -> tuple[str, ...]:
    """Return the Python files that a stage runs, declares or imports, as far as the source shows."""
    entries = [path for path in _entries(root, stage) if (root / path).is_file()]
    return tuple(dict.fromkeys((*entries, *imported_files(root, entries, _search(stage)))))


def _changed_files(git: Git, prefix: str, base: str) -> Iterator[tuple[str, str]]:
    """Yield (path from the project's root, kind) of what differs from `base` in the work tree."""
    out = git.run("diff", "--name-status", "--no-renames", "-z", base, "--", ":/").out
    items = iter(out.decode("utf-8", "surrogateescape").split("\0"))
    for status, path in zip(items, items, strict=False):
        shown = posixpath.relpath(path, prefix.rstrip("/")) if prefix else path
        yield shown, _KINDS.get(status[:1], "changed")


def _declaring(root: Path, stages: Stages, path: str) -> Iterator[str]:
    """Yield the stages with a dependency that is the file or a folder above it."""
    yield from (stage.name for stage in stages.pipeline() if _declares(root, stage, path))


def _declares(root: Path, stage: Stage, path: str) -> bool:
    absolute = posixpath.normpath(f"{root}/{path}")
    for dependency in stage.dependencies:  # one outside the project is recorded with its whole path
        own = absolute if dependency.external else path
        if own == dependency.path or own.startswith(f"{dependency.path}/"):
            return True
    return False


def _uses(root: Path, stage: Stage, paths: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield (path, why) of the files among `paths` that the stage's command names or its Python code imports."""
    named = set(named_paths(stage.directory, stage.command))
    for path in paths:
        if path in named:
            yield path, "named in its command"
    sources = [path for path in paths if path.endswith(".py") and path not in named]
    if not sources:
        return
    entries = _entries(root, stage)
    imported = imported_files(root, entries, _search(stage))
    for path in sources:
        if path in imported:
            yield path, f"imported by {imported[path]}"
        elif path in entries:
            yield path, "run by its command"


def _entries(root: Path, stage: Stage) -> list[str]:
    """Return the Python files that the stage's command runs and that it declares."""
    modules = (path for path, _ in module_files(root, stage.directory, stage.command))
    named = named_paths(stage.directory, stage.command)
    found = dict.fromkeys((*named, *modules, *_declared_sources(root, stage)))
    return [path for path in found if path.endswith(".py")]


def _search(stage: Stage) -> tuple[str, ...]:
    return tuple(dict.fromkeys((stage.directory, "", "src", *_source_roots(stage))))


def _declared_sources(root: Path, stage: Stage) -> Iterator[str]:
    """Return Python files that the stage declares, also those in declared folders."""
    for dependency in stage.dependencies:
        file = root / dependency.path
        if dependency.path.endswith(".py"):
            yield dependency.path
        elif file.is_dir() and not dependency.external:
            found = (path for _, path in zip(range(_MOST_SOURCES), file.rglob("*.py"), strict=False))
            yield from (path.relative_to(root).as_posix() for path in found)


def _source_roots(stage: Stage) -> Iterator[str]:
    """Return the folders of scripts that the command names: Python looks there first."""
    for path in named_paths(stage.directory, stage.command):
        if path.endswith(".py"):
            yield posixpath.dirname(path)
