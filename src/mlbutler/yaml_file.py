"""YAML as DVC reads it: version 1.2, where 1e-3 is a number, 010 is ten and ``yes`` is a word.

PyYAML alone reads version 1.1; its parser in C is kept, for it is many times faster than others.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

_BOOLEAN = re.compile(r"true|True|TRUE|false|False|FALSE")
_WHOLE = re.compile(r"[-+]?(?:0b[01_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*)")
_FLOAT = re.compile(
    r"[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+"
    r"|[-+]?\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_CHANGED = {"bool": (_BOOLEAN, "tTfF"), "float": (_FLOAT, "-+0123456789."), "int": (_WHOLE, "-+0123456789")}
_BASES = {"0b": 2, "0o": 8, "0x": 16}


def parse(text: str) -> Any:
    """The document in `text`; no objects are made but mappings, lists, numbers, texts, dates.

    Raises:
        yaml.YAMLError: it is no valid YAML, or no plain data. ValueError: a number or date that there is not.
    """
    import yaml

    return yaml.load(text, Loader=loader())


@cache
def loader() -> Any:
    """A safe loader of PyYAML's with the rules of YAML 1.2 for plain words."""
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    prefix = "tag:yaml.org,2002:"
    made: Any = type("Yaml12Loader", (base,), {})
    made.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in rules if tag.removeprefix(prefix) not in _CHANGED]
        for first, rules in base.yaml_implicit_resolvers.items()
    }
    for name, (pattern, first) in _CHANGED.items():
        made.add_implicit_resolver(prefix + name, re.compile(rf"(?:{pattern.pattern})\Z"), list(first))
    made.add_constructor(prefix + "int", _whole)
    return made


def _whole(constructor: Any, node: Any) -> int:
    text = str(constructor.construct_scalar(node)).replace("_", "")
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-")
    base = _BASES.get(digits[:2])
    return sign * (int(digits, 10) if base is None else int(digits[2:], base))
