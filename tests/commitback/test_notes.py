"""Notes on commits, in a real repository."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mlbutler.commitback.build import Author
from mlbutler.commitback.notes import NOTES, add_note, read_note
from mlbutler.errors import GitError
from mlbutler.git import Git

AUTHOR = Author("Butler", "butler@example.org")


def test_a_note_that_would_fill_the_memory_is_not_read_and_stays(tmp_path: Path, git: Callable[..., str]) -> None:
    git(tmp_path, "init", "-b", "main")
    git(tmp_path, "commit", "--allow-empty", "-m", "one")
    here = Git(tmp_path, {})
    head = here.resolve("HEAD")
    assert head is not None
    for line in ("first", "second"):
        add_note(here, head, [line], AUTHOR)
    tip = here.resolve(NOTES)
    assert tip is not None
    assert read_note(here, tip, head) == ["first", "second"]
    (tmp_path / "large").write_bytes(b"x" * 5_000_000)
    git(tmp_path, "notes", f"--ref={NOTES}", "add", "-f", "-F", "large")
    large = here.resolve(NOTES)
    assert large is not None
    with pytest.raises(GitError, match="is not a file of at most 4 MB"):
        read_note(here, large, head)
    with pytest.raises(GitError, match="is not a file of at most 4 MB"):
        add_note(here, head, ["third"], AUTHOR)
    assert here.resolve(NOTES) == large
