"""The only module that runs git.

Inherited ``GIT_*`` variables that would point git at another repository (hooks set them) are dropped;
those that carry credentials or configuration for the network are kept, and only for commands that talk to a
remote. A password from the environment reaches git through an askpass program and never through argv, a URL
or a file. Hooks never run: the code of a pull request can write them.

On a CI server, commands that talk to the remote run in a repository of their own (`mlbutler.git.private_repository`),
and all others get the same environment as the project's code.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Self

from mlbutler.console import human_bytes
from mlbutler.errors import AccessDenied, GitError, UsageError
from mlbutler.frozen import frozen
from mlbutler.git.address import RemoteAccess
from mlbutler.git.out_of_reach import is_out_of_reach
from mlbutler.git.token_user import token_user
from mlbutler.held_back import harmless_environment, values_to_hide
from mlbutler.secrets import Redactor, secret_values, without_credentials
from mlbutler.variables import GIT_KEY, GIT_TOKEN, GIT_USER

# Jenkins' gitUsernamePassword binds GIT_USERNAME and GIT_PASSWORD: its GIT_ASKPASS prints them.
_KEPT = {
    "GIT_USERNAME", "GIT_PASSWORD", "GIT_ASKPASS", "GIT_TERMINAL_PROMPT", "GIT_SSH", "GIT_SSH_COMMAND",
    "GIT_SSH_VARIANT", "GIT_SSL_CAINFO",
    "GIT_SSL_NO_VERIFY", "GIT_HTTP_LOW_SPEED_LIMIT", "GIT_HTTP_LOW_SPEED_TIME", "GIT_PROXY_COMMAND",
    "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_EXEC_PATH", "GIT_TEMPLATE_DIR",
}  # fmt: skip
_OPTIONS = (
    "-c", "core.quotePath=false", "-c", "gc.auto=0", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false",
    "-c", "core.safecrlf=false", "-c", "maintenance.auto=false",
)  # fmt: skip
# A remote that stops answering ends the command before the build times out.
_LOW_SPEED_LIMIT = {"GIT_HTTP_LOW_SPEED_LIMIT": "1", "GIT_HTTP_LOW_SPEED_TIME": "120"}
_FULL = re.compile(r"No space left on device|Disk quota exceeded", re.IGNORECASE)
_DENIED = re.compile(
    r"Authentication failed|could not read (Username|Password)|Permission denied|HTTP (401|403)"
    r"|returned error: 40[13]|Invalid username|not allowed to push|denied to",
    re.IGNORECASE,
)


def _gist(lines: list[str]) -> str:
    """Return git's first error line about a remote: it names the cause, while the last one is always the same."""
    return lines[0].strip() if lines else "no message"


