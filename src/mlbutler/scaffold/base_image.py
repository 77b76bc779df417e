"""The image that a project's own starts from, as a hand-written Jenkinsfile or Dockerfile names it."""

from __future__ import annotations

import dataclasses
import re

from mlbutler.scaffold.carried import is_image
from mlbutler.scaffold.detected import ContainerImage

_WITHOUT_APT = re.compile(
    r"alpine|busybox|\bubi\d?\b|centos|rocky|fedora|amazonlinux|distroless|windows|nanoserver|\bscratch\b|almalinux|"
    r"opensuse|archlinux"
)
_OFFICIAL = re.compile(r"(?:docker\.io/)?(?:library/)?python:(?P<version>3\.\d+)(?:\.\d+)?(?P<variant>-[\w.-]+)?")
_NO_PYTHON = re.compile(r"(?:^|/)(?:ubuntu|debian|buildpack-deps|cuda)(?:[:@]|$)")
_FITS = {"conda": r"conda|mamba", "r": r"rocker|r-base|r-ver", "node": r"node", "julia": r"julia"}
UV = "uv venv --quiet --seed --python '>=3.11'"
OWN_PYTHON = "/opt/project"


def is_base(name: str) -> bool:
    """Return whether the generated Dockerfile could start from it: official Python, or one that may have apt-get."""
    return is_image(name) and (_OFFICIAL.fullmatch(name) is not None or _WITHOUT_APT.search(name) is None)


def starting_from(image: ContainerImage, name: str) -> ContainerImage | None:
    """Return the image on another base; None where the project's language asks for another kind of image."""
    if image.language in _FITS:
        found = re.search(_FITS[image.language], name) is not None
        return dataclasses.replace(image, base=name, python=UV) if found else None
    official = _OFFICIAL.fullmatch(name)
    if official is not None and _WITHOUT_APT.search(name):
        name = f"python:{official['version']}-slim-bookworm"
    # mlbutler needs Python 3.11 or newer, for an environment of its own.
    new = official is not None and int(official["version"].removeprefix("3.")) >= 11
    changed = dataclasses.replace(image, base=name, python="python -m venv" if new else UV, system=())
    if image.language == "python" and _NO_PYTHON.search(name):
        version = re.search(r"3\.\d+", image.base)
        make = f"uv venv --quiet --seed --python {version[0] if version else '3.12'} {OWN_PYTHON}"
        variables = (*image.variables, ("PATH", f"{OWN_PYTHON}/bin:$PATH"), ("VIRTUAL_ENV", OWN_PYTHON))
        changed = dataclasses.replace(changed, before=(make,), variables=variables)
    return changed


def read_base(dockerfile: str) -> str:
    """Return the image that a Dockerfile's last stage starts from, '' where a variable or nothing names it."""
    stages: dict[str, str] = {}
    last = ""
    for line in dockerfile.splitlines():
        match = re.match(r"\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?\s*(?:#.*)?$", line, re.IGNORECASE)
        if match:
            last = stages.get(match[1].lower(), match[1])
            if match[2]:
                stages[match[2].lower()] = last
    return last if is_base(last) else ""
