"""Parameters set for an experiment, in the grammar of ``dvc exp run --set-param``, by DVC's own code."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlbutler.errors import UsageError
from mlbutler.parsing import decoded, parse_yaml

Point = Mapping[str, tuple[str, ...]]
"""File -> what to set in it, such as ``train.rate=0.1``; one experiment."""

_OTHERS = (".json", ".toml", ".py")
"""Endings of parameter files that are not YAML: to DVC all others are."""
MOST = 1000
"""Experiments of one sweep."""
_GRAMMAR = "The grammar is DVC's: -S train.rate=0.1, -S other.yaml:depth=3, -S train.rate=0.1,0.2 for a sweep."

_SEARCH = "An interval is searched: --search METRIC says by which metric."


def points(params: Sequence[str]) -> tuple[tuple[Point, ...], bool]:
    """Return the experiments that these overrides ask for, in DVC's order, and whether they are a sweep.

    Raises:
        UsageError: one of them is not of DVC's grammar, or names a file outside of the project.
    """
    if not params:
        return ({},), False
    from dvc.exceptions import DvcException
    from dvc.utils.cli_parse import to_path_overrides
    from dvc.utils.hydra import get_hydra_sweeps, to_hydra_overrides
    from hydra.errors import HydraException

    by_file = to_path_overrides(params)
    for path in by_file:
        check_file(path)
    try:
        sweep = any(one.is_sweep_override() for overrides in by_file.values() for one in to_hydra_overrides(overrides))
        found = get_hydra_sweeps(by_file) if sweep else [by_file]
    except (HydraException, DvcException, ValueError, TypeError) as error:
        again = _SEARCH if any("interval(" in text for text in params) else _GRAMMAR
        raise UsageError(f"-S cannot be read: {_first_line(error)}", again) from error
    if len(found) > MOST:
        raise UsageError(f"-S asks for {len(found):,} experiments, and {MOST:,} are the most.", "Send fewer at once.")
    return tuple({path: tuple(values) for path, values in point.items()} for point in found), sweep


def apply_overrides(name: str, content: bytes, overrides: Sequence[str]) -> bytes:
    """Return a parameter file's content with `overrides` set; as it was where they change no value.

    Args:
        name: the file's name, whose ending tells its format.

    Raises:
        UsageError: the overrides do not fit the file, or it cannot be read.
    """
    from dvc.exceptions import DvcException
    from dvc.utils.hydra import apply_overrides
    from dvc.utils.serialize import LOADERS

    suffix = Path(name).suffix.lower()
    with tempfile.TemporaryDirectory(prefix="mlbutler-params-") as folder:
        path = Path(folder, f"params{suffix}")
        path.write_bytes(content)
        if suffix not in _OTHERS:  # a bound on what aliases may make of it
            parse_yaml(decoded(content, name), name)
        try:
            before = LOADERS[suffix](str(path))
            apply_overrides(str(path), list(overrides))
            after = LOADERS[suffix](str(path))
        except Exception as error:  # what DVC, Hydra, OmegaConf and the parsers raise has no common base
            said, cause = ", ".join(overrides), _cause(error, DvcException)
            raise UsageError(f"{name}: '{said}' cannot be set: {cause}", _remedy(name, overrides, cause)) from error
        changed = path.read_bytes()
    return changed if _differ(before, after) else content


def random_name() -> str:
    """Return a name as DVC gives to an experiment that has none, such as ``rough-bait``."""
    from dvc.repo.experiments.utils import gen_random_name

    return str(gen_random_name())


def check_file(path: str) -> None:
    """Refuse a parameter file that is not in the project.

    Raises:
        UsageError: it is not.
    """
    if Path(path).is_absolute() or ".." in Path(path).parts:
        raise UsageError(f"-S: {path} is not in the project.", "Name a parameter file by its path in the project.")


def _differ(before: Any, after: Any) -> bool:
    return type(before) is not type(after) or repr(before) != repr(after)


def _cause(error: Exception, wrapper: type[Exception]) -> str:
    inner = error.__cause__ if isinstance(error, wrapper) and error.__cause__ is not None else error
    return _first_line(inner)


def _remedy(name: str, overrides: Sequence[str], cause: str) -> str:
    """Return how to set it: Hydra's grammar has a sign of its own for what the file does not have yet."""
    absent = [text for text in overrides if cause == f"Could not override '{text.partition('=')[0]}'."]
    file = "" if name == "params.yaml" else f"{name}:"
    return f"{name} has no such parameter. To add it: -S {file}+{absent[0]}" if absent else _GRAMMAR


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
