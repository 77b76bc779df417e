"""Who is asking an HTTP remote, and whose certificates are believed: from DVC's configuration to libcurl's options."""

from __future__ import annotations

import netrc
import os
import re
import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import pycurl

from mlbutler.errors import AccessDenied, SettingsError
from mlbutler.store.http.exchange import Request

DEFAULT_TIMEOUT = 60.0
_NO_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_AUTHORITIES = ("CURL_CA_BUNDLE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")


class Access:
    """Credentials, certificates and time-outs of one remote.

    Args:
        name: the remote's name. url: its address, which may hold a user and a password.
        config: keys of DVC's remote configuration: ``auth`` (basic, digest, custom), ``user``, ``password``,
            ``custom_auth_header``, ``ssl_verify``, ``connect_timeout``, ``read_timeout``.
        environ: where ``NETRC`` and ``HOME`` are looked up; without them no .netrc file is read.

    Raises:
        AccessDenied: the configuration asks for credentials that are not there.
        SettingsError: the configuration contradicts itself.
    """

    def __init__(self, name: str, url: str, config: Mapping[str, Any], environ: Mapping[str, str]) -> None:
        self._user, self._password, self._digest, self._headers = "", "", False, []  # type: str, str, bool, list[str]
        self._identify(name, url, config, environ)
        self._check_host, self._authorities = _verification(name, config.get("ssl_verify"))
        self._connect_timeout = _seconds(config.get("connect_timeout"))
        self.read_timeout = _seconds(config.get("read_timeout"))

    def _identify(self, name: str, url: str, config: Mapping[str, Any], environ: Mapping[str, str]) -> None:
        parts = urlsplit(url)
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        kind = str(config.get("auth") or "").lower()
        if kind in ("basic", "digest"):
            self._user = config.get("user") or user
            self._password = config.get("password") or password
            self._digest = kind == "digest"
            if not self._user or not self._password:
                raise _no_credentials(name, "a user and a password", ("USER", "PASSWORD"))
        elif kind == "custom":
            header, secret = config.get("custom_auth_header"), config.get("password")
            if not header:
                raise SettingsError(
                    f"Remote '{name}' has auth = custom but no custom_auth_header.",
                    f"dvc remote modify {name} custom_auth_header <name of the header>",
                )
            if not secret:
                raise _no_credentials(name, f"a value for its header {header}", ("PASSWORD",))
            if any(c in f"{header}{secret}" for c in "\r\n\0"):
                raise SettingsError(f"Remote '{name}': its header or value holds a line break.", "Set it again.")
            self._headers = [f"{header}: {secret}"]
        elif user and password:
            self._user, self._password = user, password
        else:
            self._user, self._password = _netrc(parts.hostname or "", environ)

    def configure(self, handle: Any, request: Request) -> list[str]:
        """Set one request's options; credentials only where it goes to the remote's own host."""
        handle.setopt(pycurl.CONNECTTIMEOUT_MS, int(self._connect_timeout * 1000))
        if self._authorities:
            handle.setopt(pycurl.CAINFO, self._authorities)
        if not self._check_host:
            handle.setopt(pycurl.SSL_VERIFYPEER, 0)
            handle.setopt(pycurl.SSL_VERIFYHOST, 0)
        if not request.own:
            return []
        if self._user:
            handle.setopt(pycurl.HTTPAUTH, pycurl.HTTPAUTH_DIGEST if self._digest else pycurl.HTTPAUTH_BASIC)
            handle.setopt(pycurl.USERNAME, self._user.encode())
            handle.setopt(pycurl.PASSWORD, self._password.encode())
        return self._headers

    def refusal_remedy(self, name: str, status: int) -> str:
        """Return what to do about an answer of this status (401, 403, 407) to the remote `name`."""
        if status == 407:
            return "The proxy wants credentials: see HTTPS_PROXY and HTTP_PROXY."
        if not self._user and not self._headers:
            return f"No credentials were sent: set {_variables(name, ('USER', 'PASSWORD'))}."
        if status == 401:
            wanted = ("PASSWORD",) if self._headers else ("USER", "PASSWORD")
            return f"The credentials are wrong: set {_variables(name, wanted)}."
        return "The credentials are known but not allowed to do this: ask for access to the remote."


def encoded(url: str) -> str:
    """Return an address as it is sent: spaces and letters outside ASCII escaped, as DVC's client does; escapes stay."""
    return quote(_NO_ESCAPE.sub("%25", url), safe="%/:?#[]@!$&'()*+,;=~")


def _netrc(host: str, environ: Mapping[str, str]) -> tuple[str, str]:
    # Not libcurl's own search: a run without credentials has an environment without HOME, and must find none.
    file = environ.get("NETRC") or (f"{environ['HOME']}/.netrc" if environ.get("HOME") else None)
    if file is None:
        return "", ""
    try:
        found = netrc.netrc(file).authenticators(host)
    except (OSError, netrc.NetrcParseError, UnicodeDecodeError):
        return "", ""
    return (found[0], found[2] or "") if found else ("", "")


def _no_credentials(name: str, what: str, variables: Iterable[str]) -> AccessDenied:
    return AccessDenied(f"Remote '{name}' needs {what}, and there is none.", f"Set {_variables(name, variables)}.")


def _variables(remote: str, kinds: Iterable[str]) -> str:
    return " and ".join(variable(remote, kind) for kind in kinds)


def variable(remote: str, kind: str) -> str:
    """Return the environment variable that holds a remote's ``USER`` or ``PASSWORD``."""
    shown = "".join(c if c.isalnum() else "_" for c in remote).upper()
    return f"MLBUTLER_REMOTE_{shown}_{kind}"


def _verification(name: str, value: Any) -> tuple[bool, str]:
    """Return whether certificates are checked, and the file of the trusted authorities ('' for libcurl's own)."""
    if value is None or isinstance(value, bool):
        return value is not False, _find_ca_bundle()
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(str(value))  # and not the system's as well
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"Remote '{name}': ssl_verify names a file that is not a certificate authority: {value}",
            "Fix .dvc/config.",
        ) from error
    return True, str(value)


def _find_ca_bundle() -> str:
    """Return the environment's choice, else the system's file, else the one that comes with Python's certifi."""
    for file in (*map(os.environ.get, _AUTHORITIES), ssl.get_default_verify_paths().cafile):
        if file and Path(file).is_file():
            return file
    import certifi

    return str(certifi.where())


def _seconds(value: Any) -> float:
    return float(value) if value else DEFAULT_TIMEOUT
