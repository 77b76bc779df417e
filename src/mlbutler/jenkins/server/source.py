"""Choosing the branch source that reads a repository by its address."""

from __future__ import annotations

from mlbutler.errors import UsageError
from mlbutler.forge.address import RepositoryAddress, kind_of, pages_address, parse_address
from mlbutler.jenkins.server.job import SOURCES
from mlbutler.jenkins.server.model import Repository
from mlbutler.secrets import without_userinfo


def repository(url: str, source: str | None, server: str | None = None) -> Repository:
    """Return the repository at a Git address.

    Args:
        source: the branch source; None to take it from the host's name, plain Git where that says nothing.
        server: the forge's own address where it cannot be derived from `url`: served below a path, or Git over SSH
            with another name than the pages.

    Raises:
        UsageError: Jenkins cannot reach such an address, or the source is unknown or needs an owner and a name.
    """
    if source is not None and source not in SOURCES:
        raise UsageError(f"There is no branch source '{source}'.", f"One of: {', '.join(SOURCES)}.")
    at = _address(url)
    chosen = source or kind_of(at.host) or "git"
    if chosen not in SOURCES:  # a forge that Jenkins has no branch source for
        chosen = "git"
    if chosen == "git":
        return Repository(_public(url), chosen)
    pages = pages_address(_public(server or at.web))
    _address(pages)
    path = at.repository(pages)
    deepest = None if chosen == "gitlab" else 1  # only GitLab has groups in groups
    if not path.count("/") or (deepest and path.count("/") > deepest):
        raise UsageError(
            f"{url} does not name an owner and a repository.",
            "Served below a path? --server https://host/path. No forge at all? --source git",
        )
    return Repository(_public(url), chosen, pages, path)


def _address(url: str) -> RepositoryAddress:
    found = parse_address(url)
    if found is None:
        raise UsageError(
            f"Jenkins cannot read '{url}': it is not an address on a network.",
            "Name one: --url https://host/owner/name.git",
        )
    return found


def _public(url: str) -> str:
    """Return the address without user and password, which would reach logs; SSH's user name is needed and kept."""
    return without_userinfo(url) if url.startswith(("http://", "https://")) else url
