"""Render the files' text from what was detected and what was asked for. Pure."""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from mlbutler.scaffold.detected import ContainerImage, DetectedProject
from mlbutler.scaffold.image import IMAGE_LABEL, packages
from mlbutler.scaffold.jenkinsfile import commands_values, jenkinsfile_values, train_values
from mlbutler.scaffold.options import GITHUB, GITLAB, JENKINS, LABEL, MIRROR, ScaffoldOptions, ignore_file
from mlbutler.scaffold.quoting import (
    github_value,
    gitlab_value,
    groovy_string,
    toml_string,
    without_expressions,
    yaml_string,
)
from mlbutler.scaffold.variables import withheld_variables
from mlbutler.scaffold.wheel import IN_IMAGE, Wheel
from mlbutler.scaffold.workflow import (
    commands_path,
    forks_path,
    github_values,
    gitlab_values,
    publishes_forks,
    workflow_path,
)
from mlbutler.version import __version__

if TYPE_CHECKING:
    from jinja2 import Environment

# DVC's plugins that are extras of mlbutler.
_EXTRAS = {"s3": "s3", "ssh": "ssh"}


def render_files(
    found: DetectedProject,
    options: ScaffoldOptions,
    dockerfile: str = "Dockerfile",
    wheel: Wheel | None = None,
    *,
    included: bool = False,
) -> dict[str, str]:
    """Map file name -> text, relative to the project's root.

    Args:
        dockerfile: name of the Dockerfile; another one than ``Dockerfile`` gets an ignore file of its own name.
        wheel: mlbutler itself, where it is taken from the repository. included: the repository's own
            `.gitlab-ci.yml` includes the file that is written.
    """
    environment = _environment()

    def render(template: str, values: Mapping[str, object]) -> str:
        return environment.get_template(f"{template}.j2").render(values)

    files = {}
    if options.ci == JENKINS:
        files["Jenkinsfile"] = render("Jenkinsfile", jenkinsfile_values(found, options, dockerfile))
        if options.train:
            files["Jenkinsfile.train"] = render("Jenkinsfile.train", train_values(found, options, dockerfile))
        if options.commands:
            files["Jenkinsfile.commands"] = render("Jenkinsfile.commands", commands_values(found, options, dockerfile))
    else:
        requirement = options.requirement or _requirement(found, wheel)
        values = (github_values if options.ci == GITHUB else gitlab_values)(found, options, requirement, wheel)
        files[workflow_path(found, options, included=included)] = render(f"{options.ci}.yml", values)
        if publishes_forks(found, options):
            files[forks_path(found, options)] = render("github-forks.yml", values)
        if options.commands:
            files[commands_path(found, options)] = render("github-commands.yml", values)
    if has_dockerfile(options):
        image = _docker(found, options, wheel)
        files[dockerfile] = render("Dockerfile", image)
        files[ignore_file(dockerfile)] = render("dockerignore", image)
    if not found.configured:
        files["mlbutler.toml"] = render("mlbutler.toml", _settings(found))
    return files


def has_dockerfile(options: ScaffoldOptions) -> bool:
    """Return whether a Dockerfile is written: for the image that builds run in."""
    return options.agent != LABEL and (options.ci == JENKINS or (options.ci == GITLAB and bool(options.image)))


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("mlbutler.scaffold"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True, autoescape=False,  # Groovy, a Dockerfile, TOML: no HTML
    )  # fmt: skip
    environment.filters |= {
        "groovy": groovy_string, "toml": toml_string, "sh": shlex.quote, "yaml": yaml_string, "github": github_value,
        "gitlab": gitlab_value, "without_expressions": without_expressions,
    }  # fmt: skip
    return environment


# --------------------------------------------------------------------------------------- Dockerfile


def _docker(found: DetectedProject, options: ScaffoldOptions, wheel: Wheel | None) -> Mapping[str, object]:
    image = found.image
    return {
        "image": image,
        "system": sorted({*packages(), *image.system}),
        "copies": _copies(image),
        "wheel": wheel,
        "wheel_folder": IN_IMAGE,
        "label": f'{IMAGE_LABEL}="{re.sub(r"[^A-Za-z0-9_.-]", "-", found.name)}"',
        "requirement": options.requirement or _requirement(found, wheel),
        "add": image.add.format(" ".join(map(shlex.quote, found.missing))) if found.missing and image.add else "",
        "mirror": shlex.quote(options.mirror or MIRROR),
    }


def _copies(image: ContainerImage) -> list[str]:
    """Return COPY lines that keep the files' folders."""
    folders: dict[str, list[str]] = {}
    for file in image.files:
        folders.setdefault(posixpath.dirname(file), []).append(file)
    return [
        f"COPY {json.dumps([*files, f'./{folder}/' if folder else './'], ensure_ascii=False)}"
        if any(re.search(r"[^\w./-]", file) for file in files)
        else f"COPY {' '.join(files)} {f'./{folder}/' if folder else './'}"
        for folder, files in folders.items()
    ]


def _requirement(found: DetectedProject, wheel: Wheel | None) -> str:
    kind = found.remote.kind if found.remote else ""
    extra = f"[{_EXTRAS[kind]}]" if kind in _EXTRAS else ""
    return f"mlbutler{extra} @ {wheel.address}" if wheel else f"mlbutler{extra}=={__version__}"


# ---------------------------------------------------------------------------------------- settings


def _settings(found: DetectedProject) -> Mapping[str, object]:
    return {
        "target": found.target,
        "remote": found.remote.name if found.remote else "",
        "tests": found.tests,
        "linters": found.linters,
        "gated": found.gated,
        "predictions": found.predictions,
        "passed": withheld_variables(found),
    }
