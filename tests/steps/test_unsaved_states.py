"""Whatever is edited, added, removed, renamed or given another mode between verbs: no verb loses a byte of it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from mlbutler.commands.step import step
from mlbutler.console import Console
from mlbutler.record import StepResult
from mlbutler.steps import sync
from mlbutler.steps.context import RunContext as State
from tests.store.dvc_world import FILES, clone, copy_remote, template

TRACKED = (*(f"data/{name}" for name in FILES), *(f"prepared/{name}" for name in FILES), "model.txt", "metrics.json")
PLACES = (*TRACKED, "data/new.txt", "data/sub/deep/new.txt", "prepared/notes.log", "notes.txt", "new/untracked.txt")
_WRITTEN = ("dvc.lock", "ran.log", ".gitignore")
"""DVC's and the stages' own to write."""
WORDS = st.sampled_from(("one\n", "two\n", "mine\n", '{"rate": 7}', "a longer text\n", ""))


def _loose(root: Path) -> dict[str, bytes]:
    """Every file of the work tree that is nobody's own: Git's, DVC's and mlbutler's folders are left out."""
    found = {}
    for top, folders, names in os.walk(root):
        if top == str(root):
            folders[:] = [name for name in folders if name not in (".git", ".dvc", ".mlbutler")]
        for name in names:
            path = Path(top, name)
            if path.is_file():
                found[path.relative_to(root).as_posix()] = path.read_bytes()
    return found


class RunContext(RuleBasedStateMachine):
    """A user and mlbutler in one clone."""

    place: Path

    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp(prefix="mlbutler-states-"))
        self.before = Path.cwd()

    @initialize()
    def begin(self) -> None:
        self.root = clone(self.place / "clone", str(copy_remote(self.place / "remote")))
        shutil.copytree(template().repo / ".dvc" / "cache", self.root / ".dvc" / "cache")
        os.chdir(self.root)
        self.made: set[bytes] = set()
        self.sync_all()

    def teardown(self) -> None:
        os.chdir(self.before)
        shutil.rmtree(self.place, ignore_errors=True)

    # -------------------------------------------------------------------------------- the user

    @rule(path=st.sampled_from(PLACES), text=WORDS)
    def write(self, path: str, text: str) -> None:
        target = self.root / path
        if any((self.root / part).is_file() for part in Path(path).parents):
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.write_text(text)

    @rule(path=st.sampled_from(PLACES))
    def remove(self, path: str) -> None:
        (self.root / path).unlink(missing_ok=True)

    @rule(path=st.sampled_from(PLACES), other=st.sampled_from(PLACES))
    def rename(self, path: str, other: str) -> None:
        if (self.root / path).is_file() and (self.root / other).parent.is_dir():
            (self.root / path).replace(self.root / other)

    @rule(path=st.sampled_from(PLACES), mode=st.sampled_from((0o755, 0o444, 0o644)))
    def change_mode(self, path: str, mode: int) -> None:
        if (self.root / path).is_file():
            (self.root / path).chmod(mode)

    @rule(path=st.sampled_from(PLACES))
    def add_to_git(self, path: str) -> None:
        if (self.root / path).is_file():
            subprocess.run(["git", "add", "-f", path], cwd=self.root, check=True)

    @rule(rate=st.integers(1, 3))
    def set_param(self, rate: int) -> None:
        (self.root / "params.yaml").write_text(f"rate: {rate}\n")

    # -------------------------------------------------------------------------------- mlbutler

    @rule()
    def sync_all(self) -> None:
        self.verb("sync", lambda context: sync.run(context, everything=True))

    @rule()
    def sync(self) -> None:
        self.verb("sync")

    @rule()
    def reproduce(self) -> None:
        self.verb("reproduce")
        # What stages made and no store keeps may go when they run again.
        self.made |= {content for path, content in _loose(self.root).items() if path == "metrics.json"
                      and content in (b'{"rate": 1}', b'{"rate": 2}', b'{"rate": 3}')}  # fmt: skip

    def verb(self, name: str, call: Callable[[State], StepResult] | None = None) -> None:
        before = _loose(self.root)
        code = step(self.root, Console(quiet=True), name, call=call)
        assert code in (0, 1)
        after = set(_loose(self.root).values())
        for path, content in before.items():
            if path not in _WRITTEN and content not in after and content not in self.made:
                assert self.is_stored(content), f"{path} is lost: {content!r} (exit code {code})"

    def is_stored(self, content: bytes) -> bool:
        digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
        stores = (self.root / ".dvc" / "cache", self.place / "remote")
        if any((store / "files" / "md5" / digest[:2] / digest[2:]).is_file() for store in stores):
            return True
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
        return subprocess.run(["git", "cat-file", "-e", blob], cwd=self.root, check=False).returncode == 0


def test_no_verb_loses_a_byte() -> None:
    run_state_machine_as_test(
        RunContext,
        settings=settings(
            max_examples=6, stateful_step_count=8, deadline=None, suppress_health_check=list(HealthCheck), database=None
        ),
    )
