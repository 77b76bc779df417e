"""Finding mistakes in a Jenkinsfile without a controller.

Only Groovy's braces, strings and comments are parsed; the tree of sections is then compared with the grammar of
declarative pipelines (Jenkins handbook, "Pipeline Syntax"). A file that is no declarative pipeline (a scripted one, or
a call of a shared library) is only checked for what holds for every Groovy file.
"""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_SECTIONS = {
    "pipeline": {"agent", "stages", "environment", "options", "parameters", "triggers", "tools", "libraries", "post"},
    "stages": {"stage"},
    "parallel": {"stage"},
    "stage": {
        "agent", "steps", "stages", "parallel", "matrix", "when", "environment", "options", "tools", "input", "post",
        "failFast",
    },
    "matrix": {
        "axes", "excludes", "stages", "agent", "environment", "input", "options", "post", "tools", "when",
    },
    "post": {
        "always", "changed", "fixed", "regression", "aborted", "success", "failure", "unstable", "unsuccessful",
        "cleanup", "notBuilt",
    },
}  # fmt: skip
_BODIES = ("steps", "stages", "parallel", "matrix")
# Text that a pull request chooses: in a double-quoted string Groovy pastes it into the shell's program.
_HOSTILE = re.compile(r"\b(CHANGE_(?:TITLE|BRANCH|AUTHOR\w*|FORK|URL)|BRANCH_NAME|GIT_BRANCH|JOB_NAME|params\b)")
_RUNS = re.compile(r"\b(sh|bat|powershell|pwsh)\b[\s(]*(?:script\s*:\s*)?$")


@dataclass(frozen=True)
class LintFinding:
    """Hold one remark: `level` is ``error`` (does not load, or dangerous) or ``warning``; `line` from 1, 0 for none."""

    level: str
    line: int
    text: str


@dataclass
class _Block:
    """Hold ``name(arguments) { ... }``: `words` are the statements in it that open no block."""

    name: str
    line: int
    end: int = 0
    blocks: list[_Block] = field(default_factory=list)
    words: list[tuple[str, int]] = field(default_factory=list)


@dataclass(frozen=True)
class _Token:
    """Hold a token of Groovy: ``word``, ``text`` (a string's content), ``open``, ``close`` or ``other``."""

    kind: str
    text: str
    line: int
    interpolates: bool = False


def lint(text: str) -> list[LintFinding]:
    """Return everything found in a Jenkinsfile's text, in the order of its lines."""
    try:
        tokens = list(_tokens(text))
    except _Unfinished as broken:
        return [LintFinding("error", broken.line, broken.text)]
    if (unbalanced := _unbalanced(tokens)) is not None:
        return [unbalanced]
    findings = [*_interpolations(text, tokens)]
    root = _tree(tokens)
    pipelines = [block for block in root.blocks if block.name == "pipeline"]
    if len(pipelines) > 1:
        findings.append(LintFinding("error", pipelines[1].line, "a second pipeline block"))
    for block in pipelines[:1]:
        findings += _pipeline(block)
    return sorted(findings, key=lambda finding: finding.line)


def is_declarative(text: str) -> bool:
    """Return whether there is a ``pipeline { }`` block, whose sections are compared with the grammar."""
    try:
        return any(block.name == "pipeline" for block in _tree(list(_tokens(text))).blocks)
    except _Unfinished:
        return False


# ------------------------------------------------------------------------------------------- tokens


class _Unfinished(Exception):
    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line, self.text = line, text


_TOKEN = re.compile(
    r"""
    (?P<skipped> \A\#![^\n]* | //[^\n]* | /\*.*?\*/ | [^\S\n]+ )
    | (?P<text> '''(?:\\.|(?!''')[^\\])*''' | \"{3}(?:\\.|(?!\"{3})[^\\])*\"{3}
              | (?!''')'(?:\\.|[^'\\\n])*' | (?!\"{3})"(?:\\.|[^"\\\n])*" )
    | (?P<unfinished> /\* | ['"] )
    | (?P<word> [A-Za-z_$][\w$]* )
    | (?P<open> [{(\[] ) | (?P<close> [})\]] ) | (?P<other> . )
    """,
    re.VERBOSE | re.DOTALL,
)


def _tokens(text: str) -> Iterator[_Token]:
    line = 1
    for found in _TOKEN.finditer(text):
        kind, content = str(found.lastgroup), found[0]
        if kind == "unfinished":
            raise _Unfinished(line, "a comment that does not end" if content == "/*" else "a string that does not end")
        if kind == "text":
            width = 3 if len(content) > 5 and content[:3] in ("'''", '"""') else 1
            yield _Token("text", content[width:-width], line, interpolates=content[0] == '"')
        elif kind != "skipped":
            yield _Token(kind, content, line)
        line += content.count("\n")


