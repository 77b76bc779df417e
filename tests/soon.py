"""Pauses before a remote that failed is asked again, which tests need not wait out."""

from __future__ import annotations

import inspect

from mlbutler.store.retry import RetryPolicy


def retry_soon() -> None:
    """Have `RetryPolicy` pause for a twentieth of what it does unless it is told."""
    names = [*inspect.signature(RetryPolicy.__init__).parameters][1:]
    defaults = dict(zip(names, RetryPolicy.__init__.__defaults__ or (), strict=True))
    defaults["pause"] = 0.025
    RetryPolicy.__init__.__defaults__ = tuple(defaults.values())
