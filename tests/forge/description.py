"""A vendor's own description of its API, as a judge of requests."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

_ROOT = "urn:description"
# Fields that a description demands and its vendor does not.
_WRONG: dict[str, list[tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "gitlab": [(("components", "schemas", "RequestBody_61c505dac8bc"), ("line", "line_type"))],
    "bitbucket-cloud": [(("components", "schemas", "object"), ("type",))],
}


def folder() -> Path | None:
    """Where the descriptions lie, beside the repository or above it; None when they are not there."""
    for parent in Path(__file__).resolve().parents:
        if (parent / "shared" / "specs").is_dir():
            return parent / "shared" / "specs"
    return None


@cache
def load(name: str) -> Description | None:
    """The description called `name`, None when it is not there."""
    where = folder()
    if where is None:
        return None
    document = json.loads((where / f"{name}.json").read_text())
    for path, wrong in _WRONG.get(name, ()):
        schema: Any = document
        for key in path:
            schema = schema[key]
        schema["required"] = [key for key in schema["required"] if key not in wrong]
    return Description(document)


class Description:
    """Judges requests by an OpenAPI 3.0 document, and makes answers that have every required field."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        resource = Resource.from_contents(document, default_specification=DRAFT4)
        self._registry: Any = Registry().with_resource(_ROOT, resource)
        self._templates = [
            (re.compile(re.sub(r"\\\{[^/]+?\\\}", "([^/]+)", re.escape(t))), t) for t in document["paths"]
        ]
        self._templates.sort(key=lambda pair: pair[1].count("{"))

    def faults(self, method: str, path: str, query: str, media: str, body: bytes) -> list[str]:
        """What is wrong with a request, in words.

        Args:
            path: below the API's address, as it was sent. media: its content type, '' without a body.
        """
        template, operation = self._operation(method, path)
        if operation is None:
            return [f"{method} {path}: the description has no such operation"]
        at = f"{method} {template}"
        return [
            f"{at}: {fault}"
            for fault in (*self._query(template, operation, query), *self._body(operation, media, body))
        ]

    def example(self, method: str, path: str, status: str) -> Any:
        """The smallest answer with all required fields; of a list, one item."""
        _, operation = self._operation(method, path)
        answer = self._follow((operation or {}).get("responses", {}).get(status, {}))
        content = answer.get("content", {})
        found: dict[str, Any] = next((c["schema"] for m, c in content.items() if "json" in m and "schema" in c), {})
        schema = self._follow(found)
        if schema.get("type") == "array":
            schema = schema["items"]
        return self._example(schema, 0)

    def _operation(self, method: str, path: str) -> tuple[str, dict[str, Any] | None]:
        for pattern, template in self._templates:
            if pattern.fullmatch(path):
                operation = self._document["paths"][template].get(method.lower())
                if operation is not None:
                    return template, operation
        return path, None

    def _query(self, template: str, operation: dict[str, Any], query: str) -> list[str]:
        listed = [*operation.get("parameters", ()), *self._document["paths"][template].get("parameters", ())]
        known = {p["name"]: p for p in map(self._follow, listed) if p["in"] == "query"}
        given = dict(parse_qsl(query, keep_blank_values=True))
        faults = [f"needs the parameter {n}" for n, p in known.items() if p.get("required") and n not in given]
        for name, text in given.items():
            if name not in known:
                faults.append(f"unknown parameter {name}")
                continue
            schema = self._follow(known[name]["schema"])
            value: Any = int(text) if schema.get("type") in ("integer", "number") and text.isdigit() else text
            faults += [f"{name}: {error.message}" for error in self._errors(schema, value)]
        return faults

    def _body(self, operation: dict[str, Any], media: str, body: bytes) -> list[str]:
        described = self._follow(operation.get("requestBody") or {})
        if not described:
            return ["a body that is not described"] if body else []
        if not body:
            return ["needs a body"] if described.get("required") else []
        contents = described["content"]
        kind = media.partition(";")[0].strip()
        if kind not in contents and "*/*" not in contents:
            return [f"content type {kind} is not among {', '.join(contents)}"]
        if not kind.endswith("json"):
            return []
        schema = self._follow(contents.get(kind, contents.get("*/*"))["schema"])
        value = json.loads(body)
        faults = [f"body: {'/'.join(map(str, e.path))}: {e.message}" for e in self._errors(schema, value)]
        properties = self._properties(schema)
        return faults + [f"body: unknown field {key}" for key in value if properties and key not in properties]

    def _properties(self, schema: dict[str, Any]) -> set[str]:
        schema = self._follow(schema)
        found = set(schema.get("properties", ()))
        for part in (*schema.get("allOf", ()), *schema.get("oneOf", ()), *schema.get("anyOf", ())):
            found |= self._properties(part)
        return found

    def _errors(self, schema: dict[str, Any], value: Any) -> Any:
        from openapi_schema_validator import OAS30Validator  # here, as its import takes longer than most tests

        # references inside are meant from the document's root, so the schema is looked at as a part of it
        wrapped = {"$id": _ROOT, **schema} if "$ref" not in schema else schema
        return OAS30Validator(wrapped, registry=self._registry, _resolver=self._registry.resolver(_ROOT)).iter_errors(
            value
        )

    def _follow(self, item: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in item:
            target: Any = self._document
            for key in item["$ref"].removeprefix("#/").split("/"):
                target = target[unquote(key).replace("~1", "/").replace("~0", "~")]
            item = target
        return item

    def _example(self, schema: dict[str, Any], depth: int) -> Any:
        schema = self._follow(schema)
        if schema.get("nullable") or depth > 8:
            return None
        for key in ("oneOf", "anyOf"):
            if schema.get(key):
                return self._example(schema[key][0], depth + 1)
        if schema.get("allOf"):
            merged: dict[str, Any] = {}
            for part in schema["allOf"]:
                value = self._example(part, depth + 1)
                merged |= value if isinstance(value, dict) else {}
            return merged
        if schema.get("enum"):
            return schema["enum"][0]
        kind = schema.get("type") or ("object" if "properties" in schema else "")
        if kind == "object":
            return {k: self._example(schema["properties"][k], depth + 1) for k in schema.get("required", ())
                    if k in schema.get("properties", {})}  # fmt: skip
        texts = {"date-time": "2026-01-01T00:00:00Z", "uri": "https://example.org/", "email": "a@example.org"}
        simple: dict[str, Any] = {"array": [], "integer": 1, "number": 1, "boolean": False}
        return simple.get(kind, texts.get(schema.get("format", ""), "x"))


def raw(text: str) -> str:
    """A path segment as it is sent."""
    return quote(text, safe="")
