"""publish: one comment that is updated in place, and a status on the head."""

from __future__ import annotations

from collections.abc import Callable

from mlbutler import record_file
from mlbutler.forge.interface import Forge, Posted, State
from mlbutler.forge.registry import open_forge
from mlbutler.record import Change, Outcome, PublishResult
from mlbutler.steps.work import Work

_STATES = {
    Outcome.PASSED: State.SUCCESS,
    Outcome.SKIPPED: State.SUCCESS,
    Outcome.FAILED: State.FAILURE,
    Outcome.ERROR: State.ERROR,
}


def run(work: Work) -> PublishResult:
    """Tell the reviewers through the forge.

    Raises:
        ForgeError: the forge could not be reached or written. SettingsError: it lacks a setting.
    """
    place = work.settings.report.directory
    if not work.trusted:
        return _skipped(f"a fork's change publishes nothing; the report is in {place}")
    forge = open_forge(work.settings.forge, work.root)
    if forge is None:
        return _skipped(f"no forge configured; the report is in {place}")
    change = work.record.change
    if change.number is None and change.kind != "branch":
        return _skipped(f"not a pull request; the report is in {place}")
    posted = _comment(work, forge) if change.number is not None else None
    status = _status(work, forge)
    return PublishResult(
        outcome=Outcome.PASSED,
        reason=_said(posted),
        forge=forge.name,
        comment=posted.location if posted else "",
        status=status,
    )


def _skipped(reason: str) -> PublishResult:
    return PublishResult(outcome=Outcome.SKIPPED, reason=reason)


def _said(posted: Posted | None) -> str:
    if posted is None:
        return "status set; no pull request to comment on"
    if posted.newer:
        return f"status set; the comment tells of the newer commit {posted.newer[:8]} and stays"
    return "comment and status set"


def _comment(work: Work, forge: Forge) -> Posted:
    from mlbutler.report import build, markdown

    record = record_file.redacted(work.record, work.console.redactor)
    takes = forge.capabilities
    body = markdown.render(record, work.settings.report, takes.comment_limit, takes.unit)
    return forge.comment(record.change, build.title(record), body, _is_older(work, record.change))


def _status(work: Work, forge: Forge) -> str:
    from mlbutler.report import build, headline

    record = record_file.redacted(work.record, work.console.redactor)
    sentence = headline.headline(record).plain(forge.capabilities.sentence_limit)
    state = _STATES[headline.outcome(record)]
    return forge.status(record.change, build.title(record), state, sentence, record.change.build_url)


def _is_older(work: Work, change: Change) -> Callable[[str], bool]:
    """Is our head older than another commit? A clone that lacks the other asks the remote once.

    A commit that the branch no longer holds (a force-push) is not newer, whatever its date.
    """

    def is_older(other: str) -> bool:
        if not _is_commit_id(other):
            return False
        if work.git.resolve(other) is None and change.git_remote and change.head_branch:
            work.git.fetch(change.git_remote, f"refs/heads/{change.head_branch}")
        return work.git.is_ancestor(change.head, other)

    return is_older


def _is_commit_id(text: str) -> bool:
    return len(text) in (40, 64) and all(c in "0123456789abcdef" for c in text)
