"""A clone together with its remote."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mlbutler.errors import AccessDenied, GitError, NoAddress
from mlbutler.frozen import frozen
from mlbutler.git.address import Address
from mlbutler.git.clone import Clone
from mlbutler.git.command import Done
from mlbutler.git.private_repository import PrivateRepository
from mlbutler.secrets import has_credentials
from mlbutler.variables import GIT_URL

_TRIES = 5
"""Two processes that fetch the same refs at once get in each other's way."""


@frozen
class RefMove:
    """A change of one ref on the remote: from `old` to `new`, each '' where there is no such ref."""

    ref: str
    new: str
    old: str


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

    def mirror_refs(self, remote: str, prefix: str, into: str) -> Done:
        """Bring all the remote's refs below `prefix` to where `into` says, and drop those there that it dropped.

        Exit code in the result.
        """
        if self._private() is not None:
            return self._mirror_by_name(remote, prefix, into)
        args = ["--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", "--prune",
                "--no-show-forced-updates"]  # fmt: skip
        for _ in range(_TRIES):
            done = self.run("fetch", *args, "--", remote, f"+{prefix}*:{into}*", check=False, network=True)
            if "cannot lock ref" not in done.err:
                break
        return done

    def _mirror_by_name(self, remote: str, prefix: str, into: str) -> Done:
        """Do as `mirror_refs` by names: a private repository takes no patterns."""
        asked = self.ask(remote, patterns=[f"{prefix}*"])
        if asked.code != 0:
            return asked
        there = {name.removeprefix(prefix): oid for oid, name in _pairs(asked.text, "\t")}
        listed = self.run("for-each-ref", "--format=%(objectname) %(refname)", into).text
        here = {name.removeprefix(into): oid for oid, name in _pairs(listed, " ")}
        for name in here.keys() - there.keys():
            self.run("update-ref", "-d", f"{into}{name}")
        new = [f"+{prefix}{name}:{into}{name}" for name, oid in there.items() if here.get(name) != oid]
        return self.fetch(remote, *new) if new else asked

    def move_refs(self, remote: str, moves: Sequence[RefMove]) -> tuple[Done, dict[str, str]]:
        """Change refs on the remote, each only where it still is what it was.

        Returns:
            What git said, and for each ref that the remote answered for the reason of its refusal, '' for a success.
        """
        options = ["--porcelain", "--no-verify", "--no-follow-tags", "--recurse-submodules=no"]
        options += [f"--force-with-lease={move.ref}:{move.old}" for move in moves]
        specs = [f"{move.new}:{move.ref}" for move in moves]
        if (private := self._private(writing=True)) is not None:
            done = private.push(options, *specs)
        else:
            done = self.run("push", *options, "--", remote, *specs, check=False, network=True)
        return done, dict(_answers(done.text))

    def push(self, remote: str, commit: str, ref: str, *, expected: str) -> Done:
        """Push one commit to one ref, never by force. Exit code and git's porcelain lines in the result.

        Args:
            expected: what the ref has to be on the remote, '' for nothing; `commit` stands on it. Else a branch
                that was deleted since would be created again, and one that its author took back would go forward again.
        """
        options = ["--porcelain", "--no-verify", "--no-follow-tags", "--recurse-submodules=no"]
        options += [f"--force-with-lease={ref}:{expected}"]
        if (private := self._private(writing=True)) is not None:
            return private.push(options, f"{commit}:{ref}")
        return self.run("push", *options, "--", remote, f"{commit}:{ref}", check=False, network=True)


def _pairs(text: str, between: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        oid, _, name = line.partition(between)
        yield oid, name


def _answers(porcelain: str) -> Iterator[tuple[str, str]]:
    """Yield ref and reason from what ``git push --porcelain`` printed."""
    for line in porcelain.splitlines():
        flag, *fields = line.split("\t")
        if len(fields) == 2 and len(flag) == 1:
            yield fields[0].rpartition(":")[2], fields[1] if flag == "!" else ""
