"""Render the files' text from what was detected and what was asked for. Pure."""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlbutler.errors import UsageError
from mlbutler.record import TELLING
from mlbutler.run_table import NAMES, STEPS, taken_after
from mlbutler.scaffold.detected import ContainerImage, DetectedProject
from mlbutler.scaffold.image import IMAGE_LABEL, packages
from mlbutler.scaffold.wheel import IN_IMAGE, Wheel
from mlbutler.version import __version__

if TYPE_CHECKING:
    from jinja2 import Environment

DOCKER, LABEL, KUBERNETES = "docker", "label", "kubernetes"
MIRROR = "/mirror"
_BINDINGS = {
    "http": "usernamePassword(credentialsId: 'mlbutler-dvc',\n"
    "    usernameVariable: 'MLBUTLER_REMOTE_USER', passwordVariable: 'MLBUTLER_REMOTE_PASSWORD')",
    "s3": "usernamePassword(credentialsId: 'mlbutler-s3',\n"
    "    usernameVariable: 'AWS_ACCESS_KEY_ID', passwordVariable: 'AWS_SECRET_ACCESS_KEY')",
    "ssh": "sshUserPrivateKey(credentialsId: 'mlbutler-ssh',\n"
    "    usernameVariable: 'MLBUTLER_REMOTE_USER', keyFileVariable: 'MLBUTLER_REMOTE_PRIVATE_KEY_FILE')",
    "gs": "file(credentialsId: 'mlbutler-gs', variable: 'GOOGLE_APPLICATION_CREDENTIALS')",
    "azure": "string(credentialsId: 'mlbutler-azure', variable: 'AZURE_STORAGE_CONNECTION_STRING')",
}
_GIT = "gitUsernamePassword(credentialsId: 'mlbutler-git', gitToolName: 'Default')"
_GIT_SSH = "sshUserPrivateKey(credentialsId: 'mlbutler-git-ssh',\n    keyFileVariable: 'MLBUTLER_GIT_PRIVATE_KEY_FILE')"
# Docker Pipeline parts its arguments at blanks, and Docker a volume's two paths at a colon.
_MOUNTABLE = re.compile(r"/[\w./@%+=~-]*")
_OWN_CODE = {"test": "time: 2, unit: 'HOURS'", "lint": "time: 1, unit: 'HOURS'", "reproduce": "time: 5, unit: 'DAYS'"}
"""Steps that run the project's own code: without credentials, and limited in time."""
_FIRST = tuple(step.name for step in STEPS if not (step.needs or step.after) and step.name not in TELLING)
"""Steps that wait for no other: `plan`, and then the rest side by side."""
DOCKER_OPTIONS = "--init --security-opt no-new-privileges --cap-drop ALL --pids-limit 4096"
_WITHOUT_TOKEN = ("", "folder")
"""No forge, and the one that is a directory."""
_IMAGE = re.compile(r"\w[\w./:@-]*")
_SHM = re.compile(r"([1-9]\d*)([bkmg]?)", re.IGNORECASE)
# DVC's plugins that are extras of mlbutler.
_EXTRAS = {"s3": "s3", "ssh": "ssh"}


