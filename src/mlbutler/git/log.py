"""Reading many commits through one process, each with its folder, its parents and the ref that led to it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mlbutler.git.command import GitCommand

_FIELDS = ("%H", "%T", "%P", "%ct", "%an", "%s")


@dataclass(frozen=True)
class LoggedCommit:
    """Hold one commit.

    Attributes:
        tree: the id of its tree. parents: commit ids. when: the committer's time, seconds since the epoch.
        source: the name that led to it, as it was given. trailers: those that were asked for, by name.
    """

    oid: str
    tree: str
    parents: tuple[str, ...]
    when: int
    author: str
    subject: str
    source: str
    trailers: dict[str, str]


def log(
    git: GitCommand, names: Iterable[str], *options: str, without: Sequence[str] = (), trailers: Sequence[str] = ()
) -> tuple[LoggedCommit, ...]:
    """Return the commits that `names` lead to, newest first.

    Args:
        options: of ``git log``, such as ``--first-parent``. without: leave out what these lead to.
        trailers: names of trailers to read.

    Raises:
        GitError: a name leads to no commit.
    """
    given = [*names, *(f"^{name}" for name in without)]
    if not given:
        return ()
    read = [f"%(trailers:key={name},valueonly,separator=%x2C)" for name in trailers]
    fields = [*_FIELDS, *([] if "--no-walk=unsorted" in options else ["%S"]), *read]
    asked = "".join(f"{name}\n" for name in given).encode("utf-8", "surrogateescape")
    sources = () if "--no-walk=unsorted" in options else ("--source",)
    out = git.run("log", "-z", *sources, *options, f"--format={'%x00'.join(fields)}", "--stdin", input=asked).out
    parts = out.split(b"\0")
    found = []
    for at in range(0, len(parts) // len(fields) * len(fields), len(fields)):
        oid, tree, parents, when, author, subject, *rest = map(os.fsdecode, parts[at : at + len(fields)])
        source = rest.pop(0) if sources else ""
        seconds = int(when) if when.removeprefix("-").isdigit() else 0
        told = dict(zip(trailers, rest, strict=True))
        who, what = (os.fsencode(text).decode("utf-8", "replace") for text in (author, subject))
        found.append(LoggedCommit(oid, tree, tuple(parents.split()), seconds, who, what, source, told))
    return tuple(found)
