"""Group what `check` found, so that one reason is not repeated for each artifact."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from mlbutler.record import Finding

_SHOWN = 3


def grouped(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return one finding for each cause: the first one's problem, and the first subjects with a count.

    A remote that does not say what it holds is one cause, although each object's answer names that object.

    What a remote does not tell is one cause, although each object's answer names that object.
    """
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for finding in findings:
        cause = finding.silent_remote or finding.problem
        groups.setdefault((finding.check, cause, finding.remedy), []).append(finding)
    return tuple(
        dataclasses.replace(group[0], subject=named([finding.subject for finding in group]))
        for group in groups.values()
    )


def named(subjects: Sequence[str]) -> str:
    """Return the first of them, and how many more there are."""
    more = f" and {len(subjects) - _SHOWN} more" if len(subjects) > _SHOWN else ""
    return ", ".join(subjects[:_SHOWN]) + more
