"""`mlbutler on-comment`: what a comment on a pull request asks for, where its author may write to the repository.

It says what to run, as lines of ``name=value`` of letters that no shell takes for more; the pipeline's script runs it.
"""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

from mlbutler.ci.github_actions import without_event
from mlbutler.commands.start import begin
from mlbutler.console import Console
from mlbutler.errors import EXIT_PASSED, AccessDenied, ForgeError, GitError, SettingsError, UsageError
from mlbutler.escape import markdown
from mlbutler.forge.approval import Approval, find_approval, name, objection
from mlbutler.forge.comment_command import USAGE, Approve, Command, Repeat, Rerun, Verify, Waive, parse_command
from mlbutler.forge.comment_event import CommentEvent, is_number, read_event
from mlbutler.forge.hosted import Hosted
from mlbutler.forge.interface import Comment
from mlbutler.frozen import frozen, frozen_by_name
from mlbutler.record import Change
from mlbutler.steps.context import RunContext
from mlbutler.steps.pull_request_head import head_of
from mlbutler.steps.reviewers import connect_comment_forge
from mlbutler.steps.waiver_proposal import propose

_EVENT = "GITHUB_EVENT_PATH"


@frozen_by_name
class RequestedRun:
    """A run that somebody asked for.

    Attributes:
        number: of the pull request. commit: its head, which is run. approved: the value of `MLBUTLER_APPROVED`, for a
            fork's. repeats, sample: values of `MLBUTLER_COMPARE_REPEATS` and `MLBUTLER_VERIFY_SAMPLE`.
    """

    number: str
    commit: str
    approved: str = ""
    repeats: str = ""
    sample: str = ""


@frozen
class Reply:
    """What is said in return, and what is to be run, if anything."""

    text: str
    wanted: RequestedRun | None = None


def on_comment(directory: Path, console: Console, event: Path | None, number: str, comment: str) -> int:
    """Do what a new comment asks for, or say what to run; return the exit code.

    Args:
        event: the event's or webhook's JSON. number, comment: of pull request and comment, in its place.

    Raises:
        UsageError: nothing names a comment, there is no forge, or this is a fork's build. ForgeError, GitError.
    """
    told = _read_comment_event(event, number, comment)
    if told is None:
        console.line("nothing to do: this is not a new comment on a pull request")
        return _print_request(console, None, "")
    with begin(directory, console, watching=True, environ=without_event(os.environ)) as context:
        if not context.trusted or context.record.change.kind == "pull-request":
            raise UsageError("This is the build of a pull request.", "Run it in a checkout of the default branch.")
        forge = connect_comment_forge(context, os.environ)
        here = context.record.change
        target = here.head_branch if here.kind == "branch" else here.target_branch
        change = dataclasses.replace(here, kind="pull-request", number=told.number, target_branch=target)
        written = next((one for one in forge.comments(change) if one.id == told.comment), None)
        command = parse_command(written.body) if written is not None else None
        if written is None or command is None:
            console.line("nothing to do: the comment is not a command")
            return _print_request(console, None, "")
        if problem := objection(forge, written):
            console.line(f"nothing is done: {problem}")
            return _print_request(console, None, problem)
        answer = _CommandHandler(context, forge, change, written).answer(command)
        console.line(answer.text)
        _reply(console, forge, change, answer.text)
        return _print_request(console, answer.wanted, answer.text)


def _read_comment_event(event: Path | None, number: str, comment: str) -> CommentEvent | None:
    if number or comment:
        if not is_number(number) or not is_number(comment):
            raise UsageError("--number and --comment are two numbers.", "Pass what the webhook says.")
        return CommentEvent(number, comment)
    path = event or (Path(os.environ[_EVENT]) if os.environ.get(_EVENT) else None)
    if path is None:
        raise UsageError(
            "Nothing says which comment.", f"Pass --event FILE, or --number and --comment; or set {_EVENT}."
        )
    return read_event(path)


