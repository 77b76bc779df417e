"""Make DVC look at its configuration once for all files of this machine, and not for each path that a stage names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def plain_paths() -> Iterator[None]:
    """Make DVC use the first plain path's settings for every path without a scheme, during the block.

    It would validate settings for each dependency and output: with thousands, a tenth of the time to read a project.
    """
    from dvc import output

    theirs: Any = output.get_cloud_fs
    known: list[tuple[Any, Any, dict[str, Any]]] = []

    def get_cloud_fs(config: Any, **settings: Any) -> tuple[Any, dict[str, Any], Any]:
        path = settings["url"]
        if len(settings) > 1 or not isinstance(path, str) or ":" in path or not path:
            found: tuple[Any, dict[str, Any], Any] = theirs(config, **settings)
            return found
        if not known or known[0][0] is not config:
            known[:] = [(config, *theirs(config, **settings)[:2])]
        _, kind, made = known[0]
        return kind, dict(made), kind._strip_protocol(path)

    output.get_cloud_fs = get_cloud_fs
    try:
        yield
    finally:
        output.get_cloud_fs = theirs
