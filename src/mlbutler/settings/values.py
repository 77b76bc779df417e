"""Make settings of what a file or a variable has, and find all that is wrong with it at once."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, TypeVar

import msgspec

from mlbutler.settings.problems import Problem, Where, misfit, nearest, no_table, no_tables, plain
from mlbutler.settings.types import Checked, SettingsSection, Written

S = TypeVar("S", bound=SettingsSection)


def read_section(kind: type[S], values: object, problems: list[Problem], where: Where = ()) -> S | None:
    """Return a section, None where `problems` got one more.

    Args:
        values: as parsers return them. where: the section's place in the file.
    """
    if not isinstance(values, Mapping):
        problems.append(no_table(values, where))
        return None
    before, keys = len(problems), kind.keys()
    given = {}
    for name, value in values.items():
        if name in keys:
            given[keys[name].name] = _field(keys[name].type, value, (*where, name), problems)
        else:
            problems.append(Problem((*where, name), f"unknown key '{name}'", nearest=nearest(name, keys)))
    known = {*values, *(problem.nearest for problem in problems[before:])}  # of one that is misspelt that is said
    missing = (name for name, field in keys.items() if field.required and name not in known)
    problems += [Problem((*where, name), "is missing") for name in missing]
    if len(problems) > before:
        return None
    try:
        return kind(**given)
    except ValueError as error:
        problems.append(Problem(where, str(error)))
        return None


def parse_value(kind: Any, given: object) -> Any:
    """Return a value of a type, such as `types.Seconds`, as people write it.

    Raises:
        ValueError: it is none; the text says what it has to be.
    """
    problems: list[Problem] = []
    found = _value(kind, given, (), problems)
    if problems:
        raise ValueError(problems[0].sentence)
    return found


def _field(kind: Any, given: object, where: Where, problems: list[Problem]) -> Any:
    if isinstance(kind, type) and issubclass(kind, SettingsSection):
        return read_section(kind, given, problems, where)
    inside = typing.get_args(kind)[0] if typing.get_origin(kind) is tuple else None
    if not (isinstance(inside, type) and issubclass(inside, SettingsSection)):
        return _value(kind, given, where, problems)
    if not isinstance(given, list | tuple):
        problems.append(no_tables(given, where))
        return None
    return tuple(read_section(inside, item, problems, (*where, number)) for number, item in enumerate(given))


def _value(kind: Any, given: object, where: Where, problems: list[Problem]) -> Any:
    rules, found = list(_rules(kind)), given
    try:
        for rule in rules:
            found = rule.read(found) if isinstance(rule, Written) else found
        if isinstance(found, str) and plain(kind) in (int, float):
            found = found.strip()
        made = msgspec.convert(found, kind, strict=False)
    except msgspec.ValidationError as error:
        problems.append(misfit(error, kind, found, given, where))
        return None
    except ValueError as error:
        problems.append(Problem(where, str(error), given))
        return None
    try:
        for rule in rules:
            made = rule.check(made) if isinstance(rule, Checked) and made is not None else made
    except ValueError as error:
        problems.append(Problem(where, str(error), given))
    return made


def _rules(kind: Any) -> Iterator[Written | Checked]:
    """Yield what `Annotated` says of a type, and of the types in a union."""
    if typing.get_origin(kind) is Annotated:
        yield from _rules(kind.__origin__)
        yield from (rule for rule in kind.__metadata__ if isinstance(rule, Written | Checked))
    elif typing.get_origin(kind) in (typing.Union, types.UnionType):
        for one in typing.get_args(kind):
            yield from _rules(one)
