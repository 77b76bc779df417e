"""`mlbutler run`: the whole list, from tests to telling the reviewers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from mlbutler.commands.start import begin
from mlbutler.console import Console, human_bytes, human_seconds
from mlbutler.errors import Interrupted, UsageError
from mlbutler.forge.interface import CommitStatus
from mlbutler.frozen import frozen
from mlbutler.pipeline import BAD, LEAST_SHOWN, NAMES, SKIPPED, run_all
from mlbutler.record import Outcome, Record, StepResult
from mlbutler.record_file import dumps
from mlbutler.steps import plan
from mlbutler.steps.context import RunContext, StepOptions


@frozen
class RunOptions:
    """What the command line asks of a run.

    Attributes:
        share: outside CI, let results leave this machine; a CI server's run always does.
        live: seconds between two versions of the comment, at least, while the run is under way; None: only its end.
        discard: replace files of the work tree that no store holds.
        isolate: how the project's code is isolated; None for what the settings say.
    """

    against: str | None = None
    only: Sequence[str] = ()
    skip: Sequence[str] = ()
    publish: bool = True
    share: bool = False
    live: float | None = None
    discard: bool = False
    isolate: str | None = None


def run(
    directory: Path,
    console: Console,
    options: RunOptions,
) -> int:
    """Run every step on the checkout at `directory`; return the exit code.

    Raises:
        UsageError: a step's name is unknown, or as `begin`.
    """
    for name in (*options.only, *options.skip):
        if name not in NAMES:
            raise UsageError(f"There is no step '{name}'.", f"The steps are {', '.join(NAMES)}.")
    with begin(directory, console, options.against, anew=True) as context:
        context.options = StepOptions(
            shares=options.share or context.record.change.ci != "local", discard=options.discard,
            isolate=options.isolate, earlier_plan=plan.earlier(context),
        )  # fmt: skip
        introduce(context)
        left_out = [*options.skip, *([] if options.publish else ["publish"])]
        tells = "publish" not in left_out and (not options.only or "publish" in options.only)
        if tells:
            _announce(context, CommitStatus.PENDING, "Running")
        if tells and options.live is not None and context.trusted and context.record.change.kind != "local":
            from mlbutler.steps.live import LiveThread

            context.progress.live = LiveThread(context, options.live)
        try:
            code = run_all(context, only=options.only, skip=left_out)
        except BaseException as stop:  # whatever it is: no status may say forever that the run is under way
            if tells:
                if isinstance(stop, (Interrupted, KeyboardInterrupt)):
                    _announce(context, CommitStatus.CANCELED, "Interrupted: nothing is judged")
                else:
                    _announce(context, CommitStatus.ERROR, "The run was stopped")
            raise
        finally:
            if context.progress.live is not None:
                context.progress.live.end()
        summarize(context)
        if console.json:
            print(dumps(context.record, console.redactor))
        return code


def _announce(context: RunContext, state: CommitStatus, sentence: str) -> None:
    from mlbutler.steps.reviewers import announce  # which opens forges: a run that tells nobody needs none

    announce(context, state, sentence)


def introduce(context: RunContext) -> None:
    """Show what is worked on."""
    change = context.record.change
    what = f"pull request {change.number}" if change.number else change.head_branch or "detached HEAD"
    against = f" against {change.target_branch}" if change.target_branch else ""
    base = f" (merge base {change.base[:10]})" if change.base else ""
    context.console.line(f"{what} at {change.head[:10]}{against}{base}")
    if change.merge:
        context.console.line(
            "HEAD is a merge that the CI server made: that tree is reproduced, and it is never pushed."
        )
    if change.approved:
        context.console.line(
            f"The change comes from a fork, and {change.approved} approved this commit: it runs as one of ours."
        )
    elif change.fork:
        context.console.line("The change comes from a fork: no credentials are used and nothing is written.")


def summarize(context: RunContext) -> None:
    """Show a line for each step, where the results are, and at last what went wrong and what to do."""
    console, record = context.console, context.record
    console.heading("summary")
    for name, result in record.steps():
        took = f" ({human_seconds(result.duration)})" if result.duration >= LEAST_SHOWN else ""
        if result.reason != SKIPPED or console.verbose:  # the user asked for that
            console.line(f"{name:<10} {result.outcome:<8}{took} {result.reason}", result.outcome)
    if record.sync and record.sync.moved:
        moved = ", ".join(f"{human_bytes(m.bytes)} from {m.place}" for m in record.sync.moved if m.objects)
        console.line(f"brought: {moved or 'nothing'}")
    if record.report and record.report.outcome is Outcome.PASSED:
        files = dict(record.report.files)
        if page := files.get("html"):
            console.path("report", context.root / page, page)
        for kind, path in record.report.files:
            console.detail(f"report ({kind}): {path}")
    console.line(f"record: {context.record_path.relative_to(context.root)}")
    for line in _results(context.options, context.record):
        console.line(line)
    for name, result in record.steps():  # once more, where a person looks
        if result.outcome in BAD:
            console.line(f"{result.outcome}: {name}: {result.reason}", result.outcome)
    for line in _next(context.options, context.record):
        console.line(f"next: {line}")


def _results(options: StepOptions, record: Record) -> Iterator[str]:
    """Say where the results are, and what was not shared."""
    commit, push = record.commit, record.push
    sent = ", ".join(f"{human_bytes(m.bytes)} to {m.place}" for m in push.moved if m.objects) if push else ""
    if sent:
        yield f"sent: {sent}"
    if commit is not None and commit.commit:
        yield f"results: commit {commit.commit[:10]} on {commit.branch}"
    elif commit is not None and commit.files:
        where = "in this work tree" if record.change.kind == "local" else "not on the branch"
        yield f"results: {where}, {commit.reason}"
    if not options.shares:
        yield from (step.reason for step in _unshared_steps(record))


def _next(options: StepOptions, record: Record) -> Iterator[str]:
    """Say what to do next: what went wrong comes before all else."""
    bad = next((result for _, result in record.steps() if result.outcome in BAD and result.remedy), None)
    if bad is not None:
        yield bad.remedy
        return
    if record.commit is not None and record.commit.files and record.commit.remedy:
        yield record.commit.remedy
    waiting = [] if options.shares else _unshared_steps(record)
    if waiting:
        from mlbutler.steps.unshared import SHARE

        yield f"{' and '.join(step.remedy for step in waiting)} (or {SHARE})"


def _unshared_steps(record: Record) -> list[StepResult]:
    return [step for step in (record.push, record.publish) if step is not None and step.remedy]
