"""Find outputs that neither DVC nor Git keeps: a clone cannot get them."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from itertools import islice

from mlbutler.git import Git

_AT_ONCE = 500


def not_in_git(git: Git, paths: Collection[str]) -> Mapping[str, bool]:
    """Map those of `paths` (from git's directory) that are not in Git to whether Git ignores them."""
    tracked: set[str] = set()
    left = iter(paths)
    while some := list(islice(left, _AT_ONCE)):
        for name in _names(git.run("--literal-pathspecs", "ls-files", "-z", "--", *some).out):
            tracked.add(name)
            tracked |= {name[:at] for at, character in enumerate(name) if character == "/"}
    lacking = [path for path in paths if path not in tracked]
    if not lacking:
        return {}
    given = b"".join(os.fsencode(path) + b"\0" for path in lacking)
    ignored = set(_names(git.run("check-ignore", "-z", "--stdin", input=given, check=False).out))
    return {path: path in ignored for path in lacking}


def _names(out: bytes) -> Sequence[str]:
    return [os.fsdecode(name) for name in out.split(b"\0") if name]
