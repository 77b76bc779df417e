"""AWS's Signature Version 4, of requests to S3 that send nothing."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

_NO_BODY = hashlib.sha256(b"").hexdigest()
_STANDARD_PORTS = {"http": 80, "https": 443}


class Keys(NamedTuple):
    """Credentials; `token` is '' where they do not expire."""

    access: str
    secret: str
    token: str = ""


class Signer:
    """Signs requests to the S3 of one region.

    Args:
        keys: returns the credentials as they are now: they may be renewed while objects come.
    """

    def __init__(self, region: str, keys: Callable[[], Keys], clock: Callable[[], float] = time.time) -> None:
        self._region, self._keys, self._clock = region, keys, clock
        self._derived: tuple[tuple[str, str], bytes] = (("", ""), b"")

    def headers(self, method: str, url: str) -> list[str]:
        """Return the headers that a request needs; the query's parameters have to be in order."""
        keys = self._keys()
        signed = {
            "host": host_of(url),
            "x-amz-content-sha256": _NO_BODY,
            "x-amz-date": time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._clock())),
        }
        if keys.token:
            signed["x-amz-security-token"] = keys.token
        authorization = self.authorization(method, url, signed, keys)
        sent = [f"{name}: {value}" for name, value in signed.items() if name != "host"]
        return [*sent, f"Authorization: {authorization}"]

    def authorization(self, method: str, url: str, signed: Mapping[str, str], keys: Keys) -> str:
        """Return the value of the header that carries the signature.

        Args:
            signed: headers, names in lower case; of them ``x-amz-date`` and ``x-amz-content-sha256`` have to be there.
        """
        address, _, query = url.partition("?")
        path = address.partition("://")[2].partition("/")[2]
        names = sorted(signed)
        listed = ";".join(names)
        lines = [f"{name}:{signed[name]}" for name in names]
        request = "\n".join([
            method, f"/{path}", query, *lines, "", listed, signed["x-amz-content-sha256"],
        ])  # fmt: skip
        moment = signed["x-amz-date"]
        scope = f"{moment[:8]}/{self._region}/s3/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        signature = hmac.new(self._key(moment[:8], keys.secret), text.encode(), hashlib.sha256).hexdigest()
        return f"AWS4-HMAC-SHA256 Credential={keys.access}/{scope}, SignedHeaders={listed}, Signature={signature}"

    def _key(self, day: str, secret: str) -> bytes:
        if self._derived[0] != (day, secret):
            key = f"AWS4{secret}".encode()
            for part in (day, self._region, "s3", "aws4_request"):
                key = hmac.new(key, part.encode(), hashlib.sha256).digest()
            self._derived = (day, secret), key
        return self._derived[1]


def host_of(url: str) -> str:
    """Return the header ``Host`` as libcurl sends it."""
    scheme, _, rest = url.partition("://")
    return rest.partition("/")[0].removesuffix(f":{_STANDARD_PORTS.get(scheme)}")
