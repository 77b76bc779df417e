"""DVC's look at the configuration for each path that a stage names: for files of this machine once is enough."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def plain_paths() -> Iterator[None]:
    """Let DVC meanwhile take a path without a scheme for what the first one was: a file, with the same settings.

    It validates settings of a remote for each dependency and output: of thousands that is a tenth of reading a project.
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
