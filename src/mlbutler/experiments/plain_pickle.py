"""Read a pickle of plain data without unpickling it: no code of its maker's can run."""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from typing import Any

_MARK = object()
_LARGEST = 1024 * 1024


class NotPlain(ValueError):
    """It is no pickle, or holds more than texts, numbers, lists, tuples and dictionaries."""


def read_pickle(content: bytes) -> Any:
    """Return the value in a pickle of texts, numbers, truth values, None, lists, tuples and dictionaries.

    Raises:
        NotPlain: it holds anything else, is damaged, or larger than a megabyte.
    """
    if len(content) > _LARGEST:
        raise NotPlain("too large")
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    try:
        for opcode, argument, _ in pickletools.genops(content):
            if opcode.name in _IGNORED:
                continue
            if opcode.name in _PUSHED:
                stack.append(argument)
            elif opcode.name in _REMEMBERED:
                memo[len(memo) if argument is None else int(argument)] = stack[-1]
            elif opcode.name in _RECALLED:
                stack.append(memo[int(argument or 0)])
            else:
                _ACTIONS[opcode.name](stack)
        [value] = stack
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise NotPlain(str(error)) from error
    return value


def _since_mark(stack: list[Any]) -> list[Any]:
    at = len(stack) - 1
    while stack[at] is not _MARK:
        at -= 1
    found = stack[at + 1 :]
    del stack[at:]
    return found


def _tuple(count: int) -> Callable[[list[Any]], None]:
    def make(stack: list[Any]) -> None:
        items = tuple(stack[len(stack) - count :])
        del stack[len(stack) - count :]
        stack.append(items)

    return make


def _append(stack: list[Any]) -> None:
    item = stack.pop()
    stack[-1].append(item)


def _extend(stack: list[Any]) -> None:
    items = _since_mark(stack)
    stack[-1].extend(items)


def _set(stack: list[Any]) -> None:
    value, key = stack.pop(), stack.pop()
    stack[-1][key] = value


def _update(stack: list[Any]) -> None:
    items = _since_mark(stack)
    stack[-1].update(zip(items[::2], items[1::2], strict=True))


_IGNORED = frozenset(("PROTO", "FRAME", "STOP"))
_PUSHED = frozenset((
    "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE", "BININT", "BININT1", "BININT2", "INT", "LONG1",
    "BINFLOAT",
))  # fmt: skip
_REMEMBERED = frozenset(("MEMOIZE", "BINPUT", "LONG_BINPUT"))
_RECALLED = frozenset(("BINGET", "LONG_BINGET"))
_ACTIONS: Mapping[str, Callable[[list[Any]], None]] = {
    "NONE": lambda stack: stack.append(None),
    "NEWTRUE": lambda stack: stack.append(True),
    "NEWFALSE": lambda stack: stack.append(False),
    "EMPTY_DICT": lambda stack: stack.append({}),
    "EMPTY_LIST": lambda stack: stack.append([]),
    "EMPTY_TUPLE": lambda stack: stack.append(()),
    "MARK": lambda stack: stack.append(_MARK),
    "TUPLE": lambda stack: stack.append(tuple(_since_mark(stack))),
    "TUPLE1": _tuple(1),
    "TUPLE2": _tuple(2),
    "TUPLE3": _tuple(3),
    "APPEND": _append,
    "APPENDS": _extend,
    "SETITEM": _set,
    "SETITEMS": _update,
}
