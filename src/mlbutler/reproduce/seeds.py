"""Read params that are a seed, and set them in a work tree that is ours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlbutler.errors import ProjectError, SettingsError
from mlbutler.git import Git
from mlbutler.symlinks import Symlinks

FIRST = 1


def split(name: str) -> tuple[str, str]:
    """Return ``params.yaml:train.seed`` as file and dotted name.

    Raises:
        SettingsError: it is not of that form.
    """
    file, _, dotted = name.rpartition(":")
    if not file or not dotted or file.startswith("/") or ".." in Path(file).parts:
        raise SettingsError(
            f"repeat.seed: '{name}' is not a param.", "Write '<file>:<dotted name>', such as 'params.yaml:train.seed'."
        )
    return file, dotted


def series(current: object, count: int) -> tuple[int, ...]:
    """Return `count` seeds, the one in use first, so that a run that is in the run cache is not made again."""
    first = current if isinstance(current, int) and not isinstance(current, bool) and 0 <= current < 2**31 else FIRST
    return tuple(range(first, first + count))


def set_params(root: Path, names: Sequence[str], value: int) -> None:
    """Write `value` into every param of `names`, through DVC's own writers, which keep comments and order.

    Raises:
        ProjectError: a file or a param is missing: the seed of no stage would be set. PathRefused: a link leads to it.
    """
    from dvc.exceptions import DvcException
    from dvc.utils.serialize import MODIFIERS

    for name in names:
        file, dotted = split(name)
        path = root / file
        Symlinks(root, Git(root), every=True).check([file])
        remedy = "Declare the seed as a param of the stage (params: in dvc.yaml), and name it in repeat.seed."
        if not path.is_file() or path.is_symlink():
            raise ProjectError(f"There is no {file} to set the seed '{dotted}' in.", remedy)
        try:
            with MODIFIERS[path.suffix.lower()](str(path)) as content:
                _set(content, dotted.split("."), value)
        except (KeyError, IndexError, TypeError, ValueError):
            raise ProjectError(f"There is no param '{dotted}' in {file}.", remedy) from None
        except DvcException as error:
            raise ProjectError(f"{file} cannot be changed: {error}", "Fix the file.") from error


def _set(content: Any, keys: Sequence[str], value: int) -> None:
    for key in keys[:-1]:
        content = content[int(key) if isinstance(content, list) else key]
    last: Any = int(keys[-1]) if isinstance(content, list) else keys[-1]
    content[last]
    content[last] = value
