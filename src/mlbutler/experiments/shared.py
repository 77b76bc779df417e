"""Experiments on the Git remote, where every laptop and every agent sees them.

Each has a ref there, as `mlbutler.experiments.refs` has it here. A change is pushed with the commit that the ref held
when it was read: the remote refuses it once somebody else has been quicker. What is fetched goes to refs of its own, so
that it takes the place of nothing that runs here.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from mlbutler.errors import AccessDenied, GitError, UsageError
from mlbutler.experiments.experiment import Experiment
from mlbutler.experiments.refs import PREFIX, DamagedRef, Experiments, StoredExperiment, is_race
from mlbutler.git import Git
from mlbutler.git.repository import RefMove

FETCHED = "refs/mlbutler/trained/"
_TRIES = 5
_AT_ONCE = 100


def sharing_remote(git: Git, named: str | None) -> str:
    """Return the name of the Git remote that experiments are shared on: the one that is `named`, else the usual one.

    Raises:
        UsageError: there is none.
    """
    from mlbutler.change.detect import remote_of

    found = remote_of(git, named)
    if found is None:
        raise UsageError(
            "This clone has no Git remote: experiments for Jenkins are sent through one.",
            "git remote add origin URL, or run them on this machine: --on local.",
        )
    return found


class SharedExperiments(Experiments):
    """The experiments of one repository's remote.

    Args:
        git: at the repository's root. remote: the remote's name.
    """

    def __init__(self, git: Git, remote: str) -> None:
        super().__init__(git, f"{FETCHED}{remote}/")
        self.remote = remote

    def survey(self) -> tuple[tuple[StoredExperiment, ...], tuple[DamagedRef, ...]]:
        """Return every experiment that the remote has now, in the order of submission, and the refs that hold none.

        Raises:
            GitError, AccessDenied: the remote does not answer.
        """
        done = self._git.mirror_refs(self.remote, PREFIX, self._prefix)
        if done.code != 0:
            raise Git.failure("fetch", done.err)
        return self.survey_fetched()

    def survey_fetched(self) -> tuple[tuple[StoredExperiment, ...], tuple[DamagedRef, ...]]:
        """Return what the remote had when it was asked last."""
        return super().survey()

    def read(self, id: str) -> StoredExperiment | None:
        """Return one experiment as the remote has it now, None where it has none.

        Raises:
            GitError, AccessDenied: the remote does not answer. ProjectError: the state cannot be read.
        """
        for _ in range(_TRIES):
            done = self._git.fetch(self.remote, f"+{PREFIX}{id}:{self._prefix}{id}")
            if done.code == 0:  # on a CI server the clone's refs are open to the project's code: the answer is not
                return self._at(id, done.text) if done.text else super().read(id)
            if "couldn't find remote ref" in done.err:
                self._note([RefMove(id, "", "")])
                return None
            if "cannot lock ref" not in done.err:
                break
        raise Git.failure("fetch", done.err)

    def _guess(self, id: str) -> StoredExperiment | None:
        """Return None: others change it more often, and a push that is refused costs more than a look."""

    def remove_result(self, experiment: Experiment) -> None:
        """Remove an experiment's results from the remote, where they are its own.

        Raises:
            GitError, AccessDenied: the remote does not answer, or refuses.
        """
        there = self._git.remote_refs(self.remote, *experiment.result_refs) if experiment.result else {}
        moves = [RefMove(ref, "", oid) for ref, oid in there.items() if oid == experiment.result]
        if moves:
            done, answers = self._git.move_refs(self.remote, moves)
            if any(answers.get(move.ref) != "" for move in moves):
                raise Git.failure("push", done.err)

    def _how_to_remove(self, id: str) -> str:
        return f"If no one knows what it is: git push {shlex.quote(self.remote)} :{shlex.quote(PREFIX + id)}"

    def _move_all(self, moves: Sequence[RefMove]) -> list[bool]:
        """Move refs on the remote, as `Experiments` does here.

        Raises:
            GitError, AccessDenied: the remote does not answer, or refuses such refs; a part may have been changed.
        """
        found: list[bool] = []
        for at in range(0, len(moves), _AT_ONCE):
            found += self._push(moves[at : at + _AT_ONCE])
        return found

    def _push(self, moves: Sequence[RefMove]) -> list[bool]:
        done, answers = self._git.move_refs(
            self.remote, [RefMove(PREFIX + move.ref, move.new, move.old) for move in moves]
        )
        open_ones = [PREFIX + move.ref for move in moves if answers.get(PREFIX + move.ref) != ""]
        there = self._git.remote_refs(self.remote, *open_ones) if open_ones else {}
        result = []
        for move in moves:
            ref = PREFIX + move.ref
            now = there.get(ref, "") if ref in open_ones else move.new
            # The remote may have done it, and the connection have broken before it could say so.
            result.append(now == move.new)
            if now == move.old != move.new and not is_race(answers.get(ref, "") + done.err):
                raise self._refusal(ref, answers.get(ref, ""), done.err)
        self._note([move for move, is_done in zip(moves, result, strict=True) if is_done])
        return result

    def _note(self, moves: Sequence[RefMove]) -> None:
        """Have the refs here say what the remote has now."""
        lines = [f"update {self._prefix}{move.ref} {move.new}" if move.new else f"delete {self._prefix}{move.ref}"
                 for move in moves]  # fmt: skip
        if lines:  # another process may do the same at this moment; the next that asks the remote does it again
            self._git.run("update-ref", "--stdin", input="".join(f"{line}\n" for line in lines).encode(), check=False)

    def _refusal(self, ref: str, reason: str, said: str) -> GitError | AccessDenied:
        error = Git.failure("push", said)
        if isinstance(error, AccessDenied) or not reason:
            return error
        return GitError(
            f"The Git remote '{self.remote}' refuses {ref}: {reason}",
            "Experiments for Jenkins are kept in refs below refs/mlbutler/train: ask those who run the remote to "
            "allow them, name another remote (project.git_remote), or run them on this machine: --on local.",
        )
