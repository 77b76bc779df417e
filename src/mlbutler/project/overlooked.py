"""Find DVC's files that DVC does not read because Git or DVC ignores them, whether Git tracks them or not.

At a commit DVC reads them all the same, so that what they track looks as if it had been removed since.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from pathlib import Path

from mlbutler.git import Git
from mlbutler.project.model import Stages


def find_overlooked_file(root: Path, stages: Stages, path: str) -> str:
    """Return the .dvc file beside `path`, or beside a folder that it lies in, that DVC does not read; '' for none."""
    known = {stage.file for stage in stages.ordered}
    parts = path.split("/")
    files = ("/".join(parts[:length]) + ".dvc" for length in range(len(parts), 0, -1))
    return next((file for file in files if file not in known and (root / file).is_file()), "")


def why(file: str) -> str:
    """Return what is to be said of what `file` tracks."""
    return f"{file} tracks it, but DVC does not read that file, which is ignored"


def remedy(file: str) -> str:
    """Return what to do so that DVC reads the file."""
    quoted = shlex.quote(file)
    return (
        f"Take out the line that ignores it: git check-ignore --verbose --no-index {quoted} names it, "
        f"or dvc check-ignore --details {quoted}."
    )


def list_ignored_dvc_files(git: Git) -> tuple[str, ...]:
    """Return the .dvc files that Git keeps although it ignores them, from git's directory."""
    found = git.run("ls-files", "-z", "--cached", "--ignored", "--exclude-standard", "--", "*.dvc").out
    return tuple(os.fsdecode(name) for name in found.split(b"\0") if name)


def find_overlooked_files(root: Path, stages: Stages, paths: Iterable[str]) -> dict[str, str]:
    """Map those of `paths` that an ignored file tracks to that file."""
    return {
        path: file
        for path in paths
        if stages.owner(path) is None and (file := find_overlooked_file(root, stages, path))
    }
