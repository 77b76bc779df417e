"""Which files of a project a Python program imports, read from the source; nothing is run."""

from __future__ import annotations

import ast
import os
import posixpath
import re
import sys
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

_WORDS = re.compile(r"[^\s'\"`$;&|<>(){}=,]+")
_MODULE = re.compile(r"(?:^|\s)-m\s+([A-Za-z_][\w.]*)")
_LARGEST = 1024 * 1024
_MOST_FILES = 2000


def named_paths(directory: str, command: str) -> Iterator[str]:
    """Yield words of a command that runs in `directory` as paths from the project's root; most are none."""
    for word in _WORDS.findall(command):
        path = posixpath.normpath(posixpath.join(directory, word))
        if not path.startswith("/"):
            yield path


def module_files(root: Path, directory: str, command: str) -> Iterator[tuple[str, str]]:
    """Yield (file, the folder that its package is in) of each ``python -m package.module``."""
    for name in _MODULE.findall(command):
        for folder in dict.fromkeys((directory, "", "src")):
            base = posixpath.join(folder, *name.split("."))
            for path in (f"{base}.py", f"{base}/__main__.py"):
                if (root / path).is_file():
                    yield path, folder


def find_search_folders(root: Path, entry: str, start: str, candidates: Iterable[tuple[str, bool]]) -> tuple[str, ...]:
    """Return the folders that Python has to look in for what a program imports from the project, besides `start`.

    Args:
        entry: the program's path from `root`. start: where Python looks first, its own folder or the working directory.
        candidates: folders from `root`, the likeliest first; with each, whether a single module counts there too.
    """
    places, known = [start], tuple(candidates)
    waiting = deque([entry])
    seen = {entry}
    while waiting and len(seen) < _MOST_FILES:
        importer = waiting.popleft()
        for level, name in _imports(root / importer):
            found = _find_relative(root, importer, level, name) if level else _find_absolute(root, places, known, name)
            waiting += [file for file in found if file not in seen]
            seen.update(found)
    return tuple(places[1:])


def _find_absolute(root: Path, places: list[str], known: Sequence[tuple[str, bool]], name: str) -> tuple[str, ...]:
    """Return the files of an absolute import; where none of `places` has it, a known folder that does joins them."""
    top = name.partition(".")[0]
    if not top or top in sys.stdlib_module_names:
        return ()
    if found := _files(root, places, name):
        return found
    for folder, modules in known:
        found = _files(root, (folder,), name)
        if found and (modules or top != name or found[0].endswith("/__init__.py")):
            places.append(folder)
            return found
    return ()


def _find_relative(root: Path, importer: str, level: int, name: str) -> tuple[str, ...]:
    return _files(root, (_above(importer.rpartition("/")[0], level - 1),), name)


def _above(folder: str, levels: int) -> str:
    for _ in range(levels):
        folder = folder.rpartition("/")[0]
    return folder


def imported_files(root: Path, entries: Iterable[str], search: Sequence[str]) -> dict[str, str]:
    """Return files below `root` that the entries import, directly or not -> the file that imports it first.

    What is imported under a name made at run time cannot be seen.

    Args:
        entries: paths of Python files from `root`, with '/'.
        search: folders from `root` ('' for itself) that Python looks in, in order, after that of the file itself.
    """
    found: dict[str, str] = {}
    waiting = deque(dict.fromkeys(entries))
    seen = set(waiting)
    while waiting and len(seen) < _MOST_FILES:
        importer = waiting.popleft()
        own = importer.rpartition("/")[0]
        for level, name in _imports(root / importer):
            if level:  # relative to the package that the file lies in
                places: Sequence[str] = (_above(own, level - 1),)
            else:
                places = tuple(dict.fromkeys((own, *search)))
            for file in _files(root, places, name):
                if file not in seen:
                    seen.add(file)
                    found[file] = importer
                    waiting.append(file)
    return found


def _files(root: Path, places: Sequence[str], name: str) -> tuple[str, ...]:
    """Yield the files that stand for a dotted name: the module, and the ``__init__.py`` of each package above it."""
    parts = name.split(".") if name else []
    for place in places:
        files = []
        folder = place
        for index, part in enumerate(parts):
            base = f"{folder}/{part}" if folder else part
            package, module = f"{base}/__init__.py", f"{base}.py"
            if _is_file(root, package):
                files.append(package)
            elif _is_file(root, module):
                files.append(module)
                break
            elif index == len(parts) - 1 or not _is_folder(root, base):
                break
            folder = base
        if not parts and _is_file(root, init := f"{place}/__init__.py" if place else "__init__.py"):
            files.append(init)
        if files:
            return tuple(files)
    return ()


def _is_file(root: Path, path: str) -> bool:
    return os.path.isfile(root / path)  # noqa: PTH113 - asked thousands of times


def _is_folder(root: Path, path: str) -> bool:
    return os.path.isdir(root / path)  # noqa: PTH112


@lru_cache(maxsize=4096)
def _imports(path: Path) -> tuple[tuple[int, str], ...]:
    """Return (level of a relative import or 0, dotted name) of every import in a file; none when it cannot be read."""
    try:
        if path.stat().st_size > _LARGEST:
            return ()
        with warnings.catch_warnings():  # of odd escapes in somebody else's code
            warnings.simplefilter("ignore")
            tree = ast.parse(path.read_bytes())
        return tuple(dict.fromkeys(_walk_imports(tree)))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return ()


def _walk_imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            yield node.level, module
            # what is imported from a package may be a module of it
            yield from ((node.level, f"{module}.{a.name}" if module else a.name) for a in node.names if a.name != "*")
        elif isinstance(node, ast.Call) and _is_import_call(node.func) and node.args:
            name = node.args[0]
            if isinstance(name, ast.Constant) and isinstance(name.value, str) and not name.value.startswith("."):
                yield 0, name.value


def _is_import_call(function: ast.expr) -> bool:
    """Tell whether it is ``__import__("x")`` or ``importlib.import_module("x")``."""
    return (isinstance(function, ast.Name) and function.id in ("__import__", "import_module")) or (
        isinstance(function, ast.Attribute) and function.attr == "import_module"
    )
