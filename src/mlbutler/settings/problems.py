"""Describe what is wrong with a setting, in the words of the file that it stands in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SHOWN = 60
_MOST_BITS = 1024
"""Python does not write larger numbers in digits."""
_EXPECTED = {
    "string_type": "must be a text in quotes",
    "tuple_type": "must be a text in quotes, or a list of such texts",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
}


def problem(item: Mapping[str, Any]) -> str:
    """Describe one of pydantic's errors, such as "must be a whole number, not 'many'".

    Args:
        item: one of `ValidationError.errors()`; its `loc` begins with the section.
    """
    kind, where = item["type"], item["loc"]
    if kind == "missing":
        return "is missing"
    if kind == "value_error":
        said = str(item["ctx"]["error"])
        # One on the whole table speaks for itself.
        return said if isinstance(item["input"], Mapping) else f"{said}, not {_format_toml(item['input'])}"
    given = _format_toml(item["input"])
    if kind == "tuple_type" and len(where) == 1:
        return f"must be a list of tables, not {given}: write [[{where[0]}]], in two brackets"
    if kind == "model_type":
        name = f"[{where[0]}]"
        return f"must be a table, not {given}: write {name if len(where) == 1 else f'[{name}]'}"
    expected = _EXPECTED.get(kind) or str(item["msg"]).replace("Input should be", "must be")
    return f"{expected}, not {given}"


def _format_toml(value: object) -> str:
    """Return a value as TOML has it, cut short."""
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        return "so large a number"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
