"""Find which language a project is written in, and the image that its code runs in."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from mlbutler.parsing import Unreadable, parse_toml
from mlbutler.scaffold.detected import ContainerImage

_DEBIAN = "bookworm"
# mlbutler needs Python 3.11 or newer; an older one of the project's stands beside it.
_PYTHONS = ("3.12", "3.11", "3.13", "3.10", "3.9")
_NEW_ENOUGH = ("3.11", "3.12", "3.13")
_SYSTEM_PYTHON = ("python3", "python3-venv")
_REQUIREMENTS = (
    "requirements.txt", "requirements-dev.txt", "requirements_dev.txt", "dev-requirements.txt",
    "requirements-test.txt", "test-requirements.txt", "requirements/base.txt", "requirements/dev.txt",
    "requirements/test.txt",
)  # fmt: skip
_LOCAL_LINE = r"^[[:space:]]*(-e|--editable|\.{1,2}(\/|$))"


def detect_image(root: Path) -> ContainerImage:
    """Return the image for the project at `root`; the first language that fits decides, the others are named."""
    chosen: ContainerImage | None = None
    others: list[str] = []
    for look in (_conda, _python, _r, _node):
        found = look(root)
        if found is None:
            continue
        if chosen is None:
            chosen = found
        elif not (chosen.language == "conda" and found.language == "python"):
            others += found.files
    if chosen is None:
        chosen = ContainerImage("shell", f"debian:{_DEBIAN}-slim", system=_SYSTEM_PYTHON, add=_apt())
    return dataclasses.replace(chosen, others=tuple(others))


def declares(root: Path, files: Iterable[str], package: str) -> bool:
    """Return whether one of the dependency files names the package."""
    pattern = re.compile(rf"(?im)(?:^|[\s\"'])-?\s*{re.escape(package)}(?=[\s\"'=<>~!\[\];,:]|$)")
    return any(pattern.search(read_text(root / file)) for file in files)


def read_text(path: Path) -> str:
    """Return a text file's content, '' when there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def read_toml(path: Path) -> Mapping[str, Any]:
    """Return a TOML file as data; empty when it is missing or broken: it is somebody else's file."""
    try:
        return parse_toml(read_text(path))
    except Unreadable:
        return {}


def _apt() -> str:
    return "apt-get update && apt-get install --yes --no-install-recommends {} && rm -rf /var/lib/apt/lists/*"


# ------------------------------------------------------------------------------------------- Python


def _python(root: Path) -> ContainerImage | None:
    for look in (_locked, _listed, _declared):
        found = look(root)
        if found is not None:
            files, install = found
            break
    else:
        if not any(root.glob("*.py")) and not any(root.glob("src/**/*.py")):
            return None
        files, install = (), ()
    version = _python_version(root)
    old = version not in _NEW_ENOUGH
    layout = (("PYTHONPATH", "src"),) if _has_package_below_src(root) else ()
    return ContainerImage(
        "python",
        f"python:{version}-slim-{_DEBIAN}",
        files,
        install,
        add="pip install --no-cache-dir {}",
        system=_SYSTEM_PYTHON if old else (),
        variables=layout,
        python="/usr/bin/python3 -m venv" if old else "python -m venv",
    )


def _has_package_below_src(root: Path) -> bool:
    packaged = any((root / name).is_file() for name in ("pyproject.toml", "setup.py", "setup.cfg"))
    return packaged and any((root / "src").glob("*/__init__.py"))


def _locked(root: Path) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Return the image from a lock file, which says exactly what to install."""

    def there(name: str) -> bool:
        return (root / name).is_file()

    if there("uv.lock"):
        export = "uv export --frozen --no-emit-project --all-groups --all-extras --no-hashes -o /tmp/requirements.txt"
        return ("pyproject.toml", "uv.lock"), (
            f"pip install --no-cache-dir 'uv==0.9.*' && {export} && uv pip install --system -r /tmp/requirements.txt",
        )
    if there("poetry.lock") or "poetry" in read_toml(root / "pyproject.toml").get("tool", {}):
        files = ("pyproject.toml", *(["poetry.lock"] if there("poetry.lock") else []))
        install = "POETRY_VIRTUALENVS_CREATE=false poetry install --no-root --no-interaction --all-groups --all-extras"
        return files, (f"pip install --no-cache-dir 'poetry==2.*' && {install}",)
    if there("pdm.lock"):
        return ("pyproject.toml", "pdm.lock"), (
            "pip install --no-cache-dir 'pdm==2.*' && pdm export --without-hashes -o /tmp/requirements.txt "
            "&& pip install --no-cache-dir -r /tmp/requirements.txt",
        )
    if there("Pipfile"):
        files = ("Pipfile", *(["Pipfile.lock"] if there("Pipfile.lock") else []))
        exact = " --deploy" if there("Pipfile.lock") else ""
        return files, (f"pip install --no-cache-dir pipenv && pipenv install --system --dev{exact}",)
    return None


def _listed(root: Path) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Return the image from requirements.txt and its like, with the files that they include."""
    listed = [name for name in _REQUIREMENTS if (root / name).is_file()]
    if not listed:
        return None
    files = list(listed)
    for name in files:  # grows while it is walked
        text = read_text(root / name)
        for included in re.findall(r"(?m)^\s*(?:-r|-c|--requirement|--constraint)[ =]\s*(\S+)", text):
            path = _inside(PurePosixPath(name).parent / included)
            if path is not None and (root / path).is_file() and path not in files:
                files.append(path)
    local = [
        name for name in files if re.search(_LOCAL_LINE.replace("[[:space:]]", r"\s"), read_text(root / name), re.M)
    ]
    strip = f"sed -i -E '/{_LOCAL_LINE}/d' {shlex.join(local)} && " if local else ""
    wanted = " ".join(f"-r {shlex.quote(name)}" for name in listed)
    return tuple(files), (f"{strip}pip install --no-cache-dir {wanted}",)


