"""A clone together with its remote."""

from __future__ import annotations

from collections.abc import Sequence

from mlbutler.errors import AccessDenied, GitError, NoAddress
from mlbutler.git.address import Address
from mlbutler.git.clone import Clone
from mlbutler.git.command import Done
from mlbutler.git.private_repository import PrivateRepository
from mlbutler.secrets import has_credentials
from mlbutler.variables import GIT_URL


class Git(Clone):
    """Run git in one work tree (or bare repository) and against its remote."""

    @property
    def address(self) -> Address | None:
        """Return the remote's address on a CI server; None on a laptop, and where it is not known."""
        return self.access.address if self.access is not None else None

    def _private(self, *, writing: bool = False) -> PrivateRepository | None:
        """Return the repository that talks to the remote on a CI server; None where the clone itself does.

        Raises:
            NoAddress: the remote's address is not known, and there are credentials to protect.
        """
        if self.access is None:
            return None
        if self.access.address is not None:
            return PrivateRepository(self, self.access.address, self._environ)
        if writing or has_credentials(self._environ):
            raise NoAddress(
                "This repository's address is only in .git/config, which the project's own code can write.",
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
        """Fetch one ref and return its commit; None where it cannot be fetched."""
        try:
            refs = self.remote_refs(remote, ref, f"{ref}^{{}}")
        except (GitError, AccessDenied):
            return None
        oid = refs.get(f"{ref}^{{}}") or refs.get(ref)
        if oid is None or (self.resolve(oid) is None and self.fetch(remote, ref).code != 0):
            return None
        return self.resolve(oid)

    def ask(self, remote: str, *options: str, patterns: Sequence[str] = (), timeout: float | None = None) -> Done:
        """Return the remote's refs, as ``git ls-remote`` lists them with these options. Exit code in the result.

        Raises:
            GitError: it took longer than `timeout`.
        """
        options = ("--quiet", *options)
        if (private := self._private()) is not None:
            return private.ask(options, patterns, timeout)
        args = (*options, "--", remote, *patterns)
        return self.run("ls-remote", *args, check=False, network=True, timeout=timeout)

    def remote_refs(self, remote: str, *patterns: str) -> dict[str, str]:
        """Return ref name -> commit id on the remote.

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
