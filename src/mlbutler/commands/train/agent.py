"""Implement `mlbutler train agent begin` and `run`: an experiment on a CI server's agent, until it has ended.

Each is a process of its own: `begin` has credentials, and `run`, in which the project's code runs, has none.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from mlbutler.commands.start import find_project
from mlbutler.commands.train.experiment_build import ExperimentBuild, open_build, run_steps, trust_experiment
from mlbutler.console import Console, human_seconds
from mlbutler.errors import EXIT_JUDGED, EXIT_OUTSIDE, EXIT_PASSED, Interrupted, MlbutlerError
from mlbutler.experiments.attempt import Attempt, AttemptContext, Stopped, run_environment
from mlbutler.experiments.attempt_end import CANCELLED, AttemptEnd
from mlbutler.experiments.attempt_files import AttemptFiles
from mlbutler.experiments.checkpoints import Checkpoints, remove_old_checkpoints
from mlbutler.experiments.declared import DeclaredPaths, collect_declared
from mlbutler.experiments.experiment import Experiment
from mlbutler.experiments.gpu_lease import lease_gpus
from mlbutler.experiments.log import LogFile
from mlbutler.experiments.saver import restore_checkpoint, saver_factory
from mlbutler.experiments.state import State
from mlbutler.first_few import first_few
from mlbutler.git import Git
from mlbutler.held_back import values_to_hide
from mlbutler.record import Outcome
from mlbutler.secrets import Redactor
from mlbutler.settings import load
from mlbutler.symlinks import Symlinks

_KEPT = 30 * 86_400.0
"""Seconds for which the checkpoints of an experiment are kept on agents."""
_MOST_SHOWN = 8 * 1024 * 1024
"""Characters of an experiment's output that go to the build's log."""


def begin(directory: Path, console: Console) -> int:
    """Take the experiment that the build was given and bring its data; return the exit code.

    0 and the attempt's number in `.mlbutler/train/attempt`: run it; 0 without: there is nothing to be done; 1: it
    ended here, and no other agent helps; 3: another one may.

    Raises:
        UsageError: no CI server's build, no id, or no such experiment.
    """
    build = open_build(directory, console, fresh=True)
    unsafe = _check_links(build)
    if unsafe is None:
        AttemptFiles(build.root).clear()
    taken = build.assigned.claim()
    experiment = taken.stored.experiment
    if taken.reason:
        console.line(f"{experiment.name} is not run: {taken.reason}.")
        return EXIT_JUDGED if unsafe is not None or experiment.state is State.NOT_SET_UP else EXIT_PASSED
    console.line(f"{experiment.name}: attempt {experiment.attempt}")
    found = unsafe or _bring_data(build, experiment)
    if isinstance(found, AttemptEnd):
        now = build.assigned.end_unprepared(experiment.attempt, found.redacted(console.redactor))
        console.error(f"{now.name}: {now.state}: {now.reason}")
        return EXIT_OUTSIDE if now.state is State.WAITING else EXIT_JUDGED
    now = build.assigned.change(experiment.attempt, _mark_running)
    if now.state is State.RUNNING:
        AttemptFiles(build.root).write_start(now, found)
    console.line(f"{now.name}: {now.state}")
    return EXIT_PASSED


def _check_links(build: ExperimentBuild) -> AttemptEnd | None:
    """Return the end where links that were sent would lead what is written here elsewhere."""
    try:
        Symlinks(build.root, build.git.at(build.root), every=True).check_folders()
    except MlbutlerError as error:
        return AttemptEnd(State.NOT_SET_UP, error.message, error.remedy)
    return None


def _mark_running(now: Experiment) -> Experiment:
    if now.cancel is not None:
        return AttemptEnd(State.CANCELLED, "before its first stage").apply_to(now)
    return now.with_(state=State.RUNNING)


def _bring_data(build: ExperimentBuild, experiment: Experiment) -> DeclaredPaths | AttemptEnd:
    """Bring the data that stages need; return what the stages declare.

    Or how the attempt ended: `LOST` where another agent may help.
    """
    if build.git.head() != experiment.input:
        here, wanted = build.git.head()[:10], experiment.input[:10]
        return AttemptEnd(State.NOT_SET_UP, f"the work tree is at {here}, and the experiment is {wanted}",
                   "Check out the first parent of the experiment's ref in the job.")  # fmt: skip
    if changed := build.git.dirty():
        return AttemptEnd(State.NOT_SET_UP, f"the work tree differs from the experiment's commit: {changed[0]}",
                   "Check it out into an empty workspace, without filters.")  # fmt: skip
    try:
        with build.open_run(experiment) as context:
            code, last = run_steps(context, "plan", "sync")
            if last.outcome not in (Outcome.FAILED, Outcome.ERROR):
                return collect_declared(context.project.stages)
    except Interrupted:
        raise
    except MlbutlerError as error:
        return AttemptEnd(
            State.LOST if error.exit_code == EXIT_OUTSIDE else State.NOT_SET_UP, error.message, error.remedy
        )
    return AttemptEnd(State.LOST if code == EXIT_OUTSIDE else State.NOT_SET_UP, last.reason, last.remedy)


def run(directory: Path, console: Console) -> int:
    """Run the stages of the experiment that was begun here, and hand over how it ended; return the exit code.

    Raises:
        UsageError: none was begun. Interrupted: this process was asked to stop.
    """
    console.redactor = Redactor(values_to_hide(os.environ))
    root, _ = find_project(directory, os.environ)
    files = AttemptFiles(root)
    experiment = files.read_experiment()
    if (ended := files.read_end(experiment.id)) is not None:  # the build did not get the request, or missed it
        console.line(f"{experiment.name}: {ended.state} already")
        return EXIT_PASSED
    trust_experiment()
    shown = _BuildOutput(console)
    with LogFile(files.log, shown.line, again=experiment.attempt > 1) as log:

        def line(text: str) -> None:
            log.line(text)  # first, since it says the time before
            shown.line(text)

        def log_progress(text: str) -> None:
            log.line(text)
            console.raw(f"{text}\n")  # however much was printed before

        try:
            end = _run_stages(experiment, root, files, line, log_progress)
        except Stopped:
            raise Interrupted("The experiment was interrupted.", "What it finished is saved.") from None
        except MlbutlerError as error:
            end = AttemptEnd(State.NOT_SET_UP, error.message, error.remedy)
    files.write_end(end.redacted(console.redactor).apply_to(experiment))
    console.line(f"{experiment.name}: {end.state}{': ' if end.reason else ''}{end.reason}")
    return EXIT_PASSED


def _run_stages(
    experiment: Experiment,
    root: Path,
    files: AttemptFiles,
    line: Callable[[str], None],
    log_progress: Callable[[str], None],
) -> AttemptEnd:
    """Run the stages once the experiment has the GPUs that it needs; return how it ended.

    Raises:
        Stopped: this process was asked to stop. MlbutlerError: there are not so many GPUs here.
    """
    settings, said = load(root, os.environ).settings, set[str]()

    def go_on(waits: str) -> bool:
        if waits not in said:
            said.add(waits)
            line(f"It waits {waits}.")
        return files.read_grace() is None

    with lease_gpus(experiment.gpus, os.environ, settings.train.gpu_folder, go_on) as lease:
        if lease is None:
            return CANCELLED
        train, saver = settings.train, None
        if train.checkpoint_folder is not None:
            remove_old_checkpoints(train.checkpoint_folder, _KEPT)
            own = Checkpoints(train.checkpoint_folder, experiment.id)
            restore_checkpoint(own, root, Symlinks(root, Git(root), every=True), line)
            saver = saver_factory(own, root, train, experiment.attempt, line)
        elif paths := (*files.read_declared().persisted, *train.checkpoints):
            line(
                f"No checkpoint of {first_few(paths)} is kept: "
                "train.checkpoint_store names no folder that agents share."
            )
        place = AttemptContext(
            folder=root, root=root, words=("reproduce", "--discard"), stop=files.read_grace, line=line,
            log_progress=log_progress, lease=lease,
            declared=files.read_declared, stall=train.stall or None, saver=saver,
            environ=run_environment(experiment, os.environ, settings.data.mirror_path(root)),
            nearly_over=lambda left: line(f"[{human_seconds(left)} of its time are left; then what there is is saved]"),
        )  # fmt: skip
        return Attempt(experiment, place).run()


class _BuildOutput:
    """What goes to the build's log: the beginning of a long output."""

    def __init__(self, console: Console) -> None:
        self._console, self._left = console, _MOST_SHOWN

    def line(self, text: str) -> None:
        """Show a line, as long as there is room."""
        if self._left <= 0:
            return
        self._left -= len(text) + 1
        self._console.raw(text + "\n")
        if self._left <= 0:
            self._console.line("[The rest is in the experiment's own log, at its end: mlbutler train logs]")