def _inside(path: PurePosixPath) -> str | None:
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part != ".":
            parts.append(part)
    return None if path.is_absolute() else "/".join(parts)


def _declared(root: Path) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Return the image from a package's own list of dependencies.

    The package itself is not built: its code comes with the checkout.
    """
    found = next((name for name in ("pyproject.toml", "setup.cfg", "setup.py") if (root / name).is_file()), None)
    if found is None or (found == "pyproject.toml" and "project" not in read_toml(root / found)):
        return None
    files = tuple(name for name in ("pyproject.toml", "setup.cfg", "setup.py") if (root / name).is_file())
    extras = " --all-extras" if found == "pyproject.toml" else ""
    return files, (f"pip install --no-cache-dir 'uv==0.9.*' && uv pip install --system -r {found}{extras}",)


def _python_version(root: Path) -> str:
    if match := re.match(r"\s*(3\.\d+)", read_text(root / ".python-version")):
        return match[1]
    data = read_toml(root / "pyproject.toml")
    wish = data.get("project", {}).get("requires-python") or (
        data.get("tool", {}).get("poetry", {}).get("dependencies", {}).get("python")
    )
    return next((version for version in _PYTHONS if _allows(str(wish or ""), version)), _PYTHONS[0])


def _allows(wish: str, version: str) -> bool:
    """Return whether a requirement such as ``>=3.9,<3.12`` or ``^3.10`` allows the minor version."""
    minor = int(version.split(".")[1])
    tests: dict[str, Callable[[int], bool]] = {
        ">=": lambda least: minor >= least,
        "^": lambda least: minor >= least,
        "~=": lambda least: minor >= least,
        "~": lambda only: minor == only,
        "==": lambda only: minor == only,
        "<=": lambda most: minor <= most,
        "<": lambda limit: minor < limit,
        ">": lambda least: minor > least,
        "!=": lambda never: minor != never,
    }
    clauses = re.findall(r"(>=|<=|==|~=|!=|\^|~|<|>)?\s*3\.(\d+)", wish)
    return all(tests[sign or "=="](int(number)) for sign, number in clauses)


# ---------------------------------------------------------------------------------- other languages


def _conda(root: Path) -> ContainerImage | None:
    found = next((name for name in ("environment.yml", "environment.yaml") if (root / name).is_file()), None)
    if found is None:
        return None
    return ContainerImage(
        "conda",
        "condaforge/miniforge3:24.11.3-0",
        (found,),
        (f"conda env update --quiet --name base --file {found} && conda clean --all --yes",),
        add="conda install --quiet --yes --name base {} && conda clean --all --yes",
        python="conda create --quiet --yes python=3.12 pip --prefix",
    )


def _r(root: Path) -> ContainerImage | None:
    add = "Rscript -e 'install.packages(commandArgs(TRUE))' {}"
    base = ContainerImage("r", "rocker/r-ver:4.4.2", add=add, system=_SYSTEM_PYTHON)
    if (root / "renv.lock").is_file():
        restore = 'renv::restore(lockfile = "renv.lock", library = .Library.site[1], prompt = FALSE)'
        install = f"Rscript -e 'install.packages(\"renv\")' -e '{restore}'"
        off = (("RENV_CONFIG_AUTOLOADER_ENABLED", "FALSE"),)
        return dataclasses.replace(base, files=("renv.lock",), install=(install,), variables=off)
    if (root / "DESCRIPTION").is_file():
        install = "Rscript -e 'install.packages(\"remotes\")' -e 'remotes::install_deps(dependencies = TRUE)'"
        return dataclasses.replace(base, files=("DESCRIPTION",), install=(install,))
    return base if any(root.glob("*.R")) or any(root.glob("R/*.R")) or any(root.glob("src/*.R")) else None


def _node(root: Path) -> ContainerImage | None:
    if not (root / "package.json").is_file():
        return None
    lock, install = next(
        (
            (name, command)
            for name, command in (
                ("pnpm-lock.yaml", "corepack enable && pnpm install --frozen-lockfile"),
                ("yarn.lock", "corepack enable && yarn install --frozen-lockfile"),
                ("package-lock.json", "npm ci"),
                ("npm-shrinkwrap.json", "npm ci"),
            )
            if (root / name).is_file()
        ),
        ("", "npm install"),
    )
    # Node looks for modules in every directory above the code: / is above every workspace.
    return ContainerImage(
        "node",
        f"node:22-{_DEBIAN}-slim",
        ("package.json", *([lock] if lock else [])),
        (f'{install} && ln -s "$PWD/node_modules" /node_modules',),
        add="npm install --global {}",
        system=_SYSTEM_PYTHON,
        variables=(("PATH", "/node_modules/.bin:$PATH"),),
    )
