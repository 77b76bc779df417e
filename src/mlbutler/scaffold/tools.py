"""Find the test runner and linters that a project uses: from its configuration, never guessed from taste."""

from __future__ import annotations

import configparser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlbutler.parsing import Unreadable, parse_json
from mlbutler.scaffold.detected import ContainerImage, Tool
from mlbutler.scaffold.files import declares, read_text, read_toml

JUNIT = ".mlbutler/junit.xml"


def detect_tests(root: Path, image: ContainerImage) -> tuple[Tool, ...]:
    """Return the commands that run the project's tests."""
    return tuple(_tests(root, image))


def detect_linters(root: Path, image: ContainerImage) -> tuple[Tool, ...]:
    """Return the commands that run its linters."""
    found = list(_linters(root, image))
    if not found and (root / ".pre-commit-config.yaml").is_file():
        found = [Tool("pre-commit", "pre-commit run --all-files", packages=("pre-commit",))]
    return tuple(found)


def undeclared_packages(root: Path, image: ContainerImage, tools: tuple[Tool, ...]) -> tuple[str, ...]:
    """Return packages of `tools` that no dependency file names: the image has to install them besides."""
    wanted = dict.fromkeys(package for tool in tools for package in tool.packages)
    return tuple(package for package in wanted if not declares(root, image.files, package))


# -------------------------------------------------------------------------------------------- tests


def _tests(root: Path, image: ContainerImage) -> Iterator[Tool]:
    if image.language in ("python", "conda") and _uses_pytest(root, image):
        yield Tool("pytest", f"python -m pytest --junitxml={JUNIT}", JUNIT, ("pytest",))
    elif image.language in ("python", "conda") and _unittests(root):
        yield Tool("unittest", "python -m unittest discover")
    elif image.language == "r" and (root / "tests" / "testthat").is_dir():
        call = f'testthat::test_dir("tests/testthat", reporter = testthat::JunitReporter$new(file = "{JUNIT}"))'
        # A reporter's file is relative to the tests' own folder.
        call = call.replace(f'"{JUNIT}"', f'file.path(getwd(), "{JUNIT}")')
        yield Tool("testthat", f"Rscript -e '{call}'", JUNIT, ("testthat", "xml2"))
    elif image.language == "julia" and (root / "test" / "runtests.jl").is_file():
        yield Tool("runtests.jl", "julia --project=. test/runtests.jl")
    elif image.language == "node" and _npm_script(root, "test"):
        yield Tool("npm test", "npm test")
    elif image.language == "shell" and (bats := _bats(root)):
        command = f"bats --report-formatter junit --output .mlbutler {bats}"
        yield Tool("bats", command, ".mlbutler/report.xml", ("bats",))
    elif _has_target(root, "test"):
        yield Tool("make test", "make test", packages=("make",) if image.language == "shell" else ())


def _uses_pytest(root: Path, image: ContainerImage) -> bool:
    configured = (
        (root / "pytest.ini").is_file()
        or (root / "conftest.py").is_file()
        or "pytest" in read_toml(root / "pyproject.toml").get("tool", {})
        or _has_section(root / "setup.cfg", "tool:pytest")
        or _has_section(root / "tox.ini", "pytest")
    )
    if configured or declares(root, image.files, "pytest"):
        return True
    files = [*root.glob("tests/**/test_*.py"), *root.glob("test/**/test_*.py"), *root.glob("test_*.py")]
    return any("unittest" not in read_text(path) for path in files)


def _unittests(root: Path) -> bool:
    return any(root.glob("tests/**/test*.py")) or any(root.glob("test/**/test*.py")) or any(root.glob("test*.py"))


def _bats(root: Path) -> str:
    for folder in ("tests", "test"):
        if any((root / folder).glob("*.bats")):
            return folder
    return "." if any(root.glob("*.bats")) else ""


def _has_target(root: Path, name: str) -> bool:
    return any(line.startswith(f"{name}:") for line in read_text(root / "Makefile").splitlines())


def _npm_script(root: Path, name: str) -> bool:
    try:
        scripts: Any = parse_json(read_text(root / "package.json")).get("scripts", {})
    except (Unreadable, AttributeError):
        return False
    # What `npm init` writes when there are no tests.
    return isinstance(scripts, dict) and name in scripts and "no test specified" not in str(scripts[name])


def _has_section(path: Path, name: str) -> bool:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(read_text(path))
    except configparser.Error:
        return False
    return parser.has_section(name)


# ------------------------------------------------------------------------------------------ linters


def _linters(root: Path, image: ContainerImage) -> Iterator[Tool]:
    if image.language in ("python", "conda"):
        yield from _python_linters(root, image)
    elif image.language == "r":
        if (root / ".lintr").is_file():
            call = "x <- lintr::lint_dir(); print(x); quit(status = length(x) > 0)"
            yield Tool("lintr", f"Rscript -e '{call}'", packages=("lintr",))
    elif image.language == "node":
        if _npm_script(root, "lint"):
            yield Tool("npm run lint", "npm run lint")
    elif (root / ".shellcheckrc").is_file() and (scripts := _scripts(root)):
        yield Tool("shellcheck", f"shellcheck {scripts}", packages=("shellcheck",), warnings="")
    if image.language == "shell" and _has_target(root, "lint"):
        yield Tool("make lint", "make lint", packages=("make",))


def _scripts(root: Path) -> str:
    return " ".join(pattern for pattern in ("*.sh", "*/*.sh") if any(root.glob(pattern)))


def _python_linters(root: Path, image: ContainerImage) -> Iterator[Tool]:
    tables = read_toml(root / "pyproject.toml").get("tool", {})

    def uses(name: str, *files: str, section: str = "") -> bool:
        return (
            name in tables
            or any((root / file).is_file() for file in files)
            or any(section and _has_section(root / file, section) for file in ("setup.cfg", "tox.ini"))
            or declares(root, image.files, name)
        )

    if uses("ruff", "ruff.toml", ".ruff.toml"):
        # The form that the parser for Flake8 reads too.
        yield Tool("ruff", "ruff check --output-format=concise .", packages=("ruff",), warnings="flake8")
    if uses("flake8", ".flake8", section="flake8"):
        yield Tool("flake8", "flake8", packages=("flake8",), warnings="flake8")
    if uses("pylint", ".pylintrc", "pylintrc", section="pylint"):
        yield Tool("pylint", "pylint --recursive=y .", packages=("pylint",), warnings="pyLint")
    if uses("mypy", "mypy.ini", ".mypy.ini", section="mypy"):
        where = "" if "files" in tables.get("mypy", {}) else " ."
        yield Tool("mypy", f"mypy{where}", packages=("mypy",), warnings="myPy")
    if uses("black"):
        yield Tool("black", "black --check .", packages=("black",))
    if uses("isort", ".isort.cfg", section="isort"):
        yield Tool("isort", "isort --check-only .", packages=("isort",))