@dataclass(frozen=True)
class ScaffoldOptions:
    """What the user asked `mlbutler init` for.

    Attributes:
        agent: ``docker``, ``label`` or ``kubernetes``. label: of the agents.
        mirror: the directory on the agent that builds share; '' leaves it to the agent's own environment.
        image: for Kubernetes, the image that the pod runs. gate_as: ``fail`` or ``unstable``.
        requirement: what pip installs in the image; '' for this version of mlbutler, from the package index or as a
            wheel in the build context.
        gpu: give containers the agent's graphics cards. shm_size: of their ``/dev/shm`` in Docker's words, such as
            ``8g``; '' leaves it at 64 MB.
    """

    agent: str = DOCKER
    label: str = "docker"
    mirror: str = ""
    image: str = ""
    gate_as: str = "fail"
    requirement: str = ""
    gpu: bool = False
    shm_size: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot stand where it is written.

        Raises:
            UsageError: the mirror is no path, the image no name, or the shared memory no size.
        """
        if self.mirror and not _MOUNTABLE.fullmatch(self.mirror):
            raise UsageError(
                f"The mirror's directory is no absolute path that Docker can mount: {self.mirror}",
                "Without blanks, quotes and colons, such as --mirror /mirror.",
            )
        if self.image and not _IMAGE.fullmatch(self.image):
            raise UsageError(f"'{self.image}' is no name of an image.", "Such as: --image registry.example.org/name:1")
        if self.shm_size and not _SHM.fullmatch(self.shm_size):
            raise UsageError(f"'{self.shm_size}' is no size of memory.", "Such as: --shm-size 8g")


def parse_agent(text: str) -> tuple[str, str]:
    """Return (kind, label) of ``docker``, ``label:NAME`` or ``kubernetes``.

    Raises:
        UsageError: it is none of these, or no expression of labels.
    """
    kind, _, label = text.partition(":")
    if kind not in (DOCKER, LABEL, KUBERNETES) or (kind == LABEL) != bool(label.strip()):
        raise UsageError(f"There is no agent '{text}'.", "One of: docker, label:NAME, kubernetes.")
    if label and not re.fullmatch(r"[\w.@&|!()\" -]+", label):
        raise UsageError(f"'{label}' is no expression of labels.", "Such as: --agent label:gpu")
    return kind, label.strip() or "docker"


def render_files(
    found: DetectedProject, options: ScaffoldOptions, dockerfile: str = "Dockerfile", wheel: Wheel | None = None
) -> dict[str, str]:
    """Map file name -> text, relative to the project's root.

    Args:
        dockerfile: name of the Dockerfile; another one than ``Dockerfile`` gets an ignore file of its own name.
        wheel: mlbutler itself, where the image takes it from the build context.
    """
    environment = _environment()
    files = {"Jenkinsfile": environment.get_template("Jenkinsfile.j2").render(_jenkins(found, options, dockerfile))}
    if options.agent != LABEL:
        ignore = ignore_file(dockerfile)
        values = _docker(found, options, wheel)
        files[dockerfile] = environment.get_template("Dockerfile.j2").render(values)
        files[ignore] = environment.get_template("dockerignore.j2").render(values)
    if not found.configured:
        files["mlbutler.toml"] = environment.get_template("mlbutler.toml.j2").render(_settings(found))
    return files


def ignore_file(dockerfile: str) -> str:
    """Return the file that says what Docker's build is given."""
    return ".dockerignore" if dockerfile == "Dockerfile" else f"{dockerfile}.dockerignore"


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("mlbutler.scaffold"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True, autoescape=False,  # Groovy, a Dockerfile, TOML: no HTML
    )  # fmt: skip
    environment.filters |= {"groovy": groovy_string, "toml": toml_string, "sh": shlex.quote}
    return environment


def groovy_string(text: str) -> str:
    """Return a single-quoted string of Groovy, which interpolates nothing."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
    return f"'{escaped}'"


def toml_string(text: str) -> str:
    """Return a basic string of TOML: JSON's escapes are a part of TOML's."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


# -------------------------------------------------------------------------------------- Jenkinsfile


def _jenkins(found: DetectedProject, options: ScaffoldOptions, dockerfile: str) -> Mapping[str, object]:
    def at(path: str) -> str:
        return posixpath.join(found.folder, path)

    def matching(path: str) -> str:
        return at(path).replace(",", "?")  # a comma parts the patterns of junit and archiveArtifacts

    kind = found.remote.kind if found.remote else "local"
    own = [tool.junit for tool in found.tests if tool.junit] if not found.configured else list(found.junit)
    parsers = dict.fromkeys(f"{tool.warnings}()" for tool in found.linters if tool.warnings)
    mirror = options.mirror or ("" if options.agent == LABEL else MIRROR)
    return {
        "agent": options.agent,
        "label": options.label,
        "mirror": mirror,
        "folder": found.folder,
        "dockerfile": dockerfile,
        "docker_options": _docker_options(options),
        "image_files": [at(path) for path in (dockerfile, ignore_file(dockerfile), *found.image.files)],
        "gate_as": options.gate_as,
        "steps": {name: _stage(name, options.gate_as) for name in NAMES if name not in TELLING},
        "side_by_side": [name for name in _FIRST if name != "plan"],
        "in_order": [name for name in NAMES if name not in (*_FIRST, *TELLING)],
        "pod": _pod(options, mirror),
        "lost": "kubernetesAgent()" if options.agent == KUBERNETES else "agent()",
        "git": _GIT_SSH if found.ssh else _GIT,
        "data": _BINDINGS.get(kind, ""),
        "forge": _forge(found),
        "junit": [matching(path) for path in own],
        "report": at(found.report),
        "verdict": at(f"{found.report}/verdict.txt"),
        "artifacts": [matching(path) for path in (f"{found.report}/**", ".mlbutler/*.json", ".mlbutler/*.log")],
        "warnings": list(parsers),
        "plugins": _plugins(options, bool(own), bool(parsers), found.ssh or kind == "ssh"),
    }


