"""What docs/architecture.md says of the tree is true of it: who imports whom, and what is named."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "mlbutler"
TEMPLATE = SOURCE / "demo" / "template"  # the demo's project: it knows nothing of mlbutler

PURE = ("compare", "gate", "report", "stats")
WORLD = {"dvc", "dvc_data", "dvc_objects", "dvc_render", "pygit2", "pycurl", "httpx", "requests", "socket", "ssl"}
OUTWARD = ("mlbutler.git", "mlbutler.project", "mlbutler.store", "mlbutler.forge", "mlbutler.reproduce", "mlbutler.ci")
DVC = {"dvc", "dvc_data", "dvc_objects", "dvc_render"}
# From the edge to the middle; who stands later imports none of those before it.
LAYERS = (
    ("mlbutler.cli", "mlbutler.verbs"),
    ("mlbutler.commands",),
    ("mlbutler.pipeline",),
    ("mlbutler.steps",),
)
# What is imported under another name than its package's, and what a declared package brings on purpose.
PACKAGES = {"yaml": "pyyaml", "PIL": "pillow", "sklearn": "scikit-learn", "vl_convert": "vl-convert-python"}
BROUGHT = {
    **dict.fromkeys(("dvc_data", "dvc_objects", "dvc_render", "networkx", "fsspec", "ruamel"), "dvc"),
    "markupsafe": "jinja2", "numpy": "scikit-learn", "asyncssh": "dvc-ssh",
}  # fmt: skip
PLUGINS = {"dvc-http", "dvc-s3", "dvc-ssh"}  # DVC finds them by itself


def module(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module(path): path for path in sorted(SOURCE.rglob("*.py")) if TEMPLATE not in path.parents}


@cache
def imports(name: str) -> tuple[tuple[str, bool], ...]:
    """What a module imports when it runs, and whether that happens while it is itself imported."""
    return tuple(_imports(ast.parse(MODULES[name].read_text(encoding="utf-8")), True))


def _imports(node: ast.AST, early: bool) -> Iterator[tuple[str, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.Import):
            yield from ((alias.name, early) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            names = [f"{child.module}.{alias.name}" for alias in child.names]
            yield from ((name if name in MODULES else str(child.module), early) for name in names)
        yield from _imports(child, early and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef))


def within(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def reached(name: str) -> set[str]:
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
        found = reached(name)
        assert not {other for other in found if other.split(".")[0] in WORLD}, name
        assert not {other for other in found if within(other, OUTWARD)}, name


def test_dvc_is_imported_in_three_folders_alone_and_only_when_it_is_needed() -> None:
    found = [(name, *one) for name in MODULES for one in imports(name) if one[0].split(".")[0] in DVC]
    assert {name.split(".")[1] for name, _, _ in found} == {"project", "store", "reproduce"}
    assert [(name, other) for name, other, early in found if early] == []


def test_arrows_go_one_way() -> None:
    wrong = []
    for name in MODULES.keys() - {"mlbutler.__main__"}:
        own = next((i for i, layer in enumerate(LAYERS) if within(name, layer)), len(LAYERS))
        outer = tuple(package for layer in LAYERS[:own] for package in layer)
        wrong += [(name, other) for other, _ in imports(name) if within(other, outer)]
    assert wrong == []


def test_only_one_module_runs_git() -> None:
    running = re.compile(r"""\[\s*["']git["']""")
    assert [name for name, path in MODULES.items() if running.search(path.read_text("utf-8"))] == ["mlbutler.git"]


def declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = (r for name, extra in project["optional-dependencies"].items() if name != "dev" for r in extra)
    return {re.split(r"[\[>=<]", requirement)[0].lower() for requirement in (*project["dependencies"], *extras)}


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    theirs = [path.read_text(encoding="utf-8") for path in TEMPLATE.rglob("*.py")]
    used = {other.split(".")[0] for name in MODULES for other, _ in imports(name)}
    used |= {other.split(".")[0] for text in theirs for other, _ in _imports(ast.parse(text), True)}
    own = {"mlbutler", *(path.stem for path in TEMPLATE.rglob("*.py"))}
    foreign = used - set(sys.stdlib_module_names) - own
    packages = {PACKAGES.get(name, BROUGHT.get(name, name)) for name in foreign}
    assert packages - declared() == set()
    direct = {PACKAGES.get(name, name) for name in foreign - set(BROUGHT)}
    assert declared() - direct - PLUGINS == set()


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
