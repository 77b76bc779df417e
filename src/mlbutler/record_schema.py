"""Write the record's JSON Schema, for programs that read `report.json`."""

from __future__ import annotations

import inspect
import json
from typing import Any

import msgspec

from mlbutler import record
from mlbutler.record import SCHEMA_VERSION, Record

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12) of the document that `record_file.dumps` writes."""
    parts = msgspec.json.schema(Record)["$defs"]
    found = parts.pop("Record")
    for name, part in (("Record", found), *parts.items()):
        documented = getattr(record, name, None)
        if inspect.isclass(documented) and documented.__doc__:
            part["description"] = inspect.cleandoc(documented.__doc__)
    found["$defs"] = parts
    found["properties"]["schema"]["const"] = SCHEMA_VERSION
    return {"$schema": _DIALECT, "title": "A run of mlbutler", **{k: v for k, v in found.items() if k != "title"}}


def text() -> str:
    """Return the schema as indented JSON."""
    return json.dumps(schema(), indent=1, ensure_ascii=False, sort_keys=False) + "\n"
