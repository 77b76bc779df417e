"""What the image must have besides the project's own packages: mlbutler's programs, and those of Jenkins' plugins."""

from __future__ import annotations

from collections.abc import Mapping

IMAGE_LABEL = "mlbutler.project"
"""Names the project in the label of its images, so that old ones can be found and removed."""
PROGRAMS: Mapping[str, str] = {
    # Docker Pipeline keeps the container with `cat` and sets variables with `env`. It finds a step's processes with
    # `ps -A -o pid,command e` and ends them with `kill`: without these two nothing can be aborted.
    "cat": "coreutils",
    "env": "coreutils",
    "ps": "procps",
    "kill": "procps",
    # Durable Task, which is the step `sh`.
    "sh": "dash",
    "nohup": "coreutils",
    "touch": "coreutils",
    "sleep": "coreutils",
    "mv": "coreutils",
    # mlbutler, and Git over SSH.
    "git": "git",
    "ssh": "openssh-client",
}
"""Program -> the package of Debian and Ubuntu that brings it. Images that Jenkins runs steps in need all of them."""
_ESSENTIAL = ("coreutils", "dash")
_DATA = ("ca-certificates",)


def packages() -> tuple[str, ...]:
    """Return the packages to install, without those that every Debian has."""
    return tuple(sorted({*PROGRAMS.values(), *_DATA} - {*_ESSENTIAL}))
