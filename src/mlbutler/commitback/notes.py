"""Keep lines on a commit as a Git note: beside the commit, which stays as it is.

No index, work tree or branch is touched, and on the remote nothing is replaced that somebody else put there.
"""

from __future__ import annotations

import time

from mlbutler.commitback.build import Author
from mlbutler.commitback.push_results import refusal
from mlbutler.commitback.scratch import scratch_index
from mlbutler.errors import GitError
from mlbutler.git import Git, TreeEntry

NOTES = "refs/notes/mlbutler"
_TRIES = 6
_PAUSE = 0.2
_FILE = "100644"
_MOST_LINES = 50


def add_note(git: Git, commit: str, line: str, author: Author) -> None:
    """Append a line to the commit's note in this clone.

    Raises:
        GitError: git could not write it.
    """
    for _ in range(_TRIES):
        tip = git.resolve(NOTES)
        made = _with_line(git, tip, commit, line, author)
        if git.run("update-ref", NOTES, made, tip or "0" * 40, check=False).code == 0:
            return
    raise GitError(f"{NOTES} could not be written.", "Run again.")


def push_note(git: Git, remote: str, commit: str, line: str, author: Author) -> None:
    """Append a line to the commit's note on the remote, on top of what is there.

    Raises:
        AccessDenied: the remote refused the credentials. GitError: it could not be reached, or does not take the ref.
    """
    for attempt in range(_TRIES):
        time.sleep(_PAUSE * attempt)
        tip = git.remote_refs(remote, NOTES).get(NOTES)
        if tip is not None:
            git.fetch(remote, NOTES)
            if git.resolve(tip) is None:
                continue  # it moved between the two questions
        done = git.push(remote, _with_line(git, tip, commit, line, author), NOTES, expected=tip or "")
        if done.code == 0:
            return
        if (said := refusal(done)) is not None:
            raise GitError(f"The remote took no {NOTES}: {said}", "Let this user write that ref.")
    raise GitError(f"{NOTES} moved {_TRIES} times in a row.", "Run again.")


def _with_line(git: Git, tip: str | None, commit: str, line: str, author: Author) -> str:
    """Return a commit on `tip` of which the note of `commit` has one line more."""
    entries = git.tree(tip) if tip is not None else ()
    # Git parts a large tree of notes into folders.
    there = next((entry for entry in entries if entry.path.replace("/", "") == commit), None)
    before = git.run("cat-file", "blob", there.oid).out.decode("utf-8", "replace") if there is not None else ""
    lines = [*before.splitlines(), line][-_MOST_LINES:]
    content = "".join(f"{one}\n" for one in lines).encode()
    oid = git.run("hash-object", "-w", "--stdin", input=content).text.strip()
    path = there.path if there is not None else commit
    with scratch_index(git, tip) as index:
        index.put({path: TreeEntry(_FILE, oid, path)})
        tree = index.tree()
    parent = ["-p", tip] if tip is not None else []
    message = f"Verification of {commit[:10]}\n".encode()
    return git.run("commit-tree", tree, *parent, "-F", "-", input=message, extra=author.environ()).text
