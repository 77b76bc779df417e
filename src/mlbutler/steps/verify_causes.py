"""Say what usually leads to a stage that does not make what dvc.lock records, as far as there is evidence here."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlbutler.comparison.usual_causes import causes_in
from mlbutler.first_few import first_few
from mlbutler.project.code import find_undeclared_uses, python_sources
from mlbutler.project.model import Stage, Stages
from mlbutler.steps.context import RunContext
from mlbutler.steps.verified_run import StageRunOutputs

if TYPE_CHECKING:
    from mlbutler.git import Git

_MISSING_FILE = re.compile(r"(?:No such file or directory|FileNotFoundError|cannot open)[^'\"\n]*['\"]([^'\"\n]+)['\"]")
_MISSING_MODULE = re.compile(r"No module named ['\"]?([\w.]+)")
_NETWORK = re.compile(r"Temporary failure in name resolution|Network is unreachable|Name or service not known")
_RANDOM = re.compile(
    r"\b(?:import\b[^#\n]{0,200}\brandom|from random|np\.random|numpy\.random"
    r"|torch|tensorflow|keras|sklearn|xgboost|lightgbm)\b"
)
_SEEDED = re.compile(r"seed|random_state|default_rng\(\s*\w")
_CLOCK = re.compile(r"\btime\.time\(|\bdatetime\.(?:now|utcnow|today)\(|\bdate\.today\(|\buuid[14]\(|\bos\.getpid\(")
_LARGEST = 1024 * 1024


def explain_failure(root: Path, clone: Path, stages: Stages, stage: Stage, tail: Sequence[str]) -> tuple[str, ...]:
    """Return why a stage fails in a clean clone, where what it printed says so.

    Args:
        root: of the work tree that verification was asked for in, which may hold what the clone lacks.
    """
    text = "\n".join(tail)
    causes = []
    for name in dict.fromkeys(_MISSING_FILE.findall(text)):
        path = os.path.relpath(clone / stage.directory / name, clone)
        if path.startswith("..") or (clone / path).exists():
            continue
        owner = stages.owner(path)
        if owner is not None:
            causes.append(f"{path} is made by '{owner[0].name}', and not declared as a dependency of '{stage.name}'.")
        elif (root / path).exists():
            causes.append(f"{path} is on this machine, in neither Git nor DVC: git add or dvc add it, and declare it.")
        else:
            causes.append(f"{path} is in neither Git nor DVC, nor does a stage declare that it makes it.")
    for name in dict.fromkeys(_MISSING_MODULE.findall(text)):
        file = f"{name.replace('.', '/')}.py"
        here = (root / file).exists()
        causes.append(f"{file} is not in Git." if here else f"The package {name} is not installed here.")
    if _NETWORK.search(text):
        causes.append("It needs the network, which it does not have here.")
    return tuple(causes)


def explain_outputs(
    scratch: RunContext, revision: str, stage: Stage, first: StageRunOutputs, again: StageRunOutputs | None
) -> tuple[str, ...]:
    """Return why a stage makes something else than dvc.lock records.

    Args:
        scratch: of a clone of the commit. again: what a second run made, None where it failed.
    """
    if again is None:
        return ("A second run of it failed.",)
    if first.hashes == again.hashes:
        return tuple(dict.fromkeys(_explain_other_result(scratch, revision, stage, first)))
    return tuple(dict.fromkeys(_explain_variation(scratch.root, stage, first, again)))


def _explain_other_result(scratch: RunContext, revision: str, stage: Stage, made: StageRunOutputs) -> Iterator[str]:
    yield from _explain_undeclared(scratch, revision, stage)
    for recorded, new in made.contents.values():
        yield from causes_in(recorded, new)
    yield (
        "It makes the same each time, so what dvc.lock records comes from other code or data, from another environment "
        "(versions of packages, hardware), or was written by hand."
    )


def _explain_variation(root: Path, stage: Stage, first: StageRunOutputs, again: StageRunOutputs) -> Iterator[str]:
    texts = {path: _text(root / path) for path in python_sources(root, stage)}
    drawing = [path for path, text in texts.items() if _RANDOM.search(text)]
    seeded = any(_SEEDED.search(text) for text in texts.values())
    if drawing and not seeded:
        users = first_few(drawing)
        yield f"Random numbers without a seed: {users} uses a library that draws them, and nothing sets a seed."
    for path, (_, made) in first.contents.items():
        if path in again.contents:
            yield from causes_in(made, again.contents[path][1])
    if clocks := [path for path, text in texts.items() if _CLOCK.search(text)]:
        yield f"The time, a process id or a random id may be in the outputs: {first_few(clocks)} asks for one."
    if drawing and seeded:
        yield (
            f"A seed is set, and {first_few(drawing)} draws random numbers: is every library seeded, and does each "
            "draw in the same order with several threads or on a GPU (OMP_NUM_THREADS=1, deterministic algorithms)?"
        )
    yield "It makes something else each time: no run can confirm what dvc.lock records."


def _explain_undeclared(scratch: RunContext, revision: str, stage: Stage) -> Iterator[str]:
    """Say which files a stage uses without declaring them; first those that changed after dvc.lock was written."""
    git, stages = scratch.git, scratch.project.stages
    used = find_undeclared_uses(scratch.root, stages, stage, sorted(git.tracked_paths()))
    locked = _last_change(git, revision, stage.lock_file)
    for path, why in list(used.items())[:3]:
        changed = _last_change(git, revision, path)
        later = bool(locked and changed and changed != locked and git.is_ancestor(locked, changed))
        since = f", and changed in {changed[:10]}, after dvc.lock" if later else ""
        yield f"{path} is used without being declared ({why}{since})."


def _last_change(git: Git, revision: str, path: str) -> str:
    return git.run("rev-list", "--max-count=1", revision, "--", path, check=False).text.strip()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace") if path.stat().st_size <= _LARGEST else ""
    except OSError:
        return ""
