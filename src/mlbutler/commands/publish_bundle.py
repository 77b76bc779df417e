"""`mlbutler publish --bundle FILE`: a trusted job publishes what the build of a fork's change says it found."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlbutler.bundle import NAME, BundleRefused, as_claim, read_bundle
from mlbutler.change.order import is_older
from mlbutler.ci.github_actions import without_event
from mlbutler.commands.start import begin
from mlbutler.console import Console
from mlbutler.errors import EXIT_PASSED, MlbutlerError, UsageError
from mlbutler.forge.interface import BundleAdapter, Forge
from mlbutler.record import Change, Record
from mlbutler.record_file import redacted_record
from mlbutler.steps.comment_settings import agreed_comment_settings, is_wanted, layout
from mlbutler.steps.context import RunContext
from mlbutler.steps.pull_request_head import refs_of
from mlbutler.steps.report import write_report
from mlbutler.steps.reviewers import connect_comment_forge, connect_forge

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_NUMBER = re.compile(r"[1-9][0-9]{0,9}")


def publish_bundle(directory: Path, console: Console, bundle: Path, head: str) -> int:
    """Publish a bundle as a comment, marked as not verified; no status is set. Return the exit code.

    Args:
        directory: a checkout of the target branch. head: the commit that the untrusted build was of, as the CI server
            says: what the bundle says of itself proves nothing.

    Raises:
        BundleRefused: it is broken, or claims another change than the forge has. UsageError: no forge, or no such
            commit. ForgeError, GitError, AccessDenied.
    """
    if not _COMMIT.fullmatch(head):
        raise UsageError(f"--head is not a full commit id: '{head[:80]}'", "Pass the id that the CI server gives.")
    record = read_bundle(bundle)
    with begin(directory, console, environ=without_event(os.environ)) as context:
        if not context.trusted:
            raise UsageError("This is itself the build of a fork's change.", "Publish from a job of the target branch.")
        forge = connect_forge(context)
        if forge is None:
            raise UsageError("No forge is configured.", "Set forge.kind and forge.url (`mlbutler help forges`).")
        change = _confirm_change(context, forge, record, head)
        shown = redacted_record(
            as_claim(dataclasses.replace(record, project=context.record.project), change), console.redactor
        )
        with _showing():
            comment = _comment(context, forge, shown)
            folder = context.root / context.settings.report.directory
            files = write_report(shown, context.settings.report, folder, console.redactor)
        where = _post_comment(context, forge, shown, *comment)
        console.line(f"published, as not verified: {where}")
        if console.json:
            print(json.dumps({"head": head, "number": change.number, "comment": where,
                              "files": {kind: str(path) for kind, path in files}}, indent=2))  # fmt: skip
        return EXIT_PASSED


def publish_forks(directory: Path, console: Console, job: str) -> int:
    """Publish what the newest builds of forks left where the forge keeps it, each as `publish_bundle` does.

    A bundle that is refused keeps no other from being published. Return the exit code: 0 if none was refused.

    Args:
        job: the name of the fork's job that leaves it.

    Raises:
        UsageError: this forge keeps none; and as `publish_bundle`.
    """
    with begin(directory, console, watching=True, environ=without_event(os.environ)) as context:
        if not context.trusted:
            raise UsageError("This is itself the build of a fork's change.", "Publish from a job of the target branch.")
        adapter = connect_comment_forge(context, os.environ).adapter
        path = f"{context.prefix}.mlbutler/{NAME}"
    if not isinstance(adapter, BundleAdapter):
        raise UsageError(f"{adapter.name} keeps no bundles of forks' builds.", "Pass one: --bundle FILE --head COMMIT.")
    code = EXIT_PASSED
    with tempfile.TemporaryDirectory(prefix="mlbutler-forks-") as folder:
        for left in adapter.fork_bundles(job, path):
            bundle = Path(folder, NAME)
            bundle.write_bytes(left.content)
            console.line(f"merge request {left.number} at {left.head[:10]}:")
            try:
                publish_bundle(directory, console, bundle, left.head)
            except BundleRefused as error:
                console.error(error.message)
                code = error.exit_code
    return code


def _confirm_change(context: RunContext, forge: Forge, record: Record, head: str) -> Change:
    """Return the change that the bundle claims, as far as forge and Git confirm it.

    Raises:
        BundleRefused: they do not.
    """
    told, ours = record.change, context.record.change
    if told.head != head:
        raise _refusal(f"it claims the commit {told.head[:10]}, and the build was of {head[:10]}")
    if told.number is None or not _NUMBER.fullmatch(told.number):
        raise _refusal("it names no pull request")
    remote = ours.git_remote
    if remote is None:
        raise UsageError("There is no Git remote to ask.", "Publish from a clone of the repository.")
    refs = refs_of(told.number)
    found = context.git.remote_refs(remote, *refs, "refs/heads/*")
    if any(oid == head for name, oid in found.items() if name.startswith("refs/heads/")):
        raise _refusal("its commit is a branch's of this repository, whose own build reports it")
    heads = [found[ref] for ref in refs if ref in found]
    if not heads:  # a forge that shows none in Git
        pull = forge.pull_request(dataclasses.replace(told, head_branch=None, number=None))
        heads = [pull.head] if pull is not None and pull.number == told.number else []
    if head not in heads:
        raise _refusal(f"{head[:10]} is not the head of pull request {told.number}")
    for ref in refs:
        if ref in found:
            context.git.fetch_one(remote, ref)  # so that a newer commit's comment is left alone
    base = told.base if told.base and _COMMIT.fullmatch(told.base) and context.git.resolve(told.base) else None
    return Change(
        ci=ours.ci, kind="pull-request", head=head, checkout=head, base=base, target_branch=ours.head_branch,
        number=told.number, fork=True, build_url=ours.build_url, git_remote=remote, repository=ours.repository,
    )  # fmt: skip


def _refusal(why: str) -> BundleRefused:
    return BundleRefused(f"The bundle is refused: {why}.", "Nothing was published. Look at the build that it is from.")


@contextmanager
def _showing() -> Iterator[None]:
    """Refuse a record that has the form of one, and numbers which no run can have.

    Raises:
        BundleRefused: it cannot be shown.
    """
    try:
        yield
    except (MlbutlerError, OSError):
        raise
    except Exception as error:  # whatever arithmetic, dates and tables do with what nobody measured
        raise _refusal(f"its record cannot be shown ({type(error).__name__})") from error


def _comment(context: RunContext, forge: Forge, record: Record) -> tuple[str, str]:
    """Return title and text of the comment."""
    from mlbutler.report import build, markdown

    takes = forge.capabilities
    limits = markdown.Limits(takes.comment_limit, takes.unit, takes.html, takes.folds)
    report = build.build(record, context.settings.report)
    return report.title, markdown.fit(report, limits, None, "", layout(context))


def _post_comment(context: RunContext, forge: Forge, record: Record, title: str, text: str) -> str:
    posted = forge.comment(
        record.change,
        title,
        text,
        is_older(context.git, record.change),
        create=is_wanted(agreed_comment_settings(context), record),
    )
    if posted.newer:
        return f"the comment is that of the newer commit {posted.newer[:8]} and stays"
    return posted.location or "no comment is wanted (comment.when)"
