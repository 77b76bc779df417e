"""Publishing: one comment that is updated in place, and a status on the head."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from mlbutler.change.order import is_older
from mlbutler.errors import MlbutlerError
from mlbutler.forge.hosted import Hosted
from mlbutler.forge.http import RequestRefused
from mlbutler.forge.interface import CommitStatus, Forge, NotOffered, PictureFile, Posted, StatusDetails
from mlbutler.forge.opening import NoToken
from mlbutler.git import Git
from mlbutler.git import verified as git_verified
from mlbutler.record import Change, Outcome, PublishResult, Record
from mlbutler.record_ended import close_record
from mlbutler.report.plots.figure import File
from mlbutler.steps import agreed as steps_agreed
from mlbutler.steps import unshared
from mlbutler.steps.comment_settings import agreed_comment_settings, is_wanted, layout
from mlbutler.steps.context import RunContext
from mlbutler.steps.notify import notify_webhook
from mlbutler.steps.report_branch import BranchReport, publish_report
from mlbutler.steps.results_pull_request import open_pull_request
from mlbutler.steps.reviewers import STATES, connect_forge, record_to_publish, with_pull_request
from mlbutler.steps.tracked import log_to_mlflow

_MOST_PICTURES = 30
_SENTENCE_LIMIT = 500
_CHECK_LIMIT = 65_000
"""Characters of a check's text; GitHub takes 65,535."""


def run(context: RunContext, command: str | None = None) -> PublishResult:
    """Publish the report to the forge, the result to the MLflow server, and notify the webhook.

    Args:
        command: hand the report to this shell command instead of a forge.

    Raises:
        ForgeError, OutsideError: forge, MLflow server or webhook could not be reached or written; a failure of one does
            not keep the report from the others.
        SettingsError: a setting is missing. UsageError: several pull requests hold the commit.
    """
    if not context.options.shares:
        return unshared.publish(context)
    if context.progress.live is not None:
        context.progress.live.end()
    problems: list[MlbutlerError] = []
    track = _call_or_collect(lambda: log_to_mlflow(context), problems)
    try:
        result = _hand_to_command(context, command) if command else _publish_to_forge(context)
    except MlbutlerError as error:
        result = error.partial if isinstance(error.partial, PublishResult) else _error_result(error)
        problems.insert(0, error)
    note = _call_or_collect(lambda: notify_webhook(context), problems)
    result = dataclasses.replace(result, reason="; ".join(filter(None, (result.reason, track, note))))
    if problems:
        problems[0].partial = dataclasses.replace(result, outcome=Outcome.ERROR)
        raise problems[0]
    return result


def _call_or_collect(call: Callable[[], str], problems: list[MlbutlerError]) -> str:
    """Return what the call says; that it failed goes to the problems, and nothing else is kept from being done."""
    try:
        return call()
    except MlbutlerError as error:
        problems.append(error)
        return error.message


def _hand_to_command(context: RunContext, command: str) -> PublishResult:
    from mlbutler.forge.command import hand_over
    from mlbutler.report import build, headline, markdown

    if not context.trusted:
        return _skipped_result("a fork's change publishes nothing")
    change = context.record.change
    record = record_to_publish(context, change)
    said = headline.headline(record)
    hand_over(
        command,
        markdown.render(record, context.settings.report),
        record.change,
        STATES[headline.outcome(record)],
        said.plain(_SENTENCE_LIMIT),
        title=build.title(record),
        directory=context.root,
        environ=context.environ,
        say=context.console.line,
    )
    return PublishResult(outcome=Outcome.PASSED, reason="handed to the command", forge="command")


