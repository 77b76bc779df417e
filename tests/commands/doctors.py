"""A project whose data is on an HTTP remote that wants a password, and the doctor's visits to it."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests import forked_python
from tests.integration.world import World, make
from tests.store.world import PASSWORD, USER, Remote


@dataclass
class Surgery:
    """The world and its remotes; `examine` is one visit."""

    world: World
    root: Path
    remote: Remote
    empty: Remote
    environ: dict[str, str] = field(default_factory=dict)

    def examine(
        self, *args: str, via: Sequence[str] = (), mounts: str = "", **environ: str
    ) -> tuple[int, dict[str, dict[str, Any]]]:
        """(exit code, subject -> what was said), in an environment with the password.

        Args:
            via: a command that runs the doctor's command line. mounts: a shell script that mounts what it is to see.
        """
        words, environment = (
            ("mlbutler", "doctor", "--json", *args),
            self.world.run_environ({**self.environ, **environ}),
        )
        if via:
            done = subprocess.run(
                [*via, sys.executable, "-m", *words], cwd=self.root, env=environment, capture_output=True, text=True,
                timeout=600, check=False,
            )  # fmt: skip
        else:
            with mount_namespace(mounts, self.root) if mounts else nullcontext(0) as process:
                done = forked_python.run(*words, cwd=self.root, env=environment, mounts=process)
        assert done.stdout.startswith("{"), done.stdout + done.stderr
        assert PASSWORD not in done.stdout + done.stderr
        return done.returncode, {row["subject"]: row for row in json.loads(done.stdout)["examined"]}


@functools.cache
def _may_mount() -> bool:
    command = ["unshare", "-m", "mount", "-t", "tmpfs", "none", "/tmp"]
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@contextmanager
def mount_namespace(script: str, cwd: Path) -> Iterator[int]:
    """Yield the id of a process that has these mounts."""
    if not _may_mount():
        pytest.skip("this user may not mount file systems in a namespace of its own")
    command = ["unshare", "-m", "sh", "-ec", f"{script}\necho mounted\nexec cat"]
    with subprocess.Popen(command, cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "mounted\n"
        yield process.pid


def open_surgery(directory: Path) -> Surgery:
    """Remotes ``origin``, which holds everything, and ``empty``; a clone that is clean."""
    (directory / "store").mkdir()
    (directory / "nothing").mkdir()
    remote, empty = Remote(directory / "store", auth="basic"), Remote(directory / "nothing")
    world = make(directory, remote=remote.url)
    world.dvc("remote", "modify", "-q", "origin", "auth", "basic")
    world.dvc("remote", "add", "-q", "empty", empty.url)
    world.dvc("remote", "add", "-q", "--local", "author", str(directory / "store"))
    world.dvc("push", "-q", "-r", "author")
    world.git(world.author, "commit", "-qam", "remotes")
    world.git(world.author, "push", "-q", "origin", "main")
    found = Surgery(world, world.clone("main"), remote, empty)
    found.environ = {"MLBUTLER_REMOTE_USER": USER, "MLBUTLER_REMOTE_PASSWORD": PASSWORD}
    return found
