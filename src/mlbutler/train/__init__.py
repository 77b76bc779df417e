"""Send the experiment that is in the work tree now to where it can run, and bring its results back.

For notebooks and scripts: `submit`, `wait` and `results` (`docs/python.md`). Every other name here is private.
"""

from __future__ import annotations

from typing import Any

_PUBLIC = ("results", "submit", "wait")


def __getattr__(name: str) -> Any:
    """Import the public functions when they are first used: they stand above this package."""
    import mlbutler

    if name not in _PUBLIC:
        raise AttributeError(f"module 'mlbutler.train' has no attribute {name!r}")
    return mlbutler.of_experiments(name)
