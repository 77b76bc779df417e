"""Bitbucket: the Cloud at bitbucket.org, and Data Center anywhere else. Two products with an API each."""

from __future__ import annotations

from urllib.parse import urlsplit

from mlbutler.errors import SettingsError
from mlbutler.forge.bitbucket_cloud import BitbucketCloud
from mlbutler.forge.bitbucket_server import BitbucketServer
from mlbutler.forge.opening import Opening
from mlbutler.variables import FORGE_TOKEN, FORGE_USER

_CLOUD = "bitbucket.org"
_CLOUD_API = "https://api.bitbucket.org/2.0"
_TOKEN = "BITBUCKET_TOKEN"
_API_TOKEN, _APP_PASSWORD = "ATATT", "ATBB"


def from_opening(opening: Opening) -> BitbucketCloud | BitbucketServer:
    """See `mlbutler.forge.registry`. An API's address that ends with ``/2.0`` is the Cloud's too.

    Raises:
        SettingsError: the Cloud refuses such a token, or wants to know whose it is.
    """
    place = opening.place
    url = place.url.rstrip("/")
    secret = opening.bearer_or_basic(_TOKEN)
    if (urlsplit(url).hostname or "").lower() == _CLOUD or place.api.rstrip("/").endswith("/2.0"):
        _require_cloud_token(opening.token(_TOKEN), opening.environ.get(FORGE_USER, ""))
        return BitbucketCloud(opening.api(BitbucketCloud.name, _CLOUD_API, {}, secret), place.repository)
    return BitbucketServer(opening.api(BitbucketServer.name, f"{url}/rest", {}, secret), place.repository, url)


def _require_cloud_token(token: str, user: str) -> None:
    """Raise an error for a token that Bitbucket Cloud answers with nothing but 401."""
    if token.startswith(_APP_PASSWORD):
        raise SettingsError(
            "The token for Bitbucket is an app password, and Bitbucket Cloud removed those in July 2026.",
            f"Set {FORGE_TOKEN} to an API token, {FORGE_USER} to its owner's e-mail address: `mlbutler help forges`.",
        )
    if token.startswith(_API_TOKEN) and "@" not in user:
        raise SettingsError(
            "An API token of Bitbucket Cloud goes with its owner's e-mail address, and none is given.",
            f"Set {FORGE_USER} to the e-mail address of the token's owner.",
        )
