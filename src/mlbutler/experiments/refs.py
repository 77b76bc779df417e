"""Experiments as Git refs: one for each, that points at a commit with its state and, at the end, its log.

The commit's first parent is the commit that is run, so that Git keeps that too. A ref is created, replaced and removed
by comparing it with what was read: of two processes that change one at once, one is refused and reads again.
"""

from __future__ import annotations

import secrets
import shlex
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress

from mlbutler.errors import GitError, ProjectError
from mlbutler.experiments.experiment import Experiment, dump_experiment, parse_experiment
from mlbutler.experiments.log import LARGEST
from mlbutler.frozen import frozen
from mlbutler.git import Git, TreeEntry
from mlbutler.git import verified as git_verified
from mlbutler.git.objects import read_blobs
from mlbutler.git.repository import RefMove
from mlbutler.git.written import NewObjects
from mlbutler.live_lines import clean

PREFIX = "refs/mlbutler/train/"
_STATE, _LOG = "state.json", "log.txt"
_NOBODY = "0" * 40
_TRIES = 50
# Anybody who may push can put a file there that takes little room in Git and gigabytes in memory.
_LARGEST = 4 << 20
_LARGEST_LOG = LARGEST + 1000
# Fixed, so that the same content is the same commit wherever it is made.
AUTHOR = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER")
          for key, value in (("NAME", "mlbutler"), ("EMAIL", "mlbutler@localhost"))}  # fmt: skip


@frozen
class StoredExperiment:
    """An experiment as it was read from its ref. `commit`: what the ref pointed at."""

    experiment: Experiment
    commit: str


@frozen
class DamagedRef:
    """A ref whose state cannot be read: what is wrong, and what to do about it."""

    ref: str
    problem: str
    remedy: str


