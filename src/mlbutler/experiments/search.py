"""A search: a sweep whose next trial is chosen by the results that are known when it is created.

The trials of one search are the experiments of one grid, and what is to be known of it is in their states alone: any
laptop and any agent goes on with it. Who makes a trial first notes its point in the trial before it, in a change that
is refused once somebody else has been quicker; then the trial is created, by that one, or by the next who looks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mlbutler.errors import GitError
from mlbutler.experiments.capture import Captured
from mlbutler.experiments.experiment import Experiment, Search, experiment_id
from mlbutler.experiments.points import input_commit, override_texts
from mlbutler.experiments.refs import Experiments, StoredExperiment
from mlbutler.experiments.scheduling import close_search, has_more_trials, trials_of
from mlbutler.experiments.state import UNDER_WAY, State
from mlbutler.experiments.study import Study
from mlbutler.experiments.submission import reset_experiment
from mlbutler.git import Git
from mlbutler.project import overrides
from mlbutler.project.search_space import read_space

_TRIES = 200


class TrialCreator:
    """Create the next trials of a search.

    Args:
        git: at the repository's root. experiments: among which its trials are.
        is_ours: tells whether an experiment of this id may be gone on from. claim: is called before one is created.
    """

    def __init__(
        self, git: Git, experiments: Experiments, is_ours: Callable[[str], bool] = lambda id: True,
        claim: Callable[[str], None] = lambda id: None,
    ) -> None:  # fmt: skip
        self._git, self._experiments, self._is_ours, self._claim = git, experiments, is_ours, claim

    def create(self, grid: str, wanted: tuple[Search, int] | None = None) -> list[Experiment]:
        """Create as many trials as there is room for; return those that were created by this call.

        Args:
            wanted: what counts from now on: the search, and how many may run at once; None for what did until now.

        Raises:
            UsageError: Optuna is not installed here. GitError, AccessDenied: the remote does not answer, or refuses.
        """
        made: list[Experiment] = []
        new: Experiment | None
        noted: StoredExperiment | None
        for _ in range(_TRIES):
            known = {kept.experiment.id: kept for kept in self._experiments.all()}
            found = trials_of((kept.experiment for id, kept in known.items() if self._is_ours(id)), grid)
            latest = known[found[-1].id] if found else None
            if latest is not None and wanted not in (None, (latest.experiment.search, latest.experiment.jobs)):
                self._experiments.replace(latest, latest.experiment.with_(search=wanted[0], jobs=wanted[1]))
                continue
            if latest is None or not has_more_trials(found):
                return made
            if latest.experiment.proposed:
                noted, new = latest, trial_after(self._git, latest.experiment, latest.experiment.proposed)
            elif _has_room(found):
                new, noted = self._propose(latest, found, known)
            else:
                return made
            if new is not None and noted is not None and self._create(noted.experiment, new):
                made.append(new)
        raise GitError(f"The search {grid} cannot be gone on with: others change it all the time.", "Run it again.")

    def _propose(
        self, latest: StoredExperiment, found: Sequence[Experiment], known: Mapping[str, StoredExperiment]
    ) -> tuple[Experiment | None, StoredExperiment | None]:
        """Note the next trial's point in the last one; return both, None where that was changed meanwhile."""
        last = latest.experiment
        assert last.search is not None
        new = next_trial(self._git, last, found, {id: kept.experiment for id, kept in known.items()})
        if new is None:  # the space has no other point
            return None, self._experiments.replace(latest, close_search(last) or last)
        return new, self._experiments.replace(latest, last.with_(proposed=new.overrides))

    def _create(self, last: Experiment, new: Experiment) -> bool:
        """Create the trial that is noted in the last one; return False where somebody else has, or it is not wanted."""
        self._claim(new.id)
        if self._experiments.create(new):
            return self._is_still_wanted(last, new)
        there = self._experiments.read(new.id)
        if there is not None and (there.experiment.grid, there.experiment.number) != (new.grid, new.number):
            # The same point was sent as another experiment meanwhile: that is known from now on.
            self._experiments.change(last.id, lambda now: _without(now, last.proposed))
        return False

    def _is_still_wanted(self, last: Experiment, new: Experiment) -> bool:
        """Return whether a trial that was just created is to be run; remove it where the search was ended meanwhile."""
        now = self._experiments.read(last.id)
        if now is None or now.experiment.proposed == last.proposed:
            return True
        there = self._experiments.read(new.id)
        return there is None or there.experiment.state is not State.WAITING or not self._experiments.remove(there)


def next_trial(
    git: Git, like: Experiment, found: Sequence[Experiment], known: Mapping[str, Experiment]
) -> Experiment | None:
    """Return the next trial, of which nothing is kept yet; None where every point of the space is known.

    What is known of points that are other experiments counts too: no point is run twice.

    Args:
        git: at the repository's root. like: any trial of the search. found: those there are, in their order.
        known: all experiments by their ids.

    Raises:
        UsageError: Optuna is not installed here.
    """
    assert like.search is not None
    number = found[-1].number + 1 if found else 1
    study = Study(read_space(like.search.params), like.search, f"{like.grid} {number}")
    for one in found:
        study.remember(one)
    seen = {frozenset(one.overrides) for one in found}
    for point in study.points():
        if frozenset(point) in seen:
            continue
        seen.add(frozenset(point))
        new = trial_after(git, found[-1] if found else like, point)
        there = known.get(new.id)
        if there is None:
            return new
        study.remember(there.with_(overrides=point))
    return None


def trial_after(git: Git, last: Experiment, point: Sequence[str]) -> Experiment:
    """Return the trial after the last one, at this point; nothing is kept but its input, as Git objects."""
    assert last.search is not None
    ((given,), _) = overrides.points(point)
    tree = git.run("rev-parse", "--verify", f"{last.search.base}^{{tree}}").text
    commit = input_commit(git, Captured(last.baseline, tree, ()), last.project, given)
    number = last.number + 1
    return reset_experiment(last).with_(
        id=experiment_id(commit, last.project, last.targets), name=f"{last.grid}-{number}", input=commit,
        overrides=override_texts(given), number=number, proposed=(), submitted=last.submitted,
    )  # fmt: skip


def _without(now: Experiment, point: Sequence[str]) -> Experiment | None:
    return now.with_(proposed=()) if now.proposed == tuple(point) else None


def _has_room(found: Sequence[Experiment]) -> bool:
    busy = sum(one.state is State.WAITING or one.state in UNDER_WAY for one in found)
    return busy < found[-1].jobs
