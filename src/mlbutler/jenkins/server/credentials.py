"""Secrets of a local server: made here or put into files by the team; named in the configuration, never in it.

The folder is readable by its owner alone. Its files are readable by everyone who can enter it, because Compose
mounts them one by one into containers whose user has another number.
"""

from __future__ import annotations

import secrets
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from mlbutler.atomic import write
from mlbutler.errors import OutsideError, UsageError

ADMIN_PASSWORD = "ADMIN_PASSWORD"
AGENT_KEY = "AGENT_SSH_KEY"
HOST_KEY = "AGENT_HOST_KEY"
KNOWN_HOSTS = "KNOWN_HOSTS"


@dataclass(frozen=True)
class JenkinsCredential:
    """Hold one entry of Jenkins' credentials store.

    Attributes:
        id: by which a Jenkinsfile names it. kind: ``password`` (user name and password), ``key`` (SSH), ``text`` or
            ``file``.
        files: the secret's files: user name and password; user name and private key; the text; the file itself.
    """

    id: str
    kind: str
    files: tuple[str, ...]
    text: str


# What a team may give. The ids are those of the Jenkinsfile that `mlbutler init` writes.
GIVEN: tuple[JenkinsCredential, ...] = (
    JenkinsCredential("mlbutler-git", "password", ("GIT_USERNAME", "GIT_TOKEN"), "Git: reading, and results commits"),
    JenkinsCredential("mlbutler-git-ssh", "key", ("GIT_SSH_USERNAME", "GIT_SSH_KEY"), "Git over SSH"),
    JenkinsCredential("mlbutler-dvc", "password", ("DVC_USERNAME", "DVC_PASSWORD"), "the DVC remote over HTTP"),
    JenkinsCredential("mlbutler-s3", "password", ("S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"), "the DVC remote on S3"),
    JenkinsCredential("mlbutler-ssh", "key", ("DVC_SSH_USERNAME", "DVC_SSH_KEY"), "the DVC remote over SSH"),
    JenkinsCredential("mlbutler-gs", "file", ("GS_SERVICE_ACCOUNT",), "the DVC remote on Google Cloud Storage"),
    JenkinsCredential("mlbutler-azure", "text", ("AZURE_CONNECTION_STRING",), "the DVC remote on Azure"),
    JenkinsCredential("mlbutler-forge", "text", ("FORGE_TOKEN",), "the forge: comments and statuses"),
    JenkinsCredential("mlbutler-mlflow", "password", ("MLFLOW_USERNAME", "MLFLOW_PASSWORD"), "the MLflow server"),
)


def prepare(folder: Path) -> bool:
    """Make the folder, the administrator's password and the keys between controller and agent, where they are missing.

    Returns:
        whether the password is new, and so has to be shown.

    Raises:
        UsageError: ssh-keygen is missing. OutsideError: the folder cannot be written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        for name in (AGENT_KEY, HOST_KEY):
            _key(folder / name)
        password = folder / ADMIN_PASSWORD
        if password.is_file() and password.stat().st_size:
            return False
        write(password, secrets.token_urlsafe(18).encode())
        password.chmod(0o444)
    except OSError as error:
        remedy = "Name another folder: --home DIR"
        raise OutsideError(f"{folder} cannot be written: {error.strerror}", remedy) from error
    return True


def admin_password(folder: Path) -> str:
    """Return the administrator's password.

    Raises:
        UsageError: its file is gone, or this user may not read it.
    """
    try:
        return (folder / ADMIN_PASSWORD).read_text(encoding="ascii")
    except OSError as error:
        raise UsageError(
            f"The administrator's password cannot be read: {folder / ADMIN_PASSWORD}: {error.strerror}.",
            "`mlbutler jenkins up` makes a new one where it lacks.",
        ) from error


def _key(path: Path) -> None:
    if path.is_file() and path.with_suffix(".pub").is_file():
        return
    program = shutil.which("ssh-keygen")
    if program is None:
        raise UsageError("ssh-keygen is not installed.", "Install OpenSSH's client: apt-get install openssh-client")
    path.unlink(missing_ok=True)
    command = [program, "-q", "-t", "ed25519", "-N", "", "-C", "mlbutler", "-f", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise OutsideError(f"ssh-keygen failed: {done.stderr.strip()}", "Run it by hand to see more.")
    path.chmod(0o444)


def given_credentials(folder: Path) -> tuple[JenkinsCredential, ...]:
    """Return those of `GIVEN` whose files are all there and not empty.

    Raises:
        UsageError: only some of one credential's files are there.
    """
    found = []
    for credential in GIVEN:
        there = [name for name in credential.files if _has_content(folder / name)]
        if len(there) == len(credential.files):
            found.append(credential)
        elif there:
            lacking = ", ".join(name for name in credential.files if name not in there)
            raise UsageError(
                f"The credential {credential.id} is not complete: {lacking} is missing.",
                f"Write it to {folder}/{lacking.split(',')[0]}, or remove {', '.join(there)}.",
            )
    return tuple(found)


def _has_content(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def mounted_files(folder: Path) -> tuple[str, ...]:
    """Return the names of the files that the controller reads."""
    hosts = (KNOWN_HOSTS,) if knows_hosts(folder) else ()
    return (
        ADMIN_PASSWORD,
        AGENT_KEY,
        *hosts,
        *(name for credential in given_credentials(folder) for name in credential.files),
    )


def knows_hosts(folder: Path) -> bool:
    """Return whether the team gave the host keys of its Git servers, as lines of a ``known_hosts`` file."""
    return _has_content(folder / KNOWN_HOSTS)
