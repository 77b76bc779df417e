"""What a CI server says of the build, before Git has been asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Read from the environment alone; None or '' where it does not say.

    `head` is the commit id of the author's head; `fork` is None when the server leaves it open.
    """

    ci: str
    kind: str
    number: str | None = None
    head: str | None = None
    head_branch: str | None = None
    target_branch: str | None = None
    fork: bool | None = None
    title: str = ""
    author: str = ""
    url: str = ""
    build_url: str = ""


class Adapter(Protocol):
    """One CI server: a module with this function."""

    def read(self, environ: Mapping[str, str]) -> Facts | None:
        """The facts, None when the environment is not this server's."""
        ...
