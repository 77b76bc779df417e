"""Seal what mlbutler remembers, so that the project's code cannot forge it.

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

_SECRETS = re.compile(
    r"MLBUTLER_REMOTE_(\w+_)?(PASSWORD|PASSPHRASE|SECRET_ACCESS_KEY)|DAGSHUB_USER_TOKEN|AWS_SECRET_ACCESS_KEY|"
    r"AZURE_(STORAGE_(KEY|CONNECTION_STRING)|CLIENT_SECRET)"
)


class Seal:
    """Makes the code that each line of a memory begins with.

    Args:
        secret: the remotes' credentials, '' where there are none: then nothing is believed or kept. None on a laptop,
            where there is nobody to protect the user from: a code shows that a line is whole, and no more.
    """

    def __init__(self, secret: str | None) -> None:
        self._secret = secret

    @property
    def believes(self) -> bool:
        """Tell whether anything can be believed."""
        return self._secret != ""

    @cached_property
    def name(self) -> str:
        """Return the name of files that are sealed with this secret."""
        return self.code(b"name")[:16] if self._secret else ""

    def code(self, *parts: bytes | memoryview) -> str:
        """Return the code of a content, hexadecimal."""
        made = hmac.new(self._key, digestmod=hashlib.sha256) if self._secret else hashlib.sha256()
        for part in parts:
            made.update(len(part).to_bytes(8, "big"))
            made.update(part)
        return made.hexdigest()

    def is_code(self, code: bytes, *parts: bytes | memoryview) -> bool:
        """Tell whether this content, which carries this code, may be believed."""
        return self.believes and hmac.compare_digest(code, self.code(*parts).encode())

    @cached_property
    def _key(self) -> bytes:
        # Everybody can read the codes: each guess at a password is to take its time.
        return hashlib.scrypt((self._secret or "").encode(), salt=b"mlbutler seal 1", n=2**13, r=8, p=1)


UNSEALED = Seal(None)


def secret(environ: Mapping[str, str], passed: Collection[str]) -> str:
    """Return the remotes' credentials in an environment, '' where there are none.

    Args:
        passed: names of variables that the project's code is given.
    """
    names = [name for name, value in environ.items() if value and name not in passed and _SECRETS.fullmatch(name)]
    found = {name: environ[name] for name in names}
    return json.dumps(found, sort_keys=True) if found else ""