class Experiments:
    """The experiments of one repository.

    Args:
        git: at the repository's root. prefix: below which refs the experiments are here.
    """

    def __init__(self, git: Git, prefix: str = PREFIX) -> None:
        self._git, self._prefix = git, prefix
        # What a commit holds does not change: who looks again reads what is new.
        self._last: dict[str, StoredExperiment] = {}
        self._logs: dict[str, str] = {}

    def all(self) -> tuple[StoredExperiment, ...]:
        """Return every experiment whose state can be read, in the order of submission."""
        return self.survey()[0]

    def survey(self) -> tuple[tuple[StoredExperiment, ...], tuple[DamagedRef, ...]]:
        """Return every experiment, in the order of submission, and the refs that hold none."""
        lines = self._git.run("for-each-ref", "--format=%(objectname) %(refname)", self._prefix).text.splitlines()
        refs = [(commit, ref.removeprefix(self._prefix)) for commit, _, ref in (line.partition(" ") for line in lines)]
        read = [self._find_known(id, commit) for commit, id in refs]
        new = [f"{commit}:{_STATE}" for (commit, _), known in zip(refs, read, strict=True) if known is None]
        contents = self._contents(list(dict.fromkeys(new)))
        found, damaged = [], []
        for (commit, id), known in zip(refs, read, strict=True):
            try:
                found.append(known or self._parse_state(id, contents.get(f"{commit}:{_STATE}"), commit))
            except ProjectError as error:
                damaged.append(DamagedRef(clean(self._prefix + id), error.message, error.remedy))
        return sort_by_submission(found), tuple(damaged)

    def read(self, id: str) -> StoredExperiment | None:
        """Return one experiment, None where there is no such one.

        Raises:
            ProjectError: its state cannot be read.
        """
        commit = self._git.run("rev-parse", "--verify", "--quiet", self._prefix + id, check=False).text
        return self._at(id, commit) if commit else None

    def _at(self, id: str, commit: str) -> StoredExperiment:
        """Return the state at a commit; on a CI server the clone's objects are open to the project's code.

        Raises:
            ProjectError: as `_parse_state`. GitError: an object is not what its id says.
        """
        is_open = self._git.access is not None
        if not is_open and (known := self._find_known(id, commit)) is not None:
            return known
        name = f"{commit}:{_STATE}"
        content = self._contents([name]).get(name)
        if content is not None and is_open:
            content = git_verified.file_at(self._git, commit, _STATE)
        return self._parse_state(id, content, commit)

    def _find_known(self, id: str, commit: str) -> StoredExperiment | None:
        """Return the experiment where its ref pointed at this commit when it was read last."""
        found = self._last.get(id)
        return found if found is not None and found.commit == commit else None

    def _parse_state(self, id: str, content: bytes | None, commit: str) -> StoredExperiment:
        """Return the state that the ref of this id holds.

        Args:
            content: None where there is none.

        Raises:
            ProjectError: it cannot be read, or is another experiment's: the ref may have been fetched from anywhere.
        """
        if content is None:
            raise ProjectError(f"{self._prefix}{id} holds no state of an experiment.", self._how_to_remove(id))
        try:
            experiment = parse_experiment(content)
        except ProjectError as error:
            message = f"{error.message} It is {self._prefix}{id}."
            raise ProjectError(message, f"{error.remedy} {self._how_to_remove(id)}") from error
        if experiment.id != id:
            raise ProjectError(f"{self._prefix}{id} holds the state of another experiment.", self._how_to_remove(id))
        kept = self._last[id] = StoredExperiment(experiment, commit)
        return kept

    def _how_to_remove(self, id: str) -> str:
        return f"If you do not know it: git update-ref -d {shlex.quote(self._prefix + id)}"

    def log(self, kept: StoredExperiment) -> bytes | None:
        """Return the log that was kept with it, without what would steer a terminal; None while there is none."""
        name = f"{kept.commit}:{_LOG}"
        blob = read_blobs(self._git, [name], _LARGEST_LOG).get(name)
        content = blob.content if blob is not None else None
        return clean(content.decode("utf-8", "replace")).encode() if content is not None else None

    def create(self, experiment: Experiment) -> bool:
        """Store a new experiment; return False where the same point is there already."""
        return self.keep_all([(experiment, None)])[0]

    def keep_all(self, wanted: Sequence[tuple[Experiment, StoredExperiment | None]]) -> list[bool]:
        """Store experiments that are to be run, each in place of what was read, None for a new one; old logs go.

        Returns:
            For each False where somebody else has changed it since it was read.
        """
        return [bool(commit) for commit in self._write([
            (new, kept.commit if kept is not None else "", None) for new, kept in wanted
        ])]  # fmt: skip

    def replace(
        self, kept: StoredExperiment, experiment: Experiment, log: bytes | None = None
    ) -> StoredExperiment | None:
        """Store its new state; return None where somebody else has changed it since it was read.

        Args:
            log: kept with it; without one the log that it has stays.
        """
        content = log if log is not None else self._log_id(kept)
        commit = self._write([(experiment, kept.commit, content)])[0]
        return StoredExperiment(experiment, commit) if commit else None

    def change(
        self,
        id: str,
        change: Callable[[Experiment], Experiment | None],
        log: bytes | None = None,
        known: StoredExperiment | None = None,
    ) -> StoredExperiment | None:
        """Change an experiment, reading it again for as long as others change it at the same time.

        Args:
            change: returns the new state for the present one, None to leave it.
            known: what was kept a moment ago; where it still is, it is not read first. See `_guess` if None.

        Returns:
            What is kept now; None where the experiment was removed.
        """
        known = known or self._guess(id)
        for tries in range(_TRIES):
            kept = known if known is not None and tries == 0 else self.read(id)
            if kept is None:
                return None
            wanted = change(kept.experiment)
            if wanted is None and known is not None and tries == 0:
                continue
            if wanted is None:
                return kept
            if (done := self.replace(kept, wanted, log)) is not None:
                return done
        raise GitError(f"{self._prefix}{id} cannot be changed: others change it all the time.", "Run it again.")

    def _guess(self, id: str) -> StoredExperiment | None:
        """Return the experiment as it was read or kept last, None where it is better read: asking Git costs more."""
        return self._last.get(id)

    def remove(self, kept: StoredExperiment) -> bool:
        """Remove it; return False where somebody has changed it since it was read."""
        return self._move_all([RefMove(kept.experiment.id, "", kept.commit)])[0]

    def _contents(self, names: list[str]) -> Mapping[str, bytes]:
        found = read_blobs(self._git, names, _LARGEST)
        return {name: blob.content for name, blob in found.items() if blob.content is not None}

    def _log_id(self, kept: StoredExperiment) -> str | None:
        """Return the id of the log that was kept with it."""
        if (log := self._logs.get(kept.commit)) is None:
            log = self._git.run("rev-parse", "--verify", "--quiet", f"{kept.commit}:{_LOG}", check=False).text
        return log or None

    def _write(self, wanted: Sequence[tuple[Experiment, str, bytes | str | None]]) -> list[str]:
        """Keep experiments, each in place of a commit, with a log: its content, or its id.

        Returns:
            For each the commit that its ref points at now, '' where somebody else has changed it since it was read.
        """
        if not wanted:
            return []
        new = NewObjects(wanted[0][0].input)
        made = [self._commit(new, experiment, log) for experiment, _, log in wanted]
        new.write(self._git)
        done = self._move_all(
            [RefMove(one.id, commit, old) for (one, old, _), (commit, *_) in zip(wanted, made, strict=True)]
        )
        for (one, _, _), (commit, content, log), is_kept in zip(wanted, made, done, strict=True):
            if is_kept:
                self._logs[commit] = log
                with suppress(ProjectError):  # as others read it, to whom it is damaged
                    self._last[one.id] = StoredExperiment(parse_experiment(content), commit)
        return [commit if is_kept else "" for (commit, *_), is_kept in zip(made, done, strict=True)]

    def _commit(self, new: NewObjects, experiment: Experiment, log: bytes | str | None) -> tuple[str, bytes, str]:
        """Add the commit of a state; return its id, the state's content, and the id of its log, '' for none."""
        content = dump_experiment(experiment)
        log = new.blob(log) if isinstance(log, bytes) else log or ""
        entries = [TreeEntry("100644", new.blob(content), _STATE)]
        entries += [TreeEntry("100644", log, _LOG)] if log else []
        # Of two that write the same at one moment each has to see whether its own was kept.
        message = f"{experiment.name}: {experiment.state}\n\n{secrets.token_hex(8)}"
        parents = [experiment.input]
        if experiment.search is not None and experiment.search.base != experiment.input:
            parents.append(experiment.search.base)  # from which the next trials are made, wherever that is
        date = f"{int(time.time())} {time.strftime('%z')}"
        return new.commit(new.tree(entries), parents, message, AUTHOR, date), content, log

    def _move_all(self, moves: Sequence[RefMove]) -> list[bool]:
        """Change experiments, which `RefMove.ref` names by their ids; return for each whether it was as was read."""
        return [self._move(move) for move in moves]

    def _move(self, move: RefMove) -> bool:
        ref, old = self._prefix + move.ref, move.old or _NOBODY
        change = (ref, move.new, old) if move.new else ("-d", ref, old)
        done = self._git.run("update-ref", *change, check=False)
        if done.code == 0:
            return True
        now = self._git.run("rev-parse", "--verify", "--quiet", ref, check=False).text or _NOBODY
        # Another holds its lock for a moment, or has moved it; anything else is not ours to wait for.
        if now == old and not is_race(done.err):
            raise Git.failure("update-ref", done.err, network=False)
        return False


def is_race(said: str) -> bool:
    """Return whether git refused to change a ref because another process changes it at this moment."""
    return any(text in said for text in ("lock", "is at", "stale info", "incorrect old value"))


def sort_by_submission(found: Iterable[StoredExperiment]) -> tuple[StoredExperiment, ...]:
    """Return experiments in the order of submission."""
    return tuple(sorted(found, key=lambda kept: (kept.experiment.submitted, kept.experiment.number)))
