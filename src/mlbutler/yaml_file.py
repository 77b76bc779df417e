"""Parse YAML as DVC does: version 1.2, where 1e-3 is a number, 010 is ten and ``yes`` is a word.

PyYAML alone reads version 1.1; its parser in C is kept, for it is many times faster than others. What that cannot take
is read by ruamel.yaml, as DVC reads all: ``[./my.yaml:]`` is a list to it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

_BOOLEAN = re.compile(r"true|True|TRUE|false|False|FALSE")
_WHOLE = re.compile(r"[-+]?(?:0b[01_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*)")
_FLOAT = re.compile(
    r"[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+"
    r"|[-+]?\.[0-9_]+(?:[eE][-+][0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_DIRECTIVE = re.compile(r"^%YAML\b", re.MULTILINE)
_UNSURE = re.compile(r"(?<!&)&(?!&)|[!?\t\x85\u2028\u2029\ufeff]|<<|[>|]#|^%|^---|\._|\d:\d\d:\d", re.MULTILINE)
"""Tags, anchors, merged mappings, directives, times of day, odd white space: here parsers differ.

The ``&&`` of a command is none: as an anchor PyYAML refuses it.
"""
_CHANGED = {"bool": (_BOOLEAN, "tTfF"), "float": (_FLOAT, "-+0123456789."), "int": (_WHOLE, "-+0123456789")}
_BASES = {"0b": 2, "0o": 8, "0x": 16}
_TAG = "tag:yaml.org,2002:"
_CAN_FAIL = ("bool", "int", "float", "timestamp", "binary", "null")
"""Kinds of words whose constructors raise whatever Python raises."""

MOST_NODES = 1_000_000
"""Values of a document, each counted as often as an alias repeats it."""
_FREE_NODES, _TIMES = 10_000, 10
"""What aliases may make of a document: so many values, or so many times what is written."""
_DEEP, _LARGE = 200, 2 << 20
_DEEPEST = 1000
"""Collections in one another, as many as PyYAML's parser in C takes."""
_READ_AGAIN = 128 << 10
"""Characters: ruamel.yaml, in plain Python, needs seconds for so many."""


def parse(text: str) -> Any:
    """Return the document in `text`; no objects are made but mappings, lists, numbers, texts, dates.

    Raises:
        yaml.YAMLError: it is no valid YAML, no plain data, or `require_bounded` refuses it.
        RecursionError: it is nested too deeply.
    """
    import yaml

    if _DIRECTIVE.search(text):  # such a document names the version that it is read by
        return _read_as_dvc(text)
    try:
        require_bounded(text)
        return yaml.load(text, Loader=loader())
    except yaml.YAMLError as error:
        if len(text) > _READ_AGAIN or is_too_deep(error):
            raise
        try:
            return _read_as_dvc(text)
        except Exception:  # it raises whatever its constructors do
            raise error from None


def parse_in_c(text: str) -> Any:
    """Return the document in `text` as DVC reads it, in a tenth of its time.

    Raises:
        yaml.YAMLError: DVC takes it for no YAML, or what it makes of it is not known here.
    """
    import yaml

    if unsure := _UNSURE.search(text):
        raise yaml.YAMLError(f"ruamel.yaml may read {unsure[0]!r} otherwise")
    return yaml.load(text, Loader=_without_twins())


@cache
def _without_twins() -> Any:
    """Return a loader that refuses a key that stands twice in a mapping, as ruamel.yaml does."""
    from yaml import MarkedYAMLError

    def mapping(loader: Any, node: Any, deep: bool = False) -> dict[Any, Any]:
        found: dict[Any, Any] = super(made, loader).construct_mapping(node, deep)
        if len(found) != len(node.value):
            raise MarkedYAMLError(problem="a key stands twice in a mapping", problem_mark=node.start_mark)
        return found

    made: Any = type("Yaml12LoaderWithoutTwins", (loader(),), {"construct_mapping": mapping})
    return made


def is_too_deep(error: Exception) -> bool:
    """Return whether PyYAML refused a document for its nesting, on which ruamel.yaml works for minutes to no end."""
    return "nesting depth" in str(getattr(error, "problem", ""))


def _read_as_dvc(text: str) -> Any:
    from ruamel.yaml import YAML

    require_bounded(text, YAML(typ="safe").parse)
    reader = YAML(typ="safe")
    reader.composer.warn_double_anchors = False
    return reader.load(text)


