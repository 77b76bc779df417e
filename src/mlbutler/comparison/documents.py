"""Metric and parameter files as flat numbers and texts. Their content is hostile: nothing here raises."""

from __future__ import annotations

import ast
import csv
import hashlib
import io
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from mlbutler.comparison.snapshot import Source
from mlbutler.frozen import frozen
from mlbutler.parsing import Unreadable, decoded, parse_json, parse_toml, parse_yaml, reading
from mlbutler.record import Scalar

LARGEST = 20 * 1024 * 1024
"""Bytes of the largest file that is parsed."""

_MOST_VALUES = 200_000
_MOST_NODES = 2 * _MOST_VALUES
_LONGEST_NAMES = 64 * 1024 * 1024
"""Characters of all names together: those of deep values repeat those above them."""
_LONGEST_TEXT = 1000
_LARGEST_NUMBER = 10**300
"""Whole numbers below it are compared digit by digit and can still be shown as floats."""


@frozen
class Document:
    """Dotted name -> value of one file; `problem` says why there is nothing, `remark` what is odd about it.

    `known`: that there is nothing is certain, for there is no such file; else it may hold anything.
    """

    values: Mapping[str, Scalar] = field(default_factory=dict)
    problem: str = ""
    remark: str = ""
    known: bool = True


class _UnusableDocument(Exception):
    """The content cannot be used; the message says why."""


def read_document(path: str, source: Source) -> Document:
    """Parse by the file's extension: JSON, YAML, TOML, Python literals, or a CSV of metrics."""
    if source.content is None:
        return Document(problem=source.problem or "the file is missing", known=source.absent or not source.problem)
    if len(source.content) > LARGEST:
        return Document(problem=f"larger than {LARGEST >> 20} MB: not read", known=False)
    try:
        content, twice = _parse(path, source.content)
        if not isinstance(content, Mapping):
            content = {"": content} if isinstance(content, (int, float, str)) or content else {}
        values, same = _flatten(content)
        return Document(values, remark=_remark([*twice, *same]))
    except _UnusableDocument as error:
        return Document(problem=str(error), known=False)
    except Unreadable as error:
        return Document(problem=error.problem, known=False)


def read_both(
    path: str, old: Mapping[str, Source], new: Mapping[str, Source]
) -> tuple[Document, Document, list[tuple[str, str]]]:
    """Return a file in the target and here, an empty one where it is not, and (file, reason) for what is to be said."""
    before = read_document(path, old[path]) if path in old else Document()
    after = read_document(path, new[path]) if path in new else Document()
    sides = (("in the target", before), ("here", after))
    said = [(path, f"{side}: {what}") for side, document in sides if (what := document.problem or document.remark)]
    return before, after, said


def _remark(twice: Sequence[str]) -> str:
    if not twice:
        return ""
    more = f" (and {len(twice) - 1:,} more such names)" if len(twice) > 1 else ""
    return f"'{twice[0][:100]}' is there more than once{more}: the last one counts"


def _parse(path: str, content: bytes) -> tuple[Any, Sequence[str]]:
    """Return the content, and the keys that one of its mappings holds twice, where the format allows that."""
    text = decoded(content)
    extension = path.rpartition(".")[2].lower()
    if extension == "json":
        return _parse_json_with_duplicates(text)
    return _PARSERS.get(extension, parse_yaml)(text), ()


def _parse_json_with_duplicates(text: str) -> tuple[Any, Sequence[str]]:
    twice: list[str] = []

    def mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            counts = Counter(key for key, _ in pairs)
            twice.extend(key for key, count in counts.items() if count > 1)
        return made

    return parse_json(text, pairs=mapping), twice


def _parse_python(text: str) -> Any:
    """Return assignments of literals, at the top level, in classes and in ``__init__``, as DVC reads them."""
    with reading("Python"):
        return _assignments(ast.parse(text).body)


