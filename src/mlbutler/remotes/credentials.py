"""Credentials for DVC remotes, from the environment into DVC's configuration in memory, never onto disk."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

DAGSHUB_HOST = "dagshub.com"


def credentials(
    name: str, url: str, environ: Mapping[str, str], config: Mapping[str, object] | None = None
) -> dict[str, str]:
    """Return the keys of DVC's remote configuration that the environment supplies.

    ``MLBUTLER_REMOTE_<NAME>_USER`` and ``_PASSWORD`` take precedence over ``MLBUTLER_REMOTE_USER`` and ``_PASSWORD``,
    and those over ``DAGSHUB_USER_TOKEN``, which is only ever sent to DagsHub's own host.

    Args:
        name: the remote's name; in variables in capitals, other characters than letters and digits as ``_``.
        url: the remote's url.
        config: DVC's configuration of the remote (``auth``, ``endpointurl``...).

    Returns:
        an empty dictionary when the environment has nothing for this remote.
    """
    known = config or {}
    scheme = urlsplit(url).scheme.lower()
    mine = f"MLBUTLER_REMOTE_{re.sub(r'[^A-Za-z0-9]', '_', name).upper()}_"

    def value(key: str) -> str:
        return environ.get(mine + key) or environ.get(f"MLBUTLER_REMOTE_{key}") or ""

    if scheme in ("http", "https", "webdav", "webdavs"):
        return _http(scheme, url, known, value("USER"), value("PASSWORD"), environ)
    if scheme == "s3":
        return _s3(known, environ.get(f"{mine}ACCESS_KEY_ID"), environ.get(f"{mine}SECRET_ACCESS_KEY"), environ)
    if scheme == "ssh":
        found = {
            "user": value("USER") if not urlsplit(url).username else "",
            "password": value("PASSWORD"),
            "keyfile": value("PRIVATE_KEY_FILE"),
            "passphrase": value("PASSPHRASE"),
        }
        return {key: text for key, text in found.items() if text}
    return {}


def _http(
    scheme: str, url: str, known: Mapping[str, object], user: str, password: str, environ: Mapping[str, str]
) -> dict[str, str]:
    basic = {"auth": "basic"} if scheme.startswith("http") else {}  # DVC's WebDAV remotes know no `auth`
    if str(known.get("auth", "")).lower() == "custom":
        return {"password": password} if password else {}
    if str(known.get("auth", "")).lower() == "digest":
        basic = {"auth": "digest"}
    user = user or str(known.get("user") or "")
    if user and password:
        return {**basic, "user": user, "password": password}
    token = environ.get("DAGSHUB_USER_TOKEN")
    if token and is_dagshub(url, environ):
        return {**basic, "user": token, "password": token}
    return {}


def _s3(known: Mapping[str, object], key: str | None, secret: str | None, environ: Mapping[str, str]) -> dict[str, str]:
    if key and secret:
        return {"access_key_id": key, "secret_access_key": secret}
    token = environ.get("DAGSHUB_USER_TOKEN")
    if token and is_dagshub(str(known.get("endpointurl") or ""), environ):
        return {"access_key_id": token, "secret_access_key": token}
    return {}


def is_dagshub(url: str, environ: Mapping[str, str]) -> bool:
    """Return whether the address is on DagsHub, or on the host that ``DAGSHUB_CLIENT_HOST`` names."""
    host = (urlsplit(url).hostname or "").lower()
    named = environ.get("DAGSHUB_CLIENT_HOST", "")
    own = (urlsplit(named if "://" in named else f"//{named}").hostname or "").lower()
    return bool(host) and (host in (DAGSHUB_HOST, own) or host.endswith(f".{DAGSHUB_HOST}"))
