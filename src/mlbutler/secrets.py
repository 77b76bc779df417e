"""Which values are secret, and how to keep them out of sight and out of children's environments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, urlsplit, urlunsplit

HIDDEN = "[hidden]"

_NAME = re.compile(
    r"TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|AUTH|_PAT$|^PAT_|COOKIE"
    r"|NETRC|CONNECTION_STRING|SAS|DSN$|_PWD$|^PGPASS|^GIT_ASKPASS$|^SSH_ASKPASS$|WEBHOOK",
    re.IGNORECASE,
)
_PREFIXES = (
    "AWS_",
    "AZURE_",
    "GOOGLE_APPLICATION",
    "GCP_",
    "GCLOUD_",
    "ALIYUN_",
    "OSS_",
    "DAGSHUB_",
    "KUBECONFIG",
)
_KEPT = {
    "XAUTHORITY",
    "AWS_DEFAULT_REGION",
    "AWS_REGION",
    "DAGSHUB_CLIENT_HOST",
    "PASSWORD_STORE_DIR",
    "SSH_AUTHOR",
}
_NOT_VALUES = {"true", "false", "yes", "none", "null", "basic", "custom", "default", "0", "1"}
_SHORTEST = 6

# Text that looks like a credential whoever wrote it: tokens with a known prefix, private keys, user:password@host.
# Stages print what they like: none of these patterns goes over the same text again from each of many beginnings.
_LOOKS_SECRET = re.compile(
    r"AKIA[0-9A-Z]{16}"
    r"|\bgh[pousr]_[A-Za-z0-9]{30,}"
    r"|\bgithub_pat_[A-Za-z0-9_]{30,}"
    r"|\bglpat-[A-Za-z0-9_-]{20,}"
    r"|\bxox[abprs]-[A-Za-z0-9-]{10,}"
    r"|\bhf_[A-Za-z0-9]{30,}"
    r"|\bsk-[A-Za-z0-9_-]{32,}"
    r"|(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{10,}+\.[A-Za-z0-9_-]{10,}+\.[A-Za-z0-9_-]*"
    r"|(?<=Bearer )[A-Za-z0-9._~+/=-]{16,}"
    r"|(?<=Authorization: Basic )[A-Za-z0-9+/=]{8,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"(?:[^-]*+(?:-(?!----(?:BEGIN|END) )[^-]*+)*+-----END [A-Z ]*PRIVATE KEY-----"
    r"|(?:\\n[A-Za-z0-9+/=]+|\n[A-Za-z0-9+/=]{40,})*)"
)
# A value that follows a credential's name: ``DB_PASSWORD=...``, ``"api_key": "..."``. After a colon, where prose goes
# on too, it holds a digit; what language models call a token (``pad_token=<|end|>``), and a measure of one
# (``loss_per_token=0.69314718055994``), is none. No quote and no backslash belongs to it, so that JSON stays JSON.
_ASSIGNED = re.compile(
    r"(?P<name>(?:(?:secret|passw(?:or)?d|passphrase|(?:api|access|private|account)_?key)[\"']?"
    r"(?:\s?=\s?[\"']?|\s?:\s?[\"']?(?=[^\s\"']{0,99}[0-9])))"
    r"|_token[\"']?\s?[=:]\s?[\"']?(?=[A-Za-z0-9_.+/=-]{16})"
    r"(?![+-]?[0-9]*\.[0-9]*(?:e[+-]?[0-9]+)?(?!\.?[A-Za-z0-9_+/=-])))"
    r"[^\s\"'\\;,&$<{(*\[][^\s\"'\\;,&]{7,}",
    re.IGNORECASE,
)
_KEY_BEGINS = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
_KEY_GOES_ON = re.compile(r"[A-Za-z0-9+/=]*|[A-Za-z-]+: .*|-----END [A-Z ]*-----")
_KEY_LINES = 200
"""Lines of the longest private key."""
_USERINFO = re.compile(r"(?P<scheme>[a-z0-9+.-]://)[^/\s@:]*:[^/\s@]+@", re.IGNORECASE)


def is_secret_name(name: str) -> bool:
    """Does an environment variable of this name usually hold a credential?"""
    if name.upper() in _KEPT:
        return False
    return bool(_NAME.search(name)) or name.upper().startswith(_PREFIXES)


def secret_values(environ: Mapping[str, str], further: Iterable[str] = ()) -> tuple[str, ...]:
    """The values to hide: those of variables that look like credentials, and `further` ones."""
    named = (value for name, value in environ.items() if is_secret_name(name))
    candidates = {value.strip() for value in (*named, *further)}
    return tuple(
        v for v in candidates if len(v) >= _SHORTEST and v.lower() not in _NOT_VALUES and not v.startswith("/")
    )


def without_credentials(
    environ: Mapping[str, str], secrets: Iterable[str] = (), keep: Iterable[str] = ()
) -> dict[str, str]:
    """The environment for code that the pull request brought.

    A variable is dropped when its name looks like a credential's, or when its value contains one of
    `secrets` or a URL with a password; names in `keep` stay whatever they hold.
    """
    kept = set(keep)
    known = tuple(secrets)
    return {
        name: value
        for name, value in environ.items()
        if name in kept or not (is_secret_name(name) or any(s in value for s in known) or _USERINFO.search(value))
    }


class Redactor:
    """Replaces secrets in text: known values (also URL-quoted), and what looks like a credential."""

    def __init__(self, values: Iterable[str]) -> None:
        self._values = tuple(values)
        forms = {form for value in self._values for form in (value, quote(value, safe=""), quote(value)) if form}
        self._known = (
            re.compile("|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True))) if forms else None
        )

    def adding(self, values: Iterable[str]) -> Redactor:
        """One that hides `values` too; those too short to be told from ordinary text are passed over."""
        further = (value for value in values if len(value) >= _SHORTEST and value.lower() not in _NOT_VALUES)
        return Redactor((*self._values, *further))

    def hide(self, text: str) -> str:
        """`text` with every secret replaced by ``[hidden]``."""
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        if "://" in text:
            text = _USERINFO.sub(lambda m: f"{m['scheme']}{HIDDEN}@", text)
        if "=" in text or ":" in text:
            text = _ASSIGNED.sub(lambda m: f"{m['name']}{HIDDEN}", text)
        return _LOOKS_SECRET.sub(HIDDEN, text)


class LineRedactor:
    """Hides secrets in the lines of one stream, which come one by one: a private key stretches over many."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._left = 0

    def hide(self, line: str) -> str:
        """The line with every secret replaced by ``[hidden]``."""
        if self._left and _KEY_GOES_ON.fullmatch(line.strip()):
            self._left = 0 if "-----END" in line else self._left - 1
            return HIDDEN
        self._left = _KEY_LINES if _KEY_BEGINS.search(line.rpartition("-----END")[2]) else 0
        return self._redactor.hide(line)


def without_userinfo(url: str) -> str:
    """A URL without the user name and password before the host; other text is returned as it is."""
    if "://" not in url:
        return url
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