def _docker_options(options: ScaffoldOptions) -> str:
    gpu = " --gpus all" if options.gpu else ""
    memory = f" --shm-size {options.shm_size}" if options.shm_size else ""
    return f"{DOCKER_OPTIONS}{gpu}{memory}"


def _stage(name: str, gate_as: str) -> str:
    """Return the command of one step, conditional on what the table of the run says may follow its failure."""
    command = "judge()" if (name, gate_as) == ("compare", "unstable") else f"sh 'mlbutler {name}'"
    command = f"timeout({limit}) {{ {command} }}" if (limit := _OWN_CODE.get(name)) else f"withData {{ {command} }}"
    goes_on = set(taken_after(name)) - set(TELLING)
    return f"failLater {{ {command} }}" if goes_on else command


def _plugins(options: ScaffoldOptions, junit: bool, warnings: bool, ssh: bool) -> list[str]:
    agent = {DOCKER: ["Docker Pipeline"], KUBERNETES: ["Kubernetes"]}.get(options.agent, [])
    keys = ["SSH Credentials"] if ssh else []
    return [
        "Pipeline", "Git", *agent, "Credentials Binding", *keys, *(["JUnit"] if junit else []), "HTML Publisher",
        *(["Warnings"] if warnings else []),
    ]  # fmt: skip


def _forge(found: DetectedProject) -> str:
    if found.forge in _WITHOUT_TOKEN:
        return ""
    return "string(credentialsId: 'mlbutler-forge', variable: 'MLBUTLER_FORGE_TOKEN')"


def _pod(options: ScaffoldOptions, mirror: str) -> str:
    # No set-uid program and no capability makes a build's user another; the cluster is nothing that it may ask.
    alone = "securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}"
    cards = ["      resources: {limits: {nvidia.com/gpu: 1}}"] if options.gpu else []
    shared = ", {name: shm, mountPath: /dev/shm}" if options.shm_size else ""
    size = f"emptyDir: {{medium: Memory, sizeLimit: {_quantity(options.shm_size)}}}"
    return "\n".join([
        "spec:",
        "  automountServiceAccountToken: false",
        "  securityContext:",
        "    {runAsNonRoot: true, runAsUser: 1000, runAsGroup: 1000, fsGroup: 1000,",
        "     seccompProfile: {type: RuntimeDefault}}",
        "  containers:",
        "    - name: mlbutler",
        f"      image: {options.image}",
        "      command: [sleep, infinity]",
        f"      {alone}",
        *cards,
        f"      volumeMounts: [{{name: mirror, mountPath: {mirror}, readOnly: ${{env.CHANGE_FORK != null}}}}{shared}]",
        f"    - {{name: jnlp, {alone}}}",
        "  volumes:",
        "    - {name: mirror, persistentVolumeClaim: {claimName: mlbutler-mirror}}",
        *([f"    - {{name: shm, {size}}}"] if options.shm_size else []),
    ])  # fmt: skip


def _quantity(size: str) -> str:
    """Return a size in Docker's words as Kubernetes has it; without a unit both count bytes."""
    return re.sub("[bkmg]$", lambda unit: {"k": "Ki", "m": "Mi", "g": "Gi"}.get(unit[0].lower(), ""), size, flags=re.I)


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
        "metrics": found.metrics,
    }
