"""Find which language a project is written in, and the image that its code runs in."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from mlbutler.parsing import Unreadable, parse_json
from mlbutler.scaffold.detected import ContainerImage
from mlbutler.scaffold.files import first_there, inside, read_text, read_toml, table
from mlbutler.scaffold.python_packages import Packages, find_packages

_DEBIAN = "bookworm"
# mlbutler needs Python 3.11 or newer; an older one of the project's stands beside it.
_PYTHONS = ("3.12", "3.11", "3.13", "3.10", "3.9")
_NEW_ENOUGH = ("3.11", "3.12", "3.13")
_SYSTEM_PYTHON = ("python3", "python3-venv")
_CONDA = "/opt/project"
"""An environment of its own: conda runs in the base one, and pins Python there."""


def detect_image(root: Path, folders: Iterable[str] = ()) -> ContainerImage:
    """Return the image for the project at `root`; the first language that fits decides, the others are named.

    Args:
        folders: where the stages' scripts lie, from the root.
    """
    packages = find_packages(root, folders)
    python, r = _python(root, packages), _r(root)
    # A list of dependencies says more of a project than a few sources.
    looked = (
        _conda(root, packages),
        python if packages else None,
        r if r and r.files else None,
        _julia(root),
        python,
        r,
    )
    found = list(dict.fromkeys(image for image in (*looked, _node(root)) if image))
    if not found:
        return ContainerImage("shell", f"debian:{_DEBIAN}-slim", system=_SYSTEM_PYTHON, add=_apt())
    chosen, *others = found
    if chosen.language == "conda":  # pip's files of the same project
        others = [image for image in others if image.language != "python"]
    return dataclasses.replace(chosen, others=tuple(file for image in others for file in image.files))


def _apt() -> str:
    return "apt-get update && apt-get install --yes --no-install-recommends {} && rm -rf /var/lib/apt/lists/*"


# ------------------------------------------------------------------------------------------- Python


def _python(root: Path, packages: Packages | None) -> ContainerImage | None:
    if packages is None and not any(root.glob("*.py")) and not any(root.glob("src/**/*.py")):
        return None
    version = _python_version(root)
    old = version not in _NEW_ENOUGH
    return ContainerImage(
        "python",
        f"python:{version}-slim-{_DEBIAN}",
        packages.files if packages else (),
        packages.install if packages else (),
        add="pip install --no-cache-dir {}",
        system=_SYSTEM_PYTHON if old else (),
        python="/usr/bin/python3 -m venv" if old else "python -m venv",
    )


def _python_version(root: Path) -> str:
    said = read_text(root / ".python-version") or read_text(root / "runtime.txt").removeprefix("python-")
    if match := re.match(r"\s*(3\.\d+)", said):
        return match[1]
    wish = _read_requires_python(root)
    return next((version for version in _PYTHONS if _allows(wish, version)), _PYTHONS[0])


def _read_requires_python(root: Path) -> str:
    data = read_toml(root / "pyproject.toml")
    pipfile = table(read_toml(root / "Pipfile"), "requires")
    setup = re.search(
        r"python_requires\s*=\s*['\"]?([^'\"\n]+)", read_text(root / "setup.cfg") + read_text(root / "setup.py")
    )
    return str(
        table(data, "project").get("requires-python")
        or table(data, "tool", "poetry", "dependencies").get("python")
        or pipfile.get("python_version")
        or pipfile.get("python_full_version")
        or (setup[1] if setup else "")
    )


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


# -------------------------------------------------------------------------------------------- conda


def _conda(root: Path, packages: Packages | None) -> ContainerImage | None:
    lock = first_there(root, ("conda-lock.yml", "conda-linux-64.lock"))
    listed = first_there(root, ("environment.yml", "environment.yaml", "conda.yml", "conda.yaml", "env.yml"))
    if not lock and (not listed or "dependencies" not in read_text(root / listed) or (packages and packages.locked)):
        return None
    files, install = (
        ((lock,), _conda_create(lock)) if lock else (_conda_files(root, listed), _conda_env_create(root, listed))
    )
    return ContainerImage(
        "conda",
        "condaforge/miniforge3:24.11.3-0",
        files,
        (f"{install} && conda clean --all --yes",),
        add=f"conda install --quiet --yes --prefix {_CONDA} {{}} && conda clean --all --yes",
        variables=(("PATH", f"{_CONDA}/bin:$PATH"), ("CONDA_PREFIX", _CONDA)),
        python="conda create --quiet --yes python=3.12 pip --prefix",
    )


def _conda_create(lock: str) -> str:
    """Return the command that installs what a lock file says: mamba reads conda-lock's, conda one of addresses."""
    program = "mamba" if lock.endswith(".yml") else "conda"
    return f"{program} create --quiet --yes --prefix {_CONDA} --file {lock}"


