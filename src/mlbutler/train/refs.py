"""Experiments as Git refs: one for each, that points at a commit with its state and, at the end, its log.

The commit's parent is the commit that is run, so that Git keeps that too. A ref is created, replaced and removed by
comparing it with what was read: of two processes that change one at once, one is refused and reads again.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mlbutler.errors import GitError, ProjectError
from mlbutler.git import Git
from mlbutler.git.batch import read_objects
from mlbutler.live_lines import clean
from mlbutler.train.experiment import Experiment, dumps, loads

PREFIX = "refs/mlbutler/train/"
_STATE, _LOG = "state.json", "log.txt"
_NOBODY = "0" * 40
_TRIES = 50
# Fixed, so that the same content is the same commit wherever it is made.
AUTHOR = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER")
          for key, value in (("NAME", "mlbutler"), ("EMAIL", "mlbutler@localhost"))}  # fmt: skip


@dataclass(frozen=True)
class Kept:
    """An experiment as it was read. `commit`: what its ref pointed at."""

    experiment: Experiment
    commit: str


def _kept(id: str, content: bytes, commit: str) -> Kept:
    """Return the state that the ref of this id holds.

    Raises:
        ProjectError: it cannot be read, or is another experiment's: the ref may have been fetched from anywhere.
    """
    ref = PREFIX + id
    remove = f"If you do not know it: git update-ref -d {shlex.quote(ref)}"
    try:
        experiment = loads(content)
    except ProjectError as error:
        raise ProjectError(f"{error.message} It is {ref}.", f"{error.remedy} {remove}") from error
    if experiment.id != id:
        raise ProjectError(f"{ref} holds the state of another experiment.", remove)
    return Kept(experiment, commit)


class Experiments:
    """The experiments of one repository.

    Args:
        git: at the repository's root.
    """

    def __init__(self, git: Git) -> None:
        self._git = git

    def all(self) -> tuple[Kept, ...]:
        """Return every experiment, in the order of submission."""
        lines = self._git.run("for-each-ref", "--format=%(objectname) %(refname)", PREFIX).text.splitlines()
        refs = [(commit, ref.removeprefix(PREFIX)) for commit, _, ref in (line.partition(" ") for line in lines)]
        contents = self._contents(list(dict.fromkeys(f"{commit}:{_STATE}" for commit, _ in refs)))
        found = [_kept(id, contents[name], commit) for commit, id in refs if (name := f"{commit}:{_STATE}") in contents]
        return tuple(sorted(found, key=lambda kept: (kept.experiment.submitted, kept.experiment.number)))

    def read(self, id: str) -> Kept | None:
        """Return one experiment, None where there is no such one."""
        commit = self._git.run("rev-parse", "--verify", "--quiet", PREFIX + id, check=False).text
        if not commit:
            return None
        return _kept(id, self._git.run("cat-file", "blob", f"{commit}:{_STATE}").out, commit)

    def log(self, kept: Kept) -> bytes | None:
        """Return the log that was kept with it, without what would steer a terminal; None while there is none."""
        done = self._git.run("cat-file", "blob", f"{kept.commit}:{_LOG}", check=False)
        return clean(done.out.decode("utf-8", "replace")).encode() if done.code == 0 else None

    def create(self, experiment: Experiment) -> bool:
        """Keep a new experiment; return False where the same point is there already."""
        return self._move(experiment.id, self._commit(experiment, None), _NOBODY)

    def replace(self, kept: Kept, experiment: Experiment, log: bytes | None = None) -> Kept | None:
        """Keep its new state; return None where somebody else has changed it since it was read.

        Args:
            log: kept with it; without one the log that it has stays.
        """
        blob = self._blob(log) if log is not None else self._kept_log(kept)
        commit = self._commit(experiment, blob)
        return Kept(experiment, commit) if self._move(experiment.id, commit, kept.commit) else None

    def change(
        self, id: str, change: Callable[[Experiment], Experiment | None], log: bytes | None = None
    ) -> Kept | None:
        """Change an experiment, reading it again for as long as others change it at the same time.

        Args:
            change: returns the new state for the present one, None to leave it.

        Returns:
            What is kept now; None where the experiment was removed.
        """
        for _ in range(_TRIES):
            kept = self.read(id)
            if kept is None:
                return None
            wanted = change(kept.experiment)
            if wanted is None:
                return kept
            if (done := self.replace(kept, wanted, log)) is not None:
                return done
        raise GitError(f"{PREFIX}{id} cannot be changed: others change it all the time.", "Run it again.")

    def remove(self, kept: Kept) -> bool:
        """Remove it; return False where somebody has changed it since it was read."""
        done = self._git.run("update-ref", "-d", PREFIX + kept.experiment.id, kept.commit, check=False)
        return done.code == 0

    def _contents(self, names: list[str]) -> Mapping[str, bytes]:
        return {name: content for name, _, content in read_objects(self._git, names)}

    def _kept_log(self, kept: Kept) -> str | None:
        return self._git.run("rev-parse", "--verify", "--quiet", f"{kept.commit}:{_LOG}", check=False).text or None

    def _blob(self, content: bytes) -> str:
        return self._git.run("hash-object", "-w", "--stdin", input=content).text

    def _commit(self, experiment: Experiment, log: str | None) -> str:
        entries = [f"100644 blob {self._blob(dumps(experiment))}\t{_STATE}"]
        entries += [f"100644 blob {log}\t{_LOG}"] if log else []
        tree = self._git.run("mktree", input="".join(f"{entry}\n" for entry in entries).encode()).text
        args = ("commit-tree", tree, "-p", experiment.input, "-m", f"{experiment.name}: {experiment.state}")
        return self._git.run(*args, extra=AUTHOR).text

    def _move(self, id: str, new: str, old: str) -> bool:
        done = self._git.run("update-ref", PREFIX + id, new, old, check=False)
        if done.code == 0:
            return True
        now = self._git.run("rev-parse", "--verify", "--quiet", PREFIX + id, check=False).text or _NOBODY
        # Another holds its lock for a moment, or has moved it; anything else is not ours to wait for.
        if now == old and "lock" not in done.err and "is at" not in done.err:
            raise Git.failure("update-ref", done.err, network=False)
        return False
