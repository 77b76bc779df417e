"""What docs/architecture.md says of the tree is true of it: who imports whom, and what is named."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "mlbutler"
TEMPLATE = SOURCE / "demo" / "template"  # the demo's project: it knows nothing of mlbutler

PURE = ("comparison", "gate", "report", "stats")
WORLD = {"dvc", "dvc_data", "dvc_objects", "dvc_render", "pygit2", "pycurl", "httpx", "requests", "socket", "ssl"}
OUTWARD = (
    "mlbutler.git",
    "mlbutler.project",
    "mlbutler.store",
    "mlbutler.forge",
    "mlbutler.reproduce",
    "mlbutler.ci",
    "mlbutler.change",
)
DVC = {"dvc", "dvc_data", "dvc_objects", "dvc_render", "scmrepo"}
# Circles and arrows upwards that are still there: what goes is struck off here, and nothing is added.
CIRCLES_OF_MODULES: tuple[tuple[str, ...], ...] = ()
CIRCLES_OF_FOLDERS: tuple[tuple[str, ...], ...] = ()
UPWARDS: tuple[tuple[str, str], ...] = ()
LONGEST = 73  # lines of a function
# What is imported under another name than its package's, and what a declared package brings on purpose.
PACKAGES = {
    "yaml": "pyyaml",
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "vl_convert": "vl-convert-python",
    "ruamel": "ruamel.yaml",
    "mlflow": "mlflow-skinny",
    "markdown_it": "markdown-it-py",
}
BROUGHT = {
    **dict.fromkeys(
        ("dvc_data", "dvc_objects", "dvc_render", "scmrepo", "hydra", "networkx", "fsspec", "voluptuous"), "dvc"
    ),
    "markupsafe": "jinja2", "numpy": "scikit-learn", "asyncssh": "dvc-ssh", "botocore": "dvc-s3",
}  # fmt: skip
PLUGINS = {"dvc-http", "dvc-s3", "dvc-ssh"}  # DVC finds them by itself


def module(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module(path): path for path in sorted(SOURCE.rglob("*.py")) if TEMPLATE not in path.parents}


@cache
def imports(name: str) -> tuple[tuple[str, bool], ...]:
    """Return what a module imports when it runs, and whether that happens while it is itself imported."""
    return tuple(one for *one, run in _read(name)[0] if run)  # type: ignore[misc]


@cache
def arrows(name: str) -> frozenset[str]:
    """Return the modules of ours that a module imports in any way: for types alone, and by a text that names one."""
    imported, texts = _read(name)
    found = {other for other, *_ in imported} | texts - {"mlbutler"}
    return frozenset(other for other in found if other in MODULES and other != name)


@cache
def _read(name: str) -> tuple[tuple[tuple[str, bool, bool], ...], frozenset[str]]:
    """Return what is imported, whether while the module is, and whether at all when it runs; and all texts in it.

    Of a text such as ``f"mlbutler.steps.{name}"`` it is the folder's name.
    """
    texts: set[str] = set()
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    return tuple(_walk_imports(tree, texts, early=True, run=True)), frozenset(texts)


def _walk_imports(node: ast.AST, texts: set[str], *, early: bool, run: bool) -> Iterator[tuple[str, bool, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Constant):
            if isinstance(child.value, str):
                texts.add(child.value.rstrip("."))
            continue
        if isinstance(child, ast.Name | ast.expr_context):
            continue
        if isinstance(child, ast.Import):
            yield from ((alias.name, early, run) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"a relative import of {child.module}"
            names = [f"{child.module}.{alias.name}" for alias in child.names]
            yield from ((name if name in MODULES else str(child.module), early, run) for name in names)
        typing = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
        yield from _walk_imports(child, texts, early=early and not inside, run=run and not typing)


def room(name: str) -> str:
    """Return the folder or module at the top that a module belongs to."""
    return ".".join(name.split(".")[:2])


def folder(name: str) -> str:
    """Return the folder that a module is in, or the module where that is the top one."""
    parent = MODULES[name].parent.relative_to(SOURCE).as_posix()
    return name if parent == "." else parent


@cache
def layers() -> tuple[tuple[str, ...], ...]:
    """Return the rooms of each layer as docs/architecture.md draws them, the highest first."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").split("## Layers")[1].split("```")[1]
    lines = [line.split() for line in text.splitlines()]
    return tuple(tuple(f"mlbutler.{name}" for name in names) for names in lines if names)


