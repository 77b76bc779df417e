"""Annotations as files that other tools read: SARIF, and GitLab's Code Quality report."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import quote

from mlbutler.record import Record
from mlbutler.report.annotations import Annotation, remarks

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {"failure": "error", "warning": "warning"}
_SEVERITIES = {"failure": "major", "warning": "minor"}


def sarif(record: Record) -> str:
    """Return the annotations as SARIF 2.1.0."""
    found = remarks(record)
    rules = [{"id": rule, "name": rule} for rule in dict.fromkeys(item.rule for item in found)]
    driver = {"name": "mlbutler", "version": record.environment.mlbutler, "rules": rules}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"ROOT": {"description": {"text": "The repository's root."}}},
        "results": [_result(item) for item in found],
    }
    return _format_json({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]})


def _result(item: Annotation) -> dict[str, Any]:
    place = {
        "artifactLocation": {"uri": quote(item.path.encode("utf-8", "replace")), "uriBaseId": "ROOT"},
        "region": {"startLine": item.line},
    }
    return {
        "ruleId": item.rule,
        "level": _LEVELS[item.level],
        "message": {"text": f"{item.title}: {item.message}"},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {"mlbutler/v1": fingerprint(item)},
    }


def code_quality(record: Record) -> str:
    """Return the annotations as GitLab's `artifacts:reports:codequality` takes them."""
    return _format_json(
        [
            {
                "description": f"{item.title}: {item.message}",
                "check_name": item.rule,
                "fingerprint": fingerprint(item),
                "severity": _SEVERITIES[item.level],
                "location": {"path": item.path, "lines": {"begin": item.line}},
            }
            for item in remarks(record)
        ]
    )


def fingerprint(item: Annotation) -> str:
    """Return what tells an annotation from others, whatever line it is on."""
    text = "\0".join((item.path, item.rule, item.title, item.message))
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:40]


def _format_json(document: object) -> str:
    text = json.dumps(document, indent=2, ensure_ascii=False)
    return text.encode("utf-8", "replace").decode("utf-8") + "\n"
