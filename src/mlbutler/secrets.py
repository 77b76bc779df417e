"""Recognise what looks like a credential, keep it out of sight and out of children's environments.

On a CI server every variable counts as one that is not known to be harmless: `mlbutler.held_back`.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote_plus, unquote, urlsplit, urlunsplit

from mlbutler.allowed_variables import is_known

HIDDEN = "[hidden]"

_NAME = re.compile(
    r"TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|(?:API|ACCESS|PRIVATE|SIGNING|ENCRYPTION|DEPLOY|SSH|GPG)_?KEY|AUTH|_PAT$|^PAT_|COOKIE"
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

_GIT_CONFIG = re.compile(r"GIT_CONFIG_(COUNT|PARAMETERS|KEY_\d+|VALUE_\d+)")
_GIT_CREDENTIAL_KEY = re.compile(r"extraheader|credential|insteadof|proxy|cookie|sshcommand", re.IGNORECASE)

# Text that looks like a credential, known to us or not: tokens with a prefix that their maker documents, private keys.
# Stages print what they like: none of these patterns goes over the same text again from each of many beginnings. Each
# begins with a letter, so that `re` passes over all others at once; where a word has to begin, that is asked after it.
_LOOKS_SECRET = re.compile(
    r"A(?:KIA|SIA|BIA|CCA)[0-9A-Z]{16}"  # AWS: lasting and temporary keys
    r"|A(?<!\wA)Iza[A-Za-z0-9_-]{35}"  # Google
    r"|A(?<!\wA)(?:TATT3x|TCTT3x|TBB)[A-Za-z0-9_=-]{20,}"  # Atlassian, Bitbucket
    r"|A(?<!\wA)GE-SECRET-KEY-1[0-9A-Z]{40,}"
    r"|G(?<!\wG)OCSPX-[A-Za-z0-9_-]{20,}"
    r"|S(?<!\wS)G\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,64}"  # SendGrid
    r"|g(?<!\wg)(?:h[pousr]_[A-Za-z0-9]{30,}|ithub_pat_[A-Za-z0-9_]{30,})"
    r"|g(?<!\wg)l(?:pat|dt|rt|cbt|ptt|ft|imt|agent|oas|soat|ffct)-[A-Za-z0-9_.-]{20,}"  # GitLab
    r"|g(?<!\wg)l(?:c|sa)_[A-Za-z0-9_+/=]{32,}"  # Grafana
    r"|g(?<!\wg)sk_[A-Za-z0-9]{32,}"
    r"|x(?<!\wx)(?:ox[abeprs]-|app-[0-9]-)[A-Za-z0-9-]{10,}"  # Slack
    r"|h(?<!\wh)f_[A-Za-z0-9]{30,}"
    r"|h(?<!\wh)v[sbr]\.[A-Za-z0-9_-]{24,}"  # Vault
    r"|a(?<!\wa)pi_org_[A-Za-z0-9]{30,}"
    r"|s(?<!\ws)k-[A-Za-z0-9_-]{32,}"
    r"|[rs](?<!\w[rs])k_(?:live|test)_[A-Za-z0-9]{16,}"  # Stripe
    r"|r(?<!\wr)8_[A-Za-z0-9]{30,}"
    r"|w(?<!\ww)(?:hsec_[A-Za-z0-9+/=]{24,}|andb_v1_[A-Za-z0-9_]{30,})"
    r"|n(?<!\wn)pm_[A-Za-z0-9]{30,}"
    r"|p(?<!\wp)ypi-[A-Za-z0-9_-]{50,}"
    r"|d(?<!\wd)(?:ckr_[po]at_[A-Za-z0-9_-]{20,}|o[por]_v1_[0-9a-f]{40,}|api[0-9a-f]{32})"  # Docker and others
    r"|y(?<!\wy)a29\.[A-Za-z0-9_-]{20,}"
    r"|e(?<![A-Za-z0-9_-]e)yJ[A-Za-z0-9_-]{10,}+\.[A-Za-z0-9_-]{10,}+\.[A-Za-z0-9_-]*"
    r"|B(?=earer )(?P<bearer>earer )[A-Za-z0-9._~+/=-]{16,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----"
    r"(?:[^-]*+(?:-(?!----(?:BEGIN|END) )[^-]*+)*-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----"
    r"|(?:\\n[A-Za-z0-9+/=]+|\n[A-Za-z0-9+/=]{40,})*)"
)
# What signs an address: the rest of it may stay.
_SIGNED = re.compile(
    r"(?P<name>[?&](?:sig|X-Amz-(?:Signature|Security-Token|Credential)|X-Goog-(?:Signature|Credential)|Signature)=)"
    r"[^\s&\"'<>]{8,}"
)
# A user and a password as HTTP writes them; in prose the word is followed by something else.
_BASIC = re.compile(
    r"(?P<before>(?P<named>Authorization: )?\bbasic(?: |\+|%20|\\u0020))(?P<pair>[A-Za-z0-9+/_-]{6,}+(?:=|%3D){0,2})",
    re.IGNORECASE,
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
_KEY_BEGINS = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----")
_KEY_GOES_ON = re.compile(r"[A-Za-z0-9+/=]*|[A-Za-z-]+: .*|-----END [A-Z ]*-----")
_LINE = 8
"""Characters of a line of a secret that are hidden where they stand alone."""
_FEW = 3
_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_-")
_HTML = {"&": "amp|#38", "<": "lt|#60", ">": "gt|#62", '"': "quot|#34", "'": "apos|#39|#x27"}
_SHORT = {"\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t"}
_LAST_WORD = re.compile(r"[A-Za-z0-9+/=_.~%:@-]{8,}+\Z")
_LONG_WORD = 300
_KEY_LINES = 200
"""Lines of the longest private key."""
_USERINFO = re.compile(r"(?P<scheme>[a-z0-9+.-]://)[^/\s@:]*:[^/\s@]+@", re.IGNORECASE)
_HTTP_USER = re.compile(r"(?P<scheme>https?://)[^/\s@\"']+@", re.IGNORECASE)


def is_secret_name(name: str) -> bool:
    """Return whether an environment variable of this name usually holds a credential."""
    if name.upper() in _KEPT or is_known(name):
        return False
    return bool(_NAME.search(name)) or name.upper().startswith(_PREFIXES)


def has_credentials(environ: Mapping[str, str]) -> bool:
    """Return whether the environment holds anything that looks like a credential."""
    return any(is_secret_name(name) for name, value in environ.items() if value)


def secret_values(environ: Mapping[str, str], further: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the values of variables that look like credentials, and `further` ones, but no common words."""
    named = (value for name, value in environ.items() if is_secret_name(name))
    candidates = {value.strip() for value in (*named, *further)}
    return tuple(
        v for v in candidates if len(v) >= _SHORTEST and v.lower() not in _NOT_VALUES and not v.startswith("/")
    )


