"""What of a manifest Kubernetes' API has no field for, or a field of another type."""

from __future__ import annotations

import dataclasses
import importlib
import sys
import types
import typing
from collections.abc import Iterator
from typing import Any

# The models are made by lightkube's own decorator; of the whole client nothing else is needed here.
_schema = types.ModuleType("lightkube.core.schema")
_schema.__dict__.update(DictMixin=object, field=dataclasses.field, dataclass=dataclasses.dataclass)
_KINDS = {
    "Pod": "core_v1", "PersistentVolumeClaim": "core_v1", "ServiceAccount": "core_v1",
    "Role": "rbac_v1", "RoleBinding": "rbac_v1", "NetworkPolicy": "networking_v1",
}  # fmt: skip


def faults(manifest: dict[str, Any]) -> list[str]:
    """Return what is wrong in a manifest, each with its place."""
    sys.modules.setdefault("lightkube.core", types.ModuleType("lightkube.core"))
    sys.modules.setdefault("lightkube.core.schema", _schema)
    kind = str(manifest["kind"])
    module = importlib.import_module(f"lightkube.models.{_KINDS[kind]}")
    return list(_faults(getattr(module, kind), manifest, kind))


def _faults(wanted: Any, value: Any, place: str) -> Iterator[str]:
    options = [kind for kind in typing.get_args(wanted) if kind is not type(None)]
    if typing.get_origin(wanted) is typing.Union:
        found = [list(_faults(kind, value, place)) for kind in options]
        yield from min(found, key=len)
    elif typing.get_origin(wanted) is list:
        if not isinstance(value, list):
            yield f"{place}: no list"
            return
        for number, item in enumerate(value):
            yield from _faults(options[0], item, f"{place}[{number}]")
    elif dataclasses.is_dataclass(wanted):
        yield from _fields(wanted, value, place)
    elif isinstance(wanted, type) and (not isinstance(value, wanted) or (wanted is int and isinstance(value, bool))):
        yield f"{place}: {value!r} is no {wanted.__name__}"


def _fields(wanted: Any, value: Any, place: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{place}: no mapping"
        return
    kinds = typing.get_type_hints(wanted)
    for name, inner in value.items():
        if name not in kinds:
            yield f"{place}: there is no field '{name}'"
        else:
            yield from _faults(kinds[name], inner, f"{place}.{name}")
    for field in dataclasses.fields(wanted):
        optional = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
        if field.name not in value and not optional:
            yield f"{place}: '{field.name}' is missing"
