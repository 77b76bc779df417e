"""Implement `mlbutler train`: send what is in the work tree now, as one experiment or a sweep."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from mlbutler.commands.train.opening import Training, open_training, print_json
from mlbutler.commands.train.searching import check_metric, create_trials, describe_search, read_search
from mlbutler.commands.train.submission_report import (
    Submission,
    describe_plan,
    experiment_title,
    print_submission,
    submission_document,
)
from mlbutler.commands.train.submitters import JenkinsSubmitter, LocalSubmitter
from mlbutler.console import Console
from mlbutler.errors import EXIT_PASSED, BusyError, UsageError
from mlbutler.experiments.capture import Captured, capture_work_tree
from mlbutler.experiments.checks import refuse_changed_data, refuse_credentials, refuse_unsent_files
from mlbutler.experiments.choices import JENKINS, LOCAL
from mlbutler.experiments.dvc_queue import QueueEntry, read_queue, remove_from_queue, resolve_queued
from mlbutler.experiments.experiment import OPTION_CHECKS
from mlbutler.experiments.plans import ExperimentPlan, plan_experiments
from mlbutler.experiments.search_submission import resolve_search
from mlbutler.experiments.submission import ExperimentOptions, Fate, SubmittedExperiment, resolve_experiments
from mlbutler.first_few import first_few
from mlbutler.frozen import frozen
from mlbutler.process import project_environment
from mlbutler.project.project import Project
from mlbutler.record import StageState
from mlbutler.settings import Settings

_TIMEOUT = 60.0
_SHOWN = 20


@frozen
class RequestedOptions:
    """The experiments' options as the command line gives them: what is None is filled in from the settings.

    `ExperimentOptions` has them complete.

    Attributes:
        keep_going: run them all, whatever the settings say of failures.
        search: the metric to search by, which way it is better appended. trials: experiments of a search.
    """

    name: str | None
    params: tuple[str, ...]
    targets: tuple[str, ...]
    on: str | None
    label: str | None
    gpus: int | None
    retries: int
    jobs: int | None
    max_failures: int | None
    keep_going: bool
    time_limit: float | None
    search: str | None = None
    trials: int = 20

    def with_defaults(self, settings: Settings) -> ExperimentOptions:
        """Return the options, completed by the settings.

        Raises:
            UsageError: a value is none that can be asked for.
        """
        train = settings.train
        for name, (check, allowed) in OPTION_CHECKS.items():
            value = getattr(self, name)
            try:
                check(value) if value is not None else None
            except ValueError as error:
                raise UsageError(f"{name.replace('_', ' ')}: {value!r} is not allowed.", f"Use {allowed}.") from error
        engine = self.on or (JENKINS if train.on_jenkins else LOCAL)
        if self.label is not None and engine == LOCAL:
            raise UsageError("A label is one of Jenkins' agents: this machine has none.", "Leave it out.")
        failures = self.max_failures if self.max_failures is not None else train.max_failures
        return ExperimentOptions(
            name=self.name, params=self.params, targets=self.targets or tuple(settings.reproduce.targets),
            jobs=self.jobs or train.jobs, max_failures=None if self.keep_going else failures,
            time_limit=self.time_limit, engine=engine,
            label=self.label or train.label or "", gpus=train.gpus if self.gpus is None else self.gpus,
            retries=self.retries,
            search=read_search(self.search, self.trials, self.params, settings.gate) if self.search else None,
        )  # fmt: skip


@frozen
class SubmitOptions:
    """A submission: which experiments, and how they are sent.

    Attributes:
        copied: untracked files to send too. queue: send what `dvc exp run --queue` has queued, not the work tree.
        yes: send data however large.
    """

    requested: RequestedOptions
    copied: tuple[str, ...] = ()
    dry_run: bool = False
    yes: bool = False
    queue: bool = False


def submit(directory: Path, console: Console, options: SubmitOptions) -> int:
    """Send the work tree's experiments; return the exit code.

    Raises:
        MlbutlerError: as `send`.
    """
    training = open_training(directory, console)
    sent = send(training, options)
    print_submission(training, sent.submitted, dry_run=options.dry_run)
    if console.json:
        print_json(submission_document(training, sent, dry_run=options.dry_run))
    return EXIT_PASSED


def send(training: Training, options: SubmitOptions) -> Submission:
    """Send experiments and have them run.

    Raises:
        UsageError: something that a stage needs is not sent, a credential would be, or an option is refused.
        BusyError: another submission does not come to its end.
    """
    training.folder.prepare()
    with training.folder.lock("submit", _TIMEOUT) as ours:
        if not ours:
            raise BusyError("Another `mlbutler train` is sending experiments.", "Wait for it to end.")
        main = training.project()
        wanted = options.requested.with_defaults(training.settings)
        way = (
            JenkinsSubmitter(training, main, yes=options.yes) if wanted.engine == JENKINS else LocalSubmitter(training)
        )
        entries = read_queue(training.git, training.prefix) if options.queue else ()
        left: tuple[str, ...] = ()
        if options.queue:
            submitted = _from_queue(training, main, way, entries, wanted)
        else:
            submitted, left = _from_work_tree(training, main, way, options.copied, wanted)
        plans = _plan_and_show(training, main, submitted)
        if not options.dry_run:
            _refuse_hopeless(plans.values())
            submitted = way.send(submitted)
            if wanted.search is not None:
                submitted += _further(training, submitted)
    if not options.dry_run:
        way.start(submitted)
        _take_out(training, entries)
    return Submission(submitted, plans, left)


def _further(training: Training, submitted: Sequence[SubmittedExperiment]) -> tuple[SubmittedExperiment, ...]:
    """Create the trials of a search that start together with the first one; return them."""
    found = []
    for one in submitted:
        if one.experiment.search is not None:
            made = create_trials(training, one.experiment, one.experiment.search)
            found += [SubmittedExperiment(trial, Fate.NEW) for trial in made]
    for one in found:
        training.console.line(experiment_title(one))
    return tuple(found)


def _from_work_tree(
    training: Training,
    main: Project,
    way: JenkinsSubmitter | LocalSubmitter,
    copied: Sequence[str],
    options: ExperimentOptions,
) -> tuple[tuple[SubmittedExperiment, ...], tuple[str, ...]]:
    captured = capture_work_tree(training.git, [f"{training.prefix}{path}" for path in copied])
    _check(training, main, captured, options)
    if captured.untracked:
        training.console.line(f"not sent (untracked): {first_few(captured.untracked, 5)}")
    args = (
        way.find_existing(captured.baseline),
        training.folder,
        captured,
        training.prefix,
        way.complete_options(options),
    )
    if options.search is None:
        return resolve_experiments(training.git, *args), captured.untracked
    submitted = resolve_search(training.git, *args)
    for one in submitted:
        assert one.experiment.search is not None
        check_metric(training, main, one.experiment.search, one.experiment)
        for line in describe_search(one.experiment.grid, one.experiment.search):
            training.console.line(line)
    return submitted, captured.untracked


def _from_queue(
    training: Training,
    main: Project,
    way: JenkinsSubmitter | LocalSubmitter,
    entries: Sequence[QueueEntry],
    options: ExperimentOptions,
) -> tuple[SubmittedExperiment, ...]:
    if not entries:
        training.console.line("There is nothing in DVC's queue: `dvc exp run --queue` puts something there.")
        return ()
    redactor = training.console.redactor.adding(main.secrets())
    for entry in entries:
        refuse_credentials(training.git, entry.captured, redactor)
    params = list(dict.fromkeys(["params.yaml", *(one.path for s in main.stages.ordered for one in s.params)]))
    args = (way.find_existing, training.folder, entries, training.prefix, way.complete_options(options), params)
    return resolve_queued(training.git, *args)


def _take_out(training: Training, entries: Sequence[QueueEntry]) -> None:
    """Remove what was sent from DVC's queue; where that fails, the same command still sends nothing twice."""
    if entries and (said := remove_from_queue(training.folder.root, entries, project_environment(os.environ))):
        names = " ".join(entry.name for entry in entries)
        training.console.error(f"DVC has not taken them out of its queue ({said}): dvc queue remove {names}")