class _CommandHandler:
    """Answers a command of somebody who may write."""

    def __init__(self, context: RunContext, forge: Hosted, change: Change, comment: Comment) -> None:
        self._context, self._forge, self._change, self._comment = context, forge, change, comment
        self._who = name(comment)

    def answer(self, command: Command) -> Reply:
        """Return what is said and what is to be run."""
        if isinstance(command, Approve):
            return self._approve(command.commit)
        if isinstance(command, Waive):
            return self._propose_waiver(command)
        if isinstance(command, Rerun | Repeat | Verify):
            return self._run(command)
        listed = ", ".join(f"`{usage}`" for usage in USAGE)
        return Reply(f"This is not a command. There are {listed}, each alone in its comment.")

    def _head(self, commit: str = "") -> str:
        return head_of(self._context, self._forge, str(self._change.number), commit)

    def _approve(self, commit: str) -> Reply:
        head = self._head(commit)
        if head != commit:
            return Reply(f"Nothing is approved: {commit[:10]} is not the head of this pull request.")
        wanted = self._build_request(Approval(commit, self._who))
        return Reply(f"{self._who} approved {commit}: it is run as one of the repository's own.", wanted)

    def _run(self, command: Rerun | Repeat | Verify) -> Reply:
        head = self._head()
        if not head:
            return Reply("Nothing is run: which commit this pull request has now is not known.")
        approval = Approval(head, "")
        if not self._is_ours(head):
            found = find_approval(self._forge, dataclasses.replace(self._change, head=head))
            if found is None:
                return Reply(
                    f"Nothing is run: {head} is a fork's, and nobody approved it (`/mlbutler approve COMMIT`)."
                )
            approval = found
        wanted = self._build_request(approval)
        if isinstance(command, Repeat):
            wanted = dataclasses.replace(wanted, repeats=str(command.count))
        elif isinstance(command, Verify):
            wanted = dataclasses.replace(wanted, sample="100%")
        return Reply(f"{self._who} asked for a run of {head}: it reports here.", wanted)

    def _build_request(self, approval: Approval) -> RequestedRun:
        said = f"{approval.commit} {approval.by}" if approval.by else ""
        return RequestedRun(number=str(self._change.number), commit=approval.commit, approved=said)

    def _is_ours(self, head: str) -> bool:
        """Return whether a branch of the repository has this commit as its tip."""
        remote = self._change.git_remote
        return remote is not None and head in self._context.git.remote_refs(remote, "refs/heads/*").values()

    def _propose_waiver(self, command: Waive) -> Reply:
        try:
            pull = propose(self._context, self._forge, self._with_target_branch(), command, self._who, self._comment.id)
        except (SettingsError, GitError, AccessDenied, ForgeError, UsageError) as error:
            return Reply(f"The waiver could not be proposed: {markdown(error.message)}")
        return Reply(f"{self._who} asked for a waiver: pull request {pull.number} proposes it. {pull.url}".rstrip())

    def _with_target_branch(self) -> Change:
        """Return the change with the branch that the pull request goes into, where the forge knows it by its head."""
        head = self._head()
        if not head:
            return self._change
        pull = self._forge.pull_request(dataclasses.replace(self._change, head=head, head_branch=None, number=None))
        target = pull.target_branch if pull is not None and pull.number == self._change.number else ""
        return dataclasses.replace(self._change, target_branch=target or self._change.target_branch)


def _reply(console: Console, forge: Hosted, change: Change, text: str) -> None:
    """Answer with a comment; what was asked for is done all the same where that fails."""
    try:
        forge.say(change, text)
    except ForgeError as error:
        console.error(f"The comment is not answered: {error.message}")


def _print_request(console: Console, wanted: RequestedRun | None, text: str) -> int:
    """Print what is to be run, for the pipeline's script."""
    values = {key: value for key, value in dataclasses.asdict(wanted).items() if value} if wanted else {}
    if console.json:
        print(json.dumps({"said": text, "run": values or None}, indent=2, ensure_ascii=False))
    else:
        for key, value in values.items():
            print(f"{key}={value}")
    return EXIT_PASSED
