"""Which files of a project a Python program imports, read from the source; nothing is run."""

from __future__ import annotations

import ast
import os
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

_LARGEST = 1024 * 1024
_MOST_FILES = 2000


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
                folder = own
                for _ in range(level - 1):
                    folder = folder.rpartition("/")[0]
                places: Sequence[str] = (folder,)
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
        return tuple(dict.fromkeys(_named(tree)))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return ()


def _named(tree: ast.AST) -> Iterator[tuple[int, str]]:
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