def _check(training: Training, main: Project, captured: Captured, options: ExperimentOptions) -> None:
    if options.params and main.repo.config.get("hydra", {}).get("enabled"):
        raise UsageError(
            "DVC composes this project's parameters with Hydra (hydra.enabled), which -S would have to do too.",
            "Set them in the file, or use dvc exp run.",
        )
    redactor = training.console.redactor.adding(main.secrets())
    if any(map(redactor.finds, options.params)):
        raise UsageError(
            "-S holds what looks like a credential: it would be kept in Git.",
            "Let the program read it from its environment.",
        )
    refuse_unsent_files(training.git, main, training.prefix, captured, options.targets)
    refuse_changed_data(main, options.targets)
    refuse_credentials(training.git, captured, redactor)


def _plan_and_show(
    training: Training, main: Project, submitted: Sequence[SubmittedExperiment]
) -> dict[str, ExperimentPlan]:
    """Plan what is to be run, and show each as soon as its plan is known."""
    console = training.console
    due = [one for one in submitted if one.fate is not Fate.REUSED]
    for one in submitted:
        if one.fate is Fate.REUSED:
            console.line(
                f"{experiment_title(one)}: reused: it is {training.engines.effective_state(one.experiment)} already"
            )
    found = {}
    plans = plan_experiments(training.git, training.folder, main, [one.experiment for one in due], os.environ)
    for one, planned in zip(due, plans, strict=True):
        found[one.experiment.id] = planned
        again = " (again)" if one.fate is Fate.AGAIN else ""
        console.line(f"{experiment_title(one)}{again}: {'; '.join(describe_plan(planned))}")
    return found


def _refuse_hopeless(plans: Iterable[ExperimentPlan]) -> None:
    """Refuse experiments with nothing to run, or with a stage of which it is known that it cannot.

    Raises:
        UsageError: there is one.
    """
    for planned in plans:
        if not planned.stages:
            raise UsageError("The project has no stages: there is nothing to run.", "dvc stage add --name NAME ...")
        for stage in planned.stages:
            cause = next((cause for cause in stage.causes if cause.kind in ("missing", "unreadable")), None)
            if stage.state is StageState.CANNOT_RUN and cause is not None:
                raise UsageError(
                    f"Stage '{stage.name}' cannot run: {cause.subject} is {cause.kind}. Nothing was sent.", cause.remedy
                )
