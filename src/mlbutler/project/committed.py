"""The files of a commit as a file system of DVC's, without libgit2: importing it is a fifth of a small comparison."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from typing import Any

_FULL = re.compile(r"[0-9a-f]{40}").fullmatch
_FILTERS = re.compile(rb"filter|ident|encoding")
"""Attributes by which Git changes content on its way to the work tree, as DVC has libgit2 do."""


def files_at(scm: Any, commit: str) -> Any:
    """Return the `dvc.fs.GitFileSystem` of a commit of the `dvc.scm.Git`."""
    from dvc.fs import GitFileSystem

    trie = _trie(scm, commit) if _FULL(commit) else None
    return GitFileSystem(scm=scm, rev=commit) if trie is None else GitFileSystem(scm=scm, trie=trie)


def _trie(scm: Any, commit: str) -> Any:
    """Return the commit's files, read by the library that DVC has opened; None where DVC has to read them itself."""
    from scmrepo.exceptions import SCMError
    from scmrepo.git.backend.dulwich import DulwichObject
    from scmrepo.git.objects import S_ISGITLINK, GitTrie

    attributes: list[bytes] = []

    class Object(DulwichObject):
        def open(self, *args: Any, **options: Any) -> Any:
            try:
                return super().open(*args, **{**options, "raw": True})
            except KeyError as error:  # taken for a file that there was not
                raise SCMError(f"Git's object {self.sha} is not in this clone") from error
            finally:
                self.repo.object_store.close()

        def scandir(self) -> Iterator[Any]:
            for entry in self.repo[self._sha].iteritems():
                if entry.path == b".gitattributes" and not S_ISGITLINK(entry.mode):
                    attributes.append(self.repo[entry.sha].as_raw_string())
                yield Object(self.repo, os.fsdecode(entry.path), entry.mode, entry.sha)

    repo = scm.dulwich.repo
    try:
        trie = GitTrie(Object(repo, ".", stat.S_IFDIR, repo[commit.encode()].tree), commit)
    except (KeyError, AttributeError):  # it is not there, or is no commit
        return None
    finally:
        repo.object_store.close()
    return None if any(map(_FILTERS.search, attributes)) else trie
