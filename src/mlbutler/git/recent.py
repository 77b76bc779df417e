"""The newest commits that changed some files, through one process of git where history does not branch."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator

from mlbutler.frozen import frozen
from mlbutler.git.clone import Clone, trailers_in

_MOST = 30
_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}").fullmatch


@frozen
class Recent:
    """A commit with its trailers, and which of the files that were asked for it changed."""

    oid: str
    trailers: dict[str, str]
    changed: frozenset[str]


def recent_changes(git: Clone, rev: str, paths: Collection[str]) -> tuple[Recent, ...]:
    """Return the last commits up to `rev`, newest first, that changed one of `paths`.

    They end before a merge, where each file's history goes on by a parent of its own, and after some commits: the first
    that changed a file is the one that `Clone.last_commit` returns, but for a file that is in none of them.

    Args:
        paths: from the repository's root.
    """
    wanted = frozenset(path for path in paths if not _ID(path))  # which would look like a commit in what git writes
    if not wanted:
        return ()
    shape = "--format=%H%x00%P%x00%(trailers:only,unfold)"
    walk = ("--full-history", "--sparse", f"--max-count={_MOST}", "--no-renames", "--no-relative", "--name-only", "-z")
    where = [f":(top,literal){path}" for path in sorted(wanted)]
    done = git.run("log", *walk, shape, "--end-of-options", rev, "--", *where, check=False)
    return tuple(_straight(done.out, wanted)) if done.code == 0 else ()


def _straight(out: bytes, wanted: frozenset[str]) -> Iterator[Recent]:
    """Yield the commits of the output, as long as each is the only parent of the one before; a merge names no files."""
    parts = os.fsdecode(out).split("\0")
    following, at = "", 0
    while at + 2 < len(parts) and _ID(parts[at]) and following in ("", parts[at]):
        oid, following, trailers = parts[at : at + 3]
        at = end = at + 3
        while end < len(parts) and not _ID(parts[end]):
            end += 1
        names = [name.removeprefix("\n") for name in parts[at:end]]
        changed = frozenset(path for path in wanted if any(n == path or n.startswith(f"{path}/") for n in names))
        if changed:
            yield Recent(oid, trailers_in(trailers), changed)
        at = end
