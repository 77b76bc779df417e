"""Parse text that others wrote; only here do errors of parsers become mlbutler's own.

A pull request brings such text: parsing it gives data or `Unreadable`, in time and memory bounded by its length.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mlbutler.errors import MlbutlerError, ProjectError

_MOST_PARTS = 100
_DOTTED = re.compile(rf"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){{{_MOST_PARTS}}}""", re.ASCII)
"""Keys of so many parts cost tomllib the square of their number. A long word is looked at once: from its beginning."""
_LONGEST = 200


class Unreadable(ProjectError):
    """A text is not what its name says.

    Attributes:
        problem: what is wrong, without the file's name; with the line where the parser knows it.
    """

    def __init__(self, problem: str, name: str = "", remedy: str = "") -> None:
        super().__init__(f"{name} is {problem}" if name else problem, remedy or (f"Fix {name}." if name else ""))
        self.problem = problem


@contextmanager
def reading(kind: str, name: str = "") -> Iterator[None]:
    """Turn any error of a parser into `Unreadable`; mlbutler's own errors pass.

    Args:
        kind: of text, such as ``YAML``. name: the file's, for the message.
    """
    try:
        yield
    except MlbutlerError:
        raise
    except Exception as error:  # a parser that meets what its author did not think of raises anything
        raise Unreadable(_problem(kind, error), name) from error


def decoded(content: bytes, name: str = "") -> str:
    """Return the text of a file in UTF-8, without a byte order mark.

    Raises:
        Unreadable: it is something else.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Unreadable(f"not UTF-8 text: line {line}", name) from None


def parse_json(text: str | bytes, name: str = "", pairs: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """Return the JSON document in `text`; `pairs` makes something else than a dictionary of an object.

    Raises:
        Unreadable: it is none, or nested too deeply.
    """
    with reading("JSON", name):
        return json.loads(text, object_pairs_hook=pairs)


def parse_toml(text: str | bytes, name: str = "") -> dict[str, Any]:
    """Return the TOML document in `text`.

    Raises:
        Unreadable: it is none, or nested too deeply.
    """
    import tomllib  # 2 ms, which a project without settings need not wait for

    text = decoded(text, name) if isinstance(text, bytes) else text.removeprefix("\ufeff")
    with reading("TOML", name):
        if deep := _DOTTED.search(text):
            line = text.count("\n", 0, deep.start()) + 1
            raise Unreadable(f"not valid TOML: line {line}: a name of more than {_MOST_PARTS} parts", name)
        return tomllib.loads(text)


def parse_yaml(text: str, name: str = "") -> Any:
    """Return the YAML document in `text`, as DVC reads it.

    Raises:
        Unreadable: it is none, no plain data, nested too deeply, or would be far larger than it is written.
    """
    from mlbutler.yaml_file import parse

    with reading("YAML", name):
        return parse(text)


def _problem(kind: str, error: Exception) -> str:
    if isinstance(error, RecursionError):
        return f"not valid {kind}: nested too deeply"
    if isinstance(error, MemoryError):
        return f"not valid {kind}: too large, or nested too deeply"
    said = " ".join(str(error).split()).replace(' in "<unicode string>",', " at")
    if said.startswith("Exceeds the limit"):  # Python's own words advise a change of Python's settings
        said = "a number of too many digits"
    return f"not valid {kind}: {said}"[:_LONGEST]
