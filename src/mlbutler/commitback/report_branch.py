"""Publish the report as files on a branch of its own, for a forge that takes no comments, or no pictures in them.

The branch shares no history with the project's, so that nothing of it can be merged by mistake and no CI server finds
anything to build there. Each report is one commit more, never by force.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from mlbutler.commitback.build import Author
from mlbutler.commitback.push_results import refusal
from mlbutler.commitback.scratch import scratch_index
from mlbutler.errors import GitError
from mlbutler.frozen import frozen
from mlbutler.git import Git, TreeEntry
from mlbutler.git.repository import RefMove

PREFIX = "mlbutler/report-"
"""What the names of branches with reports begin with."""
REPORTED = "Mlbutler-Reported"
_TRIES = 6
_PAUSE = 0.2
_FILE = "100644"
_MOST_ASKED = 50


@frozen
class PublishedReport:
    """The commit that has the report, or the newer commit whose report stays there."""

    commit: str = ""
    newer: str = ""


@frozen
class ReportBranch:
    """One pull request's reports.

    Args:
        git: at the repository's root. remote: the git remote. name: the branch's name.
    """

    git: Git
    remote: str
    name: str
    author: Author

    def publish(
        self, folder: str, files: Mapping[str, bytes], head: str, is_older: Callable[[str], bool]
    ) -> PublishedReport:
        """Put the files there, in place of what the folder held.

        Args:
            folder: one for each title. files: name in it -> content. head: the commit that the report is of.
            is_older: is `head` older than this commit?

        Raises:
            AccessDenied: the remote refused the credentials. GitError: it could not be reached, or refused the branch.
        """
        ref = f"refs/heads/{self.name}"
        for attempt in range(_TRIES):
            time.sleep(_PAUSE * attempt)
            tip = self.git.remote_refs(self.remote, ref).get(ref)
            if tip is not None:
                self.git.fetch(self.remote, ref)
                if self.git.resolve(tip) is None:
                    continue  # it moved between the two questions
                told = self._find_published_head(tip, folder)
                if told and is_older(told):
                    return PublishedReport(newer=told)
            else:
                told = ""
            made = self._commit(tip, folder, files, head)
            if tip is not None and told == head and self._is_same(made, tip):
                return PublishedReport(tip)  # it is there
            done = self.git.push(self.remote, made, ref, expected=tip or "")
            if done.code == 0:
                return PublishedReport(made)
            if (said := refusal(done)) is not None:
                raise GitError(
                    f"The remote refused the branch {self.name}: {said}", "Let this user create branches there."
                )
        raise GitError(f"The branch {self.name} moved {_TRIES} times in a row.", "Run again.")

    def _find_published_head(self, tip: str, folder: str) -> str:
        """Return the commit whose report the folder holds."""
        last = self.git.run("rev-list", "--max-count=1", tip, "--", folder).text.strip()
        return self.git.trailers(last).get(REPORTED, "") if last else ""

    def _is_same(self, one: str, other: str) -> bool:
        """Return whether two commits have the same files."""
        return len(set(self.git.run("rev-parse", f"{one}^{{tree}}", f"{other}^{{tree}}").text.split())) == 1

    def _commit(self, tip: str | None, folder: str, files: Mapping[str, bytes], head: str) -> str:
        git = self.git
        there = git.tree(tip, folder) if tip is not None else ()
        entries: dict[str, TreeEntry | None] = {entry.path: None for entry in there}
        for name, content in files.items():
            oid = git.run("hash-object", "-w", "--stdin", input=content).text.strip()
            entries[f"{folder}/{name}"] = TreeEntry(_FILE, oid, f"{folder}/{name}")
        with scratch_index(git, tip) as index:
            index.set_entries(entries)
            tree = index.tree()
        parent = ["-p", tip] if tip is not None else []
        text = f"Report of {head[:10]}\n\n{REPORTED}: {head}\n"
        return git.run("commit-tree", tree, *parent, "-F", "-", input=text.encode(), extra=self.author.environ()).text


def prune(git: Git, remote: str, prefix: str, before: float, keep: str) -> tuple[str, ...]:
    """Remove report branches whose last report is from before then; return their names.

    A branch that somebody else made, or wrote to meanwhile, stays.

    Args:
        prefix: what their names begin with. before: seconds since 1970. keep: the one to leave in any case.
    """
    refs = git.remote_refs(remote, f"refs/heads/{prefix}*")
    others = {ref: oid for ref, oid in refs.items() if ref != f"refs/heads/{keep}"}
    asked = dict(list(others.items())[:_MOST_ASKED])
    if not asked or git.fetch(remote, *asked).code != 0:
        return ()
    old = [ref for ref, oid in asked.items() if _is_report(git, oid) and _commit_time(git, oid) < before]
    if not old:
        return ()
    _, answers = git.move_refs(remote, [RefMove(ref, "", asked[ref]) for ref in old])
    return tuple(ref.removeprefix("refs/heads/") for ref in old if answers.get(ref) == "")


def _is_report(git: Git, commit: str) -> bool:
    return git.resolve(commit) is not None and REPORTED in git.trailers(commit)


def _commit_time(git: Git, commit: str) -> float:
    return float(git.run("show", "--no-patch", "--format=%ct", commit).text)