def within(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def reachable_modules(name: str) -> set[str]:
    """Every module that running `name` may import, by way of others too."""
    seen: set[str] = set()
    left = [name]
    while left:
        one = left.pop()
        if one not in seen:
            seen.add(one)
            left += [other for other, _ in imports(one)] if one in MODULES else []
    return seen


@pytest.mark.parametrize("package", PURE)
def test_comparing_judging_and_reporting_know_no_dvc_no_git_and_no_network(package: str) -> None:
    for name in (name for name in MODULES if within(name, (f"mlbutler.{package}",))):
        found = reachable_modules(name)
        assert not {other for other in found if other.split(".")[0] in WORLD}, name
        assert not {other for other in found if within(other, OUTWARD)}, name


def test_dvc_is_imported_in_four_folders_alone_and_only_when_it_is_needed() -> None:
    found = [(name, *one) for name in MODULES for one in imports(name) if one[0].split(".")[0] in DVC]
    assert {name.split(".")[1] for name, _, _ in found} == {"project", "remotes", "store", "reproduce"}
    assert [(name, other) for name, other, early in found if early] == []


def test_every_room_is_in_one_layer() -> None:
    drawn = [name for layer in layers() for name in layer]
    outside = {"mlbutler", "mlbutler.__main__"}
    assert sorted(drawn) == sorted({room(name) for name in MODULES} - outside)


def test_arrows_go_down_through_the_layers() -> None:
    height = {name: -i for i, layer in enumerate(layers()) for name in layer} | {"mlbutler": 1}
    found = {
        (name, other)
        for name in MODULES.keys() - {"mlbutler", "mlbutler.__main__"}
        for other in arrows(name)
        if height[room(other)] > height[room(name)]
    }
    assert found == set(UPWARDS)


def circles(graph: Mapping[str, Iterable[str]]) -> set[tuple[str, ...]]:
    """Return the groups whose members all reach one another."""
    reach: dict[str, set[str]] = {}
    for start in graph:
        seen: set[str] = set()
        left = list(graph[start])
        while left:
            one = left.pop()
            if one not in seen:
                seen.add(one)
                left += graph[one]
        reach[start] = seen
    groups = {tuple(sorted(b for b in reach[a] if a in reach[b])) for a in graph}
    return {group for group in groups if len(group) > 1}


def test_a_circle_is_found() -> None:
    assert circles({"a": "b", "b": "c", "c": "b", "d": ""}) == {("b", "c")}


def test_no_modules_import_one_another() -> None:
    assert circles({name: arrows(name) for name in MODULES}) == set(CIRCLES_OF_MODULES)


def test_no_folders_import_one_another() -> None:
    graph: dict[str, set[str]] = {folder(name): set() for name in MODULES}
    for name in MODULES:
        graph[folder(name)] |= {folder(other) for other in arrows(name)} - {folder(name)}
    assert circles(graph) == set(CIRCLES_OF_FOLDERS)


def test_a_class_has_its_name_alone() -> None:
    places: dict[str, set[str]] = {}
    for path in SOURCE.rglob("*.py"):
        if not path.is_relative_to(TEMPLATE):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef):
                    places.setdefault(node.name.lstrip("_"), set()).add(f"{path.relative_to(SOURCE)}:{node.lineno}")
    assert len(places) > 500
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_only_one_module_runs_git() -> None:
    running = re.compile(r"""\[\s*["']git["']""")
    assert [name for name, path in MODULES.items() if running.search(path.read_text("utf-8"))] == [
        "mlbutler.git.command"
    ]


def test_no_function_is_longer_than_a_screen() -> None:
    found = {
        f"{name}.{node.name}:{node.lineno}": node.end_lineno - node.lineno + 1
        for name, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None
    }
    assert {name: lines for name, lines in found.items() if lines > LONGEST} == {}


def declared_packages() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = (r for name, extra in project["optional-dependencies"].items() if name != "dev" for r in extra)
    return {re.split(r"[\[>=<]", requirement)[0].lower() for requirement in (*project["dependencies"], *extras)}


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    theirs = [path.read_text(encoding="utf-8") for path in TEMPLATE.rglob("*.py")]
    used = {other.split(".")[0] for name in MODULES for other, _ in imports(name)}
    used |= {
        n.split(".")[0] for text in theirs for n, *_ in _walk_imports(ast.parse(text), set(), early=True, run=True)
    }
    own = {"mlbutler", *(path.stem for path in TEMPLATE.rglob("*.py"))}
    foreign = used - set(sys.stdlib_module_names) - own
    packages = {PACKAGES.get(name, BROUGHT.get(name, name)) for name in foreign}
    assert packages - declared_packages() == set()
    direct = {PACKAGES.get(name, name) for name in foreign - set(BROUGHT)}
    assert declared_packages() - direct - PLUGINS == set()


def test_every_module_at_the_top_and_every_folder_is_in_the_layout_once() -> None:
    layout = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").split("## Layout")[1].split("\n## ")[0]
    cells = [line.split("|")[1] for line in layout.splitlines() if line.startswith("| `")]
    named = [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]
    files = [path.name for path in SOURCE.glob("*.py") if not path.name.startswith("__")]
    folders = [f"{path.parent.name}/" for path in SOURCE.glob("*/__init__.py")]
    assert sorted(named) == sorted([*files, *folders])


def test_every_dependency_is_explained_once() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").split("## Dependencies")[1].split("\n## ")[0]
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    named = [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]
    assert sorted(set(named)) == sorted(named)
