"""The user and the token for a controller: from the environment, the desktop's keyring, or netrc."""

from __future__ import annotations

import netrc
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from mlbutler.variables import JENKINS_TOKEN, JENKINS_USER


@dataclass(frozen=True)
class Login:
    """Hold the user and the token for a controller; `token` is '' for anonymous access."""

    user: str = ""
    token: str = field(default="", repr=False)


def login(url: str, environ: Mapping[str, str]) -> Login:
    """Return what there is for the controller at this address.

    Keyring and netrc hold it for one address; the environment's is for the address that its owner means.
    """
    if token := environ.get(JENKINS_TOKEN):
        return Login(environ.get(JENKINS_USER, ""), token)
    return _read_keyring(url) or _read_netrc(url, environ) or Login()


def _read_keyring(url: str) -> Login | None:
    """Return what ``keyring set URL USER`` has stored."""
    try:
        import keyring
    except ImportError:  # not one of our dependencies
        return None
    try:
        found = keyring.get_credential(url, None)
    except Exception:  # a backend may raise whatever its desktop's service does: there is none to ask then
        return None
    return Login(found.username, found.password) if found is not None and found.password else None


def _read_netrc(url: str, environ: Mapping[str, str]) -> Login | None:
    path = Path(environ.get("NETRC") or "~/.netrc").expanduser()
    try:
        found = netrc.netrc(path).authenticators(urlsplit(url).hostname or "")
    except (OSError, netrc.NetrcParseError):
        return None
    return Login(found[0], found[2] or "") if found is not None and found[2] else None
