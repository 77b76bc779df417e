"""Reading a forge's JSON: what is missing or of another type is '' and never a crash."""

from __future__ import annotations

from typing import Any


def find(data: Any, path: str) -> Any:
    """What lies at ``a.b.c``, None when there is nothing."""
    for key in path.split("."):
        if not isinstance(data, dict):
            return None
        data = data.get(key)
    return data


def text(data: Any, *paths: str) -> str:
    """The first of `paths` that holds a text or a number, as text; '' when none does."""
    for path in paths:
        value = find(data, path)
        if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
            return str(value)
    return ""