def _publish_to_forge(context: RunContext) -> PublishResult:
    place = context.settings.report.directory
    if not context.trusted:
        return _skipped_result(f"a fork's change publishes nothing; the report is in {place}")
    try:
        forge = connect_forge(context)
    except NoToken as error:
        if context.settings.forge.kind or context.settings.forge.url:
            raise
        return _skipped_result(f"{error.message[:-1]}; the report is in {place}")
    if forge is None:
        return _skipped_result(f"no forge configured; the report is in {place}")
    change = with_pull_request(context, forge)
    posted, refused = None, None
    note = open_pull_request(context, forge, change)
    tip = _find_newer_commit(context.git, context.record, change)
    if tip:
        posted = Posted("", newer=tip)
    elif change.number is not None or forge.capabilities.commit_comments:
        try:
            posted = _comment(context, forge, change)
        except NotOffered as error:
            return _publish_on_branch(context, forge, change, error)
        except RequestRefused as error:
            refused = error  # the token may still set statuses, and a pending one would stay
    status = ""
    if forge.capabilities.statuses:
        try:
            status = _status(context, forge, change)
        except MlbutlerError as error:
            raise refused or error from error
    if refused is not None:
        refused.partial = dataclasses.replace(_error_result(refused), forge=forge.name, status=status)
        raise refused
    return PublishResult(
        outcome=Outcome.PASSED,
        reason="; ".join(filter(None, (_describe_posted(posted, forge.capabilities.no_status), note))),
        forge=forge.name,
        comment=posted.location if posted else "",
        status=status,
    )


def _find_newer_commit(git: Git, record: Record, change: Change) -> str:
    """Return the commit that an interrupted build's branch has now, '' while it is still ours.

    The comment is left to the build of that commit, which may not have written it yet.
    """
    from mlbutler.report import headline

    remote, branch = change.git_remote, change.head_branch
    if headline.outcome(close_record(record)) is not Outcome.INTERRUPTED or not remote or not branch:
        return ""
    try:
        tip = git.remote_refs(remote, f"refs/heads/{branch}").get(f"refs/heads/{branch}", "")
    except MlbutlerError:
        return ""
    return tip if tip != change.head else ""


def _publish_on_branch(context: RunContext, forge: Forge, change: Change, error: NotOffered) -> PublishResult:
    """Push the report to a branch, whose files the forge shows, where the forge accepts no comment."""
    kept = f"{error.message[:-1]}; the report is in {context.settings.report.directory}"
    try:
        left = publish_report(context, change, forge.capabilities, is_older(context.git, change))
    except MlbutlerError as problem:
        reason = f"{kept}, and on no branch: {problem.message}"
        return dataclasses.replace(_skipped_result(reason), remedy=error.remedy, forge=forge.name)
    if not left.branch:
        return dataclasses.replace(_skipped_result(kept), remedy=error.remedy, forge=forge.name)
    stays = f", where that of the newer commit {left.newer[:8]} stays" if left.newer else ""
    return PublishResult(
        outcome=Outcome.PASSED,
        reason=f"{error.message[:-1]}; the report is on the branch {left.branch}{stays}",
        forge=forge.name,
        comment=left.branch,
    )


def _error_result(error: MlbutlerError) -> PublishResult:
    return PublishResult(outcome=Outcome.ERROR, reason=error.message)


def _skipped_result(reason: str) -> PublishResult:
    return PublishResult(outcome=Outcome.SKIPPED, reason=reason)


def _describe_posted(posted: Posted | None, no_status: str) -> str:
    """Return what was published. `no_status`: why there is no status, '' when one was set."""
    if posted is None:
        said = "no pull request to comment on"
        return said if no_status else f"status set; {said}"
    if posted.newer:
        stays = f"the comment is that of the newer commit {posted.newer[:8]} and stays"
        return stays if no_status else f"status set; {stays}"
    if posted.absent:
        said = "no comment is wanted (comment.when)"
        return said if no_status else f"status set; {said}"
    return f"comment set; {no_status}" if no_status else "comment and status set"


