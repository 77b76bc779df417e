"""publish: one comment that is updated in place, and a status on the head."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import suppress

from mlbutler import record_file
from mlbutler.errors import SettingsError
from mlbutler.forge import detect
from mlbutler.forge.interface import Forge, NotOffered, Posted, State
from mlbutler.forge.opening import NoToken, Opening
from mlbutler.forge.registry import open_forge
from mlbutler.record import Change, Outcome, PublishResult, Record
from mlbutler.settings import FILE_NAME, parse
from mlbutler.settings import Forge as Settings
from mlbutler.steps.work import Work
from mlbutler.store.trust import target_revisions

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
        UsageError: several pull requests hold the commit.
    """
    place = work.settings.report.directory
    if not work.trusted:
        return _skipped(f"a fork's change publishes nothing; the report is in {place}")
    if work.record.change.kind == "local" and work.pipeline:
        return _skipped(f"not on a CI server; the report is in {place}, and `mlbutler publish` publishes it")
    try:
        forge = opened(work)
    except NoToken as error:
        if work.settings.forge.kind or work.settings.forge.url:
            raise
        return _skipped(f"{error.message[:-1]}; the report is in {place}")
    if forge is None:
        return _skipped(f"no forge configured; the report is in {place}")
    change = _placed(work, forge)
    posted = None
    if change.number is not None or forge.capabilities.commit_comments:
        try:
            posted = _comment(work, forge, change)
        except NotOffered as error:
            return dataclasses.replace(
                _skipped(f"{error.message[:-1]}; the report is in {place}"), remedy=error.remedy, forge=forge.name
            )
    status = _status(work, forge, change) if forge.capabilities.statuses else ""
    return PublishResult(
        outcome=Outcome.PASSED,
        reason=_said(posted, bool(forge.capabilities.statuses)),
        forge=forge.name,
        comment=posted.location if posted else "",
        status=status,
    )


def opened(work: Work) -> Forge | None:
    """The forge that the settings, the CI server or the clone name, None when none does.

    Raises:
        SettingsError: a setting is missing, or the change brought one that sends the token elsewhere.
        NoToken: there is no token for it.
    """
    change = work.record.change
    there = detect.place(work.settings.forge, work.environ, change)
    if there is None:
        return None
    detect.agree(work.loaded, there, change, lambda: _settings_before(work))
    return open_forge(Opening(place=there, environ=work.environ, root=work.root, say=work.console.line))


def _settings_before(work: Work) -> list[Settings]:
    """Settings of the target branch and of the commit that the change grew from."""
    found = []
    for rev in target_revisions(work.git, work.record.change):
        for name in (FILE_NAME, "pyproject.toml"):
            if (content := work.git.show(rev, work.prefix + name)) is not None:
                with suppress(SettingsError):
                    found.append(parse(content.decode("utf-8", "replace"), name).forge)
                break
    return found


def _placed(work: Work, forge: Forge) -> Change:
    """The change with its pull request's number, which the forge is asked for where the CI server named none."""
    change = work.record.change
    if change.number is not None:
        return change
    pull = forge.pull_request(change)
    if pull is None:
        return change
    return dataclasses.replace(change, number=pull.number, url=pull.url, title=change.title or pull.title)


def _skipped(reason: str) -> PublishResult:
    return PublishResult(outcome=Outcome.SKIPPED, reason=reason)


def _said(posted: Posted | None, status: bool) -> str:
    if posted is None:
        said = "no pull request to comment on"
        return f"status set; {said}" if status else said
    if posted.newer:
        stays = f"the comment tells of the newer commit {posted.newer[:8]} and stays"
        return f"status set; {stays}" if status else stays
    return "comment and status set" if status else "comment set; this forge has no statuses"


def _comment(work: Work, forge: Forge, change: Change) -> Posted:
    from mlbutler.report import build, markdown

    record = _redacted(work, change)
    takes = forge.capabilities
    limits = markdown.Limits(takes.comment_limit, takes.unit, takes.html)
    body = markdown.render(record, work.settings.report, limits)
    return forge.comment(change, build.title(record), body, _is_older(work, change))


def _status(work: Work, forge: Forge, change: Change) -> str:
    from mlbutler.report import build, headline

    record = _redacted(work, change)
    sentence = headline.headline(record).plain(forge.capabilities.sentence_limit)
    state = _STATES[headline.outcome(record)]
    return forge.status(change, build.title(record), state, sentence, change.build_url)


def _redacted(work: Work, change: Change) -> Record:
    return record_file.redacted(dataclasses.replace(work.record, change=change), work.console.redactor)


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
