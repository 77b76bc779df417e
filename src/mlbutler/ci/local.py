"""No CI server: a person's own work tree."""

from __future__ import annotations

from collections.abc import Mapping

from mlbutler.ci.interface import Facts


def read_facts(environ: Mapping[str, str]) -> Facts | None:
    """Return the facts of a person's own work tree, always; the branch is Git's to say."""
    return Facts(ci="local", kind="local", fork=False)
