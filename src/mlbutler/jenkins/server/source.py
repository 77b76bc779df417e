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


def repository(url: str, source: str | None, server: str | None = None) -> Repository:
    """The repository at an address of Git.

    Args:
        source: the branch source; None to take it from the host's name, plain Git where that says nothing.
        server: the forge's own address where it cannot be told from `url`: served below a path, or Git over SSH
            with another name than the pages.

    Raises:
        UsageError: Jenkins cannot reach such an address, or the source is unknown or needs an owner and a name.
    """
    if source is not None and source not in SOURCES:
        raise UsageError(f"There is no branch source '{source}'.", f"One of: {', '.join(SOURCES)}.")
    scheme, host, path, port = _parts(url)
    chosen = source or _HOSTS.get(host, "git")
    if chosen == "git":
        return Repository(_without_userinfo(url), chosen)
    web = scheme if scheme in ("http", "https") else "https"
    at = f":{port}" if port and web == scheme else ""
    pages = _without_userinfo(server or f"{web}://{host}{at}").rstrip("/")
    below = _parts(pages)[2].strip("/")
    path = path.strip("/").removesuffix(".git").removeprefix(f"{below}/")
    if chosen == "bitbucket":
        path = path.removeprefix("scm/")  # Data Center serves Git below it
    deepest = None if chosen == "gitlab" else 1  # only GitLab has groups in groups
    if not path.count("/") or (deepest and path.count("/") > deepest):
        raise UsageError(
            f"{url} does not name an owner and a repository.",
            "Served below a path? --server https://host/path. No forge at all? --source git",
        )
    return Repository(_without_userinfo(url), chosen, pages, path)


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
