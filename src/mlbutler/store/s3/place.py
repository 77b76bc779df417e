"""Where a bucket is and who asks for it: from DVC's configuration, by botocore.

Credentials, profiles, endpoints, regions and the bucket's place in the address have rules that only botocore knows. It
is made to prepare one request as DVC's client would, which is not sent: the others are sent as that one. What is not
understood is left to DVC's client.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from mlbutler.store.http.exchange import Sign
from mlbutler.store.s3.signing import Keys, Signer, host_of

_READ_HERE = (
    "access_key_id", "secret_access_key", "session_token", "profile", "credentialpath", "configpath", "region",
    "endpointurl", "use_ssl", "ssl_verify", "allow_anonymous_login", "connect_timeout", "read_timeout",
)  # fmt: skip
_OF_NO_MATTER = (
    "host", "url", "jobs", "checksum_jobs", "verify", "listobjects", "cache_regions", "version_aware", "worktree",
    "sse", "sse_kms_key_id", "acl", "grant_read", "grant_read_acp", "grant_write_acp", "grant_full_control",
)  # fmt: skip
"""What says nothing of reading, or was looked at before."""
_SENT_OR_SPARED = {"x-amz-content-sha256", "x-amz-date", "x-amz-security-token", "x-amz-checksum-mode"}
_FILES = (
    ("credentials_file", "credentialpath", "AWS_SHARED_CREDENTIALS_FILE"),
    ("config_file", "configpath", "AWS_CONFIG_FILE"),
)
_PROBE = "files/md5/00/0"
_SCOPE = re.compile(r"AWS4-HMAC-SHA256 Credential=[^,]*/([^/,]+)/s3/aws4_request, SignedHeaders=([^,]+), Signature=\w+")


@dataclass(frozen=True)
class S3Location:
    """A remote's place in a bucket.

    Attributes:
        url: below which its objects are. bucket: address that lists the bucket. prefix: of its objects' keys.
        region: '' when requests are not signed. access: keys of `mlbutler.store.http.access.Access`.
    """

    url: str
    bucket: str
    prefix: str
    region: str
    sign: Sign
    access: Mapping[str, Any]


def find_location(root: str, config: Mapping[str, Any], region: str = "") -> S3Location | None:
    """Return the place of a remote; None where it is left to DVC's client.

    Args:
        root: bucket and path. config: keys of DVC's remote configuration. region: of the bucket, as a server told it.

    Raises:
        Exception: whatever botocore raises.
    """
    from fsspec.config import conf

    if any(value for key, value in config.items() if key not in (*_READ_HERE, *_OF_NO_MATTER)) or conf.get("s3"):
        return None
    bucket, _, prefix = root.partition("/")
    key = posixpath.join(prefix, _PROBE)
    if not bucket or "?" in key or {".", "..", ""} & set(key.split("/")):
        return None
    session = _session(config)
    url, headers = _prepare_request(session, config, region, bucket, key)
    encoded = quote(key, safe="/~")
    if not url.endswith(f"/{encoded}") or _proxy_differs(url):
        return None
    top = url.removesuffix(encoded)
    listing = top if urlsplit(top).path == "/" else top.rstrip("/")
    verify = config.get("ssl_verify")
    access = {
        "ssl_verify": session.get_config_variable("ca_bundle") or None if verify is None else verify,
        "connect_timeout": config.get("connect_timeout"),
        "read_timeout": config.get("read_timeout"),
    }
    signer = _signer(session, config, url, headers)
    if signer is None or {name for name in headers if name.startswith("x-amz-")} - _SENT_OR_SPARED:
        return None
    return S3Location(url.removesuffix(f"/{_PROBE}"), listing, key.removesuffix(_PROBE), *signer, access)


def _session(config: Mapping[str, Any]) -> Any:
    from botocore.session import Session

    session = Session(profile=config.get("profile"))
    for variable, key, environment in _FILES:
        if config.get(key) and environment not in os.environ:  # as DVC's client has it
            session.set_config_variable(variable, config[key])
    return session


class _Prepared(Exception):
    """A request is ready to be sent."""


def _prepare_request(
    session: Any, config: Mapping[str, Any], region: str, bucket: str, key: str
) -> tuple[str, Mapping[str, str]]:
    """Return address and headers, names in lower case, of a request for an object."""
    from botocore import UNSIGNED
    from botocore.config import Config

    anonymous = Config(signature_version=UNSIGNED) if config.get("allow_anonymous_login") else None
    client = session.create_client(
        "s3",
        region_name=region or config.get("region"),
        endpoint_url=config.get("endpointurl"),
        use_ssl=config.get("use_ssl", True),
        aws_access_key_id=config.get("access_key_id"),
        aws_secret_access_key=config.get("secret_access_key"),
        aws_session_token=config.get("session_token"),
        config=anonymous,
    )
    seen: list[Any] = []

    def stop(request: Any, **_: Any) -> None:
        seen.append(request)
        raise _Prepared

    client.meta.events.register("before-send.s3", stop)
    with suppress(_Prepared):
        client.get_object(Bucket=bucket, Key=key)
    headers = {
        name.lower(): value.decode("latin-1") if isinstance(value, bytes) else str(value)
        for name, value in seen[0].headers.items()
    }
    return str(seen[0].url), headers


def _signer(session: Any, config: Mapping[str, Any], url: str, headers: Mapping[str, str]) -> tuple[str, Sign] | None:
    """Return the region that the request was signed for, and what signs others; None if that is another signature."""
    if config.get("allow_anonymous_login"):
        return "", lambda _method, _url: []
    scope = _SCOPE.fullmatch(headers.get("authorization", ""))
    keys = _keys(session, config)
    if scope is None or keys is None or any(c in "".join(keys()) for c in "\r\n\0"):
        return None
    signer = Signer(scope[1], keys)
    signed = {name: headers.get(name, "") for name in scope[2].split(";")} | {"host": host_of(url)}
    same = signer.authorization("GET", url, signed, keys()) == headers["authorization"]
    return (scope[1], signer.headers) if same else None


def _keys(session: Any, config: Mapping[str, Any]) -> Callable[[], Keys] | None:
    if config.get("access_key_id"):
        fixed = Keys(config["access_key_id"], config["secret_access_key"], config.get("session_token") or "")
        return lambda: fixed
    credentials = session.get_credentials()
    if credentials is None:
        return None

    def now() -> Keys:
        frozen = credentials.get_frozen_credentials()  # renews what is about to expire
        return Keys(frozen.access_key, frozen.secret_key, frozen.token or "")

    return now


def _proxy_differs(url: str) -> bool:
    """Return whether libcurl would go another way: it reads no ``HTTP_PROXY``, since a web server may set it."""
    return url.startswith("http:") and "HTTP_PROXY" in os.environ and "http_proxy" not in os.environ