def without_credentials(
    environ: Mapping[str, str], secrets: Iterable[str] = (), keep: Iterable[str] = ()
) -> dict[str, str]:
    """Return the environment without what looks like a credential.

    A variable is dropped when its name looks like a credential's, or when its value contains one of
    `secrets`, a URL with a password, or what has the form of a token or a private key; names in `keep` stay whatever
    they hold.
    """
    kept = set(keep)
    known = tuple(secrets)
    return {
        name: value
        for name, value in environ.items()
        if name in kept or not (is_secret_name(name) or any(s in value for s in known) or _holds_one(value))
    }


def _holds_one(value: str) -> bool:
    return _USERINFO.search(value) is not None or _LOOKS_SECRET.search(value) is not None


def without_git_credentials(environ: dict[str, str]) -> dict[str, str]:
    """Drop git's numbered settings when one of them can hold a credential or send one elsewhere.

    git takes ``http.extraHeader: AUTHORIZATION ...`` from variables with innocent names.
    """
    config = [name for name in environ if _GIT_CONFIG.fullmatch(name)]
    if not any(_GIT_CREDENTIAL_KEY.search(environ[name]) for name in config):
        return environ
    return {name: value for name, value in environ.items() if name not in config}


class Redactor:
    """Replaces secrets in text: known values, however they are escaped, and what looks like a credential."""

    def __init__(self, values: Iterable[str]) -> None:
        self._values = tuple(values)
        known = [part for value in self._values if value for part in _parts(value)]
        self.known = tuple(sorted(set(known), key=len, reverse=True))
        self._known = re.compile("|".join(_pattern(value) for value in self.known)) if known else None
        coded = {form for value in self.known if len(value) >= _SHORTEST for form in _in_base64(value)}
        self._coded = re.compile("|".join(map(re.escape, coded))) if coded else None

    def adding(self, values: Iterable[str]) -> Redactor:
        """Return one that hides `values` too; those too short to differ from ordinary text are skipped."""
        further = (value for value in values if len(value) >= _SHORTEST and value.lower() not in _NOT_VALUES)
        return Redactor((*self._values, *further))

    def hide(self, text: str) -> str:
        """Return `text` with every secret replaced by ``[hidden]``."""
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        if self._coded is not None:
            text = _without_coded(text, self._coded)
        if "://" in text:
            text = _USERINFO.sub(lambda m: f"{m['scheme']}{HIDDEN}@", text)
        if "=" in text or ":" in text:
            text = _ASSIGNED.sub(lambda m: f"{m['name']}{HIDDEN}", text)
            text = _SIGNED.sub(lambda m: f"{m['name']}{HIDDEN}", text)
        text = _BASIC.sub(_without_pair, text)
        return _LOOKS_SECRET.sub(lambda m: f"Bearer {HIDDEN}" if m["bearer"] else HIDDEN, text)

    def finds(self, text: str) -> bool:
        """Return whether a credential stands in the text, beyond doubt.

        A known value, a token of a known kind, a private key, a URL with a password. That a name sounds like one is no
        proof: ``password = ask()``.
        """
        known = self._known is not None and self._known.search(text) is not None
        found = known or _LOOKS_SECRET.search(text) or _USERINFO.search(text)
        return bool(found)


