"""Change valid files as somebody would who means harm, and as damage does: their structure, their text, their bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from tests.report.hostile import FRAGMENTS

CANARY = "canary-of-the-fuzzer"
"""A folder beside the one that targets work in: nothing may be read or written there."""
PLACES = (f"../{CANARY}/secret", f"../../{CANARY}/secret", f"x/../../{CANARY}/secret", "/etc/passwd", "~/.netrc",
          "/", "..", ".", "", ".git/config", ".dvc/config", ".GIT/hooks/post-checkout", "a\0b", "C:\\x", "x" * 300,
          "-rf", "--upload-pack=x", "nul", "file:///etc/passwd", "http://127.0.0.1:9/x")  # fmt: skip
COMMANDS = ("::set-output name=a::b", "\n::add-mask::x", "\r::error::x", " ::warning::x", "##vso[task.setvariable]x",
            "##[command]x", "##teamcity[x]", "\u2066x", "\x9b31m", "\x1b]0;title\x07", "a\rb", "\n</details>\n",
            "\n````\n", "@everyone", "{{ cycler.__init__ }}", "$(touch x)", "`touch x`", "%0A::error::x")  # fmt: skip
YAML_BITS = (
    "!!python/object/apply:os.system [x]",
    "&a [*a]",
    "*a",
    "<<: *a",
    "&a {<<: *a}",
    "!!binary aGk=",
    "!!set {a}",
    "? [a]",
    "!!timestamp x",
    "|2",
    ">-",
    "%YAML 1.1",
    "---",
    "...",
    "- - - - -",
    "{",
    "[",
    "a: b: c",
    "\t",
    "!!float x",
    "!<x> y",
    "${a.b}",
    "${",
    "0o9",
    "1_000",
    "0x_",
    ".inf",
    "~",
)
NUMBERS = (
    "1e999",
    "-1e999",
    "1" * 400,
    "1" * 5000,
    "-0.0",
    "1e-400",
    "NaN",
    "Infinity",
    "-Infinity",
    "2147483648",
    "-1",
    "9223372036854775808",
    "0",
    "1E400",
    "0.1e1000000000",
    "null",
    "true",
    '""',
    "[]",
    "{}",
    '"\\ud800"',
)
TEXTS = (*FRAGMENTS, *COMMANDS, *PLACES)
LONGEST = 200_000
"""Bytes of an input; larger ones have tests of their own, for what they cost is bounded by their size."""


class Raw:
    """A piece of JSON as it is to be written, such as a number that Python has none for."""

    def __init__(self, text: str) -> None:
        self.text = text


class Pairs(list[tuple[str, Any]]):
    """A JSON object; a key may come twice."""


def mutated(random: Random, seeds: Sequence[bytes], kind: str) -> bytes:
    """Return one of the seeds, changed once to a few times; rarely as it is.

    Args:
        kind: ``json``, ``lines`` (YAML, TOML, CSV, logs), ``bytes``.
    """
    made = random.choice(seeds)
    for _ in range(random.choice((0, 1, 1, 1, 2, 2, 3, 5))):
        if kind == "json" and random.random() < 0.8:
            made = _json(random, made)
        elif kind != "bytes" and random.random() < 0.8:
            made = _lines(random, made)
        else:
            made = random.choice(_OF_BYTES)(random, made, seeds)
    return made[:LONGEST]


def _text(random: Random) -> str:
    made = random.choice(TEXTS)
    return made + random.choice(TEXTS) if random.random() < 0.3 else made


# -------------------------------------------------------------------------------------------------- JSON


def _json(random: Random, content: bytes) -> bytes:
    try:
        root = [json.loads(content, object_pairs_hook=Pairs)]
    except (ValueError, RecursionError):
        return _lines(random, content)
    holder, key = random.choice(list(_places(root)))
    _change(random, holder, key, root)
    return written(root[0] if root else None).encode("utf-8", "surrogatepass")


def _places(root: list[Any]) -> list[tuple[Any, int]]:
    found, stack = [], [root]
    while stack:
        holder = stack.pop()
        for index, value in enumerate(holder):
            found.append((holder, index))
            inner = value[1] if isinstance(holder, Pairs) else value
            if isinstance(inner, list):
                stack.append(inner)
    return found


def _change(random: Random, holder: Any, index: int, root: list[Any]) -> None:
    pair = holder[index] if isinstance(holder, Pairs) else None
    value = pair[1] if pair is not None else holder[index]
    action = random.random()
    if action < 0.1:
        del holder[index]
    elif action < 0.2:
        holder.insert(index, holder[index])  # twice
    elif action < 0.3 and pair is not None:
        holder[index] = (_text(random), value)
    elif action < 0.35 and isinstance(value, list):
        value *= random.choice((0, 2, 50))
    elif action < 0.4:
        deep: Any = value
        for _ in range(random.choice((3, 90, 150))):
            deep = [deep] if random.random() < 0.5 else Pairs([("a", deep)])
        _put(holder, index, deep)
    else:
        _put(holder, index, _odd(random, value, root))


def _put(holder: Any, index: int, value: Any) -> None:
    holder[index] = (holder[index][0], value) if isinstance(holder, Pairs) else value


def _odd(random: Random, value: Any, root: list[Any]) -> Any:
    kind = random.random()
    if kind < 0.3:
        return Raw(random.choice(NUMBERS))
    if kind < 0.7:
        return _text(random)
    if kind < 0.8 and isinstance(value, str):
        return value + _text(random) if random.random() < 0.5 else _text(random) + value
    if kind < 0.9:
        holder, index = random.choice(_places(root))  # something from elsewhere
        other = holder[index][1] if isinstance(holder, Pairs) else holder[index]
        return Raw(written(other))
    return random.choice((Pairs(), [], [[]], [None], Pairs([("", None)]), [Pairs()], True, 0, -1, 0.5))


def written(value: Any) -> str:
    """Return JSON, of whatever depth: what is changed a few times is nested deeper than Python's stack may be."""
    parts, stack = list[str](), [value]
    while stack:
        one = stack.pop()
        if isinstance(one, Raw):
            parts.append(one.text)
        elif isinstance(one, list):
            opening, closing = "{}" if isinstance(one, Pairs) else "[]"
            parts.append(opening)
            stack.append(Raw(closing))
            for index in reversed(range(len(one))):
                comma = "," if index else ""
                if isinstance(one, Pairs):
                    key, inner = one[index]
                    stack += [inner, Raw(f"{comma}{json.dumps(key)}:")]
                else:
                    stack += [one[index], Raw(comma)]
        else:
            parts.append(json.dumps(one))
    return "".join(parts)


