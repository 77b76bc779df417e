"""The hidden last line of a comment, by which it is found again."""

from __future__ import annotations

import re

from mlbutler.escape import hidden_comment

_HEAD = re.compile(r"(?:<!-- |\[//\]: # \()mlbutler:report:(?P<title>[^<>()]*) head=(?P<head>[^\s<>()]*)(?: -->|\))")


def marker(title: str, head: str, *, html: bool = True) -> str:
    """Return the hidden last line, by which a forge's adapter finds the comment again and knows its commit.

    Where HTML is shown as text it is the definition of a link that nothing uses, which Markdown shows nowhere.
    """
    said = f"mlbutler:report:{hidden_comment(title)} head={hidden_comment(head).replace(' ', '%20')}"
    return f"<!-- {said} -->" if html else f"[//]: # ({said})"


def parse_marker(body: str, title: str) -> str | None:
    """Return the commit that a comment is about, None when it is not ours or has another title."""
    found = [m for m in _HEAD.finditer(body) if m["title"] == hidden_comment(title)]
    return found[-1]["head"] if found else None


def without_markers(text: str) -> str:
    """Return the text without anything that could be taken for a marker of ours."""
    return _HEAD.sub("", text)
