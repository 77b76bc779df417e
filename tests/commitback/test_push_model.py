"""Results commits against authors who push, force, delete and protect at any moment: a model, on real repositories.

The server's own hook notes each update of a ref, by whom and from what to what, so that nothing depends on what a build
says of itself.
"""

from __future__ import annotations

import atexit
import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mlbutler.commitback import push_results as module
from mlbutler.commitback.build import Author, CommitBuilder
from mlbutler.commitback.earlier import REPRODUCED
from mlbutler.commitback.propose import PREFIX, propose
from mlbutler.commitback.push_results import RESULTS, push_results, push_to_own_ref
from mlbutler.git import Done, Git, TreeEntry
from mlbutler.git.repository import RefMove

BRANCH, REF = "work", "refs/heads/work"
RENAMED = "refs/heads/renamed"
PROPOSED = f"refs/heads/{PREFIX}{BRANCH}"
NOTHING = "0" * 40
TOUCHED = ("src", "metrics.json")
NOTED = """#!/bin/sh
while read -r old new ref; do echo "$PUSHER $ref $old $new" >> "$NOTES"; done
"""
REFUSED = """#!/bin/sh
if [ "$PUSHER" = mlbutler ] && [ -e protected ]; then
    case "$1" in refs/heads/*) echo "this branch is protected" >&2; exit 1;; esac
    if [ -s protected ]; then echo "no refs today" >&2; exit 1; fi
fi
"""
ACTIONS = ("notes", "notes", "source", "source", "amend", "rewind", "delete", "create", "create", "rename",
           "rename back", "adopt", "protect", "refuse all", "open", "open", "open")  # fmt: skip


_TEMPLATE = list[Path]()


class Killed(BaseException):
    """The build is killed at this moment."""


class RacingGit(Git):
    """Git of a build: others act between what it asks and what it pushes, and it may be killed there."""

    between: Callable[[], None] = staticmethod(lambda: None)
    killed: str = ""

    def push(self, remote: str, commit: str, ref: str, *, expected: str) -> Done:
        if ref == REF:
            self.between()
            if self.killed == "before":
                raise Killed
        done = super().push(remote, commit, ref, expected=expected)
        if self.killed == "after" and ref == REF:
            raise Killed
        return done

    def move_refs(self, remote: str, moves: Sequence[RefMove]) -> tuple[Done, dict[str, str]]:
        self.between()
        return super().move_refs(remote, moves)


@dataclass
class Build:
    """A build of one commit, in a clone of its own, with the results that it made."""

    git: RacingGit
    head: str
    files: dict[str, TreeEntry | None]


