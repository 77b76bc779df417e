"""Which branch source reads a repository, from its address."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from mlbutler.errors import UsageError
from mlbutler.jenkins.server.job import SOURCES
from mlbutler.jenkins.server.model import Repository

_HOSTS = {
    "github.com": "github",
    "gitlab.com": "gitlab",
    "bitbucket.org": "bitbucket",
    "dagshub.com": "dagshub",
    "codeberg.org": "gitea",
}
_SCP = re.compile(r"(?:(?P<user>[^@/:]+)@)?(?P<host>[^/:@]{2,}):(?P<path>[^/].*)")


def repository(url: str, source: str | None) -> Repository:
    """The repository at an address of Git.

    Args:
        source: the branch source; None to take it from the host's name, plain Git where that says nothing.

    Raises:
        UsageError: Jenkins cannot reach such an address, or the source is unknown or needs an owner and a name.
    """
    if source is not None and source not in SOURCES:
        raise UsageError(f"There is no branch source '{source}'.", f"One of: {', '.join(SOURCES)}.")
    scheme, host, path, port = _parts(url)
    chosen = source or _HOSTS.get(host, "git")
    if chosen == "git":
        return Repository(_without_userinfo(url), chosen)
    path = path.strip("/").removesuffix(".git")
    prefix = ""
    if chosen == "bitbucket" and path.startswith("scm/"):  # Data Center serves Git below /scm
        path = path.removeprefix("scm/")
    elif chosen in ("gitea", "gitlab", "github") and path.count("/") > 1 and chosen != "gitlab":
        prefix, _, rest = path.partition("/")  # served under a sub-path
        path = rest
    if path.count("/") < 1:
        raise UsageError(f"{url} names no owner and repository.", "Such as https://host/owner/name; or --source git.")
    web = "https" if scheme not in ("http", "https") else scheme
    at = f":{port}" if port and scheme in ("http", "https") else ""
    server = f"{web}://{host}{at}{f'/{prefix}' if prefix else ''}"
    return Repository(_without_userinfo(url), chosen, server, path)


def _parts(url: str) -> tuple[str, str, str, int | None]:
    if "://" not in url and (match := _SCP.fullmatch(url)):
        return "ssh", match["host"].lower(), match["path"], None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UsageError(f"'{url}' is no address.", "Name it: --url https://host/owner/name.git") from error
    if parts.scheme not in ("http", "https", "ssh", "git") or not parts.hostname:
        raise UsageError(
            f"Jenkins cannot read '{url}': it is no address on a network.", "Name one: --url https://host/owner/name.git"
        )
    return parts.scheme, parts.hostname.lower(), parts.path, port


def _without_userinfo(url: str) -> str:
    """A password in an address would reach logs and configuration; SSH's user name is needed."""
    if url.startswith(("http://", "https://")):
        scheme, _, rest = url.partition("://")
        host, slash, path = rest.partition("/")
        return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"
    return url
