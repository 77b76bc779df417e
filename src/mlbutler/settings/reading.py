"""From files and variables to settings that have been checked."""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from mlbutler.errors import SettingsError
from mlbutler.settings.problems import problem
from mlbutler.settings.sections import Gate, Predictions, Settings

FILE_NAME = "mlbutler.toml"


@dataclass(frozen=True)
class Loaded:
    """Settings and, for each ``section.key``, its source: ``default``, a file name, or a variable's name."""

    settings: Settings
    sources: Mapping[str, str]


def load(root: Path, environ: Mapping[str, str] | None = None) -> Loaded:
    """Read the settings of the project at `root`.

    Raises:
        SettingsError: the file does not parse, a key is unknown, or a value does not fit.
    """
    environ = os.environ if environ is None else environ
    name, values = _from_file(root)
    return _validated(name, values, environ)


def parse(text: str, name: str = FILE_NAME) -> Settings:
    """Settings from the text of a mlbutler.toml (another revision's, say), or a pyproject.toml; no environment.

    Raises:
        SettingsError: as `load`.
    """
    try:
        values = tomllib.loads(text)
        if name != FILE_NAME:
            values = values.get("tool", {}).get("mlbutler", {})
        return _validated(name, values, {}).settings
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{name} is not valid TOML: {error}", f"Mend {name}.") from error


def _validated(name: str, values: dict[str, Any], environ: Mapping[str, str]) -> Loaded:
    sources = dict.fromkeys(_keys(values), name)
    for variable, section, key in _variables():
        if (text := environ.get(variable)) is not None and text != "":
            section_values = values.setdefault(section, {})
            if not isinstance(section_values, dict):
                raise SettingsError(f"{name}: '{section}' must be a table.", f"Write [{section}].")
            section_values[key] = _from_text(section, key, text)
            sources[f"{section}.{key}"] = variable
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise _explained(error, name, sources) from error
    return Loaded(settings, {key: sources.get(key, "default") for key in _keys(settings.model_dump())})


def _from_file(root: Path) -> tuple[str, dict[str, Any]]:
    own, shared = root / FILE_NAME, root / "pyproject.toml"
    for path, inside in ((own, ()), (shared, ("tool", "mlbutler"))):
        if not path.is_file():
            continue
        try:
            values: Any = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            if path == shared:  # somebody else's file: not ours to complain about
                continue
            raise SettingsError(f"{path.name} is not valid TOML: {error}", f"Mend {path.name}.") from error
        for key in inside:
            values = values.get(key) if isinstance(values, dict) else None
        if isinstance(values, dict):
            return path.name, values
    return FILE_NAME, {}


def _keys(values: Mapping[str, Any]) -> Iterator[str]:
    for section, content in values.items():
        if isinstance(content, Mapping):
            yield from (f"{section}.{key}" for key in content)
        else:
            yield section


def _variables() -> Iterator[tuple[str, str, str]]:
    for section, field in Settings.model_fields.items():
        model = field.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            for key in model.model_fields:
                yield f"MLBUTLER_{section}_{key}".upper(), section, key


def _from_text(section: str, key: str, text: str) -> Any:
    model = Settings.model_fields[section].annotation
    assert isinstance(model, type)
    assert issubclass(model, BaseModel)
    default = model.model_fields[key].default
    if isinstance(default, tuple) and text.lstrip().startswith("["):
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return text
    return text


def _explained(error: ValidationError, name: str, sources: Mapping[str, str]) -> SettingsError:
    problems, remedies = [], []
    for item in error.errors():
        where = [str(part) for part in item["loc"]]
        dotted = ".".join(where)
        source = sources.get(".".join(where[:2]), name)
        if item["type"] == "extra_forbidden":
            problems.append(f"{source}: unknown key '{dotted}'")
            nearest = difflib.get_close_matches(where[-1], _siblings(where), n=1, cutoff=0.0)
            remedies.append(f"The nearest known key is '{'.'.join([*where[:-1], nearest[0]])}'." if nearest else "")
        else:
            problems.append(f"{source}: {dotted}: {problem(item)}")
    remedy = " ".join(filter(None, remedies)) or "See docs/settings.md for what each key takes."
    return SettingsError("; ".join(problems) + ".", remedy)


def _siblings(where: list[str]) -> list[str]:
    if len(where) == 1:
        return list(Settings.model_fields)
    repeated: dict[str, Any] = {"gate": Gate, "predictions": Predictions}
    model: Any = repeated.get(where[0]) or Settings.model_fields[where[0]].annotation
    return list(model.model_fields)
