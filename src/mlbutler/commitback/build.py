"""Build a results commit: its files on any parent, its message, its author.

No ref, index or work tree is touched.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from mlbutler.commitback import earlier
from mlbutler.commitback.earlier import REPRODUCED
from mlbutler.commitback.scratch import scratch_index
from mlbutler.errors import GitError, SettingsError
from mlbutler.frozen import frozen
from mlbutler.git import Git, TreeEntry
from mlbutler.git import verified as git_verified
from mlbutler.record import Change, StageRun

CHECKOUT = "Mlbutler-Checkout"
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


@frozen
class Author:
    """The author of results commits."""

    name: str
    email: str

    @classmethod
    def parse(cls, text: str) -> Author:
        """Parse ``Name <e-mail>``.

        Raises:
            SettingsError: it is of another form.
        """
        match = re.fullmatch(r"\s*([^<>\x00-\x1f]*\w[^<>\x00-\x1f]*?)\s*<([^<>\s\x00-\x1f]+)>\s*", text)
        if match is None:
            raise SettingsError(f"commit.author must be 'Name <e-mail>', not {text!r}.", "Fix commit.author.")
        return cls(match[1], match[2])

    def environ(self) -> dict[str, str]:
        """Return variables for git, so that no configuration is needed or changed."""
        return {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER")
                for key, value in (("NAME", self.name), ("EMAIL", self.email))}  # fmt: skip


def message(template: str, change: Change, stages: Sequence[str], runs: Sequence[StageRun] = ()) -> str:
    """Return the commit message with its trailers; only {head} and {short} of the template are replaced.

    Args:
        stages: whose results are in it. runs: what became of the stages of this build.
    """
    text = template.replace("{head}", change.head).replace("{short}", change.head[:10])
    text = _CONTROL.sub(" ", text).strip() or "Update results"
    trailers = [f"{REPRODUCED}: {change.head}"]
    if change.merge:
        trailers.append(f"{CHECKOUT}: {change.checkout}")
    trailers += earlier.stages_trailer(stages)
    trailers += earlier.trailers(runs, change.build_url)
    return f"{text}\n\n" + "\n".join(trailers) + "\n"


@frozen
class CommitBuilder:
    """Makes the same results commit on any parent. `git` runs at the repository's root."""

    git: Git
    files: Mapping[str, TreeEntry | None]
    text: str
    author: Author

    def __call__(self, parent: str) -> str:
        """Create the commit on `parent` and return its id.

        Raises:
            GitError: on a CI server, where the clone's objects are not what their ids say.
        """
        with scratch_index(self.git, parent) as index:
            index.set_entries(self.files)
            tree = index.tree()
        content = self.text.encode("utf-8", "replace")
        args = ["-c", "i18n.commitEncoding=UTF-8", "commit-tree", tree, "-p", parent, "-F", "-"]
        commit = self.git.run(*args, input=content, extra=self.author.environ()).text
        if self.git.access is not None:
            self._require(commit, parent)
        return commit

    def _require(self, commit: str, parent: str) -> None:
        """Verify the commit that was made: the project's code may have written into the clone's objects.

        Raises:
            GitError: the commit is another than what was to be made.
        """
        expected = {**git_verified.tree(self.git, parent), **self.files}
        found = git_verified.tree(self.git, commit)
        content = git_verified.read_objects(self.git, [commit]).get(commit, b"")
        if found != {path: entry for path, entry in expected.items() if entry} or (
            git_verified.parents(content) != [parent]
        ):
            raise GitError("The results commit does not hold what it should.", "Build in a fresh clone.")

    def is_in(self, commit: str) -> bool:
        """Return whether `commit` holds these very files already."""
        there = {entry.path: entry for entry in self.git.tree(commit)}
        return all(there.get(path) == entry for path, entry in self.files.items())
