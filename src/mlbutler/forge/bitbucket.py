"""Bitbucket: the Cloud at bitbucket.org, and Data Center anywhere else. Two products with an API each."""

from __future__ import annotations

from urllib.parse import urlsplit

from mlbutler.forge.bitbucket_cloud import BitbucketCloud
from mlbutler.forge.bitbucket_server import BitbucketServer
from mlbutler.forge.opening import Opening

_CLOUD = "bitbucket.org"
_CLOUD_API = "https://api.bitbucket.org/2.0"


def from_opening(opening: Opening) -> BitbucketCloud | BitbucketServer:
    """See `mlbutler.forge.registry`. An API's address that ends with ``/2.0`` is the Cloud's too."""
    place = opening.place
    url = place.url.rstrip("/")
    secret = opening.bearer_or_basic("BITBUCKET_TOKEN")
    if (urlsplit(url).hostname or "").lower() == _CLOUD or place.api.rstrip("/").endswith("/2.0"):
        return BitbucketCloud(opening.api(BitbucketCloud.name, _CLOUD_API, {}, secret), place.repository)
    return BitbucketServer(opening.api(BitbucketServer.name, f"{url}/rest", {}, secret), place.repository, url)
