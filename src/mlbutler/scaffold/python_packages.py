"""What a Python project's image installs: what a lock file says, else lists of requirements, else its own metadata.

The project itself is never built: its code comes with the checkout.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mlbutler.scaffold.files import first_there, inside, read_text, read_toml, strings, table

LOCAL_LINE = r"^[[:space:]]*(-e|--editable|\.{1,2}(\/|$)|file:)"
"""A line of a list of requirements that installs a folder: sed's pattern."""
_LISTS = (
    "requirements.txt", "requirements-dev.txt", "requirements_dev.txt", "dev-requirements.txt",
    "requirements-test.txt", "test-requirements.txt", "requirements/base.txt", "requirements/dev.txt",
    "requirements/test.txt",
)  # fmt: skip
_METADATA = ("pyproject.toml", "setup.cfg", "setup.py")
_TMP = "/tmp/requirements.txt"
_UV = "pip install --no-cache-dir 'uv==0.9.*'"
_INTO_PYTHON = 'uv pip install --no-cache --python "$(command -v python)"'
_REQUIREMENT = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._-]*(?:\[[\w., -]+\])? *(?:[<>=!~]=?=?[\w.*, <>=!~-]+)?(?:;[\w '\"<>=!.()]+)?"
)
_PLAIN = re.compile(r"[\w./-]+")
_MOST_PACKAGES = 60


@dataclass(frozen=True)
class Packages:
    """Files, relative to the project's root, and shell commands that install what they list."""

    files: tuple[str, ...] = ()
    install: tuple[str, ...] = ()
    locked: bool = False


def find_packages(root: Path, folders: Iterable[str]) -> Packages | None:
    """Return what there is to install; None when no file says anything.

    Args:
        folders: where the stages' scripts lie: some projects keep their list of requirements there.
    """
    return (
        _from_lock_file(root)
        or _from_tool(root)
        or _from_requirements(root, ("", "src", *folders))
        or _from_metadata(root)
    )


def _export(root: Path, files: Sequence[str], command: str) -> Packages:
    there = tuple(name for name in dict.fromkeys(files) if (root / name).is_file())
    strip = f"sed -i -E '/{LOCAL_LINE}/d' {_TMP}"
    return Packages(there, (f"{command} && {strip} && pip install --no-cache-dir -r {_TMP}",), locked=True)


def _from_lock_file(root: Path) -> Packages | None:
    lock = first_there(root, ("uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock"))
    if lock == "uv.lock":
        options = "--frozen --no-emit-workspace --all-groups --all-extras --no-hashes"
        files = ("pyproject.toml", lock, *_members(root))
        return _export(root, files, f"{_UV} && uv export --quiet {options} -o {_TMP}")
    if lock == "poetry.lock":
        return Packages(("pyproject.toml", lock), (_poetry(),), locked=True)
    if lock == "pdm.lock":
        command = f"pip install --no-cache-dir 'pdm==2.*' && pdm export --without-hashes -G :all -o {_TMP}"
        return _export(root, ("pyproject.toml", lock), command)
    if lock == "Pipfile.lock":
        return _export(
            root, ("Pipfile", lock), f"pip install --no-cache-dir pipenv && pipenv requirements --dev > {_TMP}"
        )
    return None


def _from_tool(root: Path) -> Packages | None:
    """Return what is installed by the tool that would have written the lock file."""
    if table(read_toml(root / "pyproject.toml"), "tool", "poetry"):
        return Packages(("pyproject.toml",), (_poetry(),))
    if (root / "Pipfile").is_file():
        local = r"sed -i -E '/(path|file)[[:space:]]*=[[:space:]]*\"\./d' Pipfile"
        command = f"pip install --no-cache-dir pipenv && {local} && pipenv lock && pipenv requirements --dev > {_TMP}"
        return Packages(("Pipfile",), _export(root, (), command).install)
    return None


def _poetry() -> str:
    install = "POETRY_VIRTUALENVS_CREATE=false poetry install --no-root --no-interaction --all-groups --all-extras"
    return f"pip install --no-cache-dir 'poetry==2.*' && {install}"


def _members(root: Path) -> list[str]:
    """Return the metadata of a uv workspace's members, which uv wants to see."""
    found: list[str] = []
    for pattern in strings(table(read_toml(root / "pyproject.toml"), "tool", "uv", "workspace").get("members")):
        if inside(PurePosixPath(pattern)):
            found += [path.relative_to(root).as_posix() for path in sorted(root.glob(f"{pattern}/pyproject.toml"))]
    return found[:_MOST_PACKAGES]


# ------------------------------------------------------------------------------- requirements.txt


def _from_requirements(root: Path, folders: Iterable[str]) -> Packages | None:
    """Return the lists of requirements, with the files that they include."""
    names = [f"{folder}/{name}" if folder else name for folder in dict.fromkeys(folders) for name in _LISTS]
    listed = [name for name in names if _PLAIN.fullmatch(name) and (root / name).is_file()]
    if not listed:
        return None
    files = list(listed)
    for name in files:  # grows while it is walked
        for included in re.findall(r"(?m)^\s*(?:-r|-c|--requirement|--constraint)[ =]\s*(\S+)", read_text(root / name)):
            path = inside(PurePosixPath(name).parent / included)
            if path is not None and (root / path).is_file() and path not in files:
                files.append(path)
    pattern = re.compile(LOCAL_LINE.replace("[[:space:]]", r"\s"), re.MULTILINE)
    local = [name for name in files if pattern.search(read_text(root / name))]
    strip = f"sed -i -E '/{LOCAL_LINE}/d' {shlex.join(local)} && " if local else ""
    wanted = " ".join(f"-r {shlex.quote(name)}" for name in listed)
    own = _from_metadata(root) if local else None  # what the package itself needs
    return Packages(
        tuple(dict.fromkeys((*files, *(own.files if own else ())))),
        (f"{strip}pip install --no-cache-dir {wanted}", *(own.install if own else ())),
    )


# ------------------------------------------------------------------------------ the project's own


def _from_metadata(root: Path) -> Packages | None:
    """Return what a package's own metadata lists: pyproject.toml (PEP 621), setup.cfg or setup.py."""
    project = table(read_toml(root / "pyproject.toml"), "project")
    found = "pyproject.toml" if project else first_there(root, ("setup.cfg", "setup.py"))
    if not found or (found == "setup.cfg" and not _has_requirements(root)):
        return None
    dynamic = found != "pyproject.toml" or "dependencies" in strings(project.get("dynamic"))
    files = [name for name in _METADATA if (root / name).is_file()]
    folders: list[str] = []
    if dynamic:  # a build backend finds them: it wants to see what the metadata names
        packages = _packages(root)
        files += [
            *_files_in_metadata(root, files),
            *(f"{path}/__init__.py" for path in packages if path.count("/") < 2),
        ]
        folders = [path for path in packages if path.count("/") >= 2]
    first = f"mkdir -p {shlex.join(folders)} && " if folders else ""
    if not {"pyproject.toml", "setup.py"} & set(files):  # uv takes setup.cfg alone for no project
        first += "echo 'import setuptools; setuptools.setup()' > setup.py && "
    words = ["-r", found, "--all-extras", *_groups(root)]
    install = f"{first}{_UV} && SETUPTOOLS_SCM_PRETEND_VERSION=0 {_INTO_PYTHON} {shlex.join(words)}"
    return Packages(tuple(dict.fromkeys(files)), (install,))


def _has_requirements(root: Path) -> bool:
    """Return whether setup.cfg, or the setup.py beside it, is that of a package and not of linters alone."""
    return (root / "setup.py").is_file() or re.search(
        r"(?m)^\[(?:metadata|options)\]", read_text(root / "setup.cfg")
    ) is not None


def _groups(root: Path) -> list[str]:
    """Return what developers install besides, as pyproject.toml has it: groups, and what PDM and Hatch list."""
    data = read_toml(root / "pyproject.toml")
    found = [word for name in table(data, "dependency-groups") for word in ("--group", str(name))]
    tool = table(data, "tool")
    lists = [*table(tool, "pdm", "dev-dependencies").values(), table(tool, "uv").get("dev-dependencies")]
    for environment in table(tool, "hatch", "envs").values():
        lists += [table({"e": environment}, "e").get(key) for key in ("dependencies", "extra-dependencies")]
    wanted = dict.fromkeys(one for value in lists for one in strings(value))
    return [*found, *(one for one in wanted if _REQUIREMENT.fullmatch(one))]


def _packages(root: Path) -> list[str]:
    """Return the folders of packages, from the root and below src."""
    found = []
    for base in (root, root / "src"):
        for init in sorted(base.glob("[!.]*/**/__init__.py")):
            path = init.parent.relative_to(root).as_posix()
            if not path.startswith(("tests", "test/", "docs", "venv", "node_modules")) and _PLAIN.fullmatch(path):
                found.append(path)
    return list(dict.fromkeys(found))[:_MOST_PACKAGES]


def _files_in_metadata(root: Path, metadata: Iterable[str]) -> list[str]:
    """Return files that the metadata names: a readme, lists of requirements, where the version stands."""
    words = [word for name in metadata for word in re.findall(r"[\w./-]+\.\w+|\bVERSION\b", read_text(root / name))]
    paths = (inside(PurePosixPath(word)) for word in dict.fromkeys(words))
    there = [path for path in paths if path and path not in _METADATA and (root / path).is_file()]
    return [path for path in there if (root / path).stat().st_size < 1_000_000][:_MOST_PACKAGES]