def _comment(context: RunContext, forge: Forge, change: Change) -> Posted:
    from mlbutler.report import build, markdown, pictures

    record, settings = record_to_publish(context, change), context.settings.report
    takes = forge.capabilities
    limits = markdown.Limits(takes.comment_limit, takes.unit, takes.html, takes.folds)
    report = build.build(record, settings)
    older = is_older(context.git, change)
    files = pictures.of_report(report) if change.number is not None else ()
    short = not takes.folds and bool(markdown.sections_on_demand(report))
    comment = agreed_comment_settings(context)
    elsewhere = bool(files) and comment.pictures and comment.pictures_in is not None
    linked = takes.pictures == "linked" and bool(files) and comment.pictures and not elsewhere
    left = _push_report_branch(context, forge, change) if short or linked else BranchReport()
    branch = left.branch if short else ""
    form, create = layout(context), is_wanted(comment, record)

    def post(placed: Mapping[str, str] | None = None, limits: markdown.Limits = limits) -> Posted:
        text = markdown.fit(report, limits, placed, branch, form)
        try:
            return forge.comment(change, report.title, text, older, create=create)
        except RequestRefused as error:
            half = dataclasses.replace(limits, size=limits.measure(text) // 2)
            if not error.too_long or markdown.fit(report, half, placed, branch, form) == text:
                raise
            return post(placed, half)  # this server takes less than others of its kind

    if not files:
        return post()
    if elsewhere:
        return post(_put_elsewhere(context, change, files[:_MOST_PICTURES], older))
    if takes.pictures == "linked":
        return post(left.pictures if linked else None)
    files = files[:_MOST_PICTURES]
    if takes.pictures == "data-uri":
        return post({file.name: pictures.data_uri(file) for file in files})
    sent = [PictureFile(file.name, file.media, file.content) for file in files]
    at = forge.attach(change, report.title, sent, older)
    if at is None:
        posted = post()
        if posted.newer or posted.absent:
            return posted
        at = forge.attach(change, report.title, sent, older)
    return post(at)


def _put_elsewhere(
    context: RunContext, change: Change, files: Sequence[File], is_older: Callable[[str], bool]
) -> dict[str, str] | None:
    """Return the pictures' addresses where the team wants them; None where they could not be put there."""
    from mlbutler.steps.pictures_place import upload_pictures

    settings = steps_agreed.agreed_section(context, "comment", context.settings.comment, branches=True)
    try:
        return upload_pictures(context, change, settings, files, is_older) if settings.pictures_in else None
    except MlbutlerError as error:
        context.console.line(f"The comment has no pictures: {error.message} {error.remedy}")
        return None


def _push_report_branch(context: RunContext, forge: Forge, change: Change) -> BranchReport:
    """Return the report as it was pushed to its branch; where it could not be, the comment goes without."""
    try:
        return publish_report(context, change, forge.capabilities, is_older(context.git, change))
    except MlbutlerError as error:
        context.console.line(f"The report is on no branch, so that the comment has no pictures: {error.message}")
        return BranchReport()


def _status(context: RunContext, forge: Forge, change: Change) -> str:
    from mlbutler.report import build, headline

    record = record_to_publish(context, change)
    sentence = headline.headline(record).plain(forge.capabilities.sentence_limit)
    state = STATES[headline.outcome(record)]
    place = forge.status(change, build.title(record), state, sentence, change.build_url)
    _detail(context, forge, change, record, state, sentence)
    if (results := _results_commit(context.git, context.record, change)) is not None:
        # Where the push of it starts no build, nothing else would ever tell what a required check waits for.
        forge.status(results, build.title(record), state, sentence, change.build_url)
    return place


def _detail(
    context: RunContext, forge: Forge, change: Change, record: Record, state: CommitStatus, sentence: str
) -> None:
    """Show the report beside the status, where the forge has a place; that it cannot be is no reason to stop."""
    from mlbutler.report import annotations, build, markdown

    if not isinstance(forge, Hosted):
        return
    settings = context.settings.report
    limits = markdown.Limits(_CHECK_LIMIT)
    details = StatusDetails(
        markdown.render(record, settings, limits), annotations.remarks(record), build.fields(record, settings)
    )
    try:
        forge.detail(change, build.title(record), state, sentence, change.build_url, details)
    except MlbutlerError as error:
        context.console.line(f"The status has no details: {error.message}")


def _results_commit(git: Git, record: Record, change: Change) -> Change | None:
    """Return the change with the results commit as its head, where the branch has it right on what was judged here.

    The record may be anybody's: Git and its remote have to say the same.
    """
    made, remote, branch = record.commit, change.git_remote, change.head_branch
    if made is None or made.outcome is not Outcome.PASSED or not made.commit or remote is None or branch is None:
        return None
    ref = f"refs/heads/{branch}"
    try:
        tip = git.remote_refs(remote, ref).get(ref)
        parents = git_verified.parents(git_verified.read_objects(git, [made.commit]).get(made.commit, b""))
    except MlbutlerError:
        return None
    if tip != made.commit or parents != [change.head]:
        return None  # a build of what the branch has now sets its status
    return dataclasses.replace(change, head=made.commit)
