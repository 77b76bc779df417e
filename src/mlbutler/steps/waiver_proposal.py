"""Propose a waiver that somebody asked for in a comment: the change of one file, as a pull request to review."""

from __future__ import annotations

import dataclasses
import json

from mlbutler.commitback.build import Author, CommitBuilder
from mlbutler.errors import GitError, SettingsError, UsageError
from mlbutler.escape import markdown
from mlbutler.forge.comment_command import Waive
from mlbutler.forge.hosted import Hosted
from mlbutler.forge.interface import PullRequest
from mlbutler.gate.waivers import FILE_NAME, parse_waivers
from mlbutler.git import TreeEntry
from mlbutler.git.repository import RefMove
from mlbutler.record import Change
from mlbutler.steps.context import RunContext

PREFIX = "mlbutler/waivers/"
_MODE = "100644"


def propose(context: RunContext, forge: Hosted, asked: Change, waive: Waive, by: str, comment: str) -> PullRequest:
    """Open a pull request that adds the waiver on the target branch; return it.

    Args:
        asked: the pull request on which it was asked for. by: who answers for it. comment: its id, which names the
            branch, so that the same comment proposes it once.

    Raises:
        SettingsError: the target branch's waivers cannot be read. UsageError: there is no target branch.
        GitError, AccessDenied, ForgeError: the branch could not be pushed, or the pull request not be opened.
    """
    remote, target = asked.git_remote, asked.target_branch
    tip = context.git.fetch_one(remote, f"refs/heads/{target}") if remote and target else None
    if remote is None or tip is None:
        raise UsageError("The target branch is not known.", "Ask for it in a clone of the repository.")
    git = context.git.at(context.git.toplevel())
    path = f"{context.prefix}{FILE_NAME}"
    content = _add_waiver((git.show(tip, path) or b"").decode("utf-8", "replace"), waive, by)
    entry = TreeEntry(_MODE, git.run("hash-object", "-w", "--stdin", input=content.encode()).text, path)
    text = f"Waive {waive.metric} until {waive.until}\n\nAsked for by {by} in pull request {asked.number}.\n"
    build = CommitBuilder(git, {path: entry}, text, Author.parse(context.settings.commit.author))
    branch = f"{PREFIX}{asked.number}-{comment}"
    commit = build(tip)
    ref = f"refs/heads/{branch}"
    done, answers = git.move_refs(remote, [RefMove(ref, commit, "")])
    if done.code != 0:
        there = git.fetch_one(remote, ref)
        if there is None or not build.is_in(there):
            reason = answers.get(ref) or done.err
            raise GitError(f"The branch {branch} could not be pushed: {reason}", "Look at what it holds, or remove it.")
        commit = there
    change = dataclasses.replace(asked, number=None, head=commit, head_branch=branch)
    body = (
        f"Asked for by {markdown(by)} in pull request {asked.number}: {markdown(waive.metric)} may fail until "
        f"{waive.until}, because {markdown(waive.reason)}.\n\nIt counts once this is merged."
    )
    return forge.open_pull_request(change, f"Waive {markdown(waive.metric)} until {waive.until}", body)


def _add_waiver(there: str, waive: Waive, by: str) -> str:
    """Return the file's text with one more waiver.

    Raises:
        SettingsError: it cannot be read, or would not hold what was asked for.
    """
    before = parse_waivers(there)
    lines = [
        "[[waiver]]", f"gate = {_string(waive.metric)}", f"reason = {_string(waive.reason)}",
        f"owner = {_string(by)}", f"until = {waive.until.isoformat()}",
    ]  # fmt: skip
    text = f"{there.rstrip()}\n\n".lstrip() + "\n".join(lines) + "\n"
    found = parse_waivers(text)
    last = found[-1]
    if found[:-1] != before or (last.gate, last.reason, last.until) != (waive.metric, waive.reason, waive.until):
        raise SettingsError(f"{FILE_NAME} cannot take this waiver.", "Write it there by hand.")
    return text


def _string(text: str) -> str:
    """Return a basic string of TOML: JSON's escapes are a part of TOML's."""
    return json.dumps(text, ensure_ascii=False)
