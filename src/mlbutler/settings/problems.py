"""Describe what is wrong with a setting, in the words of the file that it stands in."""

from __future__ import annotations

import datetime
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from typing import Annotated, Any, Literal

import msgspec

from mlbutler.frozen import frozen

_SHOWN = 60
_MOST_BITS = 1024
"""Python does not write larger numbers in digits."""
_NOTHING = object()
_EXPECTED = {
    str: "must be a text in quotes",
    tuple: "must be a text in quotes, or a list of such texts",
    int: "must be a whole number",
    float: "must be a number",
    bool: "must be true or false",
    datetime.date: "must be a date as 2026-12-31",
}
_BOUND = re.compile(r"Expected `\w+` (?P<sign>[<>]=?) (?P<limit>\S+)")
_SIGNS = {">=": "greater than or equal to", ">": "greater than", "<=": "less than or equal to", "<": "less than"}


Where = tuple[str | int, ...]
"""A place of the file: ``("gate", 1, "min")`` is ``min`` in the second ``[[gate]]``."""


@frozen
class Problem:
    """Something wrong at a place of the file.

    Attributes:
        given: what stands there, where the sentence does not say it already.
        nearest: the known key that is most like one that is unknown, '' for none.
    """

    where: Where
    text: str
    given: object = field(default=_NOTHING, repr=False)
    nearest: str = ""

    @property
    def sentence(self) -> str:
        """Return what the value has to be, and what it is."""
        return self.text if self.given is _NOTHING else f"{self.text}, not {_format_toml(self.given)}"


def explain_problems(problems: Sequence[Problem], source: Callable[[str], str]) -> tuple[str, str]:
    """Return all that is wrong, and the nearest known key of each that is unknown ('' if none is).

    Args:
        source: returns the file or the variable that a ``section.key`` comes from.
    """
    said = []
    for problem in problems:
        where, named = problem.where, f"{source('.'.join(map(str, problem.where[:2])))}: "
        if problem.text.startswith("unknown key"):
            table = f"[{where[0]}]" if len(where) == 2 else _key_path(where[:-1])
            said.append(f"{named}{problem.text}" + (f" in {table}" if table else ""))
        else:
            said.append(f"{named}{_key_path(where)}: {problem.sentence}")
    remedies = [f"The nearest known key is '{problem.nearest}'." for problem in problems if problem.nearest]
    return f"{'; '.join(said)}.", " ".join(dict.fromkeys(remedies))


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known key that is most like `name`, '' for none."""
    import difflib

    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=0.0)), "")


def no_table(given: object, where: Where) -> Problem:
    """Return the problem with something that stands in the place of a table."""
    name = f"[{where[0]}]" if where else "[section]"
    written = name if len(where) < 2 else f"[{name}]"
    return Problem(where, f"must be a table, not {_format_toml(given)}: write {written}")


def no_tables(given: object, where: Where) -> Problem:
    """Return the problem with something that stands in the place of a list of tables."""
    return Problem(where, f"must be a list of tables, not {_format_toml(given)}: write [[{where[0]}]], in two brackets")


def misfit(error: msgspec.ValidationError, kind: Any, found: Any, given: object, where: Where) -> Problem:
    """Return the problem with a value that is not of its type.

    Args:
        found: the value as it was checked against the type `kind`, where a text stood for something else `given`.
    """
    said, _, at = str(error).partition(" - at `$[")
    kind = plain(kind)
    if at:
        number = int(at.rstrip("]`"))
        kind, where, given = plain(typing.get_args(kind)[0]), (*where, number), found[number]
    if bound := _BOUND.match(said):
        limit = bound["limit"].removesuffix(".0")
        return Problem(where, f"must be {_SIGNS[bound['sign']]} {limit}", given)
    if " of length " in said:
        return Problem(where, "must not be empty")
    if typing.get_origin(kind) is Literal:
        words = [repr(word) for word in typing.get_args(kind)]
        return Problem(where, f"must be {' or '.join([', '.join(words[:-1]), words[-1]])}", given)
    return Problem(where, _EXPECTED[typing.get_origin(kind) or kind], given)


def plain(kind: Any) -> Any:
    """Return a type without what `Annotated` says of it, and without None."""
    if typing.get_origin(kind) is Annotated:
        return plain(kind.__origin__)
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return plain(next(one for one in typing.get_args(kind) if one is not type(None)))
    return kind


def _key_path(where: Sequence[int | str]) -> str:
    """Return how the file writes it: ``data.remote``, ``[[gate]] 2: min``, ``test.command, item 2``."""
    if len(where) > 1 and isinstance(where[1], int):
        table = f"[[{where[0]}]] {where[1] + 1}"
        return f"{table}: {_key_path(where[2:])}" if where[2:] else table
    text = ".".join(str(part) for part in where if isinstance(part, str))
    return text + "".join(f", item {part + 1}" for part in where if isinstance(part, int))


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
