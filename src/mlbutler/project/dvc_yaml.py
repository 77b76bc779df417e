"""Bound DVC's own reading of YAML: its time and memory, and the errors that it raises."""

from __future__ import annotations

import math
from collections.abc import Callable, Sized
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from mlbutler.project.unseen import guard_values, require_visible

_LARGEST = 20 << 20
"""DVC needs seconds for each million characters."""
_MOST_PATTERNS = 5_000
"""Of ``.dvcignore``: DVC needs a thousandth of a second for each, in every folder that has such a file."""
_MOST_COMBINATIONS = 100_000
"""A matrix of six lists of thirty is a few lines, and more stages than fit into any memory."""
_locks: list[tuple[str, Any]] = []
"""The dvc.lock that DVC read last, and what it holds: of thousands of stages that takes a second."""


def cached_lock(text: str) -> Any:
    """Return what DVC has just read from this text of a dvc.lock, not to be changed; None where it read another."""
    return next((made for known, made in _locks if known == text), None)


@cache
def guard() -> None:
    """Have DVC, in this process, refuse a YAML text that it would need minutes or gigabytes for.

    DVC reads dvc.yaml, dvc.lock, .dvc and parameter files in places of its own choosing, at any revision; what all of
    them call is replaced. A text is refused as `mlbutler.parsing.Unreadable`, and so is one on which DVC's parser
    stumbles: ``!!bool maybe`` is a `KeyError` to it. What is merely no YAML stays DVC's own error.
    """
    from dvc.exceptions import DvcException
    from dvc.utils import relpath, strictyaml
    from dvc.utils.serialize import _yaml
    from yaml import YAMLError

    from mlbutler.parsing import Unreadable, reading
    from mlbutler.yaml_file import parse_in_c

    theirs = _yaml.parse_yaml

    def parse_yaml(text: str, path: Any, typ: str = "safe") -> Any:
        with reading("YAML", str(relpath(path))):
            require_visible(Path(path))
            if len(text) > _LARGEST:
                raise Unreadable(f"larger than {_LARGEST >> 20} MB: not read", str(relpath(path)))
            try:
                _require_bounded(text)
                if typ == "safe":
                    with suppress(YAMLError):  # where it cannot be read so, DVC reads it, or says why not
                        made = parse_in_c(text) or {}
                        if str(path).endswith(".lock"):
                            _locks[:] = [(text, made)]
                        return made
                return theirs(text, path, typ)
            except DvcException as error:
                problem = error
        raise problem

    _yaml.parse_yaml = strictyaml.parse_yaml = parse_yaml
    _compile_stage_schemas()
    _bound_matrices()
    _bound_ignore_files()
    guard_values()


def _compile_stage_schemas() -> None:
    """Have DVC compile once what a stage of dvc.yaml may hold.

    It does so for each stage: of hundreds that takes two thirds of the time of reading them. `validate` below is its
    `dvc.schema.either_or`, whose schemas are dictionaries, and a compiled one in the place of each says the same.
    """
    from dvc.schema import SINGLE_PIPELINE_STAGE_SCHEMA

    for validate in SINGLE_PIPELINE_STAGE_SCHEMA.values():
        for cell in getattr(validate, "__closure__", None) or ():
            if isinstance(cell.cell_contents, dict):
                cell.cell_contents = _compile_lazily(cell.cell_contents)


def _compile_lazily(schema: dict[Any, Any]) -> Callable[[Any], Any]:
    """Return what validates as the schema does; it is compiled when it is first needed."""
    from voluptuous import Schema

    compiled: Callable[[], Any] = cache(lambda: Schema(schema))
    return lambda data: compiled()(data)


def _bound_matrices() -> None:
    """Refuse a matrix of more stages than anybody runs before DVC makes them."""
    from dvc.parsing import MatrixDefinition

    from mlbutler.parsing import Unreadable

    theirs = MatrixDefinition._resolve_matrix_data

    def resolve(self: Any) -> Any:
        lists = theirs(self)
        combinations = math.prod(len(values) for values in lists.values() if isinstance(values, Sized))
        if combinations > _MOST_COMBINATIONS:
            what = f"too large: the matrix of '{self.name}' makes {combinations:,} stages"
            raise Unreadable(what, str(self.relpath), "Name fewer combinations, or loop inside one stage.")
        return lists

    MatrixDefinition._resolve_matrix_data = resolve


def _bound_ignore_files() -> None:
    """Refuse a ``.dvcignore`` of more patterns than anybody writes before DVC makes expressions of them."""
    from dvc.ignore import DvcIgnorePatterns

    from mlbutler.parsing import Unreadable

    theirs = DvcIgnorePatterns.__init__

    def init(self: Any, pattern_list: Any, dirname: str, sep: str) -> None:
        patterns = list(pattern_list)
        if len(patterns) > _MOST_PATTERNS:
            what = f"too long: {len(patterns):,} patterns"
            raise Unreadable(what, ".dvcignore", "Name folders instead of their files.")
        theirs(self, patterns, dirname, sep)

    DvcIgnorePatterns.__init__ = init


def _require_bounded(text: str) -> None:
    """Refuse what `yaml_file.require_bounded` does, also in texts that only DVC's parser takes: ``[./my.yaml:]``."""
    from yaml.parser import ParserError
    from yaml.scanner import ScannerError

    from mlbutler.yaml_file import is_too_deep, require_bounded

    try:
        require_bounded(text)
    except (ScannerError, ParserError) as error:
        if is_too_deep(error):
            raise
        from ruamel.yaml import YAML
        from ruamel.yaml.error import YAMLError

        with suppress(YAMLError):  # no YAML to DVC either, which says so
            require_bounded(text, YAML(typ="safe").parse)
