"""Judge again, at the end of the run, what `check` left as pending because the run was going to fix it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from mlbutler import numbers
from mlbutler.first_few import first_few
from mlbutler.record import CheckResult, Finding, Outcome, Record, StepResult

LOCK, PUSHED = "lock", "pushed"
_MADE = ("ran", "restored", "unchanged")


def pending_words(count: int) -> str:
    """Return how `check` says that it leaves something to the run."""
    return f"{numbers.count(count, 'problem')} that this run fixes"


def judge_pending(record: Record) -> CheckResult | None:
    """Return the check's result with what the run did not fix among its findings, None when nothing changes.

    A stale dvc.lock is fixed when the results are on the branch, and on a laptop when they are in the work tree; an
    object that was on no remote when `push` passed. Of a run that was interrupted, or has not ended, nothing is judged.
    """
    check = record.check
    if check is None or not check.pending or record.began:
        return None
    if any(result.outcome is Outcome.INTERRUPTED for _, result in record.steps()):
        return None
    left = {finding: why for finding in check.pending if (why := _unfixed_reason(record, finding)) is not None}
    if not left:
        return None
    findings = [_with_reason(record, finding, why) for finding, why in left.items()]
    said = "; ".join(dict.fromkeys(_sentence(finding.check, left, why) for finding, why in left.items()))
    return dataclasses.replace(
        check,
        outcome=Outcome.FAILED,
        reason=f"{_without_pending(check)}; {said}" if check.findings else said,
        remedy=check.remedy or findings[0].remedy,
        findings=(*check.findings, *findings),
        pending=tuple(finding for finding in check.pending if finding not in left),
    )


def _without_pending(check: CheckResult) -> str:
    return check.reason.replace(f"; {pending_words(len(check.pending))}", "")


def _unfixed_reason(record: Record, finding: Finding) -> str | None:
    """Return why `finding` holds at the end of the run, None when it does not."""
    laptop = record.change.kind == "local"
    if finding.check == PUSHED:
        skipped = record.push is None or record.push.outcome is Outcome.SKIPPED
        return None if laptop and skipped else _reason_not_passed("push", record.push)
    if not laptop:
        return _reason_not_passed("commit", record.commit)
    made = {stage.name for stage in record.reproduce.stages if stage.outcome in _MADE} if record.reproduce else set()
    if finding.subject in made:
        return None
    return _reason_not_passed("reproduce", record.reproduce) or "it was not reproduced"


def _reason_not_passed(name: str, result: StepResult | None) -> str | None:
    if result is None:
        return f"{name} was not run"
    return None if result.outcome is Outcome.PASSED else f"{name}: {result.reason}"


def _with_reason(record: Record, finding: Finding, why: str) -> Finding:
    """Return the finding with what prevented its fix, and the way to get the results where there is one."""
    remedies = [step.remedy for step in (record.commit, record.push, record.reproduce) if step and step.remedy]
    commit = record.commit
    if commit is not None and commit.fetch_command:
        remedies.insert(0, commit.fetch_command)
    problem = f"{finding.problem}; not fixed by this run: {why}"
    return dataclasses.replace(finding, problem=problem, remedy=next(iter(remedies), finding.remedy))


def _sentence(check: str, left: Iterable[Finding], why: str) -> str:
    names = [finding.subject for finding in left if finding.check == check]
    return f"{'still stale in dvc.lock' if check == LOCK else 'still not on the remote'}: {first_few(names)} ({why})"
