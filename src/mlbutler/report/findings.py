"""Group what `check` found, so that one reason is not repeated for each artifact."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from mlbutler.first_few import first_few
from mlbutler.record import Finding


def grouped(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return one finding for each cause: the first one's problem, and the first subjects with a count.

    What a remote does not tell is one cause, although each object's answer names that object.
    """
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for finding in findings:
        cause = finding.silent_remote or finding.problem
        groups.setdefault((finding.check, cause, finding.remedy), []).append(finding)
    return tuple(
        dataclasses.replace(group[0], subject=first_few([finding.subject for finding in group]))
        for group in groups.values()
    )
