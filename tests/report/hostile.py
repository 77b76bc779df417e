"""Text as somebody who means harm would put it into names, values and logs; and records full of it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from enum import Enum
from typing import Any

from hypothesis import strategies as st

from mlbutler.record import Record

FRAGMENTS = (
    "<script>alert(1)</script>",
    "</script>",
    "<SCRIPT ",
    "<img src=x onerror=alert(1)>",
    "![x](http://evil.example/x.png)",
    "[x](javascript:alert(1))",
    "[x]: http://evil.example",
    "https://evil.example/a",
    "www.evil.example",
    "a@evil.example",
    "<http://evil.example>",
    "a|b",
    "|",
    "\\|",
    "\\",
    "`",
    "``",
    "```",
    "`|`",
    "\n",
    "\n\n",
    "\r\n",
    "\n# heading",
    "\n| a | b |\n",
    "\n---\n",
    "* zap",
    "- zap",
    "+ zap",
    "1. zap",
    "2) zap",
    "> zap",
    "# zap",
    "/zap",
    "*zap*",
    "**zap**",
    "= zap",
    "- ",
    "    ",
    "@admin",
    "#1",
    "!2",
    "GH-3",
    ":smile:",
    ":+1:",
    "\u200b",
    "\U000e0041",
    "<b>",
    "</b>",
    "</details>",
    "</summary>",
    "</pre>",
    "</code>",
    "</table>",
    "-->",
    "<!--",
    "<!-- mlbutler:report:mlbutler head=0000 -->",
    "\x00",
    "\x1b[31m",
    "\x07",
    "\x85",
    "\u2028",
    "\u202e",
    "\udce9",
    "\ufffe",
    "&lt;script&gt;",
    "&#60;",
    "&",
    "**",
    "__",
    "_a_",
    "~~",
    "]]>",
    "<![CDATA[",
    "{{ 7 * 7 }}",
    "{% raw %}",
    "'",
    '"',
    "' onload='x",
    '" onload="x',
    "javascript:alert(1)",
    "$x$",
    "é",
    "漢字",
    "🎉",
    "a" * 3000,
)

ACTS = re.compile(r"^(?:[-|] )*\s*(?:[-+*#>]|\d+[.)]) ?zap|^\s*/\w|\*zap", re.MULTILINE)
"""A list, a heading, a quotation, a command to a bot or emphasis that one of the fragments would be in Markdown."""

hostile_text = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=5), min_size=1, max_size=5).map("".join)

_WORDS = {"kind", "outcome", "level", "goal", "ci"}  # vocabulary: with other words, whole sections would vanish
_ADDRESSES = {"url", "build_url", "tracker_run"}


def poison_record(record: Record, text: Callable[[], str], *, words: bool = False) -> Record:
    """The record with every text replaced, addresses apart (CI gives them) and, unless `words`, vocabulary."""
    kept = _ADDRESSES if words else _ADDRESSES | _WORDS
    poison: Record = _poison(record, text, kept)
    return poison


def _poison(value: Any, text: Callable[[], str], kept: set[str]) -> Any:
    if isinstance(value, Enum):
        return value
    if isinstance(value, str):
        return text()
    if isinstance(value, tuple):
        return tuple(_poison(item, text, kept) for item in value)
    if isinstance(value, dict):
        return {text(): item for item in value.values()}
    if dataclasses.is_dataclass(value):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        make: Any = type(value)
        return make(**{k: v if k in kept else _poison(v, text, kept) for k, v in fields.items()})
    return value