def _parts(value: str) -> tuple[str, ...]:
    """Return the value, and the lines of one that has several: a stream shows them one by one."""
    lines = value.splitlines()
    return (value, *(line for line in lines if len(line.strip()) >= _LINE)) if len(lines) > 1 else (value,)


def _pattern(value: str) -> str:
    """Return a pattern for a value as is, and as URLs, JSON (twice, too), HTML and Python's `repr` write it."""
    whole = [quote_plus(value), json.dumps(json.dumps(value))[3:-3]]
    if "\\" in value:  # character by character it is not known whose a backslash is
        import html

        plain = [json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]]
        whole += [*plain, *(form.replace("/", "\\/") for form in plain), html.escape(value), value]
        whole.sort(key=len, reverse=True)  # one may be the beginning of another
    return "|".join((*map(re.escape, dict.fromkeys(whole)), "".join(map(_character_pattern, value))))


def _character_pattern(character: str) -> str:
    """Return a pattern for one character of a secret, escaped or not.

    No two of its forms begin alike without end.
    """
    if character.isascii() and (character.isalnum() or character in "-_.~"):
        return character if character != "." else r"\."
    number = ord(character)
    unit = "".join(
        rf"\\{{1,4}}u{one}" for one in re.findall("....", character.encode("utf-16-be", "surrogatepass").hex())
    )
    percent = "".join(f"%{byte:02x}" for byte in character.encode("utf-8", "surrogatepass"))
    forms = [f"&(?:{_HTML[character]});"] if character in _HTML else []
    forms += [rf"(?i:{unit}|{percent})", rf"\\{{0,4}}{re.escape(character)}"]
    if number < 256:
        forms.append(rf"\\{{1,4}}(?i:x{number:02x})")
    if character in _SHORT:
        forms.append(rf"\\{{1,4}}{_SHORT[character]}")
    if character == " ":
        forms.append(r"\+")
    return f"(?>{'|'.join(forms)})"