_CONDA_LOCAL = r"^[[:space:]]*-[[:space:]]*[\"']?((-e|--editable)[[:space:]=]|\.)"


def _conda_env_create(root: Path, file: str) -> str:
    create = f"conda env create --quiet --prefix {_CONDA} --file {file}"
    local = re.search(
        _CONDA_LOCAL.replace("[[:space:]]", r"\s").replace("[[:space:]=]", r"[\s=]"), read_text(root / file), re.M
    )
    return f'sed -i -E "/{_CONDA_LOCAL}/d" {file} && {create}' if local else create


def _conda_files(root: Path, file: str) -> tuple[str, ...]:
    included = re.findall(r"(?m)^\s*-\s*[\"']?(?:-r|--requirement)[ =]\s*([^\s\"']+)", read_text(root / file))
    paths = (inside(PurePosixPath(name)) for name in included)
    return (file, *(path for path in paths if path and (root / path).is_file()))


# ---------------------------------------------------------------------------------- other languages


def _r(root: Path) -> ContainerImage | None:
    add = "Rscript -e 'install.packages(commandArgs(TRUE))' {}"
    base = ContainerImage("r", f"rocker/r-ver:{_r_version(root)}", add=add, system=_SYSTEM_PYTHON)
    if (root / "renv.lock").is_file():
        restore = 'renv::restore(lockfile = "renv.lock", library = .Library.site[1], prompt = FALSE)'
        install = f"Rscript -e 'install.packages(\"renv\")' -e '{restore}'"
        off = (("RENV_CONFIG_AUTOLOADER_ENABLED", "FALSE"),)
        return dataclasses.replace(base, files=("renv.lock",), install=(install,), variables=off)
    if (root / "DESCRIPTION").is_file():
        install = "Rscript -e 'install.packages(\"remotes\")' -e 'remotes::install_deps(dependencies = TRUE)'"
        return dataclasses.replace(base, files=("DESCRIPTION",), install=(install,))
    return base if any(root.glob("*.R")) or any(root.glob("R/*.R")) or any(root.glob("src/*.R")) else None


def _r_version(root: Path) -> str:
    """Return R's version as renv.lock has it."""
    try:
        content: Any = parse_json(read_text(root / "renv.lock"))
    except Unreadable:
        content = {}
    said = str(table(content, "R").get("Version", ""))
    return said if re.fullmatch(r"\d+\.\d+\.\d+", said) else "4.4.2"


def _julia(root: Path) -> ContainerImage | None:
    project, lock = (first_there(root, (f"{name}.toml", f"Julia{name}.toml")) for name in ("Project", "Manifest"))
    if not project:
        return None
    said = read_toml(root / project)
    locked = str(read_toml(root / lock).get("julia_version", "")) if lock else ""
    wished = re.search(r"\d+\.\d+", str(table(said, "compat").get("julia", "")))
    version = locked if re.fullmatch(r"\d+\.\d+\.\d+", locked) else wished[0] if wished else "1.11"
    name = str(said.get("name", ""))
    # A package's own module comes with the checkout; Julia wants to see one.
    module = f"mkdir -p src && echo 'module {name} end' > src/{name}.jl && " if re.fullmatch(r"\w+", name) else ""
    instantiate = "julia --project=. -e 'using Pkg; Pkg.instantiate(); Pkg.precompile()'"
    return ContainerImage(
        "julia",
        f"julia:{version}-{_DEBIAN}",
        (project, *([lock] if lock else [])),
        (f"{module}JULIA_DEPOT_PATH=/opt/julia: {instantiate} && chmod -R a+rX /opt/julia",),
        add=_apt(),
        system=_SYSTEM_PYTHON,
        # What a build compiles goes into its home; the packages are found in the image.
        variables=(("JULIA_DEPOT_PATH", "/home/butler/.julia:/opt/julia:"), ("JULIA_PROJECT", "@.")),
    )


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
