"""Making a results commit without touching the work tree's index, and putting it on the branch.

Only ever a fast-forward. When the author pushed meanwhile, the commit goes on top of the new tip if nothing that
a stage depends on changed between; else it is kept under a ref of its own.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mlbutler.errors import AccessDenied, GitError, SettingsError, UsageError
from mlbutler.git import Git

RESULTS = "refs/mlbutler/results/"
_TRIES = 5


@dataclass(frozen=True)
class Author:
    """Who results commits are by."""

    name: str
    email: str

    @classmethod
    def parse(cls, text: str) -> Author:
        """From ``Name <e-mail>``.

        Raises:
            SettingsError: it is of another form.
        """
        match = re.fullmatch(r"\s*([^<>\n]+?)\s*<([^<>\s]+)>\s*", text)
        if match is None:
            raise SettingsError(f"commit.author must be 'Name <e-mail>', not '{text}'.", "Mend commit.author.")
        return cls(match[1], match[2])

    def environ(self) -> dict[str, str]:
        """For git, so that no configuration is needed or changed."""
        return {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER")
                for key, value in (("NAME", self.name), ("EMAIL", self.email))}  # fmt: skip


def changed_files(git: Git, head: str, prefix: str, root: Path, paths: Iterable[str]) -> dict[str, str | None]:
    """Those of `paths` whose content differs from the commit `head`: repository path -> mode (None: deleted).

    Args:
        prefix: the project's path from the repository's root. paths: relative to the project's root.

    Raises:
        UsageError: one is a symbolic link that the head does not hold as such.
    """
    before = {entry.path: entry for entry in git.tree(head)}
    found: dict[str, str | None] = {}
    for path in dict.fromkeys(paths):
        full, file = prefix + path, root / path
        entry = before.get(full)
        if file.is_symlink():
            if entry is None or entry.mode != "120000":
                raise UsageError(
                    f"{path} is a symbolic link: it is not committed.", "Let the stage write a plain file."
                )
            continue
        if file.is_dir():
            inside = (item.relative_to(root).as_posix() for item in sorted(file.rglob("*")) if item.is_file())
            found |= changed_files(git, head, prefix, root, inside)
        elif file.is_file():
            oid = _stored(git, full, file, write=False)
            if entry is None or entry.oid != oid:
                executable = bool(file.stat().st_mode & 0o100)
                found[full] = entry.mode if entry else "100755" if executable else "100644"
    return found


def _stored(git: Git, full: str, file: Path, *, write: bool) -> str:
    flags = ["-w"] if write else []
    return git.run("hash-object", *flags, f"--path={full}", "--stdin", input=file.read_bytes()).text


def make(
    git: Git, parent: str, prefix: str, root: Path, files: Mapping[str, str | None], message: str, author: Author
) -> str:
    """A commit on `parent` with the work tree's content of `files`; returns its id. No ref is moved."""
    with tempfile.TemporaryDirectory(prefix="mlbutler-index-") as folder:
        index = {"GIT_INDEX_FILE": os.fspath(Path(folder, "index"))}
        git.run("read-tree", parent, extra=index)
        lines = []
        for full, mode in files.items():
            oid = _stored(git, full, root / full[len(prefix) :], write=True)
            lines.append(f"{mode} {oid}\t".encode() + os.fsencode(full) + b"\0")
        git.run("update-index", "-z", "--index-info", input=b"".join(lines), extra=index)
        tree = git.run("write-tree", extra=index).text
    done = git.run("commit-tree", tree, "-p", parent, "-F", "-", input=message.encode(), extra=author.environ())
    return done.text


@dataclass(frozen=True)
class Placed:
    """Where the commit went: `parent` it stands on; `reason` when the branch could not take it."""

    commit: str
    parent: str
    reason: str = ""


def place(git: Git, remote: str, branch: str, head: str, build: Build, touched: Collection[str]) -> Placed:
    """Put a results commit on the remote's branch as a fast-forward.

    Args:
        build: makes the commit on a parent. touched: repository paths (files, or folders ending in '/') that
            stages depend on or that results go to; a push that changes one of these outdates the results.

    Raises:
        AccessDenied: the remote refused the credentials. GitError: it cannot be reached.
    """
    ref, parent = f"refs/heads/{branch}", head
    for _ in range(_TRIES):
        tip = git.remote_refs(remote, ref).get(ref)
        if tip is None:
            return Placed(build(head), head, f"the branch {branch} is gone")
        if tip != parent:
            reason = _outdated(git, remote, ref, head, tip, touched)
            if reason:
                return Placed(build(head), head, reason)
            parent = tip
        commit = build(parent)
        pushed = git.run("push", "--quiet", "--no-verify", remote, f"{commit}:{ref}", check=False, network=True)
        if pushed.code == 0:
            return Placed(commit, parent)
        if git.remote_refs(remote, ref).get(ref) == tip:  # nobody was faster: the remote itself refuses
            failure = git.failure("push", pushed.err)
            if isinstance(failure, AccessDenied) or not re.search("rejected|declined|protected", pushed.err):
                raise failure
            return Placed(commit, parent, f"the remote refused the push: {failure.message}")
    raise GitError(f"The branch {branch} moved {_TRIES} times in a row.", "Run `mlbutler commit` again.")


class Build:
    """Makes the same results commit on any parent."""

    def __init__(
        self, git: Git, prefix: str, root: Path, files: Mapping[str, str | None], message: str, author: Author
    ):
        self._git, self._prefix, self._root = git, prefix, root
        self._files, self._message, self._author = files, message, author

    def __call__(self, parent: str) -> str:
        return make(self._git, parent, self._prefix, self._root, self._files, self._message, self._author)


def _outdated(git: Git, remote: str, ref: str, head: str, tip: str, touched: Collection[str]) -> str:
    """Why the results do not fit on the new tip; '' when they do."""
    git.fetch(remote, ref)
    if git.resolve(tip) is None or not git.is_ancestor(head, tip):
        return "the branch was rewritten meanwhile"
    changed = [path for path in git.changed(head, tip) if _concerns(path, touched)]
    if changed:
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        return f"the branch moved meanwhile and changed what the results depend on: {', '.join(changed[:3])}{more}"
    return ""


def _concerns(path: str, touched: Collection[str]) -> bool:
    return any(path == item or path.startswith(f"{item.rstrip('/')}/") for item in touched)


def keep(git: Git, remote: str, head: str, commit: str) -> bool:
    """Keep a commit that its branch could not take, under a ref of its own; False when the remote refuses it."""
    done = git.run("push", "--quiet", "--no-verify", remote, f"{commit}:{RESULTS}{head}", check=False, network=True)
    return done.code == 0
