"""Make text that a pull request brought inert: in Markdown, in URLs, in XML.

Names, values and logs are data. They may hold markup, mentions, control characters or bidirectional
overrides; a reader should see them, and nothing should act on them.
"""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

# C0 and C1 controls, bidirectional controls (they reorder what is shown), line separators, lone surrogates, and what
# shows nothing at all, so that two names which differ look the same.
_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff"
    "\u00ad\u115f\u1160\u180e\u200b\u2060-\u2065\u206a-\u206f\u3164\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff]"
)
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
_TERMINAL = re.compile(
    r"\x1b\[[0-9;?]*[ -/]*[@-~]"  # colours and cursor movement
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # window titles and hyperlinks
    r"|\x1b[@-Z\\^_]"
)
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""Named as what is not allowed: `re` needs 5 ms for the set of what is."""

_SEPARATOR = "&#8203;"  # zero width: breaks a mention or a link and shows nothing
_ENTITIES = {c: f"&#{ord(c)};" for c in "\\`*[]{}|~"} | {"&": "&amp;", "<": "&lt;", '"': "&quot;"}
_SPECIAL = re.compile(r"[\\`*\[\]{}|~&<\"]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
# What forges turn into links and pictures behind the back of Markdown: @user, #1, !2, $3, %4, ~label, GH-5, www.,
# https://, :smile:
_REFERENCE = re.compile(r"@|[#!$%~&](?=[\w\"'])|\bGH(?=-)|\bwww(?=\.)|:(?=//)|:(?:[\w+]+|-1)(?=:)", re.IGNORECASE)
# What begins a list, a heading or a quotation; and `/merge`, which GitLab and bots on other forges obey.
_LINE_START = re.compile(r"^(?:[-+=](?=[-+=\s]|$)|[#>/]|\d+(?=[.)](?:\s|$)))")
_COMMAND = re.compile(r"^(\s*)/", re.MULTILINE)


def escape_invisible(text: str, limit: int | None = None) -> str:
    """Return `text` on one line, with invisible and reordering characters as backslash escapes.

    Args:
        limit: characters to keep; the rest becomes an ellipsis.
    """
    if limit is not None and len(text) > limit:
        text = text[: limit - 1] + "…"
    return _INVISIBLE.sub(lambda m: _SHORT.get(m[0]) or _escape_by_number(m[0]), text)


def _escape_by_number(char: str) -> str:
    if ord(char) > 0xFFFF:
        return f"\\U{ord(char):08x}"
    return f"\\x{ord(char):02x}" if ord(char) < 0x100 else f"\\u{ord(char):04x}"


def log_line(line: str, limit: int = 300) -> str:
    """Return one line of a program's output: no terminal codes; of a progress bar only its last state."""
    line = _TERMINAL.sub("", line).rstrip("\r\n").rpartition("\r")[2]
    return escape_invisible(line.replace("\t", "    "), limit)


def markdown(text: str, limit: int | None = None) -> str:
    """Return `text` as inert inline Markdown, safe in a paragraph, a list item and a table cell.

    Characters with a meaning become entities, which by CommonMark 2.5 are never structure.
    """
    text = escape_invisible(text, limit)
    pieces = []
    end = 0
    for match in _REFERENCE.finditer(text):
        pieces += [_entities(text[end : match.end()]), _SEPARATOR]
        end = match.end()
    pieces.append(_entities(text[end:]))
    return _LINE_START.sub(_line_start, "".join(pieces).strip(" "))


def _entities(text: str) -> str:
    return _SPECIAL.sub(lambda m: _ENTITIES.get(m[0]) or f"&#{ord(m[0])};", text)


def _line_start(match: re.Match[str]) -> str:
    start = match[0]
    return f"{start[:-1]}&#{ord(start[-1])};"


def preformatted(text: str) -> str:
    """Escape `text` for the inside of a ``<pre>`` element in Markdown: entities only.

    A line that begins with a slash is a command to bots that read the comment's text line by line.
    """
    return _COMMAND.sub(r"\1&#47;", text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))


def web_address(text: str) -> str | None:
    """Return `text` as an http or https URL that is safe inside Markdown and HTML, None for anything else."""
    try:
        parts = urlsplit(text.strip())
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    return quote(text.strip().encode("utf-8", "replace"), safe=":/?#@!$&+,;=.%~-")


def xml(text: str) -> str:
    """Return `text` without the characters that XML 1.0 cannot hold, and without terminal codes."""
    return _NOT_XML.sub("\ufffd", _TERMINAL.sub("", text))


def hidden_comment(text: str) -> str:
    """Make `text` safe inside an HTML comment and findable again: no ``--``, no markup."""
    return quote(text.encode("utf-8", "replace"), safe=" /.").replace("--", "-%2D")
