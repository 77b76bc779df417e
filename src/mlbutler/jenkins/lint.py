"""Finding mistakes in a Jenkinsfile without a controller.

Sections, options and steps are compared with the grammar of declarative pipelines; a file that is no such pipeline (a
scripted one, or a call of a shared library) is only checked for what holds for every Groovy file. Groovy's own syntax
is what a controller, or npm-groovy-lint, judges.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mlbutler.jenkins.declarative import LIBRARY, faults
from mlbutler.jenkins.expressions import split_at_commas
from mlbutler.jenkins.groovy import GOES_ON, Block, NotGroovy, Token, tokens, tree

# Text that a pull request chooses: pasted into a script by Groovy, it is part of the shell's program.
_HOSTILE = re.compile(r"CHANGE_(?:TITLE|BRANCH|AUTHOR\w*|FORK|URL)|BRANCH_NAME|GIT_BRANCH|JOB_NAME|params")
_PASTED = re.compile(r"\\.|\$(?P<names>[A-Za-z_][\w.]*)", re.DOTALL)
_LOADS = ("Library", "libraries", "library")
_SHELLS = ("sh", "bat", "powershell", "pwsh")


@dataclass(frozen=True)
class LintFinding:
    """Hold one remark: `level` is ``error`` (does not load, or dangerous) or ``warning``; `line` from 1, 0 for none."""

    level: str
    line: int
    text: str


def lint(text: str) -> list[LintFinding]:
    """Return everything found in a Jenkinsfile's text, in the order of its lines."""
    try:
        found = tokens(text)
    except NotGroovy as broken:
        return [LintFinding("error", broken.line, broken.text)]
    own = {after.text for before, after in itertools.pairwise(found) if before.kind == after.kind == "word"}
    if any(token.kind == "word" and token.text in _LOADS for token in found):
        own.add(LIBRARY)
    pipelines = _pipelines(found)
    findings = [
        *_interpolations(found),
        *(LintFinding("error", block.line, "a second pipeline block") for block in pipelines[1:2]),
        *(
            LintFinding("error" if fault.certain else "warning", fault.line, fault.text)
            for block in pipelines[:1]
            for fault in faults(block, frozenset(own))
        ),
        *(LintFinding("warning", line, _QUEUE) for block in pipelines[:1] for line in _counts_the_queue(block)),
    ]
    return sorted(findings, key=lambda finding: finding.line)


_QUEUE = "a time-out in a stage's options counts the wait for an agent"


def is_declarative(text: str) -> bool:
    """Return whether there is a ``pipeline { }`` block, which is compared with the grammar."""
    try:
        return bool(_pipelines(tokens(text)))
    except NotGroovy:
        return False


def _pipelines(found: list[Token]) -> list[Block]:
    return [block for block in tree(found).blocks if block.name == "pipeline"]


def _counts_the_queue(block: Block) -> Iterator[int]:
    for inner in block.blocks:
        if block.name == "stage" and inner.name == "options" and "timeout" in dict(inner.words):
            yield block.line
        yield from _counts_the_queue(inner)


def _interpolations(found: list[Token]) -> Iterator[LintFinding]:
    end = 0
    for at, token in enumerate(found):
        if at < end or token.kind != "word" or token.text not in _SHELLS:
            continue
        end = _end_of_arguments(found, at + 1)
        pasted = {line: name for name, line in reversed(list(_find_pasted_in_call(found[at + 1 : end])))}
        for line, name in pasted.items():
            yield LintFinding(
                "error", line,
                f"{name} is text that a pull request chooses, inserted into a shell script: use single quotes "
                "so that the shell reads it from its environment",
            )  # fmt: skip


def _end_of_arguments(found: list[Token], start: int) -> int:
    """Return where a call's arguments end, which begin at `start`, in parentheses or not."""
    if start == len(found) or found[start].kind == "other":
        return start  # a name, and no call
    depth = 0
    for at in range(start, len(found)):
        depth += {"open": 1, "close": -1}.get(found[at].kind, 0)
        if depth < 0 or (not depth and _ends(found[at], found[at - 1])):
            return at
        if not depth and found[start].text == "(" and found[start].kind == "open":
            return at + 1
    return len(found)


def _ends(token: Token, last: Token) -> bool:
    """Return whether the arguments of a call without parentheses end before this token."""
    if token.kind == "newline":
        return last.kind != "other" or last.text not in GOES_ON
    return (token.kind, token.text) in (("other", ";"), ("word", "else"))


def _find_pasted_in_call(arguments: list[Token]) -> Iterator[tuple[str, int]]:
    """Yield what a pull request chooses of a shell step's script, with its lines."""
    given = [token for token in arguments if token.kind != "newline"]
    if given and given[0].kind == "open" and given[0].text == "(":
        given = given[1:-1]
    for part in split_at_commas(given):
        if [token.text for token in part[1:2]] != [":"] or part[0].text == "script":
            yield from _find_pasted(part)


def _find_pasted(expression: Sequence[Token]) -> list[tuple[str, int]]:
    """Return what a pull request chooses of an expression's value, with its lines: a condition is not in the value."""
    found: list[tuple[str, int]] = []
    begins = [0]  # of each parenthesis that is open, where in `found` what stands before a "?" begins
    for at, token in enumerate(expression):
        sign = token.text if token.kind == "other" else ""
        if token.kind == "open":
            begins.append(len(found))
        elif token.kind == "close":
            begins.pop()
        elif sign in (",", ":", ";"):
            begins[-1] = len(found)
        elif sign == "?" and [after.text for after in expression[at + 1 : at + 2]] not in ([":"], ["."]):
            del found[begins[-1] :]
        elif token.kind == "word" and _HOSTILE.fullmatch(token.text):
            found.append((token.text, token.line))
        elif token.kind == "text":
            asked = [one.kind for one in expression[max(at - 2, 0) : at]] == ["word", "open"]
            found += _find_pasted_in_text(token, asked=asked)
    return found


def _find_pasted_in_text(token: Token, *, asked: bool) -> Iterator[tuple[str, int]]:
    """Yield what a string pastes; `asked` as in ``env['NAME']``, it names a variable."""
    if asked and _HOSTILE.fullmatch(token.text):
        yield token.text, token.line
    for expression in token.expressions:
        yield from _find_pasted(expression)
    for match in _PASTED.finditer(token.text) if token.interpolates else ():
        for name in (match["names"] or "").split("."):
            if _HOSTILE.fullmatch(name):
                yield name, token.line + token.text.count("\n", 0, match.start())