@frozen
class Done:
    """Exit code and output of a finished git command."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        """Return standard output as text, without the final newline."""
        return self.out.decode("utf-8", "surrogateescape").rstrip("\n")


class GitCommand:
    """Run git in one work tree (or bare repository).

    Args:
        directory: where git runs; paths given to methods are relative to it unless said otherwise.
        environ: the environment to take credentials and configuration from.
        access: how the remote is reached on a CI server; None where the clone's own configuration is trusted.
    """

    def __init__(
        self, directory: Path, environ: Mapping[str, str] | None = None, access: RemoteAccess | None = None
    ) -> None:
        self.directory, self.access = directory, access
        self._environ = dict(os.environ if environ is None else environ)
        self._toplevel: Path | None = None
        self._paths: dict[str, Path] = {}
        self._commits: dict[str, str] = {}
        self._heads: dict[str, None] = {}
        self._parents: dict[str, tuple[str, ...]] = {}
        self._described: dict[str, tuple[str, str]] = {}
        self._contents: dict[tuple[bool, str], dict[str, bytes | None]] = {}

    def at(self, directory: Path) -> Self:
        """Return a copy that runs in another directory of the same work tree."""
        return self._alike(type(self)(directory, self._environ, self.access))

    def reaching(self, access: RemoteAccess) -> Self:
        """Return a copy that reaches the remote as `access` says."""
        return self._alike(type(self)(self.directory, self._environ, access))

    def _alike(self, other: Self) -> Self:
        other._toplevel, other._paths, other._commits = self._toplevel, self._paths, self._commits
        other._parents, other._described, other._contents = self._parents, self._described, self._contents
        other._heads = self._heads
        return other

    def with_environment(self, environ: Mapping[str, str], access: RemoteAccess | None) -> Self:
        """Return a copy with another environment, which reaches the remote as `access` says."""
        return self._alike(type(self)(self.directory, environ, access))

    def without_credentials(self) -> Self:
        """Return a copy whose environment holds nothing that a remote would accept as a password."""
        left = without_credentials(self._environ, secret_values(self._environ))
        access = self.access.without_password() if self.access is not None else None
        return self._alike(type(self)(self.directory, left, access))

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
            network: the command talks to a remote and gets the credentials.
            extra: environment variables for this command alone.

        Raises:
            GitError: git is missing, or (with `check`) the command failed. AccessDenied: the remote refused
                the credentials. UsageError: git does not trust the directory.
        """
        environ = {
            **(self._network_environment if network and self.access is None else self._local_environment),
            **(extra or {}),
        }
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
            raise self.failure(args[0], err, network=network, where=self.directory)
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
            cwd: the directory to run in; `directory` if None.

        Raises:
            GitError: git is missing, or took too long. UsageError: there is no such directory.
        """
        verb = next((word for word in args if not word.startswith("-")), "")
        always = {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
        try:
            done = subprocess.run(
                ["git", *_OPTIONS, *args], executable=self.program, cwd=cwd or self.directory,
                env=_LOW_SPEED_LIMIT | dict(environ) | always, input=input, capture_output=True, check=False,
                timeout=timeout, stdin=subprocess.DEVNULL if input is None else None,
            )  # fmt: skip
        except FileNotFoundError as error:
            if not self.directory.is_dir():
                raise UsageError(f"No such directory: {self.directory}", "Check -C.") from error
            raise GitError("git is not installed.", "Install git 2.30 or newer.") from error
        except subprocess.TimeoutExpired as error:
            raise GitError(f"git {verb} took longer than {timeout:.0f} s.", "Check the network.") from error
        said = done.stderr.decode("utf-8", "replace").strip()
        return Done(done.returncode, done.stdout, self._redactor.hide(said) if said else "")

    @cached_property
    def _redactor(self) -> Redactor:
        return Redactor(values_to_hide(self._environ))

    @cached_property
    def program(self) -> str:
        """Return the path of the git that is run.

        On a CI server it never lies in the work tree, and one that this user cannot write is preferred.
        """
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
    def failure(verb: str, err: str, *, network: bool = True, where: Path | None = None) -> GitError | AccessDenied:
        """Return the error for a failed command: `AccessDenied` where a remote refused, else `GitError`.

        Args:
            where: the directory that git works in.
        """
        lines = [line for line in err.splitlines() if line.strip() and not line.startswith("hint:")]
        said = [line for line in lines if line.startswith(("fatal:", "error:"))] or lines
        message = said[-1].strip() if said else "no message"
        if any(_FULL.search(line) for line in lines if not line.startswith("remote:")):
            free = f": {human_bytes(shutil.disk_usage(where).free)} are free for {where}" if where is not None else ""
            remedy = f"Free some space, and run it again. Git said: {message}"
            return GitError(f"git {verb} failed, since the disk is full{free}.", remedy)
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
    def _network_environment(self) -> dict[str, str]:
        kept = {k: v for k, v in self._environ.items() if not k.startswith("GIT_") or k in _KEPT
                or k.startswith(("GIT_CONFIG_", "GIT_TRACE"))}  # fmt: skip
        return _LOW_SPEED_LIMIT | kept

    @cached_property
    def _local_environment(self) -> dict[str, str]:
        """Return the environment of local commands; a filter that the pull request configured may run in them."""
        if self.access is not None:
            return harmless_environment(self._environ) | {"GIT_NO_REPLACE_OBJECTS": "1", "GIT_NO_LAZY_FETCH": "1"}
        settings = [name for name in self._network_environment if name.startswith("GIT_CONFIG_")]
        return without_credentials(self._network_environment, secret_values(self._environ), keep=settings)

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
            user = token_user(token, self._environ.get(GIT_USER, ""))
            yield {"GIT_ASKPASS": str(program), GIT_USER: user, GIT_TOKEN: token}
