"""Checking that dvc.lock is up to date, that every artifact is on the remote, and that stages make what is recorded.

The last only where the settings ask for it.

Inside a whole run, what the run will still reproduce and push is pending, not wrong.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlbutler.console import human_seconds
from mlbutler.first_few import first_few
from mlbutler.numbers import count
from mlbutler.project.artifact import NO_REMOTE, UNCACHED
from mlbutler.project.lock_check import check_lock, leftovers
from mlbutler.project.not_in_git import not_in_git
from mlbutler.project.overlooked import list_ignored_dvc_files, why
from mlbutler.record import CheckResult, Finding, Outcome, PlanResult, Record, StageState, Verification, VerifyResult
from mlbutler.record_pending import pending_words
from mlbutler.report.findings import grouped
from mlbutler.settings import Settings
from mlbutler.steps import plan as plan_step
from mlbutler.steps.agreed import agreed_section
from mlbutler.steps.context import RunContext

if TYPE_CHECKING:
    from mlbutler.project.artifact import Artifact
    from mlbutler.project.model import Stage

LOCK, PUSHED, VERIFIED = "lock", "pushed", "verified"
_KEPT = "kept"


def run(context: RunContext, checks: Sequence[str] = (LOCK, PUSHED, VERIFIED), *, anew: bool = False) -> CheckResult:
    """Run the named checks; all by default.

    Args:
        anew: ask the remote again instead of trusting answers of earlier builds.
    """
    plan = context.record.plan or plan_step.run(context)
    findings: list[Finding] = []
    undetermined: list[Finding] = []
    pending: list[Finding] = []
    left_out: tuple[tuple[str, str], ...] = ()
    checked = remembered = 0
    age = 0.0
    notes = []
    will_run = context.options.pipeline and _reproduces(context.record, context.settings)
    left_overs: tuple[str, ...] = ()
    if LOCK in checks:
        found, left_overs = check_lock(plan.stages), leftovers(plan.left_over)
        rerun = {stage.name for stage in plan.stale()}
        for finding in found.findings:
            (pending if will_run and finding.subject in rerun else findings).append(finding)
        undetermined += found.undetermined
        if not found.findings and not found.undetermined:
            notes.append("dvc.lock is up to date")
        for note in left_overs:
            context.console.line(f"note: {note}")
    if PUSHED in checks:
        notes_pushed, result = _check_remote(context, plan, will_run, anew)
        findings += (*result.findings, *_find_unkept(context, result.left_out))
        undetermined += result.undetermined
        pending += result.pending
        left_out, checked = result.left_out, result.checked
        remembered, age = result.remembered, result.answers_age
        notes += notes_pushed
    verified = _verify_changes(context, plan) if VERIFIED in checks else None
    if verified is not None:
        findings += _find_irreproducible(verified)
        undetermined += _find_unverified(context, verified)
        notes.append(f"verified in a clean clone: {verified.reason}")
    unknown = grouped(undetermined)
    for finding in (
        *grouped(findings),
        *(unknown if findings else unknown[1:]),
    ):  # else the sentence at the end says it
        context.console.line(f"{finding.check}: {finding.subject}: {finding.problem}\n    {finding.remedy}")
    outcome = Outcome.FAILED if findings else Outcome.NOT_KNOWN if undetermined else Outcome.PASSED
    return CheckResult(
        outcome=outcome,
        reason=_sentence(findings, undetermined, pending, notes),
        remedy=(findings or undetermined)[0].remedy if findings or undetermined else "",
        findings=tuple(findings),
        undetermined=tuple(undetermined),
        left_out=left_out,
        checked=checked,
        remembered=remembered,
        answers_age=age,
        pending=tuple(pending),
        notes=left_overs,
        verified=verified,
    )


def _verify_changes(context: RunContext, plan: PlanResult) -> VerifyResult | None:
    """Verify the share of what the change brings that the settings ask for."""
    settings = agreed_section(context, "verify", context.settings.verify)
    if settings.sample is None:
        return None
    from mlbutler.steps.verification_note import keep
    from mlbutler.steps.verify import verify_sample

    counts = (StageState.UP_TO_DATE, StageState.FROZEN)
    result = verify_sample(context, settings, settings.sample, [one.name for one in plan.stages if one.state in counts])
    if result is not None:
        keep(context, result)
    return result


def _find_irreproducible(verified: VerifyResult) -> list[Finding]:
    return [
        Finding(
            check=VERIFIED,
            subject=stage.name,
            problem=f"{stage.state}{f': {stage.reason}' if stage.reason else ''}",
            remedy=" ".join(stage.causes) or verified.remedy,
        )
        for stage in verified.stages
        if stage.state.is_wrong
    ]


def _find_unverified(context: RunContext, verified: VerifyResult) -> list[Finding]:
    """Return findings for the results that a change brings, and which no run of a stage could confirm."""
    from mlbutler.steps.verify import find_orphaned_metrics

    if context.record.change.base is None:
        return []
    found = {
        stage.name: f"its new results in dvc.lock are not verified: {stage.reason}"
        for stage in verified.stages
        if stage.state is Verification.NOT_VERIFIED
    }
    found |= dict.fromkeys(find_orphaned_metrics(context), "its numbers are new, and no stage makes them any more")
    remedy = "Look how they were made: a change can make them such that nothing verifies them."
    return [Finding(check=VERIFIED, subject=name, problem=problem, remedy=remedy) for name, problem in found.items()]


def _reproduces(record: Record, settings: Settings) -> bool:
    from mlbutler.reproduce.when import decide_run

    return decide_run(settings.reproduce, record.change, asked=False).run


def _check_remote(context: RunContext, plan: PlanResult, will_run: bool, anew: bool) -> tuple[list[str], CheckResult]:
    before, believes = context.state.push_checks, context.progress.plan_held and context.trusted and not anew
    if believes and (known := before.get(context.state.plans.artifacts)) is not None:
        return [_complete_note(known.objects, known.artifacts, known.objects, known.age)], CheckResult(
            outcome=Outcome.PASSED, reason="", left_out=known.left_out, checked=known.objects,
            remembered=known.objects, answers_age=round(known.age, 1),
        )  # fmt: skip
    from mlbutler.project.pushed import check_pushed, key_of
    from mlbutler.remotes.opening import Remotes

    project = context.project
    rerun = {stage.name for stage in plan.stages if stage.state in (StageState.STALE, StageState.RESTORABLE)}
    artifacts = [a for a in project.artifacts() if not (will_run and a.owner in rerun)]
    wanted = [artifact for artifact in artifacts if artifact.pushed]
    left_out = tuple((artifact.path, artifact.left_out) for artifact in artifacts if artifact.left_out)
    unseen = tuple((file.removesuffix(".dvc"), why(file)) for file in list_ignored_dvc_files(context.git))
    left_out += unseen
    empty = CheckResult(outcome=Outcome.PASSED, reason="", left_out=left_out)
    if not wanted:
        return ["no artifact has to be on the remote"], empty
    if not context.trusted:
        return ["not asked whether artifacts are pushed: a fork gets no credentials"], empty
    if context.project.remote_name is None and any(artifact.remote is None for artifact in wanted):
        finding = Finding(
            check=PUSHED,
            subject=wanted[0].path,
            problem=f"{NO_REMOTE} to hold {count(len(wanted), 'artifact')}",
            remedy="dvc remote add --default NAME URL",
        )
        return [], CheckResult(outcome=Outcome.FAILED, reason="", findings=(finding,), left_out=left_out)
    remotes = Remotes(project, context.project.remote_name, context.environ, context.settings.data.jobs)
    asked = time.time()
    with context.console.progress("asking the remote") as progress:
        pushed = check_pushed(
            artifacts,
            remotes,
            project.objects.manifest,
            presence=None if anew else context.state.presence,
            address=remotes.address,
            progress=progress,
            size_here=project.objects.size,
        )
    made = _find_uncommitted(context, wanted, pushed.findings) if context.options.pipeline else set()
    told = not pushed.findings and not pushed.undetermined
    if {finding.subject for finding in pushed.findings} & {a.path for a in wanted if a.oid is not None}:
        before.invalidate(asked)
    if told:
        from mlbutler.state.presence import PushCheck

        answer = PushCheck(pushed.checked, len(wanted), (*pushed.left_out, *unseen), pushed.age)
        before.put(key_of(artifacts, remotes.address), answer)
    said = _complete_note(pushed.checked, len(wanted), pushed.remembered, pushed.age)
    return [said] if told else [], CheckResult(
        outcome=Outcome.PASSED,
        reason="",
        findings=tuple(finding for finding in pushed.findings if finding.subject not in made),
        pending=tuple(finding for finding in pushed.findings if finding.subject in made),
        undetermined=tuple(pushed.undetermined),
        left_out=(*pushed.left_out, *unseen),
        checked=pushed.checked,
        remembered=pushed.remembered,
        answers_age=round(pushed.age, 1),
    )


def _find_unkept(context: RunContext, left_out: Sequence[tuple[str, str]]) -> list[Finding]:
    """Return findings for outputs that neither DVC nor Git keeps."""
    lacking = not_in_git(context.git, [path for path, why in left_out if why == UNCACHED])
    owners = context.project.stages.owners if lacking else {}
    return [
        Finding(
            check=_KEPT,
            subject=path,
            problem=f"neither in Git{' (which ignores it)' if ignored else ''} nor on the remote",
            remedy=_command_to_keep(context.root, path, ignored, owners[path][0]),
        )
        for path, ignored in lacking.items()
    ]


def _command_to_keep(root: Path, path: str, ignored: bool, maker: Stage) -> str:
    made = "" if (root / path).exists() else f"dvc repro --force {shlex.quote(maker.name)}, then "
    if not ignored:
        return f"{made}git add {shlex.quote(path)}"
    add = f"{made}git add --force {shlex.quote(path)}"
    return f"{add}, or take `cache: false` out of {maker.file} so that DVC keeps it."


def _find_uncommitted(context: RunContext, artifacts: Sequence[Artifact], findings: Sequence[Finding]) -> set[str]:
    """Return paths with a finding that are here whole and in no commit yet.

    A run that was killed before its push made them, and this run sends them.
    """
    from mlbutler.remotes.opening import open_cache
    from mlbutler.store.holdings import is_complete

    subjects = {finding.subject for finding in findings}
    suspects = [artifact for artifact in artifacts if artifact.path in subjects and artifact.oid is not None]
    if not suspects:
        return set()
    owners, cache = context.project.stages.owners, open_cache(context.project)
    locks = {artifact.path: context.prefix + owners[artifact.path][0].lock_file for artifact in suspects}
    committed = {file: context.git.show("HEAD", file) or b"" for file in set(locks.values())}
    return {
        artifact.path
        for artifact in suspects
        if artifact.oid is not None
        and artifact.oid.md5.encode() not in committed[locks[artifact.path]]
        and is_complete(cache, [artifact.oid])
    }


def _complete_note(objects: int, artifacts: int, remembered: int, age: float) -> str:
    every, verb = ("the", "is") if objects == 1 else (f"all {objects:,}", "are")
    of = count(artifacts, "artifact")
    said = f"{every} {'object' if objects == 1 else 'objects'} of {of} {verb} on the remote"
    return said + (f" ({remembered} of them when last asked, {human_seconds(age)} ago)" if remembered else "")


def _sentence(
    findings: Sequence[Finding],
    undetermined: Sequence[Finding],
    pending: Sequence[Finding],
    notes: Sequence[str],
) -> str:
    parts = []
    words_of = {VERIFIED: "not reproducible", LOCK: "stale in dvc.lock", PUSHED: "not on the remote",
                _KEPT: "kept nowhere"}  # fmt: skip
    for check, words in words_of.items():
        if names := [f.subject for f in findings if f.check == check and not f.problem.startswith(NO_REMOTE)]:
            parts.append(f"{words}: {first_few(names)}")
    parts += list(dict.fromkeys(finding.problem for finding in findings if finding.problem.startswith(NO_REMOTE)))
    if undetermined:
        first, *others = grouped(undetermined)
        more = f"; and {count(len(others), 'thing')} more" if others else ""
        parts.append(f"not known: {first.subject}{more}" if findings else f"{first.subject}: {first.problem}{more}")
    if pending:
        parts.append(pending_words(len(pending)))
    return "; ".join([*parts, *notes]) or "nothing to check"
