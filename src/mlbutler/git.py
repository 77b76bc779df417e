"""The only module that runs git.

Inherited ``GIT_*`` variables that would point git at another repository (hooks set them) are dropped;
those that carry credentials or configuration for the network are kept, and only for commands that talk to a
remote. A password from the environment reaches git through an askpass program and never through argv, a URL
or a file. Hooks never run: the code of a pull request can write them.

On a CI server what talks to the remote does so from a repository of its own (`mlbutler.private_repository`), and what
stays here is given what the project's code is given.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mlbutler import git_verified
from mlbutler.errors import AccessDenied, GitError, UsageError
from mlbutler.git_address import Access, Address
from mlbutler.held_back import allowed, values_to_hide
from mlbutler.private_repository import PrivateRepository, is_out_of_reach
from mlbutler.secrets import Redactor, has_credentials, secret_values, without_credentials
from mlbutler.variables import GIT_KEY, GIT_TOKEN, GIT_URL, GIT_USER

# Jenkins' gitUsernamePassword binds GIT_USERNAME and GIT_PASSWORD: its GIT_ASKPASS prints them.
_KEPT = {
    "GIT_USERNAME", "GIT_PASSWORD", "GIT_ASKPASS", "GIT_TERMINAL_PROMPT", "GIT_SSH", "GIT_SSH_COMMAND",
    "GIT_SSH_VARIANT", "GIT_SSL_CAINFO",
    "GIT_SSL_NO_VERIFY", "GIT_HTTP_LOW_SPEED_LIMIT", "GIT_HTTP_LOW_SPEED_TIME", "GIT_PROXY_COMMAND",
    "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_EXEC_PATH", "GIT_TEMPLATE_DIR",
}  # fmt: skip
_OPTIONS = (
    "-c", "core.quotePath=false", "-c", "gc.auto=0", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false",
    "-c", "core.safecrlf=false",
)  # fmt: skip
# A remote that stops answering ends the command instead of the build's patience.
_PATIENCE = {"GIT_HTTP_LOW_SPEED_LIMIT": "1", "GIT_HTTP_LOW_SPEED_TIME": "120"}
_DENIED = re.compile(
    r"Authentication failed|could not read (Username|Password)|Permission denied|HTTP (401|403)"
    r"|returned error: 40[13]|Invalid username|not allowed to push|denied to",
    re.IGNORECASE,
)


_LINK = "120000"
_AT_ONCE = 500
"""Paths for one command line."""


def _gist(lines: list[str]) -> str:
    """What went wrong with a remote: git's first complaint names it, its last is the same for all."""
    return lines[0].strip() if lines else "no message"


