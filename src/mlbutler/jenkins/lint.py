"""Finding mistakes in a Jenkinsfile without a controller.

Sections, options and steps are compared with the grammar of declarative pipelines; a file that is no such pipeline (a
scripted one, or a call of a shared library) is only checked for what holds for every Groovy file. Groovy's own syntax
is what a controller, or npm-groovy-lint, judges.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from mlbutler.jenkins.declarative import LIBRARY, faults
from mlbutler.jenkins.groovy import Block, NotGroovy, Token, tokens, tree

# Text that a pull request chooses: in a double-quoted string Groovy pastes it into the shell's program.
_HOSTILE = re.compile(r"\b(CHANGE_(?:TITLE|BRANCH|AUTHOR\w*|FORK|URL)|BRANCH_NAME|GIT_BRANCH|JOB_NAME|params\b)")
_LOADS = ("Library", "libraries", "library")
_RUNS = re.compile(r"\b(sh|bat|powershell|pwsh)\b[\s(]*(?:script\s*:\s*)?$")


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
    before = ""
    for token in found:
        if token.kind == "text":
            if token.interpolates and _RUNS.search(before) and (hostile := _pasted(token.text)):
                yield LintFinding(
                    "error", token.line,
                    f"{hostile} is text that a pull request chooses, inserted into a shell script: use single quotes "
                    "so that the shell reads it from its environment",
                )  # fmt: skip
            before = ""
        elif token.kind == "newline":
            before += " "
        else:
            before = f"{before}{' ' if token.kind == 'word' else ''}{token.text}"[-60:]


def _pasted(text: str) -> str:
    for match in re.finditer(r"(?<!\\)\$(?:\{([^}]*)\}|([A-Za-z_][\w.]*))", text):
        if hostile := _HOSTILE.search(match[1] or match[2] or ""):
            return hostile[1]
    return ""
