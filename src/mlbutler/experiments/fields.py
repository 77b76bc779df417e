"""Check the fields of a state that was read from a ref: a ref that was fetched may hold anything."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection
from typing import Any

from mlbutler.live_lines import clean
from mlbutler.numbers import as_float

_ID = re.compile(r"[0-9a-f]{40}")
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_NAME = re.compile(r"(?![.-])[\w.+=@-]+")
_LABEL = re.compile(r"(?!-)[\w.+@-]+", re.ASCII)
_ADDRESS = re.compile(r"https?://(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::\d+)?(?:[/?#][!-~]*)?")
LONGEST_NAME = 200
"""In bytes: names of refs are names of files too, and something is appended (``.lock``, ``-branch``)."""
_LONGEST_ADDRESS = 2000
_LARGEST = 1e15

Check = Callable[[Any], Any]
"""Takes what JSON holds and returns the field; raises ValueError for what it must not be."""


def is_id(text: str) -> bool:
    """Return whether the text can be an experiment's id: it becomes part of paths and refs."""
    return _ID.fullmatch(text) is not None


def is_name(text: str) -> bool:
    """Return whether the text can be an experiment's name: it becomes part of refs and of commands that are shown."""
    valid = _NAME.fullmatch(text) is not None and ".." not in text and not text.endswith((".", ".lock"))
    return valid and len(os.fsencode(text)) <= LONGEST_NAME


def is_label(text: str) -> bool:
    """Return whether the text can be the label of agents: one word, and no expression."""
    return _LABEL.fullmatch(text) is not None


def _when(valid: Callable[[str], object]) -> Check:
    def check(value: Any) -> str:
        if not isinstance(value, str) or not valid(value):
            raise ValueError(value)
        return value

    return check


identifier = _when(is_id)
name = _when(is_name)
commit = _when(_COMMIT.fullmatch)
commit_or_none = _when(lambda text: not text or _COMMIT.fullmatch(text))
any_text = _when(lambda _: True)


def _is_folder(text: str) -> bool:
    return not text or (text.endswith("/") and not {"", ".", ".."} & set(text[:-1].split("/")) and "\0" not in text)


folder = _when(_is_folder)
"""'' or a folder below the repository's root, with a slash at its end."""


def _is_place(text: str) -> bool:
    return text.startswith("/") and os.path.normpath(text) == text and "\0" not in text


place = _when(lambda text: not text or _is_place(text))
label = _when(lambda text: not text or is_label(text))


address = _when(lambda text: not text or (len(text) <= _LONGEST_ADDRESS and _ADDRESS.fullmatch(text)))
"""'' or the address of a page; credentials in it are refused."""


def one_of(known: Collection[str]) -> Check:
    """Return a check for a text that is one of a few."""
    return _when(lambda text: text in known)


def sentence(value: Any) -> str:
    """Return a text as one line that does not steer a terminal."""
    text = str(any_text(value))
    if text.isascii() and text.isprintable() and "::" not in text and "##" not in text:  # most are; a list reads many
        return text
    return clean(text.replace("\n", " "))


def number(value: Any) -> float:
    """Return seconds, or another number that can be reckoned with."""
    found = as_float(value)
    if found is None or isinstance(value, bool) or abs(found) > _LARGEST:
        raise ValueError(value)
    return found if isinstance(value, float) else value


def seconds(value: Any) -> float:
    """Return a time that can be waited for."""
    if (found := number(value)) <= 0:
        raise ValueError(value)
    return found


def metric_value(value: Any) -> float:
    """Return a metric's value."""
    if isinstance(value, bool) or (found := as_float(value)) is None:
        raise ValueError(value)
    return found


def integer(least: int, most: int) -> Check:
    """Return a check for a whole number."""

    def check(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ValueError(value)
        return value

    return check


def optional(check: Check) -> Check:
    """Return a check that lets None pass."""
    return lambda value: None if value is None else check(value)


def several(check: Check) -> Check:
    """Return a check for a list."""

    def check_each(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise ValueError(value)
        return tuple(map(check, value))

    return check_each