def _assignments(body: list[ast.stmt]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for node in body:
        if isinstance(node, ast.ClassDef):
            found[node.name] = _assignments(node.body)
        elif isinstance(node, ast.FunctionDef) and node.name == "__init__":
            found |= _assignments(node.body)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            name = (
                target.id if isinstance(target, ast.Name) else target.attr if isinstance(target, ast.Attribute) else ""
            )
            try:
                found[name] = ast.literal_eval(node.value)
            except (ValueError, TypeError, SyntaxError):
                continue
    found.pop("", None)
    return found


def _parse_csv(text: str) -> Any:
    """Return the last value of each name, by step, of a ``Name,Value,Timestamp,Step`` table."""
    with reading("CSV"):
        rows = rows_of(text, ",")
    if not rows or not {"Name", "Value"} <= set(rows[0]):
        raise _UnusableDocument("a CSV file of metrics needs the columns Name and Value")
    last: dict[str, tuple[float, Any]] = {}
    for row in rows:
        step, value = _parse_number(row.get("Step")) or 0.0, _parse_number(row.get("Value"))
        name = str(row.get("Name"))
        if name not in last or step >= last[name][0]:
            last[name] = (step, row.get("Value") if value is None else value)
    return {name: value for name, (_, value) in last.items()}


def rows_of(text: str, delimiter: str) -> list[dict[str, Any]]:
    """Yield the rows of a table below its header, the first with all columns.

    Others have only the columns that they fill: a file of many columns and many short rows must not grow.

    Raises:
        csv.Error: it is none.
    """
    lines = (row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if row)
    header = next(lines, [])
    rows: list[dict[str, Any]] = [dict(zip(header, row, strict=False)) for row in lines]
    return [dict.fromkeys(header) | rows[0], *rows[1:]] if rows else []


def _parse_number(text: object) -> float | None:
    try:
        return float(str(text))
    except ValueError:
        return None


_PARSERS = {"toml": parse_toml, "py": _parse_python, "csv": _parse_csv}


def leaves(content: Mapping[Any, Any]) -> Mapping[str, Scalar] | None:
    """Map dotted name -> value of everything inside; None when that is too much."""
    try:
        return _flatten(content)[0]
    except _UnusableDocument:
        return None


def _flatten(content: Mapping[Any, Any]) -> tuple[dict[str, Scalar], list[str]]:
    """Map dotted name -> value; also return names that several values have (``a.b`` beside ``a: {b: ...}``).

    What grows when it is unfolded (YAML's aliases) is bounded by the number of nodes, empty ones too.
    """
    found: dict[str, Scalar] = {}
    twice: list[str] = []
    stack: list[tuple[str, Any]] = [("", content)]
    nodes = characters = 0
    while stack:
        name, value = stack.pop()
        nodes += 1
        characters += len(name)
        if characters > _LONGEST_NAMES:
            raise _UnusableDocument("nested too deeply")
        if nodes > _MOST_NODES or len(found) > _MOST_VALUES:
            raise _UnusableDocument(f"more than {_MOST_VALUES:,} values")
        if isinstance(value, Mapping):
            stack += [(_dotted_name(name, key), inner) for key, inner in reversed(list(value.items()))]
        elif isinstance(value, (list, tuple, set)):
            stack += [(_dotted_name(name, i), inner) for i, inner in reversed(list(enumerate(value)))]
        else:
            name = name or "value"
            if name in found:
                twice.append(name)
            found[name] = scalar(value)
    return found, twice


def _dotted_name(name: str, key: object) -> str:
    return f"{name}.{key}" if name else str(key)


ODD = frozenset(("NaN", "Infinity", "-Infinity"))
"""Floats that JSON has no word for, as `scalar` writes them."""


def scalar(value: object) -> Scalar:
    """Return a value as the record holds it: odd floats and everything that is no JSON scalar as text."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, int) and abs(value) >= _LARGEST_NUMBER:
        return _cut(hex(value))  # Python refuses to print so many digits
    if value is None or isinstance(value, (bool, int, float)):
        return value
    try:
        return _cut(str(value))
    except RecursionError:
        return "(nested too deeply)"


def _cut(text: str) -> str:
    """Return a long text's beginning, with a digest that tells it from others that begin alike."""
    if len(text) <= _LONGEST_TEXT:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{text[: _LONGEST_TEXT - 100]}… ({len(text):,} characters, SHA-256 {digest})"


def is_number(value: Scalar) -> bool:
    """Return whether it is a finite number that can be judged; True and False are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)
