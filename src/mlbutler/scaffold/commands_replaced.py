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
_INSTALLS = re.compile(
    r"(?:python3? -m )?pip3? install(?: (?:-r|--requirement) ?\S+| -e \.\S*| \.\S*| --?(?!r\b|e\b)[\w-]+(?:=\S+)?"
    r"| (?:pip|setuptools|wheel|dvc(?:\[\w+\])?)(?:[=<>]=?\S+)?)*"
)
_BEFORE = re.compile(r"(?:if|then|else|elif|do|while|!|time|sudo)\s+|[A-Za-z_]\w*=\S*\s+")


def is_replaced(line: str, stages: Sequence[str]) -> bool:
    """Return whether a line of a shell script does nothing but what the run does, or only shows something.

    Args:
        stages: commands of the project's stages: DVC runs them.
    """
    known = {" ".join(command.split()) for stage in stages for command in stage.split("\n")}
    parts = re.split(r"\s*(?:&&|\|\||;|\|)\s*", line)
    return all(_is_known(" ".join(part.split()), known) for part in parts if part.strip())


def _is_known(part: str, stages: set[str]) -> bool:
    while match := _BEFORE.match(part):
        part = part[match.end() :]
    words = part.split(" ")
    module = words[2] if len(words) > 2 and re.fullmatch(r"python3?", words[0]) and words[1] == "-m" else words[0]
    return (
        part in stages
        or words[0] in _NOTHING
        or (module in _TOOLS and " exp " not in part)
        or _INSTALLS.fullmatch(part) is not None
    )
