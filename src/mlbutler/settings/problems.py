"""Describe what is wrong with a setting, in the words of the file that it stands in."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

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


def explained(error: ValidationError, model: type[BaseModel], source: Callable[[str], str]) -> tuple[str, str]:
    """Return all that is wrong, and the nearest known key of each that is unknown ('' if none is).

    Of a key that is missing because it is misspelt only that is said.

    Args:
        model: what was validated. source: returns the file or the variable that a ``section.key`` comes from.
    """
    items = error.errors()
    nearest = {item["loc"]: _nearest(model, item["loc"]) for item in items if item["type"] == "extra_forbidden"}
    meant = {(*where[:-1], name) for where, name in nearest.items()}
    problems, remedies = [], []
    for item in items:
        where = item["loc"]
        named, at = f"{source('.'.join(map(str, where[:2])))}: ", _place(where)
        if where in nearest:
            table = f"[{where[0]}]" if len(where) == 2 else _place(where[:-1])
            problems.append(f"{named}unknown key '{where[-1]}'" + (f" in {table}" if table else ""))
            remedies += [f"The nearest known key is '{nearest[where]}'."] if nearest[where] else []
        elif item["type"] != "missing" or where not in meant:
            problems.append(f"{named}{at}: {problem(item)}")
    return f"{'; '.join(problems)}.", " ".join(dict.fromkeys(remedies))


def _place(where: Sequence[int | str]) -> str:
    """Return how the file writes it: ``data.remote``, ``[[gate]] 2: min``, ``test.command, item 2``."""
    if len(where) > 1 and isinstance(where[1], int):
        table = f"[[{where[0]}]] {where[1] + 1}"
        return f"{table}: {_place(where[2:])}" if where[2:] else table
    text = ".".join(str(part) for part in where if isinstance(part, str))
    return text + "".join(f", item {part + 1}" for part in where if isinstance(part, int))


def _nearest(model: type[BaseModel], where: Sequence[int | str]) -> str:
    """Return the known key that is most like the last one of `where`."""
    for part in where[:-1]:
        if isinstance(part, str):
            kind = model.model_fields[part].annotation
            model = next(one for one in (kind, *typing.get_args(kind)) if hasattr(one, "model_fields"))
    return next(
        iter(
            difflib.get_close_matches(
                str(where[-1]), [field.alias or name for name, field in model.model_fields.items()], n=1, cutoff=0.0
            )
        ),
        "",
    )


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
    if kind.startswith("date_"):
        return f"must be a date as 2026-12-31, not {given}"
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
