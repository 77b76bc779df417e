"""Read what a Jenkinsfile says of its environment, as facts with their lines; it is never run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from mlbutler.jenkins.expressions import called_name, list_items, named_arguments, parenthesis, split_at_commas, string
from mlbutler.jenkins.groovy import Token
from mlbutler.jenkins.statements import Statement, parse_statements


class About(StrEnum):
    """What a fact is about."""

    IMAGE = "image"
    DOCKERFILE = "dockerfile"
    ARGS = "args"
    LABEL = "label"
    VARIABLE = "variable"
    CREDENTIAL = "credential"
    TOOL = "tool"
    COMMAND = "command"
    OTHER = "other"


@dataclass(frozen=True)
class Fact:
    """Hold one thing that a Jenkinsfile says.

    Attributes:
        name: of a variable, a tool, a credential (its id) or, for `OTHER`, of the section or step.
        value: the text, with ``${NAME}`` for variables in it; None where it is made when the build runs. Of a
            credential the kind of its binding, ``environment`` where a section of that name binds it.
        names: of a credential, the variables that it is bound to. used: the shell text that has them.
    """

    about: About
    line: int
    name: str = ""
    value: str | None = None
    names: tuple[str, ...] = ()
    used: str = ""


# What is looked into and says nothing by itself.
_SECTIONS = """
pipeline stages stage steps script parallel post always changed fixed regression aborted success failure unstable
unsuccessful cleanup notBuilt try catch finally if else timeout retry dir catchError warnError ws wrap container lock
"""
# Steps and options that the generated Jenkinsfile has itself, or does well without.
_NEEDLESS = """
checkout junit archiveArtifacts cleanWs deleteDir echo error publishHTML recordIssues skipDefaultCheckout
buildDiscarder disableConcurrentBuilds failFast any none script pwd isUnix fileExists readFile reuseNode
timestamps ansiColor stage else
"""
_BLOCKS, _REPLACED = frozenset(_SECTIONS.split()), frozenset(_NEEDLESS.split())
_SHELLS = ("sh", "bat", "powershell", "pwsh")
_ASIDE = ("options", "triggers", "parameters", "when", "input", "libraries", "matrix", "properties")


def read_jenkinsfile(text: str) -> list[Fact]:
    """Return what a Jenkinsfile says, declarative or scripted, in the order of its lines.

    Raises:
        NotGroovy: it is no Groovy.
    """
    return sorted(_walk(parse_statements(text)), key=lambda fact: fact.line)


def _walk(statements: Sequence[Statement]) -> Iterator[Fact]:
    for statement in statements:
        yield from _statement(statement)


def _statement(statement: Statement) -> Iterator[Fact]:
    name, inner = statement.name, statement.body or ()
    special = {
        "agent": _agent, "environment": _environment, "tools": _tools, "withCredentials": _with_credentials,
        "withEnv": _with_env, "node": _node,
    }.get(name)  # fmt: skip
    if special is not None:
        yield from special(statement)
    elif name in _ASIDE:
        yield from _aside(statement)
    elif name in _SHELLS:
        yield from _commands(statement)
    elif name == "env" and [token.text for token in statement.tokens[1:4:2]] == [".", "="]:
        yield Fact(About.VARIABLE, statement.line, statement.tokens[2].text, string(statement.tokens[4:]))
    else:
        docker = list(_docker(statement))
        # A section, a branch of ``parallel a: { ... }, b: { ... }``, or a step that is known, says nothing by itself.
        branch = [token.text for token in statement.tokens[-1:]] in ([], [":"])
        if not (docker or name in _REPLACED or (statement.body is not None and (name in _BLOCKS or branch))):
            yield Fact(About.OTHER, statement.line, called_name(statement.tokens))
        yield from docker
        yield from _walk(inner)


def _aside(statement: Statement) -> Iterator[Fact]:
    """Yield a remark for each entry of a section that is not carried over; conditions count with their stage."""
    for inner in statement.body or ():
        if inner.name not in _REPLACED and inner.name not in ("timeout", "retry", "changeRequest"):
            yield Fact(About.OTHER, inner.line, f"{statement.name} {called_name(inner.tokens)}")
    if statement.body is None:
        yield Fact(About.OTHER, statement.line, statement.name)


# ------------------------------------------------------------------------------------------- agents


def _agent(statement: Statement) -> Iterator[Fact]:
    for inner in statement.body or ():
        name = inner.name
        if name == "label":
            yield Fact(About.LABEL, inner.line, value=string(inner.tokens[1:]))
        elif name == "node":
            yield from _agent(inner)
        elif name == "docker" and inner.body is None:
            yield Fact(About.IMAGE, inner.line, value=string(inner.tokens[1:]))
        elif name == "dockerfile" and inner.body is None:  # ``dockerfile true``
            yield Fact(About.DOCKERFILE, inner.line, value="Dockerfile")
        elif name in ("docker", "dockerfile"):
            yield from _container(inner)
        elif name not in _REPLACED:
            yield Fact(About.OTHER, inner.line, f"agent {name}")


def _container(statement: Statement) -> Iterator[Fact]:
    said = {inner.name: inner for inner in statement.body or ()}
    if statement.name == "dockerfile":
        file, folder = (string(said[name].tokens[1:]) if name in said else "" for name in ("filename", "dir"))
        known = None if file is None or folder is None else "/".join(filter(None, (folder, file or "Dockerfile")))
        yield Fact(About.DOCKERFILE, statement.line, value=known)
    about = {"image": About.IMAGE, "args": About.ARGS, "label": About.LABEL}
    for name, inner in said.items():
        if name in about:
            yield Fact(about[name], inner.line, value=string(inner.tokens[1:]))
        elif name not in ("filename", "dir", *_REPLACED):
            yield Fact(About.OTHER, inner.line, f"{statement.name} {name}")


def _node(statement: Statement) -> Iterator[Fact]:
    """Return the facts of a scripted pipeline's ``node('label') { ... }``."""
    if len(statement.tokens) > 1:
        yield Fact(About.LABEL, statement.line, value=string(statement.tokens[1:]))
    yield from _walk(statement.body or ())


