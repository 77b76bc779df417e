"""Work on a fork's change without anything that a remote would accept as a credential.

Libraries for S3, Google, Azure and SSH look for credentials in the process' own environment and in files that it
names, whatever is passed to them. So the process itself has to forget them. As credentials have any name, it keeps
what the project's own code may have too, and mlbutler's settings.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from mlbutler.held_back import harmless_environment, is_setting
from mlbutler.secrets import secret_values, without_credentials
from mlbutler.user_files import EMPTY_FILE

# Where the libraries look when the environment says nothing, each sent to a place that holds nothing.
_LOOKED_AT = {
    "AWS_SHARED_CREDENTIALS_FILE": EMPTY_FILE,
    "AWS_CONFIG_FILE": EMPTY_FILE,
    "AWS_EC2_METADATA_DISABLED": "true",
    "NO_GCE_CHECK": "true",
    "NETRC": EMPTY_FILE,
}


@contextmanager
def anonymous() -> Iterator[dict[str, str]]:
    """Take every credential out of this process' environment while the block runs; yield what is left.

    DVC's global and system configuration are ignored as well: they may hold a remote's password.
    """
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="mlbutler-nothing-") as empty:
        settings = without_credentials({n: v for n, v in before.items() if is_setting(n)}, secret_values(before))
        left = harmless_environment(before) | settings | _LOOKED_AT
        left |= {
            "DVC_GLOBAL_CONFIG_DIR": empty,
            "DVC_SYSTEM_CONFIG_DIR": empty,
            "CLOUDSDK_CONFIG": empty,
            "AZURE_CONFIG_DIR": empty,
        }
        _become(left)
        try:
            yield left
        finally:
            _become(before)


def _become(environ: dict[str, str]) -> None:
    for name in set(os.environ) - set(environ):
        del os.environ[name]
    os.environ.update(environ)
