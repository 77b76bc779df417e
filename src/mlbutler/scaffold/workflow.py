"""Render the files for CI servers other than Jenkins: the same steps, from the same table. Pure."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from mlbutler.errors import UsageError
from mlbutler.scaffold.carried import in_workspace
from mlbutler.scaffold.detected import DetectedProject
from mlbutler.scaffold.options import GITHUB, GITLAB, LABEL, ScaffoldOptions
from mlbutler.scaffold.runner import container_commands, github_setup
from mlbutler.scaffold.step_order import ALL, binds_data
from mlbutler.scaffold.variables import given_variables
from mlbutler.scaffold.wheel import Wheel

GITLAB_FILE = ".gitlab-ci.yml"
INCLUDED = "mlbutler.gitlab-ci.yml"
"""The file that a project's own `.gitlab-ci.yml` includes."""
_GITHUB_MIRROR = "~/.cache/mlbutler-mirror"
_GITLAB_MIRROR = in_workspace(".mlbutler-mirror")
"""GitLab's cache takes folders of the clone alone."""
ASKED = ("commit", "approved", "repeats", "sample")
"""What `mlbutler on-comment` says of a run that was asked for."""
_MINUTES = {"test": 120, "lint": 60, "reproduce": 7200}
_LONGEST = 360
"""GitHub's own machines end a job after so many minutes."""
_GIT = ("MLBUTLER_GIT_USERNAME", "MLBUTLER_GIT_TOKEN", "CI_JOB_TOKEN")
_OF_FORGES = ("MLBUTLER_FORGE_TOKEN", "GITLAB_TOKEN")
_NOT_NEEDED = ("CI_REPOSITORY_URL", "CI_REGISTRY_PASSWORD", "CI_DEPLOY_PASSWORD", "CI_DEPENDENCY_PROXY_PASSWORD")
"""What else GitLab puts into a job's environment."""


@dataclass(frozen=True)
class Secret:
    """What a DVC remote wants: a variable of mlbutler's or of the remote's own tools; is it the path of a file?"""

    variable: str
    file: bool = False


_SECRETS = {
    "http": (Secret("MLBUTLER_REMOTE_USER"), Secret("MLBUTLER_REMOTE_PASSWORD")),
    "s3": (Secret("AWS_ACCESS_KEY_ID"), Secret("AWS_SECRET_ACCESS_KEY")),
    "ssh": (Secret("MLBUTLER_REMOTE_USER"), Secret("MLBUTLER_REMOTE_PRIVATE_KEY_FILE", file=True)),
    "gs": (Secret("GOOGLE_APPLICATION_CREDENTIALS", file=True),),
    "azure": (Secret("AZURE_STORAGE_CONNECTION_STRING"),),
}


def workflow_path(found: DetectedProject, options: ScaffoldOptions, *, included: bool) -> str:
    """Return where the file goes, from the project's root.

    Args:
        included: the repository has a `.gitlab-ci.yml` of its own, which will include this one.
    """
    if options.ci == GITLAB:
        return INCLUDED if included or found.folder else GITLAB_FILE
    up = "../" * (found.folder.count("/") + 1) if found.folder else ""
    return f"{up}.github/workflows/{'-'.join(filter(None, ('mlbutler', _slug(found))))}.yml"


def publishes_forks(found: DetectedProject, options: ScaffoldOptions) -> bool:
    """Return whether a workflow of its own publishes what the builds of forks found.

    Not where none run, nor where the comment goes to another forge.
    """
    return options.ci == GITHUB and options.agent != LABEL and found.forge in ("", "github")


def forks_path(found: DetectedProject, options: ScaffoldOptions) -> str:
    """Return where that workflow goes, from the project's root."""
    return workflow_path(found, options, included=False).replace(".yml", "-forks.yml")


def commands_path(found: DetectedProject, options: ScaffoldOptions) -> str:
    """Return where the workflow that reads comments goes, from the project's root.

    Raises:
        UsageError: comments on another forge start nothing on GitHub.
    """
    if found.forge not in ("", "github"):
        raise UsageError(
            f"--commands: comments on {found.forge} start no workflow of GitHub's.", "Leave it out, or use Jenkins."
        )
    return workflow_path(found, options, included=False).replace(".yml", "-commands.yml")


def _slug(found: DetectedProject) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", found.folder).strip("-")


