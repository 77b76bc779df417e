"""The repository's address, from what a pull request cannot change: the CI server's variables and the agent's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mlbutler.errors import UsageError
from mlbutler.frozen import frozen
from mlbutler.variables import GIT_URL

_REMEDY = f"Set {GIT_URL} to the repository's address: https://..., http://..., ssh://..., git@host:path or /a/folder."
_SCP = re.compile(r"(?:(?P<user>[\w.+-]+)@)?(?P<host>[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:]+\]):(?P<path>(?!:)[^\s].*)")
# The variables that give the address of the repository that a CI server builds, the most precise one first.
_SAID = (
    "GIT_URL", "GIT_URL_1",  # Jenkins
    "BUILD_REPOSITORY_URI",  # Azure Pipelines
    "CIRCLE_REPOSITORY_URL", "BUILDKITE_REPO", "DRONE_GIT_HTTP_URL", "DRONE_REMOTE_URL", "CI_REPO_CLONE_URL",
    "BITBUCKET_GIT_HTTP_ORIGIN", "SEMAPHORE_GIT_URL",
)  # fmt: skip


@frozen
class Address:
    """Hold a repository's address.

    Attributes:
        url: as git takes it, without a password. protocol: git's name of how it is reached.
        host: ``host`` or ``host:port``, '' for a folder.
        user, password: what stood before the host.
    """

    url: str
    protocol: str
    host: str = ""
    user: str = ""
    password: str = field(default="", repr=False)


@frozen
class RemoteAccess:
    """Hold how the remote repository is reached on a CI server.

    Attributes:
        address: None where only files that a pull request can write give one.
        fresh: nothing of the project has run yet, so the clone's own refs are those that the CI server fetched.
    """

    address: Address | None
    fresh: bool

    def without_password(self) -> RemoteAccess:
        """Return the same address without its password, for a change that gets no credentials."""
        if self.address is None:
            return self
        return replace(self, address=replace(self.address, password=""))


def parse_git_address(text: str) -> Address:
    """Parse an address in any of the forms that git takes.

    Raises:
        UsageError: it is no address, or of a kind that runs a program (``ext::...``).
    """
    if "\n" in text or text.startswith("-") or re.match(r"[A-Za-z0-9+.-]+::", text):
        raise _unsupported_address_error(text)
    if text.startswith("/"):
        return Address(text, "file")
    if "://" not in text:
        match = _SCP.fullmatch(text)
        if match is None or match["host"].startswith("-"):
            raise _unsupported_address_error(text)
        return Address(text, "ssh", match["host"], match["user"] or "")
    parts = urlsplit(text)
    scheme = parts.scheme.lower()
    if scheme == "file":
        return Address(unquote(parts.path), "file")
    if scheme not in ("http", "https", "ssh") or not parts.hostname or parts.hostname.startswith("-"):
        raise _unsupported_address_error(text)
    userinfo, _, place = parts.netloc.rpartition("@")
    user, _, password = (unquote(part) for part in userinfo.partition(":"))
    if scheme == "ssh":
        place = f"{user}@{place}" if user else place
        return Address(parts._replace(scheme=scheme, netloc=place).geturl(), scheme, parts.netloc, user)
    return Address(parts._replace(scheme=scheme, netloc=place).geturl(), scheme, place, user, password)


def _unsupported_address_error(text: str) -> UsageError:
    scheme = re.match(r"[A-Za-z0-9+.-]{1,20}:", text)
    what = f"of the kind '{scheme[0]}'" if scheme else "of no known form"
    return UsageError(f"The repository's address is {what}, which is not used with credentials.", _REMEDY)


def from_environment(environ: Mapping[str, str]) -> Address | None:
    """Return the repository's address from the environment's variables; None where none is set.

    Raises:
        UsageError: the variable's value is no address.
    """
    text = environ.get(GIT_URL) or _github(environ) or _gitlab(environ)
    text = text or next((environ[name] for name in _SAID if environ.get(name)), "")
    return parse_git_address(text) if text else None


def _github(environ: Mapping[str, str]) -> str:
    repository = environ.get("GITHUB_REPOSITORY")
    if environ.get("GITHUB_ACTIONS") != "true" or not repository:
        return ""
    return f"{environ.get('GITHUB_SERVER_URL') or 'https://github.com'}/{repository}.git"


def _gitlab(environ: Mapping[str, str]) -> str:
    # CI_REPOSITORY_URL holds the job's token.
    project = environ.get("CI_PROJECT_URL")
    return f"{project}.git" if environ.get("GITLAB_CI") and project else ""


def in_clone(config: Path, values: list[str]) -> Address | None:
    """Return the address in a clone's own configuration; to be trusted only while nothing of the project has run.

    Args:
        config: the configuration file. values: every URL that it has for the remote.

    Raises:
        UsageError: it is no address.
    """
    if len(values) != 1:
        return None
    text = values[0]
    folder = (config.parent.parent / text).resolve() if "://" not in text and not _SCP.fullmatch(text) else None
    return parse_git_address(str(folder) if folder is not None and "::" not in text else text)
