"""Any text as a string of the languages that generated files are written in."""

from __future__ import annotations

import json

from mlbutler.jenkins.expressions import WORKSPACE


def groovy_string(text: str) -> str:
    """Return a single-quoted string of Groovy, which interpolates nothing."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
    return f"'{escaped}'"


def groovy_value(text: str) -> str:
    """Return a variable's value as Groovy has it, with the workspace of the build where the text names that."""
    if WORKSPACE not in text:
        return groovy_string(text)
    parts = [part.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$") for part in text.split(WORKSPACE)]
    return f'"{"${env.WORKSPACE}".join(parts)}"'.replace("\n", "\\n").replace("\r", "\\r")


def toml_string(text: str) -> str:
    """Return a basic string of TOML: JSON's escapes are a part of TOML's."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def yaml_string(value: object) -> str:
    """Return a text, or a table of texts, as YAML has it: JSON is a part of YAML."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f").replace("\x85", "\\u0085")


def without_expressions(text: str) -> str:
    """Return a text in which GitHub evaluates nothing."""
    return text.replace("${{", "${{ '${{' }}")


def github_value(text: str) -> str:
    """Return a string in which GitHub evaluates nothing but the workspace's path."""
    return yaml_string("${{ github.workspace }}".join(map(without_expressions, text.split(WORKSPACE))))


def gitlab_value(text: str) -> str:
    """Return a string in which GitLab expands nothing but the workspace's path."""
    return yaml_string("$CI_PROJECT_DIR".join(part.replace("$", "$$") for part in text.split(WORKSPACE)))