def github_values(
    found: DetectedProject, options: ScaffoldOptions, requirement: str, wheel: Wheel | None
) -> Mapping[str, object]:
    """Return what the workflow for GitHub is filled with.

    Args:
        requirement: what pip installs as mlbutler.
    """
    machine, own = github_setup(found.image, _missing(found)), options.agent == LABEL
    secrets = _SECRETS.get(found.remote.kind if found.remote else "", ())
    return {
        **_values(found, options, _GITHUB_MIRROR),
        "requirement": _requirement(requirement, wheel, found.folder, "$GITHUB_WORKSPACE"),
        "actions": machine.actions,
        "installs": machine.install,
        "variables": [*given_variables(found), *(() if own else machine.variables)],
        "copied": _quote_dependency_files(found),
        "minutes": {name: limit for name, limit in _MINUTES.items() if limit <= _LONGEST or own},
        "longest": _MINUTES["reproduce"] if own else _LONGEST,
        "secrets": secrets,
        "forks": publishes_forks(found, options),
        "commands": options.commands,
        "asked": ASKED,
        "workflow": workflow_path(found, options, included=False).replace("../", ""),
        "bundle": posixpath.join(found.folder, ".mlbutler", "bundle.zip"),
        "key": next((secret.variable for secret in secrets if secret.file), ""),
    }


def gitlab_values(
    found: DetectedProject, options: ScaffoldOptions, requirement: str, wheel: Wheel | None
) -> Mapping[str, object]:
    """Return what the job for GitLab is filled with; for the arguments see `github_values`."""
    values = _values(found, options, _GITLAB_MIRROR)
    data = [secret.variable for secret in _SECRETS.get(found.remote.kind if found.remote else "", ())]
    mlbutler = _requirement(requirement, wheel, found.folder, "$CI_PROJECT_DIR")
    lines = container_commands(found.image, mlbutler, _missing(found), _quote_dependency_files(found), found.folder)
    return {
        **values,
        "image": options.image or found.image.base,
        "setup": () if values["prepared"] else lines,
        "data_names": [*data, *_GIT],
        "forge_names": [*_OF_FORGES, *_GIT],
        "kept": list(dict.fromkeys((*data, *_GIT, *_OF_FORGES))),
        "dropped": list(_NOT_NEEDED),
        "forks": bool(values["cached"]) and found.forge in ("", "gitlab"),
        "bundle": posixpath.join(found.folder, ".mlbutler", "bundle.zip"),
    }


def _values(found: DetectedProject, options: ScaffoldOptions, mirror: str) -> dict[str, object]:
    """Return what both are filled with.

    Raises:
        UsageError: a name would break the lines that it stands in.
    """
    if not all(text.isprintable() for text in (found.folder, found.report, *found.image.files, *found.missing)):
        raise UsageError("A folder's or file's name has control characters.", "Rename it.")

    def at(path: str) -> str:
        return posixpath.join(found.folder, path)

    own = [tool.junit for tool in found.tests if tool.junit] if not found.configured else list(found.junit)
    labelled = options.agent == LABEL
    return {
        "label": options.label if labelled else "",
        "prepared": bool(options.image) or labelled,
        "mirror": options.mirror or ("" if labelled else mirror),
        "cached": not options.mirror and not labelled,
        "folder": found.folder,
        "slug": _slug(found),
        "target": found.target,
        "variables": given_variables(found),
        "steps": list(ALL),
        "with_data": [name for name in ALL if binds_data(name)],
        "forge": found.forge,
        "gate_as": options.gate_as,
        "report": at(found.report),
        "junit": [at(path) for path in own],
        "artifacts": [at(path) for path in (f"{found.report}/", ".mlbutler/*.json", ".mlbutler/*.log")],
    }


def _missing(found: DetectedProject) -> str:
    """Return the command that installs tools which no dependency file names."""
    packages = " ".join(map(shlex.quote, found.missing))
    return found.image.add.format(packages) if packages and found.image.add else ""


def _quote_dependency_files(found: DetectedProject) -> str:
    """Return the dependency files as words of a shell: what is installed may change them, and the clone stays."""
    return shlex.join([posixpath.join(found.folder, file) for file in found.image.files])


def _requirement(requirement: str, wheel: Wheel | None, folder: str, workspace: str) -> str:
    """Return what pip installs, as a word of a shell; a wheel lies in the clone, and pip checks its hash."""
    if wheel is None or " @ " not in requirement:
        return shlex.quote(requirement)
    name = requirement.partition(" @ ")[0]
    return f'"{name} @ file://{workspace}/{quote(posixpath.join(folder, wheel.path))}#sha256={wheel.sha256}"'