# -------------------------------------------------------------------------------------------------- texts

_WORD = re.compile(r"[^\s,:=\[\]{}\"']+")


def _lines(random: Random, content: bytes) -> bytes:
    lines = content.decode("utf-8", "surrogateescape").split("\n")
    index = random.randrange(len(lines))
    line = lines[index]
    action = random.randrange(8)
    if action == 0:
        del lines[index]
    elif action == 1:
        lines.insert(random.randrange(len(lines) + 1), line)
    elif action == 2:
        lines[index] = " " * random.choice((1, 2, 4)) + line if random.random() < 0.5 else line.lstrip()
    elif action == 3:
        other = random.randrange(len(lines))
        lines[index], lines[other] = lines[other], line
    elif action == 4:
        lines[index] = line + _bit(random)
    elif action == 5:
        lines[index:index] = [line] * random.choice((3, 100))
    else:
        words = list(_WORD.finditer(line))
        if words:
            word = random.choice(words)
            lines[index] = line[: word.start()] + _bit(random) + line[word.end() :]
    return "\n".join(lines).encode("utf-8", "surrogatepass" if random.random() < 0.2 else "replace")


def _bit(random: Random) -> str:
    return random.choice((*YAML_BITS, *NUMBERS)) if random.random() < 0.5 else _text(random)


# -------------------------------------------------------------------------------------------------- bytes


def _flipped(random: Random, content: bytes, seeds: Sequence[bytes]) -> bytes:
    made = bytearray(content)
    for _ in range(random.choice((1, 1, 3, 20)) if made else 0):
        made[random.randrange(len(made))] = random.choice((random.randrange(256), 0, 255, 127, 128, 10, 13, 27))
    return bytes(made)


def _cut(random: Random, content: bytes, seeds: Sequence[bytes]) -> bytes:
    first, last = sorted((random.randrange(len(content) + 1), random.randrange(len(content) + 1)))
    return random.choice((content[:first], content[first:], content[:first] + content[last:]))


def _inserted(random: Random, content: bytes, seeds: Sequence[bytes]) -> bytes:
    at = random.randrange(len(content) + 1)
    return content[:at] + _bit(random).encode("utf-8", "surrogatepass") + content[at:]


def _repeated(random: Random, content: bytes, seeds: Sequence[bytes]) -> bytes:
    at = random.randrange(len(content) + 1)
    piece = content[at : at + random.choice((1, 4, 64))]
    return content[:at] + piece * random.choice((2, 100, 5000)) + content[at:]


def _spliced(random: Random, content: bytes, seeds: Sequence[bytes]) -> bytes:
    other = random.choice(seeds)
    return content[: random.randrange(len(content) + 1)] + other[random.randrange(len(other) + 1) :]


_OF_BYTES: tuple[Callable[[Random, bytes, Sequence[bytes]], bytes], ...] = (
    _flipped, _cut, _inserted, _repeated, _spliced,
)  # fmt: skip
