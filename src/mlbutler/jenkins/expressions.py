"""Groovy's expressions in a Jenkinsfile, as far as they are strings. Nothing is evaluated."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from mlbutler.jenkins.groovy import Token

WORKSPACE = "${WORKSPACE}"
"""What stands for the build's workspace in a string."""
_VARIABLE = re.compile(
    r"\\(?P<escaped>.)|\$\{\s*(?:env\.)?(?P<braced>[A-Za-z_]\w*|pwd\(\))\s*\}|\$(?:env\.)?(?P<plain>[A-Za-z_]\w*)"
    r"|(?P<other>\$)",
    re.DOTALL,
)
_GO_ON = (".", "@", "def ", "import ")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\n": ""}


def parenthesis(tokens: Sequence[Token], at: int) -> Sequence[Token]:
    """Return the tokens in the parenthesis that opens at `at`; none where there is no such."""
    if at >= len(tokens) or tokens[at].text != "(":
        return ()
    depth = 0
    for end in range(at, len(tokens)):
        depth += {"open": 1, "close": -1}.get(tokens[end].kind, 0)
        if not depth:
            return tokens[at + 1 : end]
    return ()


def named_arguments(tokens: Sequence[Token]) -> Mapping[str, str]:
    """Return the named arguments of a call that are plain strings."""
    start = next((at for at, token in enumerate(tokens) if token.kind == "open"), -1)
    found = {}
    for part in split_at_commas(tokens[start + 1 : -1]):
        if len(part) > 2 and part[1].text == ":" and (value := string(part[2:])) is not None:
            found[part[0].text] = value
    return found


def list_items(tokens: Sequence[Token]) -> Sequence[Token]:
    """Return the tokens of the list that a call is given."""
    start = next((at for at, token in enumerate(tokens) if token.text == "["), None)
    if start is None:
        return ()
    depth = 0
    for end in range(start, len(tokens)):
        depth += {"open": 1, "close": -1}.get(tokens[end].kind, 0)
        if not depth:
            return tokens[start + 1 : end]
    return ()


def split_at_commas(tokens: Sequence[Token], separator: str = ",") -> Iterator[Sequence[Token]]:
    """Yield what stands between commas that are in no parenthesis, without newlines."""
    part: list[Token] = []
    depth = 0
    for token in tokens:
        depth += {"open": 1, "close": -1}.get(token.kind, 0)
        if token.text == separator and token.kind == "other" and not depth:
            yield part
            part = []
        else:
            part.append(token)
    if part:
        yield part


def string(tokens: Sequence[Token]) -> str | None:
    """Return the string that an expression is: one text, or several joined by ``+``; None for anything else."""
    if len(tokens) > 1 and tokens[0].text == "(" and tokens[-1].text == ")":
        tokens = tokens[1:-1]
    found = ""
    for part in split_at_commas(tokens, "+"):
        words = [token.text for token in part if token.text != "."]
        if len(part) == 1 and part[0].kind == "text":
            text = _content(part[0])
            if text is None:
                return None
            found += text
        elif all(token.kind == "word" for token in part if token.text != ".") and words[-1:] and len(words) < 3:
            if len(words) == 2 and words[0] != "env":
                return None
            found += f"${{{words[-1]}}}"
        else:
            return None
    return found if tokens else None


def _content(token: Token) -> str | None:
    """Return a string's text, with ``${NAME}`` for a variable; None where it holds other expressions."""
    plain = True

    def replace(match: re.Match[str]) -> str:
        nonlocal plain
        if (escaped := match["escaped"]) is not None:
            plain = plain and not (escaped == "$" and token.interpolates)
            return _ESCAPES.get(escaped, escaped)
        if match["other"] is not None:
            plain = plain and not token.interpolates
            return "$"
        name = match["braced"] or match["plain"]
        return WORKSPACE if name in ("pwd()", "PWD") else f"${{{name}}}"

    text = _VARIABLE.sub(replace, token.text)
    return text if plain else None


def called_name(tokens: Sequence[Token]) -> str:
    """Return the name that a statement begins with, such as ``docker.withRegistry`` or ``def image``."""
    found: list[str] = []
    for token in tokens:
        if token.text not in (".", "@") and (token.kind != "word" or (found and found[-1] not in _GO_ON)):
            break
        found.append(f"{token.text} " if token.text in ("def", "import") else token.text)
    return "".join(found).strip() or (tokens[0].text if tokens else "")
