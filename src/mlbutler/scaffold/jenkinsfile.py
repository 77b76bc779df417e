"""What the Jenkinsfile is filled with. Pure."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Mapping

from mlbutler.errors import UsageError
from mlbutler.scaffold.carried import FORGE, GIT, GPUS, KEY_ID, SECRET_KEY, SHM_SIZE, Carried, mount_point
from mlbutler.scaffold.detected import DetectedProject
from mlbutler.scaffold.options import DOCKER, KUBERNETES, LABEL, MIRROR, ScaffoldOptions, ignore_file
from mlbutler.scaffold.quoting import groovy_string, groovy_value
from mlbutler.scaffold.step_order import ALL, IN_ORDER, OWN_CODE, SIDE_BY_SIDE, goes_on
from mlbutler.scaffold.variables import given_variables

_IDS = {
    "git": "mlbutler-git", "forge": "mlbutler-forge", "http": "mlbutler-dvc", "s3": "mlbutler-s3", "gs": "mlbutler-gs",
    "azure": "mlbutler-azure", "ssh": "mlbutler-ssh",
}  # fmt: skip
_BINDINGS = {
    "http": "usernamePassword(credentialsId: {id},\n"
    "    usernameVariable: 'MLBUTLER_REMOTE_USER', passwordVariable: 'MLBUTLER_REMOTE_PASSWORD')",
    "s3": "usernamePassword(credentialsId: {id},\n"
    "    usernameVariable: 'AWS_ACCESS_KEY_ID', passwordVariable: 'AWS_SECRET_ACCESS_KEY')",
    "ssh": "sshUserPrivateKey(credentialsId: {id},\n"
    "    usernameVariable: 'MLBUTLER_REMOTE_USER', keyFileVariable: 'MLBUTLER_REMOTE_PRIVATE_KEY_FILE')",
    "gs": "file(credentialsId: {id}, variable: 'GOOGLE_APPLICATION_CREDENTIALS')",
    "azure": "string(credentialsId: {id}, variable: 'AZURE_STORAGE_CONNECTION_STRING')",
}
_GIT = "gitUsernamePassword(credentialsId: {id}, gitToolName: 'Default')"
_SECRET = "string(credentialsId: {id}, variable: '{variable}')"
_GIT_SSH = "sshUserPrivateKey(credentialsId: 'mlbutler-git-ssh',\n    keyFileVariable: 'MLBUTLER_GIT_PRIVATE_KEY_FILE')"
_LIMITS = {"test": "time: 2, unit: 'HOURS'", "lint": "time: 1, unit: 'HOURS'", "reproduce": "time: 5, unit: 'DAYS'"}
DOCKER_OPTIONS = "--init --security-opt no-new-privileges --cap-drop ALL --pids-limit 4096"
_FORGE = "string(credentialsId: {id}, variable: 'MLBUTLER_FORGE_TOKEN')"
_TRACKER = (
    "usernamePassword(credentialsId: 'mlbutler-mlflow',\n"
    "    usernameVariable: 'MLFLOW_TRACKING_USERNAME', passwordVariable: 'MLFLOW_TRACKING_PASSWORD')"
)
_READ_ONLY = "${env.CHANGE_FORK != null}"
_WEBHOOKS = {
    "": ("$.issue.number", "$.comment.id"), "gitlab": ("$.merge_request.iid", "$.object_attributes.id"),
    "bitbucket": ("$.pullrequest.id", "$.comment.id"),
}  # fmt: skip
"""Forge -> where its webhook on comments has the pull request's number and the comment's id."""
_WITHOUT_TOKEN = ("", "folder")
"""No forge, and the one that is a directory."""


def jenkinsfile_values(found: DetectedProject, options: ScaffoldOptions, dockerfile: str) -> Mapping[str, object]:
    """Return what the template of the Jenkinsfile is filled with."""

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
        "commands": options.commands,
        "steps": {name: _stage(name, options.gate_as) for name in ALL},
        "side_by_side": list(SIDE_BY_SIDE),
        "in_order": list(IN_ORDER),
        "pod": _pod(options, mirror),
        "lost": "kubernetesAgent()" if options.agent == KUBERNETES else "agent()",
        "git": _GIT_SSH if found.ssh else _format_binding(_GIT, GIT, found.carried),
        "data": _data(kind, found.carried),
        "forge": "" if found.forge in _WITHOUT_TOKEN else _format_binding(_FORGE, FORGE, found.carried),
        "tracker": _TRACKER if found.tracker else "",
        "variables": [(name, groovy_value(value)) for name, value in given_variables(found)],
        "docker_given": [
            *(option for option in found.carried.options if option != GPUS and not option.startswith(SHM_SIZE)),
            *(_volume(volume) for volume in found.carried.volumes if mount_point(volume) != mirror),
        ],
        "tools": found.carried.tools if options.agent == LABEL else (),
        "junit": [matching(path) for path in own],
        "report": at(found.report),
        "verdict": at(f"{found.report}/verdict.txt"),
        "board": f"mlbutler board --fetch -o {shlex.quote(posixpath.join(found.report, 'experiments.html'))}",
        "artifacts": [matching(path) for path in (f"{found.report}/**", ".mlbutler/*.json", ".mlbutler/*.log")],
        "warnings": list(parsers),
        "plugins": _plugins(options, bool(own), bool(parsers), found.ssh or kind == "ssh"),
    }


def train_values(found: DetectedProject, options: ScaffoldOptions, dockerfile: str) -> Mapping[str, object]:
    """Return what the template of the Jenkinsfile for experiments is filled with: no change of a fork comes there."""
    values = dict(jenkinsfile_values(found, options, dockerfile))
    ssh = found.ssh or (found.remote is not None and found.remote.kind == "ssh")
    mirror = str(values["mirror"])
    given = [(name, groovy_value(f"{name}={value}")) for name, value in given_variables(found)]
    volumes = [f"-v {volume}" for volume in found.carried.volumes if mount_point(volume) != mirror]
    limits = [option for option in found.carried.options if option != GPUS and not option.startswith(SHM_SIZE)]
    return values | {
        "docker_file": shlex.quote(posixpath.join(found.folder, dockerfile)),
        "docker_folder": shlex.quote(found.folder or "."),
        "docker_given": [*limits, *volumes],
        "pod": str(values["pod"]).replace(_READ_ONLY, "false"),
        "train_variables": given,
        "attempt_file": posixpath.join(found.folder, ".mlbutler/train/attempt"),
        "train_plugins": [name for name in _plugins(options, False, False, ssh) if name != "HTML Publisher"],
    }


def commands_values(found: DetectedProject, options: ScaffoldOptions, dockerfile: str) -> Mapping[str, object]:
    """Return what the template of the Jenkinsfile that reads comments is filled with.

    Raises:
        UsageError: there is no forge whose comments could be read.
    """
    if found.forge in _WITHOUT_TOKEN:
        raise UsageError("--commands: cannot determine which forge has the comments.", "Set forge.kind and forge.url.")
    values = train_values(found, options, dockerfile)
    number, comment = _WEBHOOKS.get(found.forge, _WEBHOOKS[""])
    keys = ["SSH Credentials"] if found.ssh else []
    agent = {DOCKER: ["Docker Pipeline"], KUBERNETES: ["Kubernetes"]}.get(options.agent, [])
    return {
        **values, "number_path": number, "comment_path": comment,
        "branch_prefix": "MR" if found.forge == "gitlab" else "PR",
        "command_plugins": ["Pipeline", "Git", *agent, "Credentials Binding", *keys, "Generic Webhook Trigger"],
    }  # fmt: skip


def _docker_options(options: ScaffoldOptions) -> str:
    gpu = " --gpus all" if options.gpu else ""
    memory = f" --shm-size {options.shm_size}" if options.shm_size else ""
    return f"{DOCKER_OPTIONS}{gpu}{memory}"


def _stage(name: str, gate_as: str) -> str:
    """Return the command of one step, conditional on what the table of the run says may follow its failure."""
    command = "judge()" if (name, gate_as) == ("compare", "unstable") else f"command 'mlbutler {name}'"
    command = f"timeout({_LIMITS[name]}) {{ {command} }}" if name in OWN_CODE else f"withData {{ {command} }}"
    return f"failLater {{ {command} }}" if goes_on(name) else command


def _plugins(options: ScaffoldOptions, junit: bool, warnings: bool, ssh: bool) -> list[str]:
    agent = {DOCKER: ["Docker Pipeline"], KUBERNETES: ["Kubernetes"]}.get(options.agent, [])
    keys = ["SSH Credentials"] if ssh else []
    return [
        "Pipeline", "Git", *agent, "Credentials Binding", *keys, *(["JUnit"] if junit else []), "HTML Publisher",
        *(["Warnings"] if warnings else []),
    ]  # fmt: skip


def purposes(found: DetectedProject) -> set[str]:
    """Return what the Jenkinsfile binds credentials for, in the words of `Carried.credentials`."""
    kind = found.remote.kind if found.remote else ""
    keys = {KEY_ID, SECRET_KEY} if kind == "s3" else set()
    git = set() if found.ssh else {GIT}
    forge = set() if found.forge in _WITHOUT_TOKEN else {FORGE}
    return git | forge | keys | ({kind} & set(_BINDINGS))


def _format_binding(binding: str, purpose: str, carried: Carried) -> str:
    return binding.format(id=groovy_string(carried.ids.get(purpose, _IDS[purpose])))


def _data(kind: str, carried: Carried) -> list[str]:
    """Return the bindings of what the DVC remote wants."""
    keys = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    if kind == "s3" and "s3" not in carried.ids and set(keys.values()) <= set(carried.ids):
        return [_SECRET.format(id=groovy_string(carried.ids[purpose]), variable=name) for name, purpose in keys.items()]
    return [_format_binding(_BINDINGS[kind], kind, carried)] if kind in _BINDINGS else []


def _volume(volume: str) -> str:
    """Return the option for a folder of the agent, which a fork's code may read and not write."""
    return f"-v {volume}" if volume.endswith(":ro") else f"-v {volume}${{env.CHANGE_FORK ? ':ro' : ''}}"


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
        f"      volumeMounts: [{{name: mirror, mountPath: {mirror}, readOnly: {_READ_ONLY}}}{shared}]",
        f"    - {{name: jnlp, {alone}}}",
        "  volumes:",
        "    - {name: mirror, persistentVolumeClaim: {claimName: mlbutler-mirror}}",
        *([f"    - {{name: shm, {size}}}"] if options.shm_size else []),
    ])  # fmt: skip


def _quantity(size: str) -> str:
    """Return a size in Docker's words as Kubernetes has it; without a unit both count bytes."""
    return re.sub("[bkmg]$", lambda unit: {"k": "Ki", "m": "Mi", "g": "Gi"}.get(unit[0].lower(), ""), size, flags=re.I)