def _unbalanced(tokens: list[_Token]) -> LintFinding | None:
    pairs, stack = {"}": "{", ")": "(", "]": "["}, list[_Token]()
    for token in tokens:
        if token.kind == "open":
            stack.append(token)
        elif token.kind == "close":
            if not stack or stack[-1].text != pairs[token.text]:
                return LintFinding("error", token.line, f"'{token.text}' closes nothing that is open")
            stack.pop()
    return LintFinding("error", stack[-1].line, f"'{stack[-1].text}' is never closed") if stack else None


# --------------------------------------------------------------------------------------------- tree


def _tree(tokens: list[_Token]) -> _Block:
    root = _Block("", 1)
    stack, name, depth = [root], None, 0
    for token in tokens:
        if (token.kind == "open" and token.text != "{") or (token.kind == "close" and token.text != "}"):
            depth += 1 if token.kind == "open" else -1
        elif token.text == "{" and token.kind == "open" and depth == 0:
            block = _Block(name.text if name else "", name.line if name else token.line)
            stack[-1].blocks.append(block)
            stack.append(block)
            name = None
        elif token.text == "}" and token.kind == "close" and depth == 0:
            stack.pop().end = token.line
            if name is not None:
                name = None
        elif token.kind == "word" and depth == 0:
            if name is None:
                name = token
                stack[-1].words.append((token.text, token.line))
        elif token.text in ("\n", ";") and token.kind == "other" and depth == 0:
            name = None
    return root


def _pipeline(block: _Block) -> Iterator[LintFinding]:
    names = {name for name, _ in block.words} | {inner.name for inner in block.blocks}
    for needed in ("agent", "stages"):
        if needed not in names:
            yield LintFinding("error", block.line, f"the pipeline has no {needed} section")
    yield from _sections(block)


def _sections(block: _Block) -> Iterator[LintFinding]:  # noqa: C901
    known = _SECTIONS.get(block.name)
    if known is None:
        return
    named = dict(reversed(block.words)) | {b.name: b.line for b in reversed(block.blocks)}
    for name, line in named.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            yield LintFinding("error", line, f"{block.name} has no section '{name}'{hint}")
    sections = [inner for inner in block.blocks if inner.name in known]
    for before, after in itertools.pairwise(sections):
        if before.end == after.line:
            yield LintFinding(
                "error", after.line, f"{before.name} and {after.name} stand on one line: that does not load"
            )
    seen = set[str]()
    for inner in sections if block.name in ("pipeline", "stage") else ():
        if inner.name in seen:
            yield LintFinding("error", inner.line, f"a second {inner.name} section")
        seen.add(inner.name)
    if block.name in ("stages", "parallel", "post") and not block.blocks:
        yield LintFinding("error", block.line, f"{block.name} is empty")
    if block.name == "stage":
        bodies = [name for name in _BODIES if name in named]
        if len(bodies) != 1:
            said = "none of" if not bodies else f"{' and '.join(bodies)}, only one of"
            yield LintFinding("error", block.line, f"a stage has {said} {', '.join(_BODIES)}")
    if block.name == "stage" and any(
        inner.name == "options" and any(name == "timeout" for name, _ in inner.words) for inner in block.blocks
    ):
        yield LintFinding("warning", block.line, "a time-out in a stage's options counts the wait for an agent")
    for inner in block.blocks:
        yield from _sections(inner)


# ------------------------------------------------------------------------------------ interpolation


def _interpolations(text: str, tokens: list[_Token]) -> Iterator[LintFinding]:
    before = ""
    for token in tokens:
        if token.kind == "text":
            if token.interpolates and _RUNS.search(before) and (hostile := _pasted(token.text)):
                yield LintFinding(
                    "error", token.line,
                    f"{hostile} is text that a pull request chooses, inserted into a shell script: use single quotes "
                    "so that the shell reads it from its environment",
                )  # fmt: skip
            before = ""
        elif token.text == "\n":
            before += " "
        else:
            before = f"{before}{' ' if token.kind == 'word' else ''}{token.text}"[-60:]


def _pasted(text: str) -> str:
    for match in re.finditer(r"(?<!\\)\$(?:\{([^}]*)\}|([A-Za-z_][\w.]*))", text):
        if hostile := _HOSTILE.search(match[1] or match[2] or ""):
            return hostile[1]
    return ""
