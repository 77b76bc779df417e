"""What a hand-written Jenkinsfile gave its builds, as far as it may stand in a generated file."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase

from mlbutler.errors import UsageError
from mlbutler.jenkins.expressions import WORKSPACE
from mlbutler.scaffold.reserved_variables import is_reserved

GPUS, SHM_SIZE = "--gpus=all", "--shm-size="
"""What `mlbutler init` has options for."""
GIT, FORGE = "git", "forge"
KEY_ID, SECRET_KEY = "s3-key-id", "s3-secret-key"
PURPOSES = (GIT, FORGE, "http", "s3", KEY_ID, SECRET_KEY, "ssh", "gs", "azure")

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_PLAIN = r"[A-Za-z0-9_ ./:,@%+=~#?*-]"
_VALUE = re.compile(rf"(?:\$\{{WORKSPACE\}}|{_PLAIN}){{0,500}}")
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./:@-]{0,250}")
_LABEL = re.compile(r"[A-Za-z0-9_.@&|!()\" -]{1,200}")
_ID = re.compile(r"[A-Za-z0-9_.-]{1,200}")
_TOOL = re.compile(r"[A-Za-z0-9_. +-]{1,100}")
_PATH = re.compile(r"/[A-Za-z0-9_./@%+=~-]{1,250}")
_OPTION = re.compile(
    r"--(?:gpus|runtime|shm-size|memory|memory-swap|cpus|cpuset-cpus|ulimit|add-host|dns|network|device|entrypoint)"
    r"=[A-Za-z0-9_./:=@%+-]{0,100}"
)
_NEVER = re.compile(r"--network=(?:host|container:.*)|--device=(?!/dev/(?:nvidia[\w-]*|kfd|dri)(?:/[\w-]+)?$).*")
_OF_THE_SYSTEM = ("etc", "root", "proc", "sys", "dev", "boot", "run", "var/run", "usr", "bin", "sbin", "lib", "lib64")
_OF_THE_IMAGE = (*_OF_THE_SYSTEM, "opt/mlbutler", "home/butler")
_OF_SERVICES = (
    "var/spool", "var/log", "var/snap", "var/jenkins*", "var/lib/jenkins*", "var/lib/docker*", "var/lib/containerd",
    "var/lib/containers", "var/lib/kubelet", "var/lib/rancher",
)  # fmt: skip
_OF_THE_AGENT = (*_OF_THE_SYSTEM, *_OF_SERVICES)
# Where an agent keeps its own files and the workspaces of other jobs: a user's home, a folder named after the agent.
_AGENT_ROOT = re.compile(
    r"/(?:home|Users)(?:/[^/]+(?:/agent(?:/.*)?)?)?|(?:/.*)?/(?:jenkins|jenkins[_-](?:home|agent)|workspace)|.*\.sock"
)
_KEEPS_SECRETS = re.compile(r"/\.(?:ssh|aws|azure|docker|kube|config|dvc|gnupg|netrc|git-credentials)(?:/|$)")


@dataclass(frozen=True)
class Carried:
    """What is taken over, each in a form that may be written into generated files.

    Attributes:
        image: what builds ran in. label: of the agents. on_agents: builds ran on these without a container.
        variables: of the environment; ``${WORKSPACE}`` in a value is the build's workspace.
        options: of ``docker run``, as ``--name=value``. volumes: ``/agent/path:/container/path``, with ``:ro`` or not.
        credentials: (one of `PURPOSES`, id in Jenkins' store). tools: (kind, name) of the section ``tools``.
    """

    image: str = ""
    label: str = ""
    on_agents: bool = False
    variables: tuple[tuple[str, str], ...] = ()
    options: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    credentials: tuple[tuple[str, str], ...] = ()
    tools: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Refuse what may not stand in a generated file: the manifest that this is read from is a file like any other.

        Raises:
            UsageError: some part of it is none of the forms above.
        """
        for name, fits in (
            ("image", not self.image or is_image(self.image)),
            ("label", not self.label or is_label(self.label)),
            ("variables", all(is_variable(*pair) for pair in self.variables)),
            ("options", all(map(is_option, self.options))),
            ("volumes", all(map(is_volume, self.volumes))),
            ("places of volumes", len(set(map(mount_point, self.volumes))) == len(self.volumes)),
            ("credentials", all(purpose in PURPOSES and is_id(one) for purpose, one in self.credentials)),
            ("tools", all(is_tool(*pair) for pair in self.tools)),
        ):
            if not fits:
                raise UsageError(f"{name} of the former Jenkinsfile are in no form that can be written.")

    @property
    def ids(self) -> Mapping[str, str]:
        """Return purpose -> id of the credentials."""
        return dict(self.credentials)


def load_carried(content: Mapping[str, object]) -> Carried:
    """Return what JSON kept of it.

    Raises:
        UsageError, TypeError, ValueError: it is something else.
    """
    known = {one.name: one.type for one in fields(Carried)}
    found: dict[str, object] = {}
    for name, value in content.items():
        if name not in known or isinstance(value, list) is not str(known[name]).startswith("tuple"):
            raise ValueError(name)
        found[name] = _tuples(value) if isinstance(value, list) else value
    return Carried(**found)  # type: ignore[arg-type]


def _tuples(value: Sequence[object]) -> tuple[object, ...]:
    return tuple(tuple(map(str, one)) if isinstance(one, list) else str(one) for one in value)


def is_image(text: str) -> bool:
    """Return whether it is an image's name."""
    return _IMAGE.fullmatch(text) is not None


def is_label(text: str) -> bool:
    """Return whether it is an expression of labels."""
    return _LABEL.fullmatch(text) is not None


def is_variable(name: str, value: str) -> bool:
    """Return whether a variable may be written: a plain name, not reserved, a value without quotes and variables."""
    return _NAME.fullmatch(name) is not None and not is_reserved(name) and _VALUE.fullmatch(value) is not None


def is_id(text: str) -> bool:
    """Return whether it is a credential's id."""
    return _ID.fullmatch(text) is not None


def is_tool(kind: str, name: str) -> bool:
    """Return whether it is a tool as Jenkins knows it."""
    return _NAME.fullmatch(kind) is not None and _TOOL.fullmatch(name) is not None


def is_option(text: str) -> bool:
    """Return whether it is an option of ``docker run`` that gives a build more of a resource, and nothing else."""
    memory = text.removeprefix(SHM_SIZE)
    if memory != text and not re.fullmatch(r"[1-9]\d*[bkmgBKMG]?", memory):
        return False
    return _OPTION.fullmatch(text) is not None and _NEVER.fullmatch(text) is None


def is_volume(text: str) -> bool:
    """Return whether it is a folder of the agent that a build may have, where the image has nothing of its own."""
    source, _, rest = text.partition(":")
    target, _, mode = rest.partition(":")
    return (
        all(_PATH.fullmatch(path) is not None and ".." not in path.split("/") for path in (source, target))
        and mode in ("", "ro")
        and not _meets(source, _OF_THE_AGENT)
        and not _meets(target, _OF_THE_IMAGE)
        and _AGENT_ROOT.fullmatch(posixpath.normpath(source)) is None
        and _KEEPS_SECRETS.search(source) is None
    )


def mount_point(volume: str) -> str:
    """Return where the container has a volume."""
    return posixpath.normpath(volume.split(":")[1])


def _meets(path: str, folders: Sequence[str]) -> bool:
    """Return whether a path is one of these folders, lies in one or holds one."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return any(all(map(fnmatchcase, parts, folder.split("/"))) for folder in folders)


def in_workspace(folder: str) -> str:
    """Return a folder of the repository as a variable's value names it."""
    return f"{WORKSPACE}/{folder}" if folder else WORKSPACE
