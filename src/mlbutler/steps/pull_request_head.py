"""Which commit a pull request has now, by its number: as Git's remote says, else the forge."""

from __future__ import annotations

import dataclasses

from mlbutler.errors import UsageError
from mlbutler.forge.interface import Forge
from mlbutler.steps.context import RunContext

# Where forges keep the head of a pull request, of a fork's too.
_REFS = ("refs/pull/{}/head", "refs/merge-requests/{}/head", "refs/pull-requests/{}/from")


def refs_of(number: str) -> list[str]:
    """Return the refs of the remote by which its forge shows the head of a pull request."""
    return [pattern.format(number) for pattern in _REFS]


def head_of(context: RunContext, forge: Forge, number: str, commit: str) -> str:
    """Return the head that the pull request has now, '' where there is none of this number.

    Args:
        commit: what it may be, '' if nothing is known: a forge that shows no heads in Git is asked for that one's.

    Raises:
        UsageError: there is no Git remote. GitError, AccessDenied, ForgeError: it could not be asked.
    """
    change = context.record.change
    if change.git_remote is None:
        raise UsageError("There is no Git remote to ask.", "Run it in a clone of the repository.")
    refs = refs_of(number)
    found = context.git.remote_refs(change.git_remote, *refs)
    heads = [found[ref] for ref in refs if ref in found]
    if heads or not commit:
        return commit if commit in heads else next(iter(heads), "")
    pull = forge.pull_request(dataclasses.replace(change, head=commit, head_branch=None, number=None))
    return pull.head if pull is not None and pull.number == number else ""
