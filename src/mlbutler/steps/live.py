"""The comment during the run: which steps are done, which stage runs, how earlier stages ended."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable

from mlbutler.change.order import is_older
from mlbutler.console import human_seconds
from mlbutler.errors import MlbutlerError
from mlbutler.forge.opening import NoToken
from mlbutler.frozen import frozen
from mlbutler.record import REPORTING_STEPS, Outcome, Record, ReproduceResult
from mlbutler.record_file import read_record
from mlbutler.record_file import redacted_record as without_secrets
from mlbutler.report.model import Headline, Report, Tone
from mlbutler.reproduce.progress import StageProgress, load_progress
from mlbutler.settings import ReportSettings as Settings
from mlbutler.steps.comment_settings import agreed_comment_settings, layout
from mlbutler.steps.context import RunContext
from mlbutler.steps.reviewers import connect_forge, with_pull_request

EVERY = 30.0
"""Seconds between two versions of the comment, at least: forges limit how often one writes."""

_INTERVAL = 0.5
_SOON = 60.0


@frozen
class RunSnapshot:
    """Hold what is known of a run in progress: the record so far, and the progress of its stages."""

    record: Record
    progress: StageProgress | None

    @property
    def state(self) -> object:
        """Return a value that changes when the comment has to change; passing time alone does not change it."""
        progress = self.progress and (self.progress.running, self.progress.done)
        return tuple((name, result.outcome) for name, result in self.record.steps()), progress


def snapshot(context: RunContext) -> RunSnapshot:
    """Return the state of the run at this commit, in this process or another."""
    found = read_record(context.record_path)
    now = context.record
    record = found if found is not None and found.change.same_work(now.change) else now
    progress = load_progress(context.root)
    ours = progress is not None and progress.head == now.change.checkout
    record = dataclasses.replace(record, change=now.change, project=now.project, report_name=now.report_name)
    return RunSnapshot(record, progress if ours else None)


def running_report(run: RunSnapshot, settings: Settings, now: float) -> Report:
    """Return the report of a run in progress; its headline says how far it is."""
    from mlbutler.report.build import build

    record, progress = run.record, run.progress
    if progress is not None:
        record = dataclasses.replace(
            record, reproduce=ReproduceResult(outcome=Outcome.PASSED, reason="under way", stages=progress.done)
        )
    report = build(record, settings)
    steps = tuple(step for step in report.steps if progress is None or step[0] != "reproduce")
    return dataclasses.replace(report, headline=Headline("Running", _sentence(run, now), Tone.NONE), steps=steps)


def _sentence(run: RunSnapshot, now: float) -> str:
    if (progress := run.progress) is not None:
        ended = sum(run.outcome != "unchanged" for run in progress.done)
        doing = f"stage {progress.running}" if progress.running else "between two stages"
        took = human_seconds(max(now - progress.started, 0))
        return f"{doing}, {ended} of {progress.stages} stages done, {took} so far"
    done = [name for name, _ in run.record.steps() if name not in REPORTING_STEPS]
    return f"{', '.join(done)} done" if done else "it has begun"


class Live:
    """Keep the comment up to date; a failure is reported once and stops nothing.

    Args:
        every: seconds between two versions, at least. clock: a monotonic clock in seconds.
    """

    def __init__(self, context: RunContext, every: float = EVERY, clock: Callable[[], float] = time.monotonic) -> None:
        self._context, self._every, self._clock = context, every, clock
        self._state: object = None
        self._next = 0.0
        self._wait = every
        self.written = 0
        self.problem: MlbutlerError | None = None

    def refresh(self, run: RunSnapshot) -> None:
        """Update the comment if there is something new and the last update was long enough ago."""
        if run.state == self._state or self._clock() < self._next:
            return
        try:
            self._post(run)
            self.written += 1
            self._wait = self._every
        except MlbutlerError as error:
            if self.problem is None:
                self._context.console.line(f"No live comment for now: {error.message}")
            self.problem = error
            self._wait = min(self._wait * 2, 600.0)
        self._state, self._next = run.state, self._clock() + self._wait

    def _post(self, run: RunSnapshot) -> None:
        from mlbutler.report import markdown

        context = self._context
        forge = connect_forge(context)
        if forge is None:
            raise NoToken("No forge is configured.", "Set forge.kind, or run on a CI server.")
        change = with_pull_request(context, forge)
        if change.number is None:
            return
        record = without_secrets(dataclasses.replace(run.record, change=change), context.console.redactor)
        report = running_report(dataclasses.replace(run, record=record), context.settings.report, time.time())
        takes = forge.capabilities
        limits = markdown.Limits(takes.comment_limit, takes.unit, takes.html, takes.folds)
        text = markdown.fit(report, limits, layout=layout(context))
        forge.comment(
            change,
            report.title,
            text,
            is_older(context.git, change),
            create=agreed_comment_settings(context).when == "always",
        )


class LiveThread:
    """Run a `Live` in a thread, for a run in this process; call `end` before the verdict is published."""

    def __init__(self, context: RunContext, every: float = EVERY) -> None:
        self._context, self._live = context, Live(context, every)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="live comment", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._over.wait(_INTERVAL):
            try:
                self._live.refresh(snapshot(self._context))
            except Exception as error:  # one comment less; the verdict will still be published
                self._context.console.detail(f"No more live comments: {type(error).__name__}")
                return

    def end(self) -> None:
        """Stop after a comment that is being written is finished."""
        self._over.set()
        self._thread.join()


def follow(context: RunContext, every: float, timeout: float) -> Live:
    """Keep the comment up to date while another process runs the stages; return when they have ended.

    Args:
        timeout: seconds to wait for the stages to begin.
    """
    live, begun, before = Live(context, every), False, snapshot(context).record.reproduce
    # A result that is there already may be that of stages which had nothing to do, or of the build before.
    until = time.monotonic() + (timeout if before is None else min(timeout, _SOON))
    while True:
        run = snapshot(context)
        begun = begun or run.progress is not None or run.record.reproduce != before
        over = run.progress is None and (begun or time.monotonic() > until)
        live.refresh(run)
        if over:
            return live
        time.sleep(_INTERVAL)