def _in_base64(value: str) -> Iterator[str]:
    """Return what base64 makes of a value at each of the three places where it can begin in what is coded."""
    for shift in range(3):
        data = b"\0" * shift + value.encode("utf-8", "surrogatepass")
        whole = len(data) * 8 // 6  # further characters depend on what follows
        form = base64.b64encode(data).decode()[(shift * 8 + 5) // 6 : whole]
        yield form
        yield form.replace("+", "-").replace("/", "_")


def _without_coded(text: str, coded: re.Pattern[str]) -> str:
    """Return the text without the runs of base64 in which a value was found."""
    kept, end = [], 0
    for match in coded.finditer(text):
        if match.start() < end:
            continue
        start, stop = match.span()
        while start > end and text[start - 1] in _BASE64:
            start -= 1
        while stop < len(text) and text[stop] in _BASE64:
            stop += 1
        kept += [text[end:start], HIDDEN]
        end = stop
    return "".join((*kept, text[end:]))


def _without_pair(match: re.Match[str]) -> str:
    """Return ``Basic`` and what follows, hidden where it is a user and a password."""
    pair = unquote(match["pair"]).rstrip("=").replace("-", "+").replace("_", "/")
    try:
        decoded = base64.b64decode(pair + "=" * (-len(pair) % 4), validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    return f"{match['before']}{HIDDEN}" if match["named"] or b":" in decoded else match[0]


class LineRedactor:
    """Hides secrets in the lines of one stream, which come one by one: a secret may stretch over several."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._left = 0
        self._rest: tuple[str, ...] = ()
        beginnings: dict[str, list[str]] = {}
        for value in redactor.known:
            if len(value) > _SHORTEST:
                beginnings.setdefault(value[:_SHORTEST], []).append(value)
        self._beginnings = beginnings
        self._begins = re.compile("|".join(map(re.escape, beginnings))) if beginnings else None
        self._longest = max(map(len, redactor.known), default=0)

    def hide(self, line: str) -> str:
        """Return the line with every secret replaced by ``[hidden]``, also half a secret at its start or end."""
        line = self._whole(self._without_rest(line))
        begun = self._find_beginning(line)
        if begun is None:
            self._rest = ()
            return line
        self._rest = tuple(value[len(line) - begun :] for value in self._at(line, begun))
        return line[:begun] + HIDDEN

    def hide_unfinished(self, text: str) -> str:
        """Return the beginning of a line, without its last word if that may become a secret."""
        before = self._left, self._rest
        found = self._whole(self._without_rest(text))
        self._left, self._rest = before
        begun = self._find_beginning(found)
        found = found if begun is None else found[:begun] + "…"
        return found[:-_LONG_WORD] + _LAST_WORD.sub("…", found[-_LONG_WORD:])

    def _find_beginning(self, line: str) -> int | None:
        """Return where the beginning of a known value stands at the line's end."""
        if self._begins is None:
            return None
        start = max(len(line) - self._longest, 0)
        while (match := self._begins.search(line, start)) is not None:
            if any(True for _ in self._at(line, match.start())):
                return match.start()
            start = match.start() + 1
        return None

    def _at(self, line: str, place: int) -> Iterator[str]:
        end = line[place:]
        return (value for value in self._beginnings[end[:_SHORTEST]] if value.startswith(end))

    def _without_rest(self, line: str) -> str:
        text = line.lstrip()
        for rest in self._rest:
            if text.startswith(rest):
                return HIDDEN + text[len(rest) :]
        return HIDDEN if len(text) >= _FEW and any(rest.startswith(text) for rest in self._rest) else line

    def _whole(self, line: str) -> str:
        if self._left and _KEY_GOES_ON.fullmatch(line.strip()):
            self._left = 0 if "-----END" in line else self._left - 1
            return HIDDEN
        self._left = _KEY_LINES if _KEY_BEGINS.search(line.rpartition("-----END")[2]) else 0
        return self._redactor.hide(line)


def has_userinfo(text: str) -> bool:
    """Return whether the text holds a URL with a password, or what may be a token in the place of an HTTP user."""
    return _USERINFO.search(text) is not None or _HTTP_USER.search(text) is not None


def without_http_users(text: str) -> str:
    """Return the text without user, password or token before the hosts of its HTTP addresses."""
    return _HTTP_USER.sub(r"\g<scheme>", text)


def without_userinfo(url: str) -> str:
    """Return a URL without user name and password before the host; other text as it is."""
    if "://" not in url:
        return url
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
