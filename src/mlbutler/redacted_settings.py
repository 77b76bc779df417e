"""Files of settings of Git's and DVC's without the credentials that jobs and CI servers leave there."""

from __future__ import annotations

import re

from mlbutler.secrets import Redactor, is_secret_name, without_http_users

_SECTION = re.compile(r"\s*\[")
_OF_CREDENTIALS = re.compile(r"\s*\[\s*credential\b", re.IGNORECASE)
_KEY = re.compile(r"\s*(?:\[[^\n]*\]\s*)?(?P<name>[\w-]+)\s*(?:=|$)")
_SECRETS = re.compile(r"extraheader|cookiefile|account_key|pass$", re.IGNORECASE)
"""Keys of credentials whose names do not sound like it."""
_NOTHING = Redactor(())


def redacted(text: str) -> str:
    """Return the text of such a file, line by line, without lines that hold a credential and users in addresses."""
    kept, drops, goes_on = [], False, False
    for line in text.splitlines(keepends=True):
        if not goes_on and _SECTION.match(line):
            drops = _OF_CREDENTIALS.match(line) is not None
        if not (goes_on or drops):
            key = _KEY.match(line)
            goes_on = key is not None and bool(is_secret_name(key["name"]) or _SECRETS.search(key["name"]))
        if not (goes_on or drops):
            kept.append(_NOTHING.hide(without_http_users(line)))
        goes_on = goes_on and line.rstrip("\r\n").endswith("\\")
    return "".join(kept)
