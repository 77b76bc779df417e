"""Which shell commands of a hand-written Jenkinsfile the steps of a run take the place of."""

from __future__ import annotations

import re
from collections.abc import Sequence

_RUN = "pytest py.test flake8 black isort ruff mypy pylint coverage pre-commit dvc git"
_SHOWING = """
cat echo ls pwd env printenv date whoami id uname hostname df free nvidia-smi set true : then else fi do done
exit which head tail wc
"""
_TOOLS, _NOTHING = frozenset(_RUN.split()), frozenset(_SHOWING.split())
_KEYWORDS = frozenset(("if", "then", "else", "elif", "do", "while", "!", "time", "sudo"))
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*")
_INSTALLED = re.compile(r"(?:pip|setuptools|wheel|dvc(?:\[\w+\])?)(?:[=<>].*)?")
_FLAG = re.compile(r"--?[\w-]+(?:=.+)?")


def is_replaced(line: str, stages: Sequence[str]) -> bool:
    """Return whether a line of a shell script does nothing but what the run does, or only shows something.

    Args:
        stages: commands of the project's stages: DVC runs them.
    """
    known = {" ".join(command.split()) for stage in stages for command in stage.split("\n")}
    parts = re.split(r"&&|\|\||;|\|", line)
    return all(_is_known(part.split(), known) for part in parts if part.strip())


def _is_known(words: Sequence[str], stages: set[str]) -> bool:
    start = next((at for at, word in enumerate(words) if not _is_before(word)), len(words) - 1)
    words = words[start:]
    called = words[2:] if len(words) > 2 and words[0] in ("python", "python3") and words[1] == "-m" else words
    return (
        words[0] in _NOTHING
        or (called[0] in _TOOLS and "exp" not in words[1:-1])
        or (called[0] in ("pip", "pip3") and called[1:2] == ["install"] and _is_known_install(called[2:]))
        or " ".join(words) in stages
    )


def _is_before(word: str) -> bool:
    """Return whether a command follows this word of a shell: a keyword, or a variable for that command alone."""
    return word in _KEYWORDS or _ASSIGNMENT.fullmatch(word) is not None


def _is_known_install(words: Sequence[str]) -> bool:
    """Return whether ``pip install`` is given lists of packages, the project itself, and tools of the run."""
    waiting = iter(words)
    for word in waiting:
        if word in ("-r", "--requirement"):
            fits = next(waiting, None) is not None
        elif word == "-e":
            fits = next(waiting, "").startswith(".")
        else:
            fits = word.startswith((".", "-r")) or any(one.fullmatch(word) for one in (_FLAG, _INSTALLED))
        if not fits:
            return False
    return True