def require_bounded(text: str, events: Callable[[str], Iterable[Any]] | None = None) -> None:
    """Refuse a document that would be far larger in memory than it is written, as by aliases of aliases.

    PyYAML's parser in C refuses what is nested a thousand times, on which others work long before they give up.

    Args:
        events: of a document, as another parser sees them (default: PyYAML's in C).

    Raises:
        yaml.YAMLError: it is such a one, or, where that had to be looked at, no YAML.
    """
    deep = text.count("[") + text.count("{") + text.count("- - ") > _DEEP
    if ("&" not in text or "*" not in text) and not deep and len(text) < _LARGE:
        return
    written = total = 0
    sizes: dict[str, int | None] = {}  # of what anchors name; None while it has not ended
    open_: list[tuple[str | None, int]] = []  # anchors of the collections around, and the total when they began
    for event in (events or _events)(text):
        kind = type(event).__name__  # the same in PyYAML and ruamel.yaml, which share no classes
        if kind == "AliasEvent":
            size = sizes.get(str(event.anchor), 0)
            if size is None:
                raise _refusal(f"the alias '*{event.anchor}' is inside of what it stands for", event)
            total += size
        elif kind in ("SequenceEndEvent", "MappingEndEvent"):
            anchor, began = open_.pop()
            if anchor is not None:
                sizes[anchor] = total - began
        elif kind in ("ScalarEvent", "SequenceStartEvent", "MappingStartEvent"):
            written, total = written + 1, total + 1
            if kind != "ScalarEvent":
                _open(open_, event, total - 1)
            if event.anchor is not None:
                sizes[event.anchor] = 1 if kind == "ScalarEvent" else None
        if total > MOST_NODES:
            raise _refusal(f"more than {MOST_NODES:,} values", event)
    if total > max(_FREE_NODES, _TIMES * written):
        raise _refusal(f"its aliases make {total:,} values of {written:,}")


def _open(around: list[tuple[str | None, int]], event: Any, total: int) -> None:
    around.append((event.anchor, total))
    if len(around) > _DEEPEST:
        raise _refusal("exceeded maximum nesting depth", event)


def _events(text: str) -> Iterable[Any]:
    import yaml

    events: Iterable[Any] = yaml.parse(text, Loader=loader())
    return events


def _refusal(problem: str, event: Any = None) -> Exception:
    from yaml import MarkedYAMLError

    return MarkedYAMLError(problem=problem, problem_mark=event.start_mark if event is not None else None)


@cache
def loader() -> Any:
    """Return a safe loader of PyYAML's with the rules of YAML 1.2 for plain words."""
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    made: Any = type("Yaml12Loader", (base,), {})
    made.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in rules if tag.removeprefix(_TAG) not in _CHANGED]
        for first, rules in base.yaml_implicit_resolvers.items()
    }
    for name, (pattern, first) in _CHANGED.items():
        made.add_implicit_resolver(_TAG + name, re.compile(rf"(?:{pattern.pattern})\Z"), list(first))
    for name in _CAN_FAIL:
        construct = _whole if name == "int" else base.yaml_constructors[_TAG + name]
        made.add_constructor(_TAG + name, _with_position(name, construct))
    made.construct_mapping = _without_repeated_keys(base.construct_mapping)
    return made


def _without_repeated_keys(construct: Callable[..., dict[Any, Any]]) -> Callable[..., dict[Any, Any]]:
    """Return the constructor of mappings, which refuses a key that is written twice, as DVC does.

    A key may stand for one that is merged (``<<``).
    """
    from yaml import MarkedYAMLError

    def construct_mapping(constructor: Any, node: Any, deep: bool = False) -> dict[Any, Any]:
        written = [key for key, _ in node.value if key.tag != f"{_TAG}merge"] if isinstance(node.value, list) else []
        found = construct(constructor, node, deep=deep)
        if len(found) < len(node.value):
            seen = set()
            for key in written:
                if (value := constructor.construct_object(key, deep=True)) in seen:
                    problem = f"the key {str(value)[:40]!r} is there twice"
                    raise MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
                seen.add(value)
        return found

    return construct_mapping


def _with_position(name: str, construct: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Return the constructor, with the position of a word that it cannot take, as in ``!!bool maybe``."""
    from yaml import MarkedYAMLError

    def construct_scalar(constructor: Any, node: Any) -> Any:
        try:
            return construct(constructor, node)
        except MarkedYAMLError:
            raise
        except Exception as error:
            problem = f"{str(node.value)[:40]!r} is not a valid {name}"
            raise MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from error

    return construct_scalar


def _whole(constructor: Any, node: Any) -> int:
    text = str(constructor.construct_scalar(node)).replace("_", "")
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-")
    base = _BASES.get(digits[:2])
    return sign * (int(digits, 10) if base is None else int(digits[2:], base))