@dataclass(frozen=True)
class Done:
    """A finished git command."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        """Standard output as text, without the final newline."""
        return self.out.decode("utf-8", "surrogateescape").rstrip("\n")


@dataclass(frozen=True)
class TreeEntry:
    """One file of a commit: its mode (``100644``, ``160000`` for a submodule), object id and path."""

    mode: str
    oid: str
    path: str


class Git:
    """git in one work tree (or bare repository).

    Args:
        directory: where git runs; paths given to methods are relative to it unless said otherwise.
        environ: the environment to take credentials and configuration from.
        access: how the remote is reached on a CI server; None where the clone's own configuration is believed.
    """

    def __init__(self, directory: Path, environ: Mapping[str, str] | None = None, access: Access | None = None) -> None:
        self.directory, self.access = directory, access
        self._environ = dict(os.environ if environ is None else environ)
        self._toplevel: Path | None = None

    def at(self, directory: Path) -> Git:
        """git in another directory of the same work tree."""
        return self._alike(Git(directory, self._environ, self.access))

    def reaching(self, access: Access) -> Git:
        """The same work tree, whose remote is reached as `access` says."""
        return self._alike(Git(self.directory, self._environ, access))

    def _alike(self, other: Git) -> Git:
        other._toplevel = self._toplevel
        return other

    def without_credentials(self) -> Git:
        """The same work tree, with nothing in the environment that a remote would accept as a password."""
        left = without_credentials(self._environ, secret_values(self._environ))
        return self._alike(Git(self.directory, left, self.access))

    # ------------------------------------------------------------------------------------ running

    def run(
        self,
        *args: str,
        check: bool = True,
        network: bool = False,
        input: bytes | None = None,
        extra: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Done:
        """Run one git command.

        Args:
            check: raise when it exits with another code than 0.
            network: it talks to a remote: give it the credentials.
            extra: environment variables for this command alone.

        Raises:
            GitError: git is missing, or (with `check`) the command failed. AccessDenied: the remote refused
                the credentials. UsageError: git does not trust the directory.
        """
        environ = {**(self._networked if network and self.access is None else self._local), **(extra or {})}
        # With a token given, no helper is asked: one that stores passwords would write it to a file.
        own = ("-c", "credential.helper=") if network and self._environ.get(GIT_TOKEN) else ()
        with self._credentials(network and self.access is None) as asked:
            done = self.execute((*own, *args), environ=environ | asked, input=input, timeout=timeout)
        err = done.err
        if done.code != 0 and "dubious ownership" in err:
            place = self.directory.resolve()  # git compares whole paths
            raise UsageError(
                f"git does not trust {place}: it belongs to another user.",
                f"git config --global --add safe.directory {shlex.quote(str(place))}",
            )
        if check and done.code != 0:
            raise self.failure(args[0], err, network=network)
        return done

    def execute(
        self,
        args: Sequence[str],
        *,
        environ: Mapping[str, str],
        cwd: Path | None = None,
        input: bytes | None = None,
        timeout: float | None = None,
    ) -> Done:
        """Start git with exactly this environment and wait for it, whatever it answers.

        Args:
            cwd: where; `directory` if None.

        Raises:
            GitError: git is missing, or took too long. UsageError: there is no such directory.
        """
        verb = next((word for word in args if not word.startswith("-")), "")
        always = {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
        try:
            done = subprocess.run(
                ["git", *_OPTIONS, *args], executable=self.program, cwd=cwd or self.directory,
                env=_PATIENCE | dict(environ) | always, input=input, capture_output=True, check=False, timeout=timeout,
                stdin=subprocess.DEVNULL if input is None else None,
            )  # fmt: skip
        except FileNotFoundError as error:
            if not self.directory.is_dir():
                raise UsageError(f"No such directory: {self.directory}", "Check -C.") from error
            raise GitError("git is not installed.", "Install git 2.30 or newer.") from error
        except subprocess.TimeoutExpired as error:
            raise GitError(f"git {verb} took longer than {timeout:.0f} s.", "Check the network.") from error
        return Done(done.returncode, done.stdout, self._redactor.hide(done.stderr.decode("utf-8", "replace").strip()))

    @cached_property
    def _redactor(self) -> Redactor:
        return Redactor(values_to_hide(self._environ))

    @cached_property
    def program(self) -> str:
        """The git that is run. On a CI server none that lies in the work tree, and rather one that nobody here can
        write."""
        if self.access is None:
            return "git"
        here = self.directory.resolve()
        top = next((folder for folder in (here, *here.parents) if os.path.lexists(folder / ".git")), here)
        folders = [Path(entry) for entry in self._environ.get("PATH", os.defpath).split(os.pathsep) if entry]
        found = [
            str(folder / "git")
            for folder in folders
            if folder.is_absolute() and not folder.resolve().is_relative_to(top) and shutil.which("git", path=folder)
        ]
        return next((path for path in found if is_out_of_reach(Path(path))), found[0] if found else "git")

    @staticmethod
    def failure(verb: str, err: str, *, network: bool = True) -> GitError | AccessDenied:
        """The error for a command that failed: a remote's refusal is told from everything else."""
        lines = [line for line in err.splitlines() if line.strip() and not line.startswith("hint:")]
        said = [line for line in lines if line.startswith(("fatal:", "error:"))] or lines
        message = said[-1].strip() if said else "no message"
        if network and _DENIED.search(err):
            return AccessDenied(
                f"git {verb}: the remote refused the credentials: {message}",
                f"Set {GIT_USER} and {GIT_TOKEN}, or {GIT_KEY}, or give git a credential helper.",
            )
        if network:
            remedy = "Check the network and that the clone's remote (`git remote -v`) may be read, then run again."
            return GitError(f"git {verb} failed: {_gist(said)}", remedy)
        return GitError(f"git {verb} failed: {message}", "Run the same command by hand to see more.")

    @cached_property
    def _networked(self) -> dict[str, str]:
        kept = {k: v for k, v in self._environ.items() if not k.startswith("GIT_") or k in _KEPT
                or k.startswith(("GIT_CONFIG_", "GIT_TRACE"))}  # fmt: skip
        return _PATIENCE | kept

    @cached_property
    def _local(self) -> dict[str, str]:
        """For commands that stay here: a filter that the pull request configured may run in them."""
        if self.access is not None:
            return allowed(self._environ) | {"GIT_NO_REPLACE_OBJECTS": "1", "GIT_NO_LAZY_FETCH": "1"}
        settings = [name for name in self._networked if name.startswith("GIT_CONFIG_")]
        return without_credentials(self._networked, secret_values(self._environ), keep=settings)

    @contextmanager
    def _credentials(self, network: bool) -> Iterator[dict[str, str]]:
        token, key = self._environ.get(GIT_TOKEN), self._environ.get(GIT_KEY)
        if network and key and not token:
            yield {
                "GIT_SSH_COMMAND": f"ssh -i {shlex.quote(key)} -o IdentitiesOnly=yes -o BatchMode=yes "
                "-o StrictHostKeyChecking=accept-new"
            }
            return
        if not network or not token:
            yield {}
            return
        with tempfile.TemporaryDirectory(prefix="mlbutler-askpass-") as folder:
            program = Path(folder, "askpass")
            # The program holds no secret: it prints what its own environment holds.
            program.write_text(
                f'#!/bin/sh\ncase "$1" in\n[Uu]sername*) printf %s "${GIT_USER}" ;;\n'
                f'*) printf %s "${GIT_TOKEN}" ;;\nesac\n'
            )
            program.chmod(stat.S_IRWXU)
            user = self._environ.get(GIT_USER) or "git"
            yield {"GIT_ASKPASS": str(program), GIT_USER: user, GIT_TOKEN: token}

    # ------------------------------------------------------------------------------------ reading

    def toplevel(self) -> Path:
        """The work tree's root.

        Raises:
            UsageError: not inside a work tree.
        """
        if self._toplevel is None:
            done = self.run("rev-parse", "--show-toplevel", check=False)
            if done.code != 0:
                raise UsageError(
                    f"Not a git repository: {self.directory.resolve()}", "Run inside a clone, or pass -C DIR."
                )
            self._toplevel = Path(os.fsdecode(done.out).rstrip("\n"))
        return self._toplevel

    def resolve(self, rev: str) -> str | None:
        """The commit id of `rev`, None when there is no such commit here."""
        done = self.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}", check=False)
        return done.text.strip() if done.code == 0 else None

    def head(self) -> str:
        """The commit id of HEAD.

        Raises:
            UsageError: the repository has no commit yet.
        """
        head = self.resolve("HEAD")
        if head is None:
            raise UsageError("The repository has no commits yet.", "Commit something first.")
        return head

    def parents(self, rev: str) -> tuple[str, ...]:
        """Commit ids of the parents of `rev` (none in a shallow clone's last commit)."""
        return tuple(self.run("rev-list", "--parents", "-n", "1", rev).text.split()[1:])

    def described(self, rev: str) -> tuple[str, str]:
        """The author's name, and the full commit message."""
        author, _, message = self.run("show", "-s", "--format=%an%x00%B", rev).text.partition("\0")
        return author.strip(), message.strip()

    def trailers(self, rev: str) -> dict[str, str]:
        """The trailers of a commit message, the last one of each name."""
        text = self.run("show", "-s", "--format=%(trailers:only,unfold)", rev).text
        pairs = (line.partition(": ") for line in text.splitlines() if ": " in line)
        return {name: value.strip() for name, _, value in pairs}

    def is_ancestor(self, old: str, new: str) -> bool:
        """Is `old` reachable from `new`?"""
        return self.run("merge-base", "--is-ancestor", old, new, check=False).code == 0

    def merge_base(self, one: str, other: str) -> str | None:
        """The best common ancestor, None for unrelated histories (or a clone too shallow to know)."""
        done = self.run("merge-base", one, other, check=False)
        return done.text.splitlines()[0] if done.code == 0 and done.text else None

    def merged_tree(self, one: str, other: str) -> str | None:
        """Id of the tree that a merge of two commits makes; None where they conflict, or git is older than 2.38."""
        done = self.run("merge-tree", "--write-tree", one, other, check=False)
        return done.text.splitlines()[0] if done.code == 0 and done.text else None

    def is_shallow(self) -> bool:
        """Does the clone lack history?"""
        return self.run("rev-parse", "--is-shallow-repository").text == "true"

    def branch(self) -> str | None:
        """The branch that is checked out, None when HEAD is detached."""
        done = self.run("symbolic-ref", "--quiet", "--short", "HEAD", check=False)
        return done.text if done.code == 0 else None

    def remotes(self) -> tuple[str, ...]:
        """Names of the configured remotes."""
        return tuple(self.run("remote").text.splitlines())

    def remote_url(self, name: str) -> str:
        """Fetch URL of a remote, '' when it has none."""
        return self.run("remote", "get-url", name, check=False).text

    def show(self, rev: str, path: str) -> bytes | None:
        """Content of a file (path from the repository's root) at a commit, None when it is not there.

        Raises:
            GitError: on a CI server, where the project's code may have run: an object is not what its id says.
        """
        if self.access is not None and not self.access.fresh:
            commit = self.resolve(rev)
            return git_verified.file(self, commit, path) if commit is not None else None
        done = self.run("cat-file", "blob", f"{rev}:{path}", check=False)
        return done.out if done.code == 0 else None

    def tree(self, rev: str, path: str = "") -> tuple[TreeEntry, ...]:
        """All files of a commit below `path`; paths are from the repository's root."""
        args = ["ls-tree", "-r", "-z", "--full-tree", rev]
        out = self.run(*args, *(["--", path] if path else [])).out
        entries = []
        for item in filter(None, out.split(b"\0")):
            meta, _, name = item.partition(b"\t")
            mode, _, oid = meta.decode().split()
            entries.append(TreeEntry(mode, oid, os.fsdecode(name)))
        return tuple(entries)

    def tracked(self) -> frozenset[str]:
        """Paths in the index below `directory`, relative to it."""
        out = self.run("ls-files", "-z").out
        return frozenset(os.fsdecode(item) for item in out.split(b"\0") if item)

    def tracked_links(self, paths: Collection[str]) -> frozenset[str]:
        """Those of `paths` (relative to `directory`) that are symbolic links in the index."""
        items = self._listed("ls-files", "--stage", paths)
        return frozenset(path for meta, _, path in (item.partition("\t") for item in items) if meta.startswith(_LINK))

    def unmodified(self, paths: Collection[str]) -> frozenset[str]:
        """Files at or below `paths` (relative to `directory`) whose content in the work tree is that in the index.

        Files that Git was told to believe unchanged are none of them: it would not notice.
        """
        prefix = os.fsdecode(self.run("rev-parse", "--show-prefix").out).rstrip("\n")
        tracked = {item[2:] for item in self._listed("ls-files", "-v", paths) if item.startswith("H ")}
        lines = self._listed("status", "--porcelain", paths, "--no-renames", "--untracked-files=no")
        modified = {line[3:].removeprefix(prefix) for line in lines if line[1:2] != " "}
        return frozenset(tracked - modified)

    def _listed(self, verb: str, option: str, paths: Collection[str], *more: str) -> list[str]:
        """What git lists about these paths, which are no patterns."""
        found: list[str] = []
        left = list(paths)
        for start in range(0, len(left), _AT_ONCE):
            some = left[start : start + _AT_ONCE]
            out = self.run(verb, option, "-z", *more, "--", *some, extra={"GIT_LITERAL_PATHSPECS": "1"}).out
            found += [os.fsdecode(item) for item in out.split(b"\0") if item]
        return found

    def changed(self, old: str, new: str) -> tuple[str, ...]:
        """Paths that differ between two commits, from the repository's root; renames as both paths."""
        out = self.run("diff", "--name-only", "--no-renames", "-z", old, new).out
        return tuple(os.fsdecode(item) for item in out.split(b"\0") if item)

    def dirty(self, *, untracked: bool = False) -> tuple[str, ...]:
        """Paths (from the repository's root) that differ from HEAD in index or work tree."""
        mode = "all" if untracked else "no"
        out = self.run("status", "--porcelain", "-z", "--no-renames", f"--untracked-files={mode}").out
        return tuple(os.fsdecode(item[3:]) for item in out.split(b"\0") if item)

    def is_branch_name(self, name: str) -> bool:
        """Can a branch be called so? Text from a CI server's environment need not be a name."""
        return self.run("check-ref-format", f"refs/heads/{name}", check=False).code == 0

    def path(self, name: str) -> Path:
        """Where a file or folder of the repository's own is, such as ``objects``."""
        out = os.fsdecode(self.run("rev-parse", "--git-path", name).out).rstrip("\n")
        return (self.directory / out).absolute()

    def shallow_commits(self) -> frozenset[str]:
        """Where a shallow clone's history is cut off."""
        path = self.path("shallow")
        return frozenset(path.read_text(encoding="ascii").split()) if path.is_file() else frozenset()

    # ------------------------------------------------------------------------------------ network

    @property
    def address(self) -> Address | None:
        """Where the remote is, on a CI server; None on a laptop, and where nothing tells."""
        return self.access.address if self.access is not None else None

    def _private(self, *, writing: bool = False) -> PrivateRepository | None:
        """What talks to the remote on a CI server; None where the clone itself does.

        Raises:
            UsageError: nothing tells where the remote is, and there is something to lose.
        """
        if self.access is None:
            return None
        if self.access.address is not None:
            return PrivateRepository(self, self.access.address, self._environ)
        if writing or has_credentials(self._environ):
            raise UsageError(
                "Nothing tells where this repository is but .git/config, which the project's own code can write.",
                f"Set {GIT_URL} in the job, or keep the CI server's own variable, such as Jenkins' GIT_URL.",
            )
        return None

    def fetch(
        self,
        remote: str,
        *refspecs: str,
        depth: int | None = None,
        deepen: int | None = None,
        unshallow: bool = False,
    ) -> Done:
        """Fetch refs without tags. Exit code in the result.

        Args:
            depth: commits of history at most. deepen: further commits beyond where the history is cut off.
            unshallow: bring the whole history.
        """
        args = ["--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head"]
        if depth is not None:
            args.append(f"--depth={depth}")
        if deepen is not None:
            args.append(f"--deepen={deepen}")
        if unshallow:
            args.append("--unshallow")
        if (private := self._private()) is not None:
            return private.fetch(args, refspecs)
        return self.run("fetch", *args, "--", remote, *refspecs, check=False, network=True)

    def fetch_one(self, remote: str, ref: str) -> str | None:
        """The commit that a ref of the remote's names, brought here; None where there is none to be had."""
        try:
            refs = self.remote_refs(remote, ref, f"{ref}^{{}}")
        except (GitError, AccessDenied):
            return None
        oid = refs.get(f"{ref}^{{}}") or refs.get(ref)
        if oid is None or (self.resolve(oid) is None and self.fetch(remote, ref).code != 0):
            return None
        return self.resolve(oid)

    def ask(self, remote: str, *options: str, patterns: Sequence[str] = (), timeout: float | None = None) -> Done:
        """The remote's refs, as ``git ls-remote`` lists them with these options. Exit code in the result.

        Raises:
            GitError: it took longer than `timeout`.
        """
        options = ("--quiet", *options)
        if (private := self._private()) is not None:
            return private.ask(options, patterns, timeout)
        args = (*options, "--", remote, *patterns)
        return self.run("ls-remote", *args, check=False, network=True, timeout=timeout)

    def remote_refs(self, remote: str, *patterns: str) -> dict[str, str]:
        """ref name -> commit id on the remote.

        Raises:
            GitError, AccessDenied: the remote did not answer.
        """
        done = self.ask(remote, patterns=patterns)
        if done.code != 0:
            raise self.failure("ls-remote", done.err)
        return {name: oid for oid, _, name in (line.partition("\t") for line in done.text.splitlines())}

    def push(self, remote: str, commit: str, ref: str) -> Done:
        """Push one commit to one ref, never by force. Exit code and git's porcelain lines in the result."""
        options = ["--porcelain", "--no-verify", "--no-follow-tags", "--recurse-submodules=no"]
        if (private := self._private(writing=True)) is not None:
            return private.push(options, commit, ref)
        return self.run("push", *options, "--", remote, f"{commit}:{ref}", check=False, network=True)
