"""Keep lines on a commit as a Git note: beside the commit, which stays as it is.

No index, work tree or branch is touched, and on the remote nothing is replaced that somebody else put there.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from mlbutler.commitback.build import Author
from mlbutler.commitback.push_results import refusal
from mlbutler.commitback.scratch import scratch_index
from mlbutler.errors import GitError
from mlbutler.git import Git, TreeEntry
from mlbutler.git.objects import read_blobs

NOTES, ATTESTATIONS = "refs/notes/mlbutler", "refs/notes/mlbutler-attestations"
_TRIES = 6
_PAUSE = 0.2
_FILE = "100644"
_MOST_LINES = 50
_LARGEST = 4 << 20
"""Bytes of a note. Who may push could write one that fills the memory."""


def add_note(git: Git, commit: str, lines: Sequence[str], author: Author, ref: str = NOTES) -> None:
    """Append lines to the commit's note in this clone, below `ref`.

    Raises:
        GitError: git could not write it, or the note is too large.
    """
    for _ in range(_TRIES):
        tip = git.resolve(ref)
        made = _commit_note(git, tip, commit, lines, author)
        if git.run("update-ref", ref, made, tip or "0" * 40, check=False).code == 0:
            return
    raise GitError(f"{ref} could not be written.", "Run again.")


def push_note(git: Git, remote: str, commit: str, lines: Sequence[str], author: Author, ref: str = NOTES) -> None:
    """Append lines to the commit's note on the remote, below `ref`, on top of what is there.

    Raises:
        AccessDenied: the remote refused the credentials. GitError: it could not be reached, or does not take the ref.
    """
    for attempt in range(_TRIES):
        time.sleep(_PAUSE * attempt)
        tip = git.remote_refs(remote, ref).get(ref)
        if tip is not None:
            git.fetch(remote, ref)
            if git.resolve(tip) is None:
                continue  # it moved between the two questions
        done = git.push(remote, _commit_note(git, tip, commit, lines, author), ref, expected=tip or "")
        if done.code == 0:
            return
        if (said := refusal(done)) is not None:
            raise GitError(f"The remote refused {ref}: {said}", "Let this user write that ref.")
    raise GitError(f"{ref} moved {_TRIES} times in a row.", "Run again.")


def read_note(git: Git, tip: str, commit: str) -> list[str]:
    """Return the lines of a commit's note, none where it has none.

    Raises:
        GitError: it is too large.
    """
    there = _find_note(git, tip, commit)
    return _read_lines(git, tip, there) if there is not None else []


def _read_lines(git: Git, tip: str, note: TreeEntry) -> list[str]:
    name = f"{tip}:{note.path}"
    blob = read_blobs(git, [name], _LARGEST).get(name)
    if blob is None or blob.content is None:
        raise GitError(f"The note {name} is not a file of at most {_LARGEST >> 20} MB.", "Remove it: git notes remove.")
    return blob.content.decode("utf-8", "replace").splitlines()


def _find_note(git: Git, tip: str, commit: str) -> TreeEntry | None:
    # Git parts a large tree of notes into folders.
    return next((entry for entry in git.tree(tip) if entry.path.replace("/", "") == commit), None)


def _commit_note(git: Git, tip: str | None, commit: str, lines: Sequence[str], author: Author) -> str:
    """Return a commit on `tip` of which the note of `commit` has these lines more."""
    there = _find_note(git, tip, commit) if tip is not None else None
    before = _read_lines(git, tip, there) if tip is not None and there is not None else []
    kept = [*before, *lines][-max(_MOST_LINES, len(lines)) :]
    content = "".join(f"{one}\n" for one in kept).encode()
    oid = git.run("hash-object", "-w", "--stdin", input=content).text.strip()
    path = there.path if there is not None else commit
    with scratch_index(git, tip) as index:
        index.set_entries({path: TreeEntry(_FILE, oid, path)})
        tree = index.tree()
    parent = ["-p", tip] if tip is not None else []
    message = f"Verification of {commit[:10]}\n".encode()
    return git.run("commit-tree", tree, *parent, "-F", "-", input=message, extra=author.environ()).text
