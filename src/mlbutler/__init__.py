"""Continuous machine learning for DVC projects.

For notebooks and scripts: `plan`, `compare` and `load_record` (`docs/python.md`). Every other name in this package is
private and may change in any release.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlbutler.version import __version__

if TYPE_CHECKING:
    from mlbutler.api import compare, load_record, plan

__all__ = ["__version__", "compare", "load_record", "plan"]


def __getattr__(name: str) -> Any:
    """Import the public functions when they are first used: `import mlbutler` alone stays quick."""
    if name not in __all__:
        raise AttributeError(f"module 'mlbutler' has no attribute {name!r}")
    from mlbutler import api

    return getattr(api, name)