class CommitBack(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.place = Path(tempfile.mkdtemp(prefix="mlbutler-model-"))
        self.bare, self.author, self.notes = self.place / "bare.git", self.place / "author", self.place / "notes"
        self.number, self.builds = itertools.count(1), list[Build]()
        self.adopted, self.checked = list[str](), 0
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")} | {
            "NOTES": str(self.notes), "PUSHER": "author", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TEMPLATE_DIR": str(self.place / "none"),  # sample hooks are many files
            "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@b",
        }  # fmt: skip
        shutil.copytree(self.template(), self.place, dirs_exist_ok=True)
        self.run(self.author, "push", "-q", "origin", BRANCH)
        module._PAUSE = 0.0

    def template(self) -> Path:
        """Return a folder with the server and the author's first commit, made once."""
        if not _TEMPLATE:
            place, number, self.number = self.place, self.number, itertools.count()
            self.place = Path(tempfile.mkdtemp(prefix="mlbutler-model-"))
            atexit.register(shutil.rmtree, self.place, ignore_errors=True)
            bare, self.author = self.place / "bare.git", self.place / "author"
            self.run(self.place, "init", "-q", "--bare", "-b", "main", str(bare))
            self.run(self.place, "init", "-q", "-b", BRANCH, str(self.author))
            self.run(self.author, "remote", "add", "origin", "../bare.git")
            self.run(bare, "config", "receive.autogc", "false")
            (bare / "hooks").mkdir()
            for name, text in (("update", REFUSED), ("post-receive", NOTED)):
                (bare / "hooks" / name).write_text(text)
                (bare / "hooks" / name).chmod(0o755)
            self.commit("src/train.py")
            _TEMPLATE.append(self.place)
            self.place, self.author, self.number = place, place / "author", number
        return _TEMPLATE[0]

    def teardown(self) -> None:
        if hasattr(self, "place"):
            shutil.rmtree(self.place, ignore_errors=True)

    # ------------------------------------------------------------------------------------ the author and the server

    def run(self, directory: Path, *args: str, check: bool = True) -> str:
        done = subprocess.run(
            ["git", *args], cwd=directory, env=self.environ, capture_output=True, text=True, check=False
        )
        assert not check or done.returncode == 0, f"git {args}: {done.stderr}"
        return done.stdout.strip()

    def commit(self, path: str, *, amend: bool = False) -> None:
        (self.author / path).parent.mkdir(exist_ok=True)
        (self.author / path).write_text(f"{next(self.number)}\n")
        self.run(self.author, "add", "-A")
        self.run(self.author, "commit", "-q", "-m", path, *(["--amend"] if amend else []))

    def tip(self, ref: str = REF) -> str:
        file = self.bare / ref  # nothing packs refs here
        return file.read_text().strip() if file.is_file() else ""

    def act(self, action: str) -> None:
        """One thing that somebody else does; what is not possible now is left."""
        protected = self.bare / "protected"
        if action in ("protect", "refuse all"):
            protected.write_text("all" if action == "refuse all" else "")
            return
        if action == "open":
            protected.unlink(missing_ok=True)
            return
        if action == "create":
            if not self.tip():
                self.run(self.author, "push", "-q", "-f", "origin", f"HEAD:{REF}")
            return
        if action in ("rename", "rename back"):  # as a forge does it: no push, no hook
            old, new = (REF, RENAMED) if action == "rename" else (RENAMED, REF)
            short = [name.removeprefix("refs/heads/") for name in (old, new)]
            if self.tip(old) and not self.tip(new):
                self.run(self.bare, "branch", "-m", *short)
            return
        if action == "adopt":  # somebody goes on from what was proposed
            if there := self.tip(PROPOSED):
                theirs = self.run(self.bare, "commit-tree", f"{there}^{{tree}}", "-p", there, "-m", "theirs")
                self.run(self.bare, "update-ref", PROPOSED, theirs)
                self.adopted.append(theirs)
            return
        if not self.tip():
            return
        if action == "delete":
            self.run(self.author, "push", "-q", "origin", "--delete", BRANCH)
            return
        if action in ("notes", "source", "amend"):
            self.run(self.author, "fetch", "-q", "origin", BRANCH)
            self.run(self.author, "reset", "-q", "--hard", "FETCH_HEAD")
            self.commit({"notes": "notes.md", "source": "src/train.py", "amend": "notes.md"}[action],
                        amend=action == "amend")  # fmt: skip
        elif self.run(self.author, "rev-list", "--count", "HEAD") != "1":
            self.run(self.author, "reset", "-q", "--hard", "HEAD~1")
        self.run(self.author, "push", "-q", "-f", "origin", f"HEAD:{REF}")

    @rule(action=st.sampled_from(ACTIONS))
    def somebody_acts(self, action: str) -> None:
        self.act(action)

    # ------------------------------------------------------------------------------------ builds

    def start_build(self, value: int) -> Build:
        """A build of what the branch has now, which makes one of a few results."""
        clone = self.place / f"build-{len(self.builds)}"
        self.run(self.place, "clone", "-q", "-b", BRANCH, str(self.bare), str(clone))
        git = RacingGit(clone, self.environ | {"PUSHER": "mlbutler"})
        oid = git.run("hash-object", "-w", "--stdin", input=f"result {value}\n".encode()).text.strip()
        return Build(git, git.head(), {"metrics.json": TreeEntry("100644", oid, "metrics.json")})

    @rule(
        again=st.none() | st.integers(0, 9),
        value=st.integers(0, 1),
        running=st.lists(st.sampled_from(ACTIONS), max_size=2),
        meanwhile=st.lists(st.sampled_from(ACTIONS), max_size=2),
        killed=st.sampled_from(["", "", "", "before", "after"]),
    )
    def a_build_commits(
        self, again: int | None, value: int, running: list[str], meanwhile: list[str], killed: str
    ) -> None:
        """A new build, or an earlier one again, while others act: during its stages, and during its push."""
        if again is not None and self.builds:
            build = self.builds[again % len(self.builds)]
        elif self.tip():
            self.builds.append(self.start_build(value))
            build = self.builds[-1]
        else:
            return
        for action in running:
            self.act(action)
        left = list(meanwhile)

        def between() -> None:
            if left:
                self.act(left.pop(0))

        git = build.git
        git.between, git.killed = between, killed
        made = CommitBuilder(git, build.files, f"Results\n\n{REPRODUCED}: {build.head}\n", Author("m", "m@b"))
        before = len(self.lines())
        try:
            said = push_results(made, "origin", BRANCH, build.head, TOUCHED)
        except Killed:
            return
        finally:
            git.killed = ""
        accepted = [line for line in self.lines()[before:] if line[0] == "mlbutler" and line[1] == REF]
        if said.commit and not said.found:
            assert accepted == [("mlbutler", REF, said.parent, said.commit)], "it is there as it says"
        else:
            assert accepted == [], "it says that it put nothing on the branch"
        if said.found:
            assert self.run(git.directory, "cat-file", "blob", f"{said.commit}:metrics.json") == self.result(build)
        if said.reason:
            assert said.commit == ""
            ref, why = push_to_own_ref(made, "origin", build.head)
            if ref:
                assert ref.startswith(RESULTS)
                kept = self.run(self.bare, "rev-parse", ref)
                assert self.run(self.bare, "rev-parse", f"{kept}^") == build.head
                assert self.run(self.bare, "cat-file", "blob", f"{kept}:metrics.json") == self.result(build)
            else:
                assert "no refs today" in why

    @rule(value=st.integers(0, 1), meanwhile=st.lists(st.sampled_from(ACTIONS), max_size=2))
    def a_build_proposes(self, value: int, meanwhile: list[str]) -> None:
        """The target branch's build proposes its results on a branch of their own, while others act."""
        if not self.tip():
            return
        build = self.start_build(value)
        self.builds.append(build)
        left = list(meanwhile)
        build.git.between = lambda: self.act(left.pop(0)) if left else None
        made = CommitBuilder(build.git, build.files, f"Results\n\n{REPRODUCED}: {build.head}\n", Author("m", "m@b"))
        before = len(self.lines())
        said = propose(made, "origin", BRANCH, build.head)
        moved = [line for line in self.lines()[before:] if line[0] == "mlbutler"]
        assert {line[1] for line in moved} <= {PROPOSED}
        assert all(line[3] == said.commit for line in moved), "it is there as it says, or nothing is"
        if said.commit:
            assert self.run(self.bare, "rev-parse", f"{said.commit}^") == build.head
            assert self.run(self.bare, "cat-file", "blob", f"{said.commit}:metrics.json") == self.result(build)

    def result(self, build: Build) -> str:
        entry = build.files["metrics.json"]
        assert entry is not None
        return build.git.run("cat-file", "blob", entry.oid).text.strip()

    # ------------------------------------------------------------------------------------ what the server saw

    def lines(self) -> list[tuple[str, str, str, str]]:
        """Return (by whom, ref, old, new) of every update that took place."""
        text = self.notes.read_text() if self.notes.exists() else ""
        return [(who, ref, old, new) for who, ref, old, new in (line.split() for line in text.splitlines())]

    @invariant()
    def nothing_of_the_author_is_lost_or_forced(self) -> None:
        if not hasattr(self, "notes"):
            return
        lines = self.lines()
        new_ones, self.checked = lines[self.checked :], len(lines)  # what commits are does not change
        for who, ref, old, new in new_ones:
            if who != "mlbutler":
                continue
            assert new != NOTHING, "no ref is deleted"
            parents = self.run(self.bare, "rev-list", "--parents", "-n", "1", new).split()[1:]
            if ref.startswith(RESULTS):
                assert old == NOTHING, "no kept result is replaced"
                continue
            if ref == PROPOSED:
                assert old not in self.adopted, "nothing of others is replaced"
                continue
            assert ref == REF
            assert old != NOTHING, "no branch is created again"
            assert parents == [old], "it stands on what was there"
            assert self.run(self.bare, "diff", "--name-only", old, new).splitlines() in (["metrics.json"], [])
            (head,) = [b.head for b in self.builds if f"{REPRODUCED}: {b.head}" in self.body(new)][:1]
            changed = self.run(self.bare, "diff", "--name-only", head, old).splitlines()
            assert self.run(self.bare, "merge-base", head, old) == head, "what was reproduced is below it"
            own = {name for name in changed if name.startswith("src")}
            assert own == set(), "the results are those of the branch's code"

    def body(self, commit: str) -> str:
        return self.run(self.bare, "log", "-1", "--format=%B", commit)


# Not made smaller: each step is some real pushes, and six are few enough to read.
CommitBack.TestCase.settings = settings(
    max_examples=25, stateful_step_count=6, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate)
)
TestCommitBack = CommitBack.TestCase
