"""Continuous machine learning for DVC projects.

For notebooks and scripts: `plan`, `compare`, `load_record`, `board`, and `train.submit`, `train.wait` and
`train.results` (`docs/python.md`). Every other name in this package is private and may change in any release.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mlbutler.version import __version__

if TYPE_CHECKING:
    from mlbutler import train
    from mlbutler.api import board, compare, load_record, plan

__all__ = ["__version__", "board", "compare", "load_record", "plan", "train"]


def __getattr__(name: str) -> Any:
    """Import the public functions when they are first used: `import mlbutler` alone stays quick."""
    if name not in __all__:
        raise AttributeError(f"module 'mlbutler' has no attribute {name!r}")
    if name == "train":
        return importlib.import_module("mlbutler.train")
    from mlbutler import api

    return getattr(api, name)
