"""History that a CI server's clone may lack, fetched from the remote on demand and only as deep as needed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from mlbutler.errors import GitError, UsageError
from mlbutler.frozen import frozen
from mlbutler.git import Done, Git

_FIRST_DEPTH = 50
_FURTHER = (50, 500)
_COMMIT_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@frozen
class Fetched:
    """Hold a remote branch's tip, or that it does not exist, or why the remote could not be asked."""

    commit: str | None = None
    missing: bool = False
    error: str = ""


class History:
    """Read the clone's history and fetch what is missing of it through `remote` (None: there is none).

    Args:
        fresh: ask the remote for its branches: those in a CI server's clone may be older.
    """

    def __init__(self, git: Git, remote: str | None, *, fresh: bool) -> None:
        self.git, self.remote, self._fresh = git, remote, fresh
        self._fetched: dict[str, Fetched] = {}
        self._refs: dict[str, str | None] = {}
        self._default: str | None = None

    # ------------------------------------------------------------------------------------ branches

    def tracking_tip(self, branch: str) -> str | None:
        """Return the tip of the remote's branch as the clone last saw it."""
        return self._commit(f"refs/remotes/{self.remote}/{branch}") if self.remote else None

    def local_tip(self, branch: str) -> str | None:
        """Return the tip of the clone's own branch."""
        return self._commit(f"refs/heads/{branch}")

    def load_refs(self, *branches: str | None) -> None:
        """Read these remote branches as the clone last saw them, and the remote's default branch, by one process."""
        if self.remote is None:
            return
        prefix, self._default = f"refs/remotes/{self.remote}/", ""
        asked = [f"{prefix}{branch}" for branch in ("HEAD", *branches) if branch and self.git.is_branch_name(branch)]
        fields = "%(refname)%00%(symref)%00%(objecttype)%00%(objectname)"
        lines = self.git.run("for-each-ref", f"--format={fields}", *asked, check=False).text.splitlines()
        for name, leads_to, kind, oid in (line.split("\0") for line in lines):
            if kind == "commit":
                self._refs |= {name: oid, leads_to or name: oid}
                if name == f"{prefix}HEAD" and leads_to.startswith(prefix):
                    self._default = leads_to.removeprefix(prefix)

    def tip(self, branch: str) -> str | None:
        """Return the tip of the remote's branch as it was fetched, else as the clone last saw it."""
        fetched = self._fetched.get(branch, Fetched())
        return fetched.commit or self.tracking_tip(branch)

    def is_tip(self, commit: str) -> bool:
        """Return whether `commit` is known to be the tip of one of the remote's branches."""
        return any(tip == commit and name.startswith("refs/remotes/") for name, tip in self._refs.items())

    def _commit(self, ref: str) -> str | None:
        if ref not in self._refs:
            self._refs[ref] = self.git.resolve(ref)
        return self._refs[ref]

    def _run_fetch(
        self, *refs: str, depth: int | None = None, deepen: int | None = None, unshallow: bool = False
    ) -> Done:
        """Fetch, which may move any of the refs."""
        assert self.remote is not None
        self._refs.clear()
        return self.git.fetch(self.remote, *refs, depth=depth, deepen=deepen, unshallow=unshallow)

    def fetch(self, branch: str) -> Fetched:
        """Fetch the remote's branch as it is now, once."""
        if branch not in self._fetched:
            self._fetched[branch] = self._fetch(branch)
        return self._fetched[branch]

    def fetch_together(self, *branches: str | None) -> None:
        """Fetch several branches by one request, where its answer says as much of each as `fetch` would."""
        names = [name for name in dict.fromkeys(branches) if name is not None and name not in self._fetched]
        if self.remote is None or len(names) < 2 or not all(map(self.git.is_branch_name, names)):
            return
        if self.git.is_shallow() and not all(map(self.tracking_tip, names)):
            return
        tracking = {name: f"refs/remotes/{self.remote}/{name}" for name in names}
        done = self._run_fetch(*(f"+refs/heads/{name}:{ref}" for name, ref in tracking.items()))
        if done.code == 0:  # else each alone says what is wrong with it
            commits: Sequence[str | None] = done.text.splitlines()
            commits = commits or [self.git.resolve(ref) for ref in tracking.values()]
            self._fetched |= {name: Fetched(commit) for name, commit in zip(names, commits, strict=True)}

    def _fetch(self, branch: str) -> Fetched:
        if self.remote is None or not self.git.is_branch_name(branch):
            return Fetched(missing=True)
        # Without a limit, a branch that shares no commit with a shallow clone would bring its whole history.
        depth = _FIRST_DEPTH if self.git.is_shallow() and self.tracking_tip(branch) is None else None
        tracking = f"refs/remotes/{self.remote}/{branch}"
        done = self._run_fetch(f"+refs/heads/{branch}:{tracking}", depth=depth)
        if done.code == 0:
            return Fetched(done.text or self.git.resolve(tracking))
        if "couldn't find remote ref" in done.err:
            return Fetched(missing=True)
        return Fetched(error=done.err or "no message")

    def default_branches(self) -> Iterator[str]:
        """Yield likely names of the target branch when none is set, best first; git is asked lazily."""
        if self.remote is not None:
            if self._default is None:
                self.load_refs()
            yield from [self._default] if self._default else self._remote_default()
        for branch in ("main", "master"):
            if self.tracking_tip(branch) or self.local_tip(branch):
                yield branch

    def _remote_default(self) -> list[str]:
        assert self.remote is not None
        try:
            done = self.git.ask(self.remote, "--symref", patterns=("HEAD",), timeout=60)
        except GitError:  # too slow an answer is none: there are guesses left
            return []
        lines = [line for line in done.text.splitlines() if line.startswith("ref: refs/heads/")]
        return [line.split("\t")[0].removeprefix("ref: refs/heads/") for line in lines]

    def unknown_branch_error(self, branch: str) -> UsageError:
        """Return the error for a named target branch that does not exist."""
        import difflib

        near = difflib.get_close_matches(branch, self._names(), n=3, cutoff=0.3)
        hint = f"Similar names: {', '.join(near)}." if near else "Check project.target and the CI server's target."
        return UsageError(f"The target branch '{branch}' does not exist.", hint)

    def _names(self) -> list[str]:
        names = self.git.run("for-each-ref", "--format=%(refname)", "refs/heads", "refs/tags").text.splitlines()
        if self.remote is not None:
            done = self.git.ask(self.remote, "--heads", "--tags")
            names += [line.partition("\t")[2] for line in done.text.splitlines()]
        found = (name.removeprefix("refs/heads/").removeprefix("refs/tags/").removesuffix("^{}") for name in names)
        return list(dict.fromkeys(found))

    def resolve_revision(self, rev: str) -> str:
        """Return the commit of a named revision: a branch, a tag, a commit, ``HEAD~2``.

        Raises:
            UsageError: it does not exist, here or on the remote.
        """
        branch = rev.removeprefix(f"{self.remote}/")
        if self._fresh and not _COMMIT_ID.fullmatch(rev) and (commit := self.fetch(branch).commit) is not None:
            return commit
        commit = self.git.resolve(rev) or self.tracking_tip(rev) or self._fetch_commit(rev)
        if commit is not None:
            return commit
        import difflib

        near = difflib.get_close_matches(rev, self._names(), n=3, cutoff=0.5)
        hint = (
            f"Similar names: {', '.join(near)}."
            if near
            else "Name a branch, a tag or a commit, such as --against main."
        )
        raise UsageError(f"There is no revision '{rev}'.", hint)

    def _fetch_commit(self, rev: str) -> str | None:
        if self.remote is None:
            return None
        if _COMMIT_ID.fullmatch(rev):
            self._run_fetch(rev)  # refused by some servers
        elif (commit := self.fetch(rev.removeprefix(f"{self.remote}/")).commit) is not None:
            return commit
        elif self.git.is_branch_name(rev) and (tagged := self.git.fetch_one(self.remote, f"refs/tags/{rev}")):
            return tagged
        if self.git.is_shallow() and self.git.resolve(rev) is None:
            self._deepen(None)
        return self.git.resolve(rev)

    # ------------------------------------------------------------------------------------- commits

    def parents(self, commit: str) -> tuple[str, ...]:
        """Return the commit ids of the parents, also where the clone's history is cut off at `commit`."""
        if commit in self.git.shallow_commits() and not self._deepen(1, commit):
            self._deepen(None)
        return self.git.parents(commit)

    def deepen(self, further: int, commit: str) -> bool:
        """Fetch `further` commits beyond where the history of `commit` is cut off; return whether that worked."""
        return self._deepen(further, commit)

    def merge_base(self, one: str, other: str) -> str | None:
        """Return the best common ancestor; None when the histories are unrelated."""
        for further in (*_FURTHER, None):
            base = self.git.merge_base(one, other)
            if self._is_certain(base, one, other):
                return base
            if not self._deepen(further, one, other):
                self._deepen(None)
        return self.git.merge_base(one, other)

    def _is_certain(self, base: str | None, one: str, other: str) -> bool:
        """Return whether no nearer common ancestor can lie beyond where the history is cut off."""
        if not self.git.is_shallow():
            return True
        if base is None:
            return False
        since = self.git.run("rev-list", one, other, f"^{base}").text.split()
        return self.git.shallow_commits().isdisjoint(since)

    def _deepen(self, further: int | None, *commits: str) -> bool:
        """Fetch `further` commits (None: all) beyond where the history of `commits` is cut off, as `deepen`."""
        if self.remote is None or not self.git.is_shallow():
            return False
        if further is None:
            # The cut-off commits themselves tell the server what is wanted: any one ref will do.
            return self._run_fetch("HEAD", unshallow=True).code == 0
        return self._run_fetch(*commits, deepen=further).code == 0
