"""From the record to the report: which sections there are, and in which order."""

from __future__ import annotations

import dataclasses
from typing import Any

from mlbutler import numbers
from mlbutler.record import Change, Outcome, Record
from mlbutler.report import (
    definitions,
    differences,
    history,
    links,
    metrics,
    predictions,
    repeats,
    results,
    run,
    stages,
    verified,
)
from mlbutler.report.headline import OUTCOME_TONES, headline, judged_steps, outcome
from mlbutler.report.model import Line, Report, Section, code, link, plain
from mlbutler.settings import ReportSettings as Settings

NAME = "mlbutler"
UNVERIFIED = "from a fork, not verified"


def title(record: Record) -> str:
    """Return what tells this report from others in the same pull request.

    The pipeline's name, and the project's folder in a monorepo: ``mlbutler/gpu vision``. No two titles are alike, since
    a name has neither space nor slash. What an untrusted build says never takes the place of our own report.
    """
    folder = record.project.strip("/")
    own = f"{NAME}/{record.report_name}" if record.report_name else NAME
    own = f"{own} {folder}" if folder else own
    return f"{own} {UNVERIFIED}" if record.unverified else own


def build(record: Record, settings: Settings) -> Report:
    """Build the report on everything but itself: its own step and its publication are omitted.

    Of an interrupted run it says how far it came, and nothing that could be read as a verdict.
    """
    interrupted = outcome(record) is Outcome.INTERRUPTED
    record = _without_verdict(record) if interrupted else record
    compare = None if interrupted else record.compare
    sections: list[Section | None] = []
    if compare is not None:
        sections += [*metrics.sections(compare, settings), repeats.section(compare, settings.precision)]
        about = predictions.section(compare, settings.precision)
        # People look before they read.
        sections += [differences.not_judged(compare), differences.plots(compare, settings), about]
        sections += [differences.code_files(compare), definitions.section(compare)]
    sections.append(run.moved_remotes(record))
    if not interrupted:  # what ended in between judges nothing
        got = results.section(record)
        waiting = got if got is not None and not got.folded else None  # somebody has to do something
        sections += [waiting, run.failures(record), run.tests(record)]
        sections += [verified.section(record), run.checks(record)]
    if compare is not None:
        sections += [differences.params(compare), differences.data(compare)]
        sections.append(history.section(compare, settings.precision))
    if not interrupted and got is not waiting:
        sections.append(got)
    sections += [stages.stages(record), run.transfers(record), None if interrupted else run.lint_section(record)]
    sections += [run.steps(record), run.provenance(record)]
    return Report(
        title=title(record),
        experiment=record.change.head_branch or "",
        headline=headline(record),
        subject=_subject(record),
        places=tuple(
            filter(
                None,
                (_build(record), _report_page(record), results.commit_line(record), results.tracker_run_line(record)),
            )
        ),
        steps=tuple((name, str(r.outcome), OUTCOME_TONES[r.outcome]) for name, r in judged_steps(record)),
        sections=tuple(section for section in sections if section is not None),
        head=record.change.head,
        more=_more(record, settings),
    )


def fields(record: Record, settings: Settings) -> tuple[tuple[str, str], ...]:
    """Return (metric, what became of it) of the first metrics, for a place that has room for a few fields."""
    if record.compare is None or outcome(record) is Outcome.INTERRUPTED:
        return ()
    return metrics.fields(record.compare, settings)


def _without_verdict(record: Record) -> Record:
    verdicts = {"check": record.check, "compare": record.compare}
    left: dict[str, Any] = {
        name: None for name, result in verdicts.items() if result and result.outcome is not Outcome.INTERRUPTED
    }
    return dataclasses.replace(record, **left)


def _subject(record: Record) -> Line:
    """Return what was compared with what."""
    change = record.change
    line: Line = (links.commit(change.head, change),)
    if change.uncommitted_count:
        line = (*line, plain(f" and {numbers.count(change.uncommitted_count, 'uncommitted file')}"))
    if change.number:
        what = f"pull request {change.number}"
        line = (*line, plain(" of "), link(what, change.url) if change.url else plain(what))
    elif change.head_branch:
        line = (*line, plain(f" of {change.head_branch}"))
    if base := (record.compare.old_rev if record.compare else "") or change.base:
        # Another than the change's where somebody compared with it by name and took other steps since.
        name = _target(change) if base == (change.base or base) else "as asked for"
        line = (*line, plain(" against "), links.commit(base, change), plain(f" ({name})"))
    if change.approved:
        return (*line, plain(f", from a fork, approved by {change.approved} at {change.head[:10]}"))
    return (*line, plain(", from a fork")) if change.fork else line


def _target(change: Change) -> str:
    name = change.target_branch or "target"
    if not change.on_target:
        return name
    which = "without the uncommitted files" if change.base == change.head else "the commit before"
    return f"{which}: this is {name} itself"


def _places(record: Record) -> tuple[Line, ...]:
    return _build(record), _report_page(record), results.commit_line(record), results.tracker_run_line(record)


def _build(record: Record) -> Line:
    return (link("build", record.change.build_url),) if record.change.build_url else ()


def _report_page(record: Record) -> Line:
    page = links.report_page(record.change)
    return (link("whole report", page),) if page else ()


def _more(record: Record, settings: Settings) -> Line:
    place = f"{settings.directory.rstrip('/')}/report.html"
    if page := links.report_page(record.change):
        return (link("The whole report", page),)
    if record.change.build_url:
        return plain("The whole report is "), code(place), plain(" of "), link("the build", record.change.build_url)
    return plain("The whole report is "), code(place)
