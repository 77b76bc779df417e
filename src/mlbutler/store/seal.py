"""What shows that something remembered was written by mlbutler, and not by the project's code.

On a CI server tests and stages can write wherever mlbutler remembers something, in this build and, where a workspace or
a mirror is kept, in those before it. They are given no credential. So what is remembered carries a code that only those
can make who have the remotes' credentials: they could make the remote itself say anything.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Any

_SECRETS = re.compile(
    r"MLBUTLER_REMOTE_(\w+_)?(PASSWORD|PASSPHRASE|SECRET_ACCESS_KEY)|DAGSHUB_USER_TOKEN|AWS_SECRET_ACCESS_KEY|"
    r"AZURE_(STORAGE_(KEY|CONNECTION_STRING)|CLIENT_SECRET)"
)
LENGTH = 32


class Seal:
    """Makes and checks these codes.

    Args:
        secret: the remotes' credentials, '' where there are none: then nothing is believed. None on a laptop, where
            nobody is protected from himself: all is believed, and nothing sealed.
    """

    def __init__(self, secret: str | None) -> None:
        self._secret = secret

    def of(self, *parts: bytes) -> bytes:
        """The code of a content, `LENGTH` bytes."""
        if not self._secret:
            return bytes(LENGTH)
        code = hmac.new(self._key, digestmod=hashlib.sha256)
        for part in parts:
            code.update(len(part).to_bytes(8, "big") + part)
        return code.digest()

    def holds(self, code: bytes, *parts: bytes) -> bool:
        """May this content, which carries this code, be believed?"""
        return self._secret is None or (self._secret != "" and hmac.compare_digest(code, self.of(*parts)))

    def sealed(self, kind: str, content: Mapping[str, Any]) -> dict[str, Any]:
        """The same content for a JSON file, with its code where there is one.

        Args:
            kind: what is remembered, and of what: a code counts for that alone.
        """
        if not self._secret:
            return dict(content)
        return {**content, "seal": self.of(kind.encode(), _text(content)).hex()}

    def is_sealed(self, kind: str, content: Mapping[str, Any]) -> bool:
        """May this content of a JSON file be believed?

        Raises:
            ValueError, TypeError, AttributeError: it is not what `sealed` gave.
        """
        if self._secret is None:
            return True
        rest = {name: value for name, value in content.items() if name != "seal"}
        return self.holds(bytes.fromhex(content.get("seal", "")), kind.encode(), _text(rest))

    @cached_property
    def _key(self) -> bytes:
        # The codes can be read by whoever would like to know a password: each guess at it shall take its time.
        return hashlib.scrypt((self._secret or "").encode(), salt=b"mlbutler seal 1", n=2**13, r=8, p=1)


UNSEALED = Seal(None)


def secret(environ: Mapping[str, str], passed: Collection[str]) -> str:
    """The remotes' credentials in an environment, '' where there are none.

    Args:
        passed: names of variables that the project's code is given.
    """
    names = [name for name, value in environ.items() if value and name not in passed and _SECRETS.fullmatch(name)]
    found = {name: environ[name] for name in names}
    return json.dumps(found, sort_keys=True) if found else ""


def _text(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True).encode()
