"""Read files and variables into settings that have been checked."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from mlbutler.errors import SettingsError
from mlbutler.frozen import frozen
from mlbutler.parsing import Unreadable, parse_json, parse_toml
from mlbutler.settings.problems import Problem, explain_problems
from mlbutler.settings.sections import Settings
from mlbutler.settings.types import SettingsSection
from mlbutler.settings.values import read_section

FILE_NAME, SHARED = SETTINGS_FILES = "mlbutler.toml", "pyproject.toml"


@frozen
class LoadedSettings:
    """Settings and where they come from.

    Attributes:
        sources: for each ``section.key``, ``default``, a file name, or a variable's name.
        note: what is wrong with the files although they can be read, '' for nothing.
    """

    settings: Settings
    sources: Mapping[str, str]
    note: str = ""


def load(root: Path, environ: Mapping[str, str] | None = None) -> LoadedSettings:
    """Read the settings of the project at `root`.

    Raises:
        SettingsError: the file does not parse, a key is unknown, or a value does not fit.
    """
    environ = os.environ if environ is None else environ
    name, values = _from_file(root)
    loaded = _build_settings(name, values, environ)
    if name == FILE_NAME and (root / FILE_NAME).is_file() and _read_pyproject(root) is not None:
        said = f"{FILE_NAME} is used, and [tool.mlbutler] in {SHARED} is not read: keep one of them"
        return dataclasses.replace(loaded, note=said)
    return loaded


def parse_settings(text: str, name: str = FILE_NAME) -> Settings:
    """Return settings from the text of a mlbutler.toml (of any revision) or a pyproject.toml; no environment.

    Raises:
        SettingsError: as `load`.
    """
    values = _parse(text, name)
    if name != FILE_NAME:
        values = _own_table(values) or {}
    return _build_settings(name, values, {}).settings


def _parse(text: str | bytes, name: str) -> dict[str, Any]:
    try:
        return parse_toml(text, name)
    except Unreadable as error:
        raise SettingsError(error.message, error.remedy) from error


def settings_at(content: Callable[[str], bytes | None]) -> Settings | None:
    """Return settings of another revision; None where it has none, or none that can be read.

    Args:
        content: of a file beside dvc.yaml at that revision, None where it does not exist.
    """
    for name in SETTINGS_FILES:
        found = content(name)
        if found is None:
            continue
        text = found.decode("utf-8", "replace")
        try:
            if name == SHARED and _own_table(parse_toml(text)) is None:
                continue
            return parse_settings(text, name)
        except Unreadable:
            continue
        except SettingsError:
            return None
    return None


def _build_settings(name: str, values: dict[str, Any], environ: Mapping[str, str]) -> LoadedSettings:
    sources = dict.fromkeys(_keys(values), name)
    for variable, section, key in variables():
        if (text := environ.get(variable)) is not None and text != "":
            section_values = values.setdefault(section, {})
            if not isinstance(section_values, dict):
                raise SettingsError(f"{name}: '{section}' must be a table.", f"Write [{section}].")
            section_values[key] = _from_text(section, key, text)
            sources[f"{section}.{key}"] = variable
    problems: list[Problem] = []
    settings = read_section(Settings, values, problems)
    if problems or settings is None:
        said, remedy = explain_problems(problems, lambda where: sources.get(where, name))
        raise SettingsError(said, remedy or "`mlbutler help settings` says what each key takes.")
    return LoadedSettings(settings, {key: sources.get(key, "default") for key in _keys(to_document(settings))})


def to_document(settings: Settings) -> dict[str, Any]:
    """Return settings as a file has them, with what is not set."""
    found: dict[str, Any] = msgspec.to_builtins(settings)
    return found


def _from_file(root: Path) -> tuple[str, dict[str, Any]]:
    own = root / FILE_NAME
    if own.is_file():
        return FILE_NAME, _parse(own.read_bytes(), FILE_NAME)
    shared = _read_pyproject(root)
    return (FILE_NAME, {}) if shared is None else (SHARED, shared)


def _read_pyproject(root: Path) -> dict[str, Any] | None:
    """Return our table of the project's pyproject.toml.

    None where that file is broken as well: other tools complain about it.
    """
    try:
        return _own_table(parse_toml((root / SHARED).read_bytes()))
    except (FileNotFoundError, IsADirectoryError, Unreadable):
        return None


def _own_table(values: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return our table of a pyproject.toml, None where it has none."""
    tool = values.get("tool")
    found = tool.get("mlbutler") if isinstance(tool, dict) else None
    return found if isinstance(found, dict) else None


def _keys(values: Mapping[str, Any]) -> Iterator[str]:
    for section, content in values.items():
        if isinstance(content, Mapping):
            yield from (f"{section}.{key}" for key in content)
        else:
            yield section


def variables() -> Iterator[tuple[str, str, str]]:
    """Yield each setting's environment variable, section and key."""
    for section, kind in _sections():
        for key in kind.__struct_encode_fields__:
            yield f"MLBUTLER_{section}_{key}".upper(), section, key


def _sections() -> Iterator[tuple[str, type[SettingsSection]]]:
    """Yield each section by its name, but for those of which there are several."""
    for section, default in zip(Settings.__struct_fields__, Settings.__struct_defaults__, strict=True):
        if isinstance(default, SettingsSection):
            yield section, type(default)


def _from_text(section: str, key: str, text: str) -> Any:
    kind = dict(_sections())[section]
    default = kind.keys()[key].default
    if isinstance(default, tuple) and text.lstrip().startswith("["):
        try:
            return parse_json(text)
        except Unreadable:
            return text
    return text
