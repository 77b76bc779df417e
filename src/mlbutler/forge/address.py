"""Addresses of Git repositories, and which forge a host's name stands for."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from mlbutler.frozen import frozen

HOSTS = {
    "github.com": "github",
    "gitlab.com": "gitlab",
    "bitbucket.org": "bitbucket",
    "dagshub.com": "dagshub",
    "codeberg.org": "gitea",
}
# Where the same forges listen for SSH on HTTPS' port, for networks that let nothing else through.
_ALIASES = {
    "www.github.com": "github.com",
    "ssh.github.com": "github.com",
    "altssh.gitlab.com": "gitlab.com",
    "altssh.bitbucket.org": "bitbucket.org",
}
_NAMES = {
    "github": "github",
    "gitlab": "gitlab",
    "gitea": "gitea",
    "forgejo": "gitea",
    "bitbucket": "bitbucket",
    "gogs": "gogs",
}
_API_PATH = re.compile(r"/(?:api/v\d+|rest/api/(?:latest|\d[\d.]*))$")
_SCP = re.compile(r"(?:(?P<user>[^@/:]+)@)?(?P<host>[^/:@]{2,}):(?P<path>.+)")
_SCHEMES = ("http", "https", "ssh", "git", "git+ssh", "ssh+git")


@frozen
class RepositoryAddress:
    """The address of a Git repository, in parts; `port` is None for the scheme's own."""

    scheme: str
    host: str
    path: str
    port: int | None

    @property
    def web(self) -> str:
        """Return the address of the pages on the same host. A port counts for HTTP alone: SSH's is another server's."""
        if self.scheme not in ("http", "https"):
            return f"https://{self.host}"
        return f"{self.scheme}://{self.host}" + (f":{self.port}" if self.port else "")

    def repository(self, url: str) -> str:
        """Return ``owner/name`` on the forge whose pages are at `url`, which may be below a path."""
        below = urlsplit(url).path.strip("/")
        return (
            self.path.strip("/").removesuffix("/").removesuffix(".git").removeprefix(f"{below}/").removeprefix("scm/")
        )


def parse_address(url: str) -> RepositoryAddress | None:
    """Parse a repository's address; return None when it is not one on a network. `url` may be ``user@host:path``."""
    if "://" not in url and (match := _SCP.fullmatch(url)):
        return RepositoryAddress("ssh", _host(match["host"]), match["path"], None)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _SCHEMES or not parts.hostname:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return RepositoryAddress(parts.scheme, _host(host), unquote(parts.path), port)


def _host(name: str) -> str:
    return _ALIASES.get(name.lower(), name.lower())


def pages_address(url: str) -> str:
    """Return the address of a forge's pages, given that or its API's, without a slash at its end."""
    url = _API_PATH.sub("", url.rstrip("/"))
    parts = urlsplit(url)
    host = (parts.hostname or "").removeprefix("api.")
    own = host in ("github.com", "bitbucket.org") or host.endswith(".ghe.com")
    return f"{parts.scheme}://{host}" if own and parts.netloc.lower() == f"api.{host}" else url


def kind_of(host: str) -> str | None:
    """Return the forge that a host's name stands for, None when it says nothing."""
    if host in HOSTS:
        return HOSTS[host]
    if host.endswith(".ghe.com"):
        return "github"
    return _NAMES.get(host.partition(".")[0])
