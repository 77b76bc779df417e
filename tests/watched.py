"""Run a command of `dvc` or `mlbutler` and say what it opened: ``python -m tests.watched PART dvc status --json``.

The last line on standard error is a JSON object: the files that it opened with PART in their names, and whether it
opened DVC's project.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests import forked_python


class Watched(NamedTuple):
    """What a command said on standard output, and what it opened."""

    said: str
    opened: list[str]
    project: bool


def run_watched(root: Path, *words: str, part: str = "", environ: Mapping[str, str] | None = None) -> Watched:
    """Return what came of a command in a process of its own; `part` is in the names of the files that are meant."""
    done = forked_python.run("tests.watched", part, *words, cwd=root, env=environ)
    assert done.stderr.strip(), (done.returncode, done.stdout)
    found = json.loads(done.stderr.strip().splitlines()[-1])
    return Watched(done.stdout, found["opened"], found["project"])


def _main(part: str, program: str, *arguments: str) -> None:
    from dvc.cli import main as dvc
    from dvc.repo import Repo

    from mlbutler.cli import main as mlbutler

    found: dict[str, Any] = {"opened": [], "project": False}
    original = Repo.__init__

    def hook(event: str, values: tuple[object, ...]) -> None:
        if event == "open" and part and part in str(values[0]):
            found["opened"].append(str(values[0]))

    def init(self: object, *values: object, **named: object) -> None:
        found["project"] = True
        original(self, *values, **named)

    Repo.__init__ = init
    sys.addaudithook(hook)
    try:
        dvc(list(arguments)) if program == "dvc" else mlbutler(list(arguments))
    finally:
        print(json.dumps(found), file=sys.stderr)


if __name__ == "__main__":
    _main(*sys.argv[1:])
