"""Code Insights, Bitbucket's place for a report on a commit: fields, and remarks on lines."""

from __future__ import annotations

import re
from typing import Any

from mlbutler.escape import web_address
from mlbutler.forge.interface import CommitStatus, StatusDetails
from mlbutler.report.annotation_files import fingerprint
from mlbutler.report.annotations import Annotation

_MOST_FIELDS = 6
_TEXT_LIMIT = 450
_FIELD_LIMIT = 100
_TYPES = {"test": "BUG", "lint": "CODE_SMELL"}


def report_id(key: str) -> str:
    """Return a status' key as a part of an address."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", key)


def cloud_report(state: CommitStatus, title: str, sentence: str, link: str, details: StatusDetails) -> dict[str, Any]:
    """Return a report as Bitbucket Cloud takes it."""
    results = {CommitStatus.SUCCESS: "PASSED", CommitStatus.FAILURE: "FAILED", CommitStatus.PENDING: "PENDING"}
    return _report(results, state, title, sentence, link, details) | {"report_type": "TEST"}


def server_report(state: CommitStatus, title: str, sentence: str, link: str, details: StatusDetails) -> dict[str, Any]:
    """Return a report as Data Center takes it."""
    return _report({CommitStatus.SUCCESS: "PASS", CommitStatus.FAILURE: "FAIL"}, state, title, sentence, link, details)


def _report(
    results: dict[CommitStatus, str], state: CommitStatus, title: str, sentence: str, link: str, details: StatusDetails
) -> dict[str, Any]:
    fields = [
        {"title": name[:_FIELD_LIMIT], "type": "TEXT", "value": value[:_FIELD_LIMIT]}
        for name, value in details.fields[:_MOST_FIELDS]
    ]
    found: dict[str, Any] = {"title": title, "details": sentence or title, "reporter": "mlbutler", "data": fields}
    if state in results:  # what was stopped, or failed outside, has no result
        found["result"] = results[state]
    if address := web_address(link):
        found["link"] = address
    return found


def cloud_annotations(remarks: tuple[Annotation, ...]) -> list[dict[str, Any]]:
    """Return remarks as Bitbucket Cloud takes them."""
    return [
        {
            "external_id": fingerprint(remark), "annotation_type": _TYPES.get(remark.rule, "BUG"),
            "summary": _text(remark), "path": remark.path, "line": remark.line, "severity": _severity(remark),
        }
        for remark in remarks
    ]  # fmt: skip


def server_annotations(remarks: tuple[Annotation, ...]) -> list[dict[str, Any]]:
    """Return remarks as Data Center takes them."""
    return [
        {
            "externalId": fingerprint(remark), "type": _TYPES.get(remark.rule, "BUG"), "message": _text(remark),
            "path": remark.path, "line": remark.line, "severity": _severity(remark),
        }
        for remark in remarks
    ]  # fmt: skip


def _text(remark: Annotation) -> str:
    return f"{remark.title}: {remark.message}"[:_TEXT_LIMIT]


def _severity(remark: Annotation) -> str:
    return "HIGH" if remark.level == "failure" else "MEDIUM"
