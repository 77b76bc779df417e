"""Groovy's text as tokens and nested blocks: as much of it as finding mistakes in a Jenkinsfile takes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r"""
    (?P<skipped> \A\#![^\n]* | //[^\n]* | /\*.*?\*/ | [^\S\n]+ | \\\n )
    | (?P<text> '''(?:\\.|(?!''')[^\\])*''' | \"{3}(?:\\.|(?!\"{3})[^\\])*\"{3}
              | (?!''')'(?:\\.|[^'\\\n])*' | (?!\"{3})"(?:\\.|[^"\\\n])*" )
    | (?P<unfinished> /\* | ['"] )
    | (?P<word> [A-Za-z_$][\w$]* )
    | (?P<open> [{(\[] ) | (?P<close> [})\]] ) | (?P<newline> \n ) | (?P<other> . )
    """,
    re.VERBOSE | re.DOTALL,
)
_PAIRS = {"}": "{", ")": "(", "]": "["}
GOES_ON = frozenset(",+-*/%=:?&|.<>")  # behind these a statement goes on in the next line
_NO_CALL = ("=", ".")  # behind a statement's first word: it sets a variable, or asks an object


class NotGroovy(Exception):
    """The text cannot be read: `line` is where, from 1."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line, self.text = line, text


@dataclass(frozen=True)
class Token:
    """Hold a token: ``word``, ``text`` (a string's content), ``open``, ``close``, ``newline`` or ``other``."""

    kind: str
    text: str
    line: int
    interpolates: bool = False


@dataclass
class Block:
    """Hold ``name(arguments) { ... }``.

    Attributes:
        line: of its name. blocks: those in it. words: what its statements call, each with its line; those that open
            blocks are among them. joined: those that stand right behind a block, on its line: Groovy takes them for a
            part of it.
    """

    name: str
    line: int
    blocks: list[Block] = field(default_factory=list)
    words: list[tuple[str, int]] = field(default_factory=list)
    joined: list[tuple[str, int]] = field(default_factory=list)
    is_empty: bool = True


def tokens(text: str) -> list[Token]:
    """Return the tokens of a text, whose brackets match.

    Raises:
        NotGroovy: a string or comment does not end, or a bracket has no partner.
    """
    found = list(_tokens(text))
    opened = list[Token]()
    for token in found:
        if token.kind == "open":
            opened.append(token)
        elif token.kind == "close" and (not opened or opened.pop().text != _PAIRS[token.text]):
            raise NotGroovy(token.line, f"'{token.text}' closes nothing that is open")
    if opened:
        raise NotGroovy(opened[-1].line, f"'{opened[-1].text}' is never closed")
    return found


def _tokens(text: str) -> Iterator[Token]:
    line = 1
    for found in _TOKEN.finditer(text):
        kind, content = str(found.lastgroup), found[0]
        if kind == "unfinished":
            raise NotGroovy(line, "a comment that does not end" if content == "/*" else "a string that does not end")
        if kind == "text":
            width = 3 if len(content) > 5 and content[:3] in ("'''", '"""') else 1
            yield Token("text", content[width:-width], line, interpolates=content[0] == '"')
        elif kind != "skipped":
            yield Token(kind, content, line)
        line += content.count("\n")


def tree(found: list[Token]) -> Block:
    """Return the blocks of tokens, as a block without a name."""
    root = Block("", 1)
    stack, depth = [root], 0
    first: Token | None = None  # of the statement
    last: Token | None = None
    for token in found:
        if token.text in "()[]" and token.kind in ("open", "close"):
            depth += 1 if token.kind == "open" else -1
        elif depth == 0:
            if token.kind not in ("newline", "close"):
                stack[-1].is_empty = False
            if token.kind == "open":
                name = first if first and first.kind == "word" else None
                stack.append(Block(name.text if name else "", name.line if name else token.line))
                stack[-2].blocks.append(stack[-1])
            elif token.kind == "close":
                stack.pop()
            elif first is None and token.kind == "word":
                stack[-1].words.append((token.text, token.line))
                if last is not None and last.text == "}" and last.kind == "close" and last.line == token.line:
                    stack[-1].joined.append((token.text, token.line))
            elif first is last and first and first.kind == "word" and token.text in _NO_CALL:
                stack[-1].words.pop()
            first = None if _ends(token, last) else first or token
        if token.kind != "newline":
            last = token
    return root


def _ends(token: Token, last: Token | None) -> bool:
    """Return whether a statement ends with this token."""
    if token.kind == "newline":
        return last is None or last.kind != "other" or last.text not in GOES_ON
    return token.text in ("{", "}", ";") and token.kind != "text"
