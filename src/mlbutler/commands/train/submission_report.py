"""Print which experiments were sent, or would be, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mlbutler.commands.train.opening import Training, experiment_json
from mlbutler.console import human_bytes
from mlbutler.experiments.plans import ExperimentPlan
from mlbutler.experiments.submission import Fate, SubmittedExperiment
from mlbutler.first_few import first_few
from mlbutler.frozen import frozen
from mlbutler.numbers import count
from mlbutler.record import StageState


@frozen
class Submission:
    """What was sent: the experiments, the plans of those that run, and the untracked files that were not."""

    submitted: tuple[SubmittedExperiment, ...]
    plans: dict[str, ExperimentPlan]
    left: tuple[str, ...] = ()


def experiment_title(one: SubmittedExperiment) -> str:
    """Return an experiment's name, and what was set for it."""
    given = " ".join(one.experiment.overrides)
    return f"{one.experiment.name}  {given}" if given else one.experiment.name


def describe_plan(planned: ExperimentPlan) -> Iterator[str]:
    """Yield the parts of a plan in a few words: which stages run, and what is to be downloaded."""
    for words, state in (
        ("runs", StageState.STALE), ("restored", StageState.RESTORABLE), ("cannot run", StageState.CANNOT_RUN),
        ("not known", StageState.NOT_KNOWN),
    ):  # fmt: skip
        if names := planned.names(state):
            yield f"{words}: {first_few(names, 5)}"
    if settled := planned.names(StageState.UP_TO_DATE, StageState.FROZEN):
        yield f"up to date: {first_few(settled, 5)}"
    if planned.download is None:
        yield "bytes to bring: not known"
    elif planned.download:
        yield f"{human_bytes(planned.download)} to bring"
    if not planned.stages:
        yield "no stages"


def print_submission(training: Training, submitted: Sequence[SubmittedExperiment], *, dry_run: bool) -> None:
    """Print how many experiments were sent, and what to do next."""
    console = training.console
    new = [one for one in submitted if one.fate is not Fate.REUSED]
    if dry_run:
        first = ", and then the next ones, each chosen by what is known by then" if _is_search(new) else ""
        console.line(f"{count(len(new), 'experiment')} would be sent{first}: nothing was (--dry-run).")
        return
    if not new:
        console.line("Nothing to run. `mlbutler train list` shows them.")
        return
    at_once = f", {new[0].experiment.jobs} at once" if len(new) > 1 else ""
    at_once += "; those that end start the next ones of the search" if _is_search(new) else ""
    console.line(f"{count(len(new), 'experiment')} sent{at_once}. This terminal may be closed.")
    grid = new[0].experiment.grid
    console.line(f"  mlbutler train list; mlbutler train logs -f {new[0].experiment.name}; mlbutler train wait {grid}")


def _is_search(submitted: Sequence[SubmittedExperiment]) -> bool:
    return any(one.experiment.search is not None for one in submitted)


def submission_document(training: Training, sent: Submission, *, dry_run: bool) -> dict[str, Any]:
    """Return what was sent as a JSON document."""
    return {
        "dry_run": dry_run,
        "not_sent": list(sent.left),
        "experiments": [
            experiment_json(training, one.experiment)
            | {"fate": str(one.fate), "plan": _plan_document(sent.plans.get(one.experiment.id))}
            for one in sent.submitted
        ],
    }


def _plan_document(planned: ExperimentPlan | None) -> dict[str, Any] | None:
    if planned is None:
        return None
    stages = [{"name": stage.name, "state": str(stage.state)} for stage in planned.stages]
    return {"stages": stages, "download_bytes": planned.download}
