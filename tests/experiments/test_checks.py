"""No credential is sent, however large the file is that holds it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlbutler.errors import UsageError
from mlbutler.experiments.capture import capture_work_tree
from mlbutler.experiments.checks import refuse_credentials
from mlbutler.git import Git
from mlbutler.secrets import Redactor
from tests.conftest import GitCommand

TOKEN = "ghp_" + "a1B2" * 10
FILLER = "a line of data\n" * 150_000  # 2 MB


@pytest.fixture
def root(tmp_path: Path, git: GitCommand) -> Path:
    git(tmp_path, "init", "-q")
    (tmp_path / "large.txt").write_text(FILLER)
    (tmp_path / "small.txt").write_text("small\n")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def refuse(root: Path, copied: tuple[str, ...] = ()) -> None:
    git = Git(root)
    refuse_credentials(git, capture_work_tree(git, copied), Redactor(()))


@pytest.mark.parametrize("content", [f"{FILLER}key {TOKEN}\n", f"{FILLER}{'x' * 2_000_000} {TOKEN}"])
def test_a_credential_in_a_large_file_is_not_sent(root: Path, content: str) -> None:
    (root / "small.txt").write_text("changed too\n")
    (root / "large.txt").write_text(content)
    with pytest.raises(UsageError, match=r"large.txt, line 150001, holds what looks like a credential"):
        refuse(root)


def test_a_large_file_that_is_new_is_looked_at_too(root: Path) -> None:
    (root / "new.txt").write_text(f"{FILLER}{TOKEN}\n")
    refuse(root)
    with pytest.raises(UsageError, match=r"new.txt, line 150001"):
        refuse(root, ("new.txt",))


def test_what_the_baseline_has_is_no_news_in_a_large_file(root: Path, git: GitCommand) -> None:
    (root / "large.txt").write_text(f"{FILLER}{TOKEN}\n")
    git(root, "commit", "-qam", "it is known")
    (root / "large.txt").write_text(f"another line\n{FILLER}{TOKEN}\n")
    refuse(root)
    (root / "large.txt").write_text("short\n")
    refuse(root)
