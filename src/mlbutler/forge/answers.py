"""Read a forge's JSON: what is missing or of another type is '' and never a crash."""

from __future__ import annotations

from typing import Any

_COMPLAINT_LIMIT = 300


def value_at(data: Any, path: str) -> Any:
    """Return what lies at ``a.b.c``, None when there is nothing."""
    for key in path.split("."):
        if not isinstance(data, dict):
            return None
        data = data.get(key)
    return data


def text(data: Any, *paths: str) -> str:
    """Return the first of `paths` that holds a text or a number, as text; '' when none does.

    Halves of characters, which JSON can hold and no request can, become ``?``.
    """
    for path in paths:
        value = value_at(data, path)
        if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
            return str(value).encode("utf-8", "replace").decode("utf-8")
    return ""


def same_second(data: Any, one: str, other: str) -> bool:
    """Return whether two of a forge's times, in ISO 8601 or in milliseconds, are there and of one second."""
    first, second = text(data, one), text(data, other)
    shown = -3 if first.isdigit() and second.isdigit() else len("2026-01-31T12:00:00")
    return bool(first) and first[:shown] == second[:shown]


def whole(data: Any, path: str) -> int:
    """Return the whole number at a path, 0 where there is none."""
    value = value_at(data, path)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def complaint(data: Any) -> str:
    """Return the forge's own words in an error's JSON, on one line; '' when it says nothing."""
    words = []
    if isinstance(data, dict):
        for key in ("message", "error", "errors", "error_description"):
            value = data.get(key)
            words += [_format_error(item) for item in (value if isinstance(value, list) else [value]) if item]
    return " ".join("; ".join(dict.fromkeys(filter(None, words))).split())[:_COMPLAINT_LIMIT]


def _format_error(value: Any) -> str:
    if isinstance(value, dict):
        parts = (value.get("message"), value.get("field"), value.get("code"))
        named = " ".join(str(part) for part in parts if part)
        return named or ", ".join(f"{key}: {item}" for key, item in value.items())
    return str(value)
