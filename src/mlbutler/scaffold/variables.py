"""Which variables builds are given: the former Jenkinsfile's, and where Python looks for modules."""

from __future__ import annotations

import posixpath

from mlbutler.allowed_variables import is_harmless
from mlbutler.jenkins.expressions import WORKSPACE
from mlbutler.scaffold.carried import in_workspace
from mlbutler.scaffold.detected import DetectedProject


def given_variables(found: DetectedProject) -> list[tuple[str, str]]:
    """Return the variables that builds are given: the former Jenkinsfile's, and where Python looks for modules."""
    given = dict(found.carried.variables)
    folders = [in_workspace(posixpath.join(found.folder, path).rstrip("/")) for path in found.python_path]
    former = [
        text if text.startswith(("/", WORKSPACE)) else in_workspace(posixpath.normpath(text).removeprefix("."))
        for text in given.get("PYTHONPATH", "").split(":")
        if text
    ]  # a stage need not run where the Jenkinsfile's commands did
    path = dict.fromkeys([*former, *folders])
    return list((given | ({"PYTHONPATH": ":".join(path)} if path else {})).items())


def withheld_variables(found: DetectedProject) -> list[str]:
    """Return the variables of the former Jenkinsfile that the project's code gets only where the settings say so."""
    return [name for name, _ in found.carried.variables if not is_harmless(name)]