def _docker(statement: Statement) -> Iterator[Fact]:
    """Yield what ``docker.image('...').inside('...')`` and its like say, also when a variable holds the image."""
    tokens = statement.tokens
    for at, token in enumerate(tokens):
        if token.text not in ("image", "build", "inside"):
            continue
        before = [one.text for one in tokens[max(at - 2, 0) : at]]
        given = parenthesis(tokens, at + 1)
        value = string(given) if given else ""
        if token.text == "image" and before == ["docker", "."]:
            yield Fact(About.IMAGE, token.line, value=value)
        elif token.text == "build" and before == ["docker", "."]:
            yield Fact(About.DOCKERFILE, token.line, value="Dockerfile")
        elif token.text == "inside" and before[-1:] == ["."]:
            yield Fact(About.ARGS, token.line, value=value)


# ------------------------------------------------------------------------ variables and credentials


def _environment(statement: Statement) -> Iterator[Fact]:
    for inner in statement.body or ():
        tokens = inner.tokens
        if len(tokens) < 3 or tokens[0].kind != "word" or tokens[1].text != "=":
            yield Fact(About.OTHER, inner.line, "environment")
        elif tokens[2].text == "credentials" and (found := string(parenthesis(tokens, 3))) is not None:
            yield Fact(About.CREDENTIAL, inner.line, found, "environment", names=(tokens[0].text,))
        else:
            yield Fact(About.VARIABLE, inner.line, tokens[0].text, string(tokens[2:]))


def _with_env(statement: Statement) -> Iterator[Fact]:
    for part in split_at_commas(list_items(statement.tokens)):
        text = string(part)
        name, _, value = (text or "").partition("=")
        line = part[0].line if part else statement.line
        yield Fact(About.VARIABLE, line, name, value) if name else Fact(About.OTHER, line, "withEnv")
    yield from _walk(statement.body or ())


def _with_credentials(statement: Statement) -> Iterator[Fact]:
    used = "\n".join(_texts(statement.body or ()))
    for part in split_at_commas(list_items(statement.tokens)):
        named = named_arguments(part)
        if found := named.get("credentialsId"):
            names = tuple(value for key, value in named.items() if key.lower().endswith("variable"))
            kind = named.get("$class") or part[0].text
            yield Fact(About.CREDENTIAL, part[0].line, found, kind, names, used)
        else:
            yield Fact(About.OTHER, part[0].line if part else statement.line, "withCredentials")
    yield from _walk(statement.body or ())


def _tools(statement: Statement) -> Iterator[Fact]:
    for inner in statement.body or ():
        yield Fact(About.TOOL, inner.line, inner.name, string(inner.tokens[1:]))


# ----------------------------------------------------------------------------------------- commands


def _commands(statement: Statement) -> Iterator[Fact]:
    """Yield the lines of a shell script, without comments and empty ones; a line that goes on counts as one."""
    tokens = statement.tokens
    script = next((token for at, token in enumerate(tokens) if token.kind == "text" and _is_script(tokens, at)), None)
    if script is None:
        yield Fact(About.COMMAND, statement.line)
        return
    line, joined = script.line, ""
    for text in script.text.split("\n"):
        joined += text.strip().removesuffix("\\")
        if not text.rstrip().endswith("\\"):
            if joined and not joined.startswith("#"):
                yield Fact(About.COMMAND, line, value=joined)
            joined = ""
        line += 1


def _is_script(tokens: Sequence[Token], at: int) -> bool:
    """Return whether this text is the script: the first one, or that of ``script:``."""
    before = [token.text for token in tokens[max(at - 2, 0) : at]]
    return before[-1:] != [":"] or before == ["script", ":"]


def _texts(statements: Sequence[Statement]) -> Iterator[str]:
    for statement in statements:
        yield from (token.text for token in statement.tokens if token.kind == "text")
        yield from _texts(statement.body or ())
