"""Find the folders that the stages' programs import from, which `PYTHONPATH` has to name. Nothing is run."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from mlbutler.project.model import Stage
from mlbutler.project.python_imports import find_search_folders, module_files, named_paths
from mlbutler.scaffold.files import read_text

_MOST_FOLDERS = 100


def script_folders(root: Path, stages: Iterable[Stage]) -> tuple[str, ...]:
    """Return the folders that the stages' scripts lie in, from the project's root."""
    named = (path for stage in stages for path in named_paths(stage.directory, stage.command))
    return tuple(
        dict.fromkeys(posixpath.dirname(path) for path in named if path.endswith(".py") and (root / path).is_file())
    )


def python_path(root: Path, stages: Iterable[Stage]) -> tuple[str, ...]:
    """Return folders from the project's root ('' for itself) where Python would not look by itself."""
    found = dict.fromkeys(["src"] if _is_packaged_below_src(root) else [])
    for stage in stages:
        for entry, start, folder in _programs(root, stage):
            if folder != start:
                found[folder] = None
            candidates = _candidates(root, stage.directory)
            found |= dict.fromkeys(find_search_folders(root, entry, folder, candidates))
    return tuple(found)


def _programs(root: Path, stage: Stage) -> Iterator[tuple[str, str, str]]:
    """Yield (program, where Python looks first, where it is) of a command and of shell scripts that it names."""
    named = list(named_paths(stage.directory, stage.command))
    scripts = [read_text(root / path) for path in named if path.endswith((".sh", ".bash"))]
    for command in (stage.command, *scripts):
        if "PYTHONPATH=" in command:
            continue
        for path in named_paths(stage.directory, command):
            if path.endswith(".py") and (root / path).is_file():
                yield path, posixpath.dirname(path), posixpath.dirname(path)
        for path, folder in module_files(root, stage.directory, command):
            yield path, stage.directory, folder


def _candidates(root: Path, directory: str) -> Iterator[tuple[str, bool]]:
    """Yield folders that may hold what is imported: the root, where the stage runs, src, all others for packages."""
    yield from dict.fromkeys((("", True), (directory, True), ("src", True)))
    folders = sorted(path.name for path in root.glob("[!.]*") if path.is_dir() and re.fullmatch(r"[\w.-]+", path.name))
    yield from ((name, False) for name in folders[:_MOST_FOLDERS])


def _is_packaged_below_src(root: Path) -> bool:
    """Return whether tests may expect the project's packages below src to be installed."""
    packaged = any((root / name).is_file() for name in ("pyproject.toml", "setup.py", "setup.cfg"))
    below = any((root / "src").glob("*/__init__.py")) and not (root / "src" / "__init__.py").exists()
    return packaged and below
