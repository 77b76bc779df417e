"""Pauses before what failed is tried again, which tests need not wait out."""

from __future__ import annotations

import inspect

from mlbutler.store.retry import RetryPolicy


def retry_soon() -> None:
    """Have `RetryPolicy` pause for a twentieth of what it does by default, unless a pause is given."""
    names = [*inspect.signature(RetryPolicy.__init__).parameters][1:]
    defaults = dict(zip(names, RetryPolicy.__init__.__defaults__ or (), strict=True))
    defaults["pause"] = 0.025
    RetryPolicy.__init__.__defaults__ = tuple(defaults.values())


def save_soon() -> None:
    """Have `mlbutler train agent save` wait for a twentieth of what it does before it tries again."""
    from mlbutler.commands.train import agent_save

    agent_save._WAITS = tuple(wait / 20 for wait in agent_save._WAITS)
