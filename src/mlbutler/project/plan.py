"""Which stages are stale, and why: decided from what is recorded, with or without data in the work tree.

DVC's own check needs the data, or looks away where it is missing. `mlbutler.project.current_hashes` says what each
dependency is now. What could not be found out makes a stage *not known*, never up to date and never stale.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import field

from mlbutler.frozen import frozen
from mlbutler.project import overlooked
from mlbutler.project.current_hashes import CurrentHashes
from mlbutler.project.model import Dependency, NotKnown, Output, ParamsFile, Recorded, Stage, Stages
from mlbutler.project.param_causes import missing_params, not_recordable, param_causes
from mlbutler.record import Cause, StagePlan, StageState

FindRun = Callable[[Stage, Mapping[str, Recorded]], Mapping[str, Recorded] | None]
"""Looks in the run caches for a run of the stage with these dependency hashes; output path -> hash."""

_NOT_KNOWN = "not known"
_LACKING = ("missing", "unreadable")


@frozen
class Hint:
    """What is remembered of earlier runs: stage -> seconds."""

    durations: Mapping[str, float] = field(default_factory=dict)


class Planner:
    """One pass over the stages in order.

    Args:
        stages: all of them. current: what they read and write, as it is now. find_run: looks into the run caches.
        is_local: does cache or mirror hold the object of this output?
        targets: plan only these stages and what they depend on; all if empty.
        lost: paths of outputs that no store holds, as somebody found out who asked.
    """

    def __init__(
        self,
        stages: Stages,
        current: CurrentHashes,
        find_run: FindRun,
        is_local: Callable[[Output], bool],
        *,
        targets: Collection[str] = (),
        hint: Hint | None = None,
        lost: Collection[str] = (),
    ) -> None:
        self._stages, self._current = stages, current
        self._find_run, self._is_local = find_run, is_local
        self._targets, self._hint, self._lost = targets, hint or Hint(), lost
        self._causes: dict[str, list[Cause]] = {}
        self._cannot: set[str] = set()
        self._restored: dict[str, Mapping[str, Recorded]] = {}

    def plan(self) -> tuple[StagePlan, ...]:
        """Return the state of every planned stage, in an order in which they can run."""
        chosen = self._stages.select(self._targets)
        forced: set[str] = set()
        while True:  # a producer whose output nobody keeps turns stale when a stale stage needs it
            self._causes, self._cannot, self._restored = {}, set(), {}
            self._current.restored = self._restored
            for stage in chosen:
                self._causes[stage.name] = [] if stage.frozen else self._judge(stage, forced)
            more = self._unavailable(chosen) - forced
            if not more:
                break
            forced |= more
        return tuple(self._summary(stage) for stage in chosen)

    # -------------------------------------------------------------------------------------- judging

    def _judge(self, stage: Stage, forced: Collection[str]) -> list[Cause]:
        """Return why it is stale or not known, [] when it is up to date."""
        causes = list(dict.fromkeys(self._causes_of(stage)))
        upstream = {made.name for made, _ in self._stages.producers(stage) if self._is_rerun(made.name)}
        named = {cause.subject for cause in causes if cause.kind == "upstream"}
        causes += [self._upstream(name, "runs again before it") for name in sorted(upstream - named)]
        if stage.name in forced:
            causes.append(Cause(kind="output", subject=stage.name, detail="an output is needed and kept nowhere"))
        if not _is_stale(causes):
            return causes + list(self._upstream_doubts(stage))
        obstacles = [cause for cause in self._obstacles(stage) if cause not in causes]
        if not upstream and not stage.always and stage.name not in forced and not obstacles:
            self._try_restore(stage)
        if stage.name not in self._restored:
            causes += obstacles
            if any(cause.kind in _LACKING for cause in causes) or upstream & self._cannot:
                self._cannot.add(stage.name)
        return causes

    def _causes_of(self, stage: Stage) -> Iterator[Cause]:
        """Return what is known of the stage itself, in the order in which a reader looks for it."""
        if stage.always:
            yield Cause(kind="always", subject=stage.name, detail="DVC runs it every time")
        if not stage.locked:
            yield Cause(kind="never run", subject=stage.name, detail="not in dvc.lock")
            return
        if stage.command_changed:
            yield Cause(kind="command", subject=stage.name, detail="the command differs from dvc.lock")
        for params in stage.params:
            yield from self._params_causes(stage, params)
        for dependency in stage.dependencies:
            yield from self._dependency_causes(stage, dependency)
        for output in stage.outputs:
            yield from self._output_causes(output)

    def _is_rerun(self, name: str) -> bool:
        return _is_stale(self._causes.get(name, ())) and name not in self._restored

    def _is_doubted(self, name: str) -> bool:
        return bool(self._causes.get(name)) and not _is_stale(self._causes[name])

    def _upstream(self, name: str, detail: str) -> Cause:
        return Cause(kind="upstream", subject=name, detail="cannot run" if name in self._cannot else detail)

    def _upstream_doubts(self, stage: Stage) -> Iterator[Cause]:
        for name in sorted({made.name for made, _ in self._stages.producers(stage) if self._is_doubted(made.name)}):
            yield Cause(kind=_NOT_KNOWN, subject=name, detail="whether it has to run before this one")

    def _try_restore(self, stage: Stage) -> None:
        hashes: dict[str, Recorded] = {}
        for dependency in stage.dependencies:
            present = self._current.dependency(dependency)
            if not isinstance(present, Recorded):
                return
            hashes[dependency.path] = present
        params = [self._current.params(file) for file in stage.params]
        known = tuple(file for file in params if isinstance(file, ParamsFile) and file.current is not None)
        if len(known) < len(params):
            return
        if (found := self._find_run(dataclasses.replace(stage, params=known), hashes)) is not None:
            self._restored[stage.name] = found

    def _params_causes(self, stage: Stage, params: ParamsFile) -> Iterator[Cause]:
        owner = self._stages.owner(params.path)
        if owner is not None and self._is_rerun(owner[0].name):
            yield self._upstream(owner[0].name, f"makes {params.path}")
            return
        found = self._current.params(params)
        if isinstance(found, NotKnown):
            if owner is not None and owner[1].cached:  # else the producer is judged by itself
                yield _doubt(params.path, found)
        elif owner is None or found.current is not None or found.problem:
            yield from missing_params(found, stage.file, self._current.overlooked_file(params.path))
            yield from param_causes(found)

    def _dependency_causes(self, stage: Stage, dependency: Dependency) -> Iterator[Cause]:
        path = dependency.path
        owner = self._stages.owner(path)
        if owner is not None and self._is_rerun(owner[0].name):
            yield self._upstream(owner[0].name, f"makes {path}")
            return
        if any(self._is_rerun(made.name) for made, _ in self._stages.inside(path)):
            return  # named with the other producers
        kind = "data" if dependency.is_url or (owner is not None and owner[1].cached) else "code"
        if dependency.recorded is None:
            yield Cause(kind=kind, subject=path, detail="no hash in dvc.lock")
            return
        present = self._current.dependency(dependency)
        if isinstance(present, NotKnown):
            if owner is None or owner[1].cached:  # else the producer is judged by itself
                yield _doubt(path, present)
        elif present is None:
            yield from self._absent(stage, dependency)
        elif not present.same_as(dependency.recorded):
            detail = "differs from dvc.lock"
            if not dependency.external and present.algorithm != dependency.recorded.algorithm:
                detail = "recorded by another hash (DVC 2); `dvc commit` converts it"
            yield Cause(kind=kind, subject=path, detail=detail)

    def _absent(self, stage: Stage, dependency: Dependency) -> Iterator[Cause]:
        """Return what a dependency that certainly is not there means for the stage that reads it."""
        path = dependency.path
        owner = self._stages.owner(path)
        if dependency.is_url:
            remedy = f"Put it back, or correct the dependency in {stage.file}."
            yield Cause(kind="missing", subject=path, detail="its server says that it is not there", remedy=remedy)
        elif owner is None and (file := self._current.overlooked_file(path)):
            yield Cause(kind="missing", subject=path, detail=overlooked.why(file), remedy=overlooked.remedy(file))
        elif owner is None:
            remedy = (
                f"git add {shlex.quote(path)} if Git is to keep it, dvc add {shlex.quote(path)} if DVC is to, "
                f"or correct the dependency in {stage.file}."
            )
            yield Cause(kind="missing", subject=path, detail="in neither Git nor DVC, and no stage makes it",
                        remedy=remedy)  # fmt: skip
        elif owner[1].recorded is not None and owner[1].cached:
            remedy = f"Correct the dependency in {stage.file}, or what is in {owner[1].path}."
            yield Cause(kind="missing", subject=path, detail=f"not found in {owner[1].path}", remedy=remedy)
        # else nobody can tell here; the producer is judged by itself

    def _obstacles(self, stage: Stage) -> Iterator[Cause]:
        """Return what a stage that has to run cannot run without."""
        for params in stage.params:
            owner = self._stages.owner(params.path)
            if owner is None or not self._is_rerun(owner[0].name):
                found = self._current.params(params)
                if isinstance(found, ParamsFile) and (owner is None or found.current is not None or found.problem):
                    yield from missing_params(found, stage.file, self._current.overlooked_file(params.path))
                    yield from not_recordable(found)
        for dependency in stage.dependencies:
            path = dependency.path
            owner = self._stages.owner(path)
            if owner is not None and self._is_rerun(owner[0].name):
                continue
            if owner is not None and not owner[1].external and self._is_kept_nowhere(*owner):
                yield Cause(
                    kind="missing", subject=path, remedy=f"git add -f {shlex.quote(owner[1].path)} where it is.",
                    detail=f"in neither Git nor DVC, and '{owner[0].name}', which makes it, is frozen",
                )  # fmt: skip
            elif dependency.external and not dependency.is_url and owner is None and not self._current.exists(path):
                remedy = f"Put it there, or correct the dependency in {stage.file}."
                yield Cause(kind="missing", subject=path, detail="not on this machine", remedy=remedy)
            elif not self._stages.inside(path):
                present = self._current.dependency(dependency)
                if present is None:
                    yield from self._absent(stage, dependency)
                elif dependency.is_url and isinstance(present, NotKnown):  # it may not get what it needs
                    yield _doubt(path, present)

    def _is_kept_nowhere(self, maker: Stage, output: Output) -> bool:
        return not output.cached and not maker.can_run and not self._current.exists(output.path)

    def _output_causes(self, output: Output) -> Iterator[Cause]:
        if output.recorded is None:
            yield Cause(kind="output", subject=output.path, detail="no hash in dvc.lock")
            return
        if output.persist:
            return
        present = self._current.output(output)
        if isinstance(present, NotKnown):
            yield _doubt(output.path, present)
        elif present is None:
            if output.external:
                yield Cause(kind="output", subject=output.path, detail="not there any more")
        elif not present.same_as(output.recorded):
            yield Cause(kind="output", subject=output.path, detail="differs from dvc.lock")

    def _unavailable(self, chosen: Sequence[Stage]) -> set[str]:
        """Return stages judged up to date whose outputs a stale stage needs but no store holds."""
        planned = {stage.name for stage in chosen}
        found = set()
        for stage in chosen:
            if not _is_stale(self._causes[stage.name]) or stage.name in self._cannot:
                continue
            for made, out in self._stages.producers(stage):
                could = made.name in planned and not made.frozen and not _is_stale(self._causes[made.name])
                if could and not self._is_kept(out):
                    found.add(made.name)
        return found

    def _is_kept(self, output: Output) -> bool:
        if output.external:
            return self._current.output(output) is not None
        return self._current.exists(output.path) or (
            output.cached and output.path not in self._lost and (output.can_push or self._is_local(output))
        )

    # ------------------------------------------------------------------------------------ summaries

    def _summary(self, stage: Stage) -> StagePlan:
        state = self._state(stage)
        return StagePlan(
            name=stage.name,
            state=state,
            causes=tuple(self._causes[stage.name]),
            needs=tuple(self._needs(stage)) if state in (StageState.STALE, StageState.RESTORABLE) else (),
            last_duration=self._hint.durations.get(stage.name),
            command=stage.command,
            after=tuple(dict.fromkeys(made.name for made, _ in self._stages.producers(stage) if not made.data_source)),
            label=stage.label,
        )

    def _state(self, stage: Stage) -> StageState:
        if stage.frozen:
            return StageState.FROZEN
        if not self._causes[stage.name]:
            return StageState.UP_TO_DATE
        if self._is_doubted(stage.name):
            return StageState.NOT_KNOWN
        if stage.name in self._restored:
            return StageState.RESTORABLE
        return StageState.CANNOT_RUN if stage.name in self._cannot else StageState.STALE

    def _needs(self, stage: Stage) -> list[str]:
        """Return DVC-tracked paths that must be in the work tree before the stage can run."""
        needed: dict[str, None] = {}
        for dependency in stage.dependencies:
            if dependency.external:
                continue
            if (owner := self._stages.owner(dependency.path)) is not None:
                if owner[1].cached and not self._remade(owner[0].name):
                    needed[dependency.path] = None
            else:
                for made, out in self._stages.inside(dependency.path):
                    if out.cached and not self._remade(made.name):
                        needed[out.path] = None
        for params in stage.params:
            owner = self._stages.owner(params.path)
            if owner is not None and owner[1].cached and not self._remade(owner[0].name):
                needed[params.path] = None
        for out in stage.outputs:  # such a stage goes on from its own previous output
            if out.persist and out.cached and out.recorded is not None:
                needed[out.path] = None
        return list(needed)

    def _remade(self, name: str) -> bool:
        return _is_stale(self._causes.get(name, ()))

    def restored_outputs(self) -> Mapping[str, Mapping[str, Recorded]]:
        """Return, of every restorable stage, output path -> hash, as the run cache has it; call it after `plan`."""
        return self._restored


def _is_stale(causes: Collection[Cause]) -> bool:
    """Tell whether there is a cause that is known."""
    return any(cause.kind != _NOT_KNOWN for cause in causes)


def _doubt(path: str, why: NotKnown) -> Cause:
    return Cause(kind=_NOT_KNOWN, subject=path, detail=why.reason, remedy=why.remedy)
