"""Set up what a project's code needs on GitHub's machines or in GitLab's containers, by the Dockerfile's lines."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from mlbutler.scaffold.detected import ContainerImage
from mlbutler.scaffold.image import packages

_IN_IMAGE = "/opt/project"


@dataclass(frozen=True)
class RunnerSetup:
    """Actions that bring the language, with their settings; shell lines that install packages; variables."""

    actions: tuple[tuple[str, dict[str, str]], ...] = ()
    install: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()


def github_setup(image: ContainerImage, missing: str) -> RunnerSetup:
    """Return the set-up of a machine of GitHub's, where an action brings the language and nobody is root.

    Args:
        missing: command that installs tools which no dependency file names, '' for none.
    """
    version = (re.search(r":v?([\d.]+)", image.base) or ["", ""])[1].rstrip(".")
    lines = (*image.install, missing) if missing else image.install
    if image.language == "python":
        return RunnerSetup((("actions/setup-python@v6", {"python-version": version or "3.12"}),), lines)
    if image.language == "conda":
        lines = tuple(line.replace(_IN_IMAGE, '"$HOME/project"') for line in lines)
        path = 'echo "$HOME/project/bin" >> "$GITHUB_PATH"'
        action = ("conda-incubator/setup-miniconda@v3", {"miniforge-version": "latest"})
        return RunnerSetup((action,), ('export PATH="$CONDA/bin:$CONDA/condabin:$PATH"', *lines, path))
    if image.language == "r":
        lines = tuple(line.replace(".Library.site[1]", ".libPaths()[1]") for line in lines)
        action = ("r-lib/actions/setup-r@v2", {"r-version": version, "use-public-rspm": "true"})
        return RunnerSetup((action,), lines, image.variables)
    if image.language == "julia":
        lines = tuple(re.sub(r"JULIA_DEPOT_PATH=\S+ | && chmod .*", "", line) for line in image.install)
        action = ("julia-actions/setup-julia@v2", {"version": version})
        return RunnerSetup((action,), (*lines, *_with_sudo(missing)), (("JULIA_PROJECT", "@."),))
    if image.language == "node":
        # Node looks for modules in every directory above the code.
        above = '"$GITHUB_WORKSPACE/../node_modules"'
        lines = tuple(line.replace("ln -s", "ln -sfn").replace(" /node_modules", f" {above}") for line in lines)
        path = 'echo "$GITHUB_WORKSPACE/../node_modules/.bin" >> "$GITHUB_PATH"'
        return RunnerSetup((("actions/setup-node@v6", {"node-version": version or "22"}),), (*lines, path))
    return RunnerSetup(install=_with_sudo(missing))


def _with_sudo(command: str) -> tuple[str, ...]:
    return (f"sudo sh -ec {shlex.quote(command)}",) if command else ()


def container_commands(image: ContainerImage, mlbutler: str, missing: str, copied: str, folder: str) -> Sequence[str]:
    """Return the lines that do in a container of GitLab's, as root, what the Dockerfile's do.

    Args:
        mlbutler: what pip installs. copied: the dependency files, from the clone. folder: the project's.
    """
    with_uv = image.python.startswith("uv ")
    system = {*packages(), *image.system, *(("python3", "python3-venv") if with_uv else ())}
    uv = (
        "python3 -m venv /opt/uv && /opt/uv/bin/pip install --quiet 'uv==0.9.*' && ln -s /opt/uv/bin/uv /usr/local/bin",
        "export UV_PYTHON_INSTALL_DIR=/opt/uv-python",
    )
    copy = f"mkdir -p /opt/dependencies && cp --parents {copied} /opt/dependencies"
    wrapper = "'#!/bin/sh\\nexec /opt/mlbutler/bin/python -I -m mlbutler \"$@\"\\n'"
    return (
        f"apt-get update -qq && apt-get install -qq --yes --no-install-recommends {' '.join(sorted(system))}",
        *(uv if with_uv else ()),
        f"{image.python} /opt/mlbutler && /opt/mlbutler/bin/pip install --quiet {mlbutler}",
        f"printf {wrapper} > /usr/local/bin/mlbutler && chmod 755 /usr/local/bin/mlbutler",
        *image.before,
        *(f'export {name}="{value}"' for name, value in image.variables),
        *((copy, f"cd {shlex.quote(f'/opt/dependencies/{folder}')}") if copied else ()),
        *image.install,
        *((missing,) if missing else ()),
        'cd "$CI_PROJECT_DIR"',
    )
