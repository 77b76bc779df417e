"""Split a Jenkinsfile's Groovy into tokens and nested blocks: as much as checking and reading one needs."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_FORMS = r"""
    (?P<skipped> \A\#![^\n]* | //[^\n]* | /\*.*?\*/ | [^\S\n]+ | \\\n )
    | (?P<unfinished> /\* ) | (?P<text> '{3} | "{3} | ['"] %s )
    | (?P<word> [A-Za-z_$][\w$]* )
    | (?P<open> [{(\[] ) | (?P<close> [})\]] ) | (?P<newline> \n ) | (?P<other> \+\+ | -- | . )
"""
# Where a value is expected a slash begins a string, behind a value it divides.
_BEFORE_VALUE = re.compile(_FORMS % r"| \$?/", re.VERBOSE | re.DOTALL)
_BEHIND_VALUE = re.compile(_FORMS % "", re.VERBOSE | re.DOTALL)
_VALUE_FOLLOWS = frozenset(("assert", "case", "else", "in", "return", "throw"))
# What a string holds up to its end or to an expression in it, by what it begins with.
_HELD = {
    opening: re.compile(held, re.DOTALL)
    for opening, held in {
        "'": r"(?:\\.|[^'\\\n])*",
        "'''": r"(?:\\.|(?!''')[^\\])*",
        '"': r'(?:\\.|(?!\$\{)[^"\\\n])*',
        '"""': r'(?:\\.|(?!"""|\$\{)[^\\])*',
        "/": r"(?:\\/|\\(?!/)|(?!\$\{)[^/\\])*",
        "$/": r"(?:\$[$/]|/(?!\$)|(?!\$[${/])[^/])*",
    }.items()
}
_CLOSING = {"$/": "/$"}  # where it is another than what opens
# What stands for itself between slashes, or for something else than in quotes.
_BETWEEN_SLASHES = {"/": re.compile(r"\\(?P<taken>/)|\\"), "$/": re.compile(r"\$(?P<taken>[$/])|\\")}
_DEEPEST = 50
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
    """Hold a token: ``word``, ``text`` (a string's content), ``open``, ``close``, ``newline`` or ``other``.

    A string between slashes has the content that it would have in quotes. expressions: those in a string's ``${}``.
    """

    kind: str
    text: str
    line: int
    interpolates: bool = False
    expressions: tuple[tuple[Token, ...], ...] = ()


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
    return _Lexer(text).code()


@dataclass
class _Lexer:
    """Read a text once, from its begin to its end: it has got to `at`, which is in `line`."""

    text: str
    at: int = 0
    line: int = 1

    def code(self, depth: int = 0) -> list[Token]:
        """Return the tokens up to the end; of an expression in a string, those before the brace that closes it."""
        if depth > _DEEPEST:
            raise NotGroovy(self.line, "too many strings within one another")
        begin = self.line
        found, opened = list[Token](), list[Token]()
        form = _BEFORE_VALUE
        while self.at < len(self.text):
            line = self.line
            kind, content = self._take(form)
            if kind == "unfinished":
                raise NotGroovy(line, "a comment that does not end")
            if kind == "skipped":
                continue
            if depth and content == "}" and not opened:
                return found
            token = self._string(content, line, depth) if kind == "text" else Token(kind, content, line)
            found.append(token)
            _pair(opened, token)
            # Within parentheses a line's end means nothing.
            if kind != "newline" or not opened or opened[-1].text == "{":
                form = _BEHIND_VALUE if _is_value(token) else _BEFORE_VALUE
        if depth:
            raise NotGroovy(begin, _ENDLESS)
        if opened:
            raise NotGroovy(opened[-1].line, f"'{opened[-1].text}' is never closed")
        return found

    def _take(self, form: re.Pattern[str]) -> tuple[str, str]:
        found = form.match(self.text, self.at)
        assert found is not None
        self.at = found.end()
        self.line += found[0].count("\n")
        return found.lastgroup or "", found[0]

    def _string(self, opening: str, line: int, depth: int) -> Token:
        """Return the string of which `opening` has been read."""
        begin, closing = self.at, _CLOSING.get(opening, opening)
        expressions = list[tuple[Token, ...]]()
        self._take(_HELD[opening])
        while not self.text.startswith(closing, self.at):
            if not self.text.startswith("${", self.at):
                raise NotGroovy(line, _ENDLESS)
            self.at += 2
            expressions.append(tuple(self.code(depth + 1)))
            if opening == '"' and any(token.kind == "newline" for token in expressions[-1]):
                raise NotGroovy(line, _ENDLESS)
            self._take(_HELD[opening])
        content = self.text[begin : self.at]
        self.at += len(closing)
        if opening in _BETWEEN_SLASHES:
            content = _BETWEEN_SLASHES[opening].sub(_as_in_quotes, content)
        return Token("text", content, line, not opening.startswith("'"), tuple(expressions))


_ENDLESS = "a string that does not end"


def _as_in_quotes(found: re.Match[str]) -> str:
    return "/" if found["taken"] == "/" else f"\\{found['taken'] or found[0]}"


def _is_value(token: Token) -> bool:
    """Return whether a value may end with this token, so that a slash behind it divides."""
    if token.kind == "word":
        return token.text not in _VALUE_FOLLOWS
    return token.kind in ("text", "close") or token.text in ("++", "--") or token.text.isalnum()


def _pair(opened: list[Token], token: Token) -> None:
    """Add a bracket to those that are open, or take off the one that it closes."""
    if token.kind == "open":
        opened.append(token)
    elif token.kind == "close" and (not opened or opened.pop().text != _PAIRS[token.text]):
        raise NotGroovy(token.line, f"'{token.text}' closes nothing that is open")


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
