"""Reading a clone: commits, files, the work tree. Nothing here talks to a remote."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from mlbutler.errors import UsageError
from mlbutler.git import verified
from mlbutler.git.batch import read_named
from mlbutler.git.command import GitCommand
from mlbutler.git.tree import TreeEntry, WorkTreeStatus

_LINK = "120000"
_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*")
"""Names of branches that Git always accepts."""
_LONG = 64
_BRANCHES = "refs/heads/"
_DETACHED = "(detached)"
_FIELDS = {"1": 7, "u": 9}
"""What stands before the path of a changed and of a conflicting file in `git status --porcelain=v2`."""
_AT_ONCE = 500
"""Paths for one command line."""
_PATHS = ("shallow", "objects")
"""In the ``.git`` directory, asked for by most verbs."""
_FETCHED_FROM = re.compile(r"(?P<name>[^\t]+)\t(?P<url>.*) \(fetch\)(?: \[[^\]]*\])?")
"""A line of ``git remote -v``; of a partial clone its filter stands last."""


class Clone(GitCommand):
    """Read commits, files and the index of one work tree (or bare repository)."""

    def toplevel(self) -> Path:
        """Return the work tree's root.

        Raises:
            UsageError: not inside a work tree.
        """
        if self._toplevel is None:
            self._toplevel = self._find_toplevel()
        return self._toplevel

    def _find_toplevel(self) -> Path:
        """Find the work tree's root; HEAD and the paths that are asked for next come from the same process."""
        paths = [word for name in _PATHS for word in ("--git-path", name)]
        head = ("--verify", "--quiet", "--end-of-options", "HEAD^{commit}")
        done = self.run("rev-parse", "--show-toplevel", *paths, *head, check=False)
        lines = done.out.split(b"\n")[:-1]
        if not lines:
            raise UsageError(f"Not a git repository: {self.directory.resolve()}", "Run inside a clone, or pass -C DIR.")
        found = [os.fsdecode(line) for line in lines]
        commit = found.pop() if done.code == 0 else ""
        if len(found) != 1 + len(_PATHS):  # a path with a newline
            return Path(os.fsdecode(self.run("rev-parse", "--show-toplevel").out).removesuffix("\n"))
        self._paths |= {name: (self.directory / path).absolute() for name, path in zip(_PATHS, found[1:], strict=True)}
        if commit:
            self._see_head(commit)
        return Path(found[0])

    def resolve(self, rev: str) -> str | None:
        """Return the commit id of `rev`, None when there is no such commit here."""
        if rev in self._commits:
            return self._commits[rev]
        done = self.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}", check=False)
        if done.code != 0:
            return None
        commit = done.text.strip()
        self._commits[commit] = commit
        if _ID.fullmatch(rev):  # a name may mean another commit later
            self._commits[rev] = commit
        return commit

    def head(self) -> str:
        """Return the commit id of HEAD.

        Raises:
            UsageError: the repository has no commit yet.
        """
        head = self.resolve("HEAD")
        if head is None:
            raise UsageError("The repository has no commits yet.", "Commit something first.")
        self._see_head(head)
        return head

    def _see_head(self, commit: str) -> None:
        self._commits[commit] = commit
        self._heads[commit] = None

    def read_head(self) -> str:
        """Return the commit id of HEAD; what `author_and_message` and `parents` say of it comes from the same process.

        Raises:
            UsageError: the repository has no commit yet.
        """
        options = ("--no-show-signature", "--format=%H%x00%P%x00%an%x00%B")
        fields = self.run("show", "-s", *options, "HEAD", "--", check=False).text.split("\0", 3)
        if len(fields) != 4:
            return self.head()
        commit, parents, author, message = fields
        self._see_head(commit)
        self._described[commit] = author.strip(), message.strip()
        if parents:  # those of a commit at which the history is cut off may come later
            self._parents[commit] = tuple(parents.split())
        return commit

    def heads(self) -> tuple[str, ...]:
        """Return the commits that HEAD was seen at, which are here with their history.

        Raises:
            UsageError: the repository has no commit yet.
        """
        if not self._heads:
            self.head()
        return tuple(self._heads)

    def has_long_ids(self) -> bool:
        """Return whether this is a repository of SHA-256.

        Raises:
            UsageError: the repository has no commit yet.
        """
        return len(next(iter(self._commits.values()), "") or self.head()) == _LONG

    def parents(self, rev: str) -> tuple[str, ...]:
        """Return the commit ids of the parents of `rev` (none where a shallow clone's history is cut off)."""
        if rev in self._parents and rev not in self.shallow_commits():
            return self._parents[rev]
        return tuple(self.run("rev-list", "--parents", "-n", "1", rev).text.split()[1:])

    def author_and_message(self, rev: str) -> tuple[str, str]:
        """Return the author's name and the full commit message."""
        if rev in self._described:
            return self._described[rev]
        author, _, message = self.run("show", "-s", "--format=%an%x00%B", rev).text.partition("\0")
        return author.strip(), message.strip()

    def trailers(self, rev: str) -> dict[str, str]:
        """Return the trailers of a commit message, the last one of each name."""
        return trailers_in(self.run("show", "-s", "--format=%(trailers:only,unfold)", rev).text)

    def last_commit(self, rev: str, *options: str, paths: Iterable[str]) -> tuple[str, dict[str, str]] | None:
        """Return the last commit up to `rev` that changed one of `paths`, with its trailers.

        Args:
            options: of `git log`. paths: from the repository's root.

        Returns:
            None for none, and where there is no such revision.
        """
        args = ("-1", "--format=%H%x00%(trailers:only,unfold)", *options, rev, "--")
        done = self.run("log", *args, *(f":(top,literal){path}" for path in paths), check=False)
        commit, _, said = done.text.partition("\0")
        return (commit, trailers_in(said)) if done.code == 0 and commit else None

    def is_ancestor(self, old: str, new: str) -> bool:
        """Return whether `old` is reachable from `new`."""
        if old == new and _ID.fullmatch(old):
            return True
        return self.run("merge-base", "--is-ancestor", old, new, check=False).code == 0

    def merge_base(self, one: str, other: str) -> str | None:
        """Return the best common ancestor, None for unrelated histories (or a clone too shallow to know)."""
        done = self.run("merge-base", one, other, check=False)
        return done.text.splitlines()[0] if done.code == 0 and done.text else None

    def merge_tree(self, one: str, other: str) -> str | None:
        """Return the id of the merged tree of two commits; None where they conflict, or git is older than 2.38."""
        done = self.run("merge-tree", "--write-tree", one, other, check=False)
        return done.text.splitlines()[0] if done.code == 0 and done.text else None

    def tree_id(self, commit: str) -> str:
        """Return the id of a commit's tree."""
        return self.run("rev-parse", "--verify", "--end-of-options", f"{commit}^{{tree}}").text

    def is_shallow(self) -> bool:
        """Return whether the clone is shallow."""
        return self.path("shallow").is_file()

    def branch(self) -> str | None:
        """Return the branch that is checked out, None when HEAD is detached."""
        done = self.run("symbolic-ref", "--quiet", "HEAD", check=False)
        return done.text.removeprefix(_BRANCHES) if done.code == 0 else None

    def remotes(self) -> dict[str, str]:
        """Return name -> fetch URL of the configured remotes, '' for one that has none."""
        lines = self.run("remote", "-v").text.split("\n")
        urls = {match["name"]: match["url"] for match in map(_FETCHED_FROM.fullmatch, lines) if match}
        return {name: urls.get(name, "") for name in (line.partition("\t")[0] for line in lines) if name}

    def show(self, rev: str, path: str) -> bytes | None:
        """Return a file's content at a commit (path from the repository's root), None when it is not there.

        Raises:
            GitError: an object's content does not match its id; checked on a CI server, once project code may have run.
        """
        return self.show_all(rev, [path])[path]

    def show_all(self, rev: str, paths: Sequence[str]) -> dict[str, bytes | None]:
        """Return path -> what `show` returns, from one process; what a commit's id names is read once.

        Raises:
            GitError: as `show`.
        """
        checked = self.access is not None and not self.access.fresh
        commit = rev if _ID.fullmatch(rev) else self.resolve(rev) if checked else None
        known = self._contents.setdefault((checked, commit), {}) if commit is not None else {}
        if left := [path for path in paths if path not in known]:
            if checked:
                known |= verified.files_at(self, commit, left) if commit is not None else dict.fromkeys(left)
            else:
                known |= self._read(rev, left)
        return {path: known[path] for path in paths}

    def _read(self, rev: str, paths: Sequence[str]) -> dict[str, bytes | None]:
        named = {f"{rev}:{path}": path for path in paths}
        if any("\n" in name for name in named):  # which ends a name for cat-file
            done = [self.run("cat-file", "blob", name, check=False) for name in named]
            return {path: one.out if one.code == 0 else None for path, one in zip(paths, done, strict=True)}
        found = {named[name]: out for name, _, kind, out in read_named(self, list(named)) if kind == b"blob"}
        return {path: found.get(path) for path in paths}

    def tree(self, rev: str, path: str = "") -> tuple[TreeEntry, ...]:
        """Return all files of a commit below `path`; paths are from the repository's root."""
        args = ["ls-tree", "-r", "-z", "--full-tree", rev]
        out = self.run(*args, *(["--", path] if path else [])).out
        entries = []
        for item in filter(None, out.split(b"\0")):
            meta, _, name = item.partition(b"\t")
            mode, _, oid = meta.decode().split()
            entries.append(TreeEntry(mode, oid, os.fsdecode(name)))
        return tuple(entries)

    def paths(self, rev: str) -> tuple[str, ...]:
        """Return the paths of all files of a commit or tree, from the repository's root."""
        out = self.run("ls-tree", "-r", "-z", "--name-only", "--full-tree", rev).out
        return tuple(map(os.fsdecode, filter(None, out.split(b"\0"))))

    def tracked_paths(self) -> frozenset[str]:
        """Return the paths in the index below `directory`, relative to it."""
        out = self.run("ls-files", "-z").out
        return frozenset(os.fsdecode(item) for item in out.split(b"\0") if item)

    def tracked_paths_below(self, paths: Collection[str]) -> list[str]:
        """Return the paths in the index at or below `paths`; all are relative to `directory`."""
        return self._list_items("ls-files", "--cached", paths)

    def tracked_links(self, paths: Collection[str]) -> frozenset[str]:
        """Return those of `paths` (relative to `directory`) that are symbolic links in the index."""
        items = self._list_items("ls-files", "--stage", paths)
        return frozenset(path for meta, _, path in (item.partition("\t") for item in items) if meta.startswith(_LINK))

    def unmodified_paths(self, paths: Collection[str]) -> frozenset[str]:
        """Return the files at or below `paths` (relative to `directory`) whose content in the work tree is the index's.

        Files with `assume-unchanged` or `skip-worktree` are not among them: Git would not notice a change.
        """
        prefix = os.fsdecode(self.run("rev-parse", "--show-prefix").out).rstrip("\n")
        tracked = {item[2:] for item in self._list_items("ls-files", "-v", paths) if item.startswith("H ")}
        lines = self._list_items("status", "--porcelain", paths, "--no-renames", "--untracked-files=no")
        modified = {line[3:].removeprefix(prefix) for line in lines if line[1:2] != " "}
        return frozenset(tracked - modified)

    def _list_items(self, verb: str, option: str, paths: Collection[str], *more: str) -> list[str]:
        """Return the items that a git command lists for these paths, which are taken literally."""
        found: list[str] = []
        left = list(paths)
        for start in range(0, len(left), _AT_ONCE):
            some = left[start : start + _AT_ONCE]
            out = self.run(verb, option, "-z", *more, "--", *some, extra={"GIT_LITERAL_PATHSPECS": "1"}).out
            found += [os.fsdecode(item) for item in out.split(b"\0") if item]
        return found

    def changed_paths(self, old: str, new: str) -> tuple[str, ...]:
        """Return the paths that differ between two commits, from the repository's root; both paths of a rename."""
        out = self.run("diff", "--name-only", "--no-renames", "-z", old, new).out
        return tuple(os.fsdecode(item) for item in out.split(b"\0") if item)

    def dirty(self, *, untracked: bool = False) -> tuple[str, ...]:
        """Return the paths (from the repository's root) that differ from HEAD in index or work tree."""
        mode = "all" if untracked else "no"
        out = self.run("status", "--porcelain", "-z", "--no-renames", f"--untracked-files={mode}").out
        return tuple(os.fsdecode(item[3:]) for item in out.split(b"\0") if item)

    def work_tree(self) -> WorkTreeStatus:
        """Return which branch is checked out and which files differ from HEAD; paths are from the repository's root."""
        options = ("--branch", "--no-ahead-behind", "-z", "--no-renames", "--untracked-files=all")
        branch, changed, untracked = None, [], []
        for item in filter(None, self.run("status", "--porcelain=v2", *options).out.split(b"\0")):
            kind, _, rest = os.fsdecode(item).partition(" ")
            if kind == "#" and rest.startswith("branch.head "):
                branch = rest.removeprefix("branch.head ").removeprefix(_BRANCHES)
            elif kind in _FIELDS:
                changed.append(rest.split(" ", _FIELDS[kind])[-1])
            elif kind == "?":
                untracked.append(rest)
        return WorkTreeStatus(branch if branch != _DETACHED else None, tuple(sorted(changed)), tuple(untracked))

    def holds_only(self, commit: str) -> bool:
        """Return whether HEAD is `commit`, and index and work tree are as it has them, but for files that Git ignores.

        False where a file is not looked at (`assume-unchanged`, `skip-worktree`). `directory` has to be the
        repository's root.
        """
        options = ("--porcelain=v2", "--branch", "-z", "--no-renames", "--untracked-files=all")
        items = [item for item in self.run("status", *options).out.split(b"\0") if item]
        if b"# branch.oid " + commit.encode() not in items or any(not item.startswith(b"# ") for item in items):
            return False
        return all(item.startswith(b"H ") for item in self.run("ls-files", "-v", "-z").out.split(b"\0") if item)

    def is_branch_name(self, name: str) -> bool:
        """Return whether Git accepts `name` as a branch's: text from a CI server's environment may be anything."""
        if _PLAIN_NAME.fullmatch(name):
            return True
        return self.run("check-ref-format", f"refs/heads/{name}", check=False).code == 0

    def path(self, name: str) -> Path:
        """Return the path of a file or folder inside the ``.git`` directory, such as ``objects``."""
        if name not in self._paths:
            out = os.fsdecode(self.run("rev-parse", "--git-path", name).out).rstrip("\n")
            self._paths[name] = (self.directory / out).absolute()
        return self._paths[name]

    def shallow_commits(self) -> frozenset[str]:
        """Return the commits at which a shallow clone's history is cut off."""
        path = self.path("shallow")
        return frozenset(path.read_text(encoding="ascii").split()) if path.is_file() else frozenset()


def trailers_in(text: str) -> dict[str, str]:
    """Return the trailers that git writes as lines, the last one of each name."""
    pairs = (line.partition(": ") for line in text.splitlines() if ": " in line)
    return {name: value.strip() for name, _, value in pairs}
