"""The newest changes of several files, told by one process of git as a process for each tells them."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from mlbutler.git import Git
from mlbutler.git.recent import recent_changes

_FILES = ("m.json", "sub/n.json", "sub/ü 1.json", "x")


def history(root: Path, seed: int, merges: float, length: int = 12) -> Git:
    """A repository with a random history, in which merges take one side's files or either's."""
    chance = random.Random(seed)
    subprocess.run(["git", "init", "-q", "-b", "main", str(root)], check=True)
    said: list[str] = []
    tips: list[int] = []
    files: dict[int, dict[str, str]] = {}
    for number in range(1, length + 1):
        parents = [] if not tips else [tips[-1]] if chance.random() > merges else chance.sample(tips, min(2, len(tips)))
        have = dict(files[chance.choice(parents)]) if parents else {}
        for path in chance.sample(_FILES, chance.choice([0, 1, 1, 2])):
            if path == "x" and chance.random() < 0.5:
                have = {name: text for name, text in have.items() if name != "x"} | {"x/below": str(number)}
            elif chance.random() < 0.2:
                have.pop(path, None)
            else:
                have = {n: t for n, t in have.items() if not n.startswith(f"{path}/")} | {path: str(number % 3)}
        message = f"no. {number}\n\nMlbutler-Head: {'0' * 39}{number % 10}\nNoise: \x01\x02 {'1' * 40}\n"
        said += [f"commit refs/heads/main\nmark :{number}\ncommitter A <a@b> {1_700_000_000 + number} +0000"]
        said += [f"data {len(message.encode())}\n{message}"]
        said += [f"{'merge' if at else 'from'} :{parent}" for at, parent in enumerate(parents)]
        said += ["deleteall", *(f'M 100644 inline "{p}"\ndata {len(t)}\n{t}' for p, t in have.items()), ""]
        files[number] = have
        tips = [*tips[-3:], number]
    script = "\n".join(said)
    subprocess.run(["git", "fast-import", "--quiet", "--force"], cwd=root, input=script.encode(), check=True)
    return Git(root)


def find_newest(git: Git, paths: Sequence[str], found: Sequence[str]) -> tuple[str, dict[str, str]] | None:
    """What the newest of the recent changes says of these files, together; None where none has them."""
    for commit in recent_changes(git, "main", found):
        if commit.changed & set(paths):
            return commit.oid, commit.trailers
    return None


@pytest.mark.parametrize("merges", [0.0, 0.3])
def test_it_is_what_git_says_of_each_file(tmp_path: Path, merges: float) -> None:
    answered = 0
    for seed in range(6):
        git = history(tmp_path / str(seed), seed, merges)
        for paths in (*((path,) for path in _FILES), _FILES[:2], _FILES[1:]):
            if (answer := find_newest(git, paths, _FILES)) is not None:
                answered += 1
                assert answer == git.last_commit("main", paths=paths), (seed, paths)
    assert answered > (25 if not merges else 3)


def test_where_it_ends_and_what_is_not_there(tmp_path: Path) -> None:
    git = history(tmp_path / "a", 1, 0)
    assert recent_changes(git, "main", []) == ()
    assert recent_changes(git, "nowhere", _FILES) == ()
    assert recent_changes(git, "main", ["never", "0" * 40]) == ()
    subprocess.run(["git", "config", "diff.relative", "true"], cwd=git.directory, check=True)
    (git.directory / "sub").mkdir()
    below = git.at(git.directory / "sub")
    assert recent_changes(below, "main", _FILES) == recent_changes(git, "main", _FILES) != ()
