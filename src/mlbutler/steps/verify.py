"""Verify results: run stages again in a clean clone, without any cache, and compare what they make with dvc.lock.

Each stage begins with the inputs that dvc.lock records, from the remote alone, in a clone of its own: what differs in
one stage says nothing of the next, and nothing that an earlier stage left without declaring it is there.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import random
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from mlbutler.errors import Interrupted
from mlbutler.first_few import first_few
from mlbutler.frozen import frozen
from mlbutler.numbers import count
from mlbutler.process import project_environment
from mlbutler.project.claims import claimed_stages
from mlbutler.project.model import Stage, Stages
from mlbutler.record import Outcome, StagePlan, StageState, StageVerified, Verification, VerifyResult
from mlbutler.reproduce.cause import sentence
from mlbutler.reproduce.scratch import scratch_clone
from mlbutler.settings import VerifySettings
from mlbutler.steps.context import RunContext
from mlbutler.steps.scratch_context import scratch_context
from mlbutler.steps.verified_run import CleanRun, StageRunOutputs, VerifyRequest, inputs
from mlbutler.steps.verify_causes import explain_failure, explain_outputs

FOLDER = "verify"


def verify(context: RunContext, request: VerifyRequest) -> VerifyResult:
    """Run stages of a commit again and compare.

    Raises:
        Interrupted: a signal request mlbutler to stop; `partial` holds what was verified before. StoreError: a remote
            does not answer. DiskFull, GitError, ProjectError, UsageError.
    """
    with _open_scratch(context, request.revision, context.project.cache_dir, context.mirror) as scratch:
        stages = scratch.project.stages
        chosen = list(request.choose(stages))
        plans = {plan.name: plan for plan in scratch.project.planning.plan_locally()} if chosen else {}
        obstacles = {name: why for name in chosen if (why := _obstacle(_stage(stages, name), plans[name]))}
    runnable = [name for name in chosen if name not in obstacles]
    drawn = draw(runnable, request.share) if request.share is not None else chosen
    found: list[StageVerified] = []
    with _clean_place(context.root) as place:
        for number, name in enumerate(drawn, 1):
            context.console.heading(f"verify {name} ({number} of {len(drawn)})")
            try:
                one = _Verifying(context, request, place, stages).one(_stage(stages, name), plans[name])
            except Interrupted as stop:
                reason = f"interrupted in stage '{name}'; {count(len(found), 'stage')} verified before"
                stop.partial = _result(request, found, 0, Outcome.INTERRUPTED, reason)
                raise
            context.console.line(f"{name}: {one.state}{f': {one.reason}' if one.reason else ''}")
            for cause in one.causes:
                context.console.line(f"    {cause}")
            found.append(one)
    if request.share is None:
        return _judge_stages(request, found)
    chance = f"{len(found)} of {count(len(runnable), 'stage')} drawn"
    found += [
        _unverified_stage(name, why) for name, why in obstacles.items()
    ]  # a forger would like nobody to miss them
    return _judge_stages(request, found, len(runnable), chance)


def draw(names: Sequence[str], share: float) -> list[str]:
    """Draw a share of the names at random, at least one, in their order; nobody can foresee which."""
    size = math.ceil(share * len(names) - 1e-9)  # 10 % of 30 are 3, although 0.1 * 30 is a little more
    picked = random.SystemRandom().sample(range(len(names)), min(len(names), max(1, size)))
    return [names[index] for index in sorted(picked)]


def verify_sample(
    context: RunContext, settings: VerifySettings, share: float, up_to_date: Sequence[str]
) -> VerifyResult:
    """Verify a share of what the change itself brings to dvc.lock.

    Args:
        settings: as agreed with the target branch. up_to_date: stages whose recorded results count as this commit's,
            and which this run does not make again.
    """
    base = context.record.change.base

    def select_brought(stages: Stages) -> list[str]:
        names = [stage.name for stage in stages.pipeline()]
        if base is not None:
            names = list(
                claimed_stages(
                    stages,
                    lambda path: context.git.show(base, f"{context.prefix}{path}"),
                    lambda path: context.git.show(context.record.change.checkout, f"{context.prefix}{path}"),
                )
            )
        return [name for name in names if name in up_to_date]

    request = VerifyRequest(context.record.change.checkout, select_brought, share, settings.tolerance, settings.timeout)
    return verify(context, request)


def find_orphaned_metrics(context: RunContext) -> tuple[str, ...]:
    """Return metrics files with new numbers that a stage made before the change, and none makes now.

    Raises:
        ProjectError: DVC cannot open the project of then.
    """
    change, prefix = context.record.change, context.prefix
    before = context.project.snapshots.at_commit(change.base, prefix) if change.base is not None else None
    if change.base is None or before is None:
        return ()
    found = []
    for out in (out for stage in before.stages.pipeline() for out in stage.outputs if out.kind == "metric"):
        now = context.git.show(change.checkout, f"{prefix}{out.path}")
        is_new = now is not None and now != context.git.show(change.base, f"{prefix}{out.path}")
        if is_new and context.project.stages.owner(out.path) is None:
            found.append(out.path)
    return tuple(found)


# ------------------------------------------------------------------------------------- one stage


@frozen
class _Verifying:
    context: RunContext
    request: VerifyRequest
    place: Path
    stages: Stages

    def one(self, stage: Stage, plan: StagePlan) -> StageVerified:
        """Verify one stage."""
        if why := _obstacle(stage, plan):
            return _unverified_stage(stage.name, why)
        if stale := [cause for cause in plan.causes if cause.kind not in ("upstream", "always")]:
            said = f"dvc.lock was not made with what this commit holds: {sentence(stale)}"
            return StageVerified(name=stage.name, state=Verification.STALE, reason=said)
        first = self._run(stage)
        if isinstance(first, StageVerified):
            return first
        if first.same:
            return self._holds(stage, first)
        self.context.console.line(
            f"{stage.name}: not what dvc.lock records; run once more, to see if it repeats itself"
        )
        again = self._run(stage)
        return self._differs(stage, first, again)

    def _run(self, stage: Stage) -> StageRunOutputs | StageVerified:
        """Run the stage in a new clone; what it made, or why there is nothing to compare."""
        cache = self.place / "cache"  # of this run alone: what another stage made must come from the remote
        shutil.rmtree(cache, ignore_errors=True)
        with _open_scratch(self.context, self.request.revision, cache, None, self.request.timeout) as scratch:
            clean = CleanRun(self.context, scratch, self.place / "brought", self.request)
            lacking = clean.bring(inputs(scratch.project.stages, stage))
            if lacking:
                said = f"what it needs is on no remote: {first_few(sorted(lacking))}"
                return StageVerified(name=stage.name, state=Verification.LACKING, reason=said)
            run, problem = clean.run(stage)
            if problem:
                return StageVerified(
                    name=stage.name, state=Verification.FAILED, reason=f"in a clean clone {problem}", runs=1,
                    seconds=round(run.duration, 3), tail=run.tail,
                    causes=explain_failure(self.context.root, scratch.root, self.stages, stage, run.tail),
                )  # fmt: skip
            return clean.compare_outputs(stage, run)

    def _holds(self, stage: Stage, made: StageRunOutputs) -> StageVerified:
        exact = all(out.recorded == out.made for out in made.outputs)
        state = Verification.IDENTICAL if exact else Verification.WITHIN_TOLERANCE
        far = "" if exact else f"metrics differ by {made.largest:.2g} of their size at most"
        return StageVerified(
            name=stage.name, state=state, reason=far, outputs=made.outputs, runs=1, seconds=made.seconds,
            directory=stage.directory,
        )  # fmt: skip

    def _differs(self, stage: Stage, first: StageRunOutputs, again: StageRunOutputs | StageVerified) -> StageVerified:
        repeats = isinstance(again, StageRunOutputs) and first.hashes == again.hashes
        bad = [out for out in first.outputs if not out.same]
        named = "; ".join(f"{out.path}: {out.difference}" for out in bad[:2])
        more = f" and {count(len(bad) - 2, 'output')} more" if len(bad) > 2 else ""
        with _open_scratch(self.context, self.request.revision, self.place / "cache", None) as scratch:
            causes = explain_outputs(
                scratch, self.request.revision, stage, first, again if isinstance(again, StageRunOutputs) else None
            )
        return StageVerified(
            name=stage.name,
            state=Verification.DIFFERENT if repeats else Verification.UNSTABLE,
            reason=f"{named}{more}",
            causes=causes,
            outputs=first.outputs,
            runs=2,
            seconds=round(first.seconds + again.seconds, 3),
        )


def _unverified_stage(name: str, why: str) -> StageVerified:
    return StageVerified(name=name, state=Verification.NOT_VERIFIED, reason=why)


def _stage(stages: Stages, name: str) -> Stage:
    return next(stage for stage in stages.pipeline() if stage.name == name)


def _obstacle(stage: Stage, plan: StagePlan) -> str:
    """Return why a stage is not run for this, '' where it can be."""
    if stage.frozen:
        return "it is frozen: DVC does not run it"
    if not stage.can_run:
        return "it has no command"
    if any(out.is_url or out.external for out in stage.outputs):
        return "it writes outside the project, where running it would replace what is there"
    if any(out.persist for out in stage.outputs):
        return "it goes on from its own earlier output (persist: true)"
    if plan.state is StageState.NOT_KNOWN:
        return next(
            (f"{c.subject}: {c.detail}" for c in plan.causes if c.kind == "not known"), "its state is not known"
        )
    return ""


# ------------------------------------------------------------------------------------- places


@contextlib.contextmanager
def _open_scratch(
    context: RunContext, revision: str, cache: Path, mirror: Path | None, timeout: float | None = None
) -> Iterator[RunContext]:
    """Open a clone of the commit, and work there."""
    git = context.git.at(context.git.toplevel())
    environ = project_environment(context.environ)
    with (
        scratch_clone(git, revision, context.root, context.prefix, cache, environ) as root,
        contextlib.chdir(root),  # DVC names stages relative to the current directory
    ):
        yield scratch_context(context, root, mirror=mirror, timeout=timeout)


@contextlib.contextmanager
def _clean_place(root: Path) -> Iterator[Path]:
    """Make an empty folder for the data of one verification; removed at the end."""
    folder = root / ".mlbutler" / FOLDER
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# ------------------------------------------------------------------------------------- results


def _judge_stages(
    request: VerifyRequest, found: Sequence[StageVerified], drawn_from: int = 0, chance: str = ""
) -> VerifyResult:
    wrong = [one for one in found if one.state.is_wrong]
    good = [one for one in found if one.state.is_reproduced]
    outcome = Outcome.FAILED if wrong else Outcome.PASSED if good else Outcome.SKIPPED
    if not good and not wrong and found:
        outcome = Outcome.NOT_KNOWN
    result = _result(request, found, drawn_from, outcome, _sentence(found, chance))
    causes = [cause for one in wrong for cause in one.causes]
    return dataclasses.replace(result, remedy=causes[0] if causes else _remedy(wrong))


def _remedy(wrong: Sequence[StageVerified]) -> str:
    states = {one.state for one in wrong}
    if Verification.STALE in states:
        return "Run `mlbutler reproduce`, and commit dvc.lock."
    if Verification.LACKING in states:
        return "Push the data from where it is: dvc push"
    return "Read what the stage printed above, and make it run in a fresh clone." if wrong else ""


def _sentence(found: Sequence[StageVerified], chance: str) -> str:
    if not found:
        return "nothing to verify: no stage whose recorded results could be made again"
    parts = []
    for state in Verification:
        if names := [one.name for one in found if one.state is state]:
            parts.append(f"{state}: {first_few(names)}")
    return "; ".join(parts) + (f", {chance}" if chance else "")


def _result(
    request: VerifyRequest, found: Sequence[StageVerified], drawn_from: int, outcome: Outcome, reason: str
) -> VerifyResult:
    return VerifyResult(
        outcome=outcome, reason=reason, revision=request.revision, stages=tuple(found), drawn_from=drawn_from,
        tolerance=request.tolerance,
    )  # fmt: skip
