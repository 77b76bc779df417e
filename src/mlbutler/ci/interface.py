"""What a CI server says of the build, before Git has been asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from mlbutler.frozen import frozen, frozen_by_name


@frozen_by_name
class Facts:
    """What the environment says of the build; None or '' where it says nothing. All of it may be hostile text.

    Attributes:
        head: commit id of the author's head.
        tracking_branch: the head branch as the server's git names it, which may begin with the git remote's
            name: ``origin/feature``.
        fork: None when the server leaves it open.
        ours_unless_asked: where `fork` is open and the remote cannot be asked either, may the change be taken for
            one of our own repository? Only where the server would have said so of a fork.
        assumed: `fork` is no word of the server's: nothing shows that the change is one of our repository.
        ours_at: the commit of our repository that the server checks out by itself; what lies there is ours, and of
            another commit `fork` says nothing.
        approved: the commit of a fork's change that somebody with write access approved, with their name in
            `approved_by`: by the word of the pipeline's script, which asked the forge.
        note: what could not be found out, and what was made of that.
        head_parent: which parent of a merge that this server makes is the author's head.
    """

    ci: str
    kind: str
    number: str | None = None
    head: str | None = None
    head_branch: str | None = None
    tracking_branch: str | None = None
    target_branch: str | None = None
    fork: bool | None = None
    ours_unless_asked: bool = False
    assumed: bool = False
    ours_at: str | None = None
    approved: str = ""
    approved_by: str = ""
    head_parent: int = 1
    title: str = ""
    author: str = ""
    url: str = ""
    build_url: str = ""
    note: str = ""


@frozen
class Target:
    """The target branch and its tip, as far as they are known."""

    branch: str | None = None
    commit: str | None = None


class CIAdapter(Protocol):
    """One CI server: a module with this function."""

    def read_facts(self, environ: Mapping[str, str]) -> Facts | None:
        """Return the facts, None when the environment is not this server's."""
        ...
