"""DVC's own reading of YAML, kept from what would not end and from errors that are not its own."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from typing import Any

_LARGEST = 20 << 20
"""DVC needs seconds for each million characters."""


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

    from mlbutler.parsing import Unreadable, reading

    theirs = _yaml.parse_yaml

    def parse_yaml(text: str, path: Any, typ: str = "safe") -> Any:
        with reading("YAML", str(relpath(path))):
            if len(text) > _LARGEST:
                raise Unreadable(f"larger than {_LARGEST >> 20} MB: not read", str(relpath(path)))
            try:
                _require_bounded(text)
                return theirs(text, path, typ)
            except DvcException as error:
                problem = error
        raise problem

    _yaml.parse_yaml = strictyaml.parse_yaml = parse_yaml


def _require_bounded(text: str) -> None:
    """Refuse what `yaml_file.require_bounded` does, also in texts that only DVC's parser takes: ``[./my.yaml:]``."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError
    from yaml.parser import ParserError
    from yaml.scanner import ScannerError

    from mlbutler.yaml_file import require_bounded

    try:
        require_bounded(text)
    except (ScannerError, ParserError):
        with suppress(YAMLError):  # no YAML to DVC either, which says so
            require_bounded(text, YAML(typ="safe").parse)
