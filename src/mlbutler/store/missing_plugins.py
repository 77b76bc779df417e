"""Storage that needs a plugin of DVC's which is not installed: the project is read all the same.

DVC cannot read any stage of a project when one of them names such an address. Here only that address is not known.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

_CHECKSUMS = {"s3": "etag", "gs": "etag", "azure": "etag", "oss": "etag", "ssh": "md5"}
"""What DVC's plugins record; "checksum" for all others."""


_PLUGIN = re.compile(r"\bdvc-[a-z0-9]+\b")


def how_to_install(error: BaseException) -> str:
    """Return how to get the plugin that DVC misses; DVC names it in its error."""
    named = _PLUGIN.search(str(error))
    return f"pip install {named[0]}" if named else "Install DVC's plugin for that storage: pip install dvc-NAME."


@contextmanager
def replace_missing_plugins() -> Iterator[None]:
    """Give DVC a placeholder that answers nothing for each file system that it cannot import, during the block."""
    from dvc.fs import known_implementations

    replaced: dict[str, Any] = {}
    for scheme, entry in known_implementations.items():
        if importlib.util.find_spec(entry["class"].partition(".")[0]) is None:
            replaced[scheme] = entry
    known_implementations.update({name: {**entry, "class": f"{__name__}.{name}"} for name, entry in replaced.items()})
    try:
        yield
    finally:
        known_implementations.update(replaced)


def __getattr__(name: str) -> Any:
    """Return the file system that stands in for that of the scheme `name`."""
    from dvc.fs import FileSystem, known_implementations

    if name.startswith("_") or name not in known_implementations:
        raise AttributeError(name)

    def refuse(self: object) -> Any:
        raise ImportError(str(known_implementations[name]["err"]))

    fs = cached_property(refuse)
    return type(name, (FileSystem,), {"protocol": name, "PARAM_CHECKSUM": _CHECKSUMS.get(name, "checksum"), "fs": fs})
