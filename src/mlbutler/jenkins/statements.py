"""Parse Groovy into statements, each with the block that follows it, to read a Jenkinsfile's environment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlbutler.jenkins.groovy import GOES_ON, NotGroovy, Token, tokens

_DEEPEST = 100


@dataclass(frozen=True)
class Statement:
    """Hold a statement: its tokens up to a block, and the statements of the block that follows; None without one."""

    tokens: tuple[Token, ...]
    body: tuple[Statement, ...] | None = None

    @property
    def line(self) -> int:
        """Return the line that it begins in, from 1."""
        return self.tokens[0].line if self.tokens else self.body[0].line if self.body else 0

    @property
    def name(self) -> str:
        """Return the word that it begins with, '' for anything else."""
        return self.tokens[0].text if self.tokens and self.tokens[0].kind == "word" else ""


def parse_statements(text: str) -> tuple[Statement, ...]:
    """Return the statements of a text; blocks within parentheses are part of their statement's tokens.

    Raises:
        NotGroovy: the text cannot be read, or there are too many blocks or brackets within one another.
    """
    return _statements(tokens(text), 0, 0)[0]


def _statements(found: Sequence[Token], at: int, depth: int) -> tuple[tuple[Statement, ...], int]:
    """Return the statements from `at` up to the brace that closes their block, and where that is."""
    if depth > _DEEPEST:
        raise NotGroovy(found[at - 1].line, "too many blocks within one another")
    statements: list[Statement] = []
    head: list[Token] = []
    inside = 0
    while at < len(found) and (inside or found[at].kind != "close"):
        token = found[at]
        at += 1
        if token.kind == "open" and token.text == "{" and not inside:
            body, at = _statements(found, at, depth + 1)
            at += 1
            statements.append(Statement(tuple(head), body))
            head = []
        elif not inside and _ends(token, head):
            statements += [Statement(tuple(head))] if head else []
            head = []
        elif token.kind != "newline":
            inside += {"open": 1, "close": -1}.get(token.kind, 0)
            if inside > _DEEPEST:
                raise NotGroovy(token.line, "too many brackets within one another")
            head.append(token)
    return (*statements, Statement(tuple(head))) if head else tuple(statements), at


def _ends(token: Token, head: Sequence[Token]) -> bool:
    if token.kind == "newline":
        return not head or head[-1].kind != "other" or head[-1].text not in GOES_ON
    return token.kind == "other" and token.text == ";"
