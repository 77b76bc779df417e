"""Which stages are stale, and why: decided from what is recorded, with or without data in the work tree.

DVC's own check needs the data, or looks away where it is missing. Here a dependency's present hash is taken
from the work tree where the file is, else from the record of whoever makes it: a stage's output in dvc.lock,
a .dvc file, or an entry of a directory manifest.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlbutler.project.model import Dependency, Output, ParamsFile, Recorded, Stage, Stages
from mlbutler.project.worktree import ReadManifest, WorkTree
from mlbutler.record import Cause, StagePlan, StageState
from mlbutler.store.interface import ObjectId

FindRun = Callable[[Stage, Mapping[str, Recorded]], Mapping[str, Recorded] | None]
"""Looks in the run caches for a run of the stage with these dependency hashes; output path -> hash."""

ReadParams = Callable[[ParamsFile, ObjectId], ParamsFile]
"""Parameters as that object holds them; as they were given when it cannot be had."""


@dataclass(frozen=True)
class Hint:
    """What is remembered of earlier runs: stage -> seconds."""

    durations: Mapping[str, float] = field(default_factory=dict)


class Planner:
    """One pass over the stages in order.

    Args:
        stages: all of them. tree: the work tree. manifest: reads directory manifests. find_run: looks into
            the run caches. at_hand: does cache or mirror hold the object of this output?
        read_params: reads a params file that is an artifact and not in the work tree.
        targets: plan only these stages and what they depend on; all if empty.
        lost: paths of outputs that no store holds, as somebody found out who asked.
    """

    def __init__(
        self,
        stages: Stages,
        tree: WorkTree,
        manifest: ReadManifest,
        find_run: FindRun,
        at_hand: Callable[[Output], bool],
        read_params: ReadParams,
        *,
        targets: Collection[str] = (),
        hint: Hint | None = None,
        lost: Collection[str] = (),
    ) -> None:
        self._stages, self._tree, self._manifest = stages, tree, manifest
        self._find_run, self._at_hand, self._read_params = find_run, at_hand, read_params
        self._targets, self._hint, self._lost = targets, hint or Hint(), lost
        self._causes: dict[str, list[Cause]] = {}
        self._restored: dict[str, Mapping[str, Recorded]] = {}

    def plan(self) -> tuple[StagePlan, ...]:
        """The state of every planned stage, in an order in which they can run."""
        chosen = self._chosen()
        forced: set[str] = set()
        while True:  # a producer whose output nobody keeps turns stale when a stale stage needs it
            self._causes, self._restored = {}, {}
            for stage in chosen:
                self._judge(stage, forced)
            more = self._unavailable(chosen) - forced
            if not more:
                break
            forced |= more
        return tuple(self._summary(stage) for stage in chosen)

    # ------------------------------------------------------------------------------------- choosing

    def _chosen(self) -> list[Stage]:
        pipeline = list(self._stages.pipeline())
        if not self._targets:
            return pipeline
        wanted = {stage.name for stage in pipeline if self._is_target(stage)}
        for stage in reversed(pipeline):
            if stage.name in wanted and not stage.frozen:
                wanted |= {made.name for made, _ in self._stages.producers(stage)}
        return [stage for stage in pipeline if stage.name in wanted]

    def _is_target(self, stage: Stage) -> bool:
        names = {stage.name, stage.name.split("@")[0], stage.file}
        return bool(names & set(self._targets)) or any(out.path in self._targets for out in stage.outputs)

    # -------------------------------------------------------------------------------------- judging

    def _judge(self, stage: Stage, forced: Collection[str]) -> None:
        causes: list[Cause] = []
        if stage.frozen:
            self._causes[stage.name] = causes
            return
        if stage.always:
            causes.append(Cause(kind="always", subject=stage.name, detail="DVC runs it every time"))
        if not stage.locked:
            causes.append(Cause(kind="never run", subject=stage.name, detail="not in dvc.lock"))
        else:
            if stage.command_changed:
                causes.append(Cause(kind="command", subject=stage.name, detail="the command differs from dvc.lock"))
            for params in stage.params:
                causes += self._params_causes(params)
            for dependency in stage.dependencies:
                causes += self._dependency_causes(dependency)
            for output in stage.outputs:
                causes += self._output_causes(output)
        upstream = {made.name for made, _ in self._stages.producers(stage) if self._is_rerun(made.name)}
        named = {cause.subject for cause in causes if cause.kind == "upstream"}
        causes += [
            Cause(kind="upstream", subject=name, detail="runs again before it") for name in sorted(upstream - named)
        ]
        if stage.name in forced:
            causes.append(Cause(kind="output", subject=stage.name, detail="an output is needed and kept nowhere"))
        self._causes[stage.name] = causes
        if causes and not upstream and not stage.always and stage.name not in forced:
            self._try_restore(stage)

    def _is_rerun(self, name: str) -> bool:
        return bool(self._causes.get(name)) and name not in self._restored

    def _try_restore(self, stage: Stage) -> None:
        hashes: dict[str, Recorded] = {}
        for dependency in stage.dependencies:
            present = self._present(dependency)
            if present is None:
                return
            hashes[dependency.path] = present
        params = tuple(map(self._current, stage.params))
        if any(file.current is None for file in params):
            return
        if (found := self._find_run(dataclasses.replace(stage, params=params), hashes)) is not None:
            self._restored[stage.name] = found

    def _params_causes(self, params: ParamsFile) -> list[Cause]:
        owner = self._stages.owner(params.path)
        if owner is not None and self._is_rerun(owner[0].name):
            return [Cause(kind="upstream", subject=owner[0].name, detail=f"makes {params.path}")]
        found = self._current(params)
        if owner is None or found.current is not None or found.problem:
            return _params_causes(found)
        if owner[1].recorded is None or not owner[1].cached:
            return []  # nobody can tell here; the producer is judged by itself
        return [Cause(kind="param", subject=params.path, detail="not known: neither cache, mirror nor remote has it")]

    def _current(self, params: ParamsFile) -> ParamsFile:
        """With the values that are there now; those of an artifact come from whoever holds it."""
        owner = self._stages.owner(params.path)
        if owner is None:
            return params
        stage, output = owner
        made = self._restored.get(stage.name)
        if made is None and self._tree.exists(params.path):
            return params
        recorded = self._inside(output, made.get(output.path) if made is not None else output.recorded, params.path)
        if recorded is None or recorded.oid is None:
            return params
        return self._read_params(params, recorded.oid)

    def _dependency_causes(self, dependency: Dependency) -> list[Cause]:
        if dependency.external:  # on other storage: asking would need its credentials
            return []
        owner = self._stages.owner(dependency.path)
        if owner is not None and self._is_rerun(owner[0].name):
            return [Cause(kind="upstream", subject=owner[0].name, detail=f"makes {dependency.path}")]
        if any(self._is_rerun(made.name) for made, _ in self._stages.inside(dependency.path)):
            return []  # named with the other producers
        kind = "data" if owner is not None and owner[1].cached else "code"
        if dependency.recorded is None:
            return [Cause(kind=kind, subject=dependency.path, detail="no hash in dvc.lock")]
        present = self._present(dependency)
        if present is None:
            if owner is None:
                return [Cause(kind=kind, subject=dependency.path, detail="missing")]
            if owner[1].recorded is None or not owner[1].cached:
                return []  # nobody can tell here; the producer is judged by itself
            return [Cause(kind=kind, subject=dependency.path, detail=self._absence(owner[1]))]
        if present.same_as(dependency.recorded):
            return []
        detail = "differs from dvc.lock"
        if present.algorithm != dependency.recorded.algorithm:
            detail = "recorded by another hash (DVC 2); `dvc commit` converts it"
        return [Cause(kind=kind, subject=dependency.path, detail=detail)]

    def _absence(self, output: Output) -> str:
        oid = output.recorded.oid if output.recorded is not None else None
        if oid is not None and oid.is_directory and self._manifest(oid) is None:
            return f"not known: the list of files of {output.path} could not be had"
        return f"not found in {output.path}"

    def _present(self, dependency: Dependency) -> Recorded | None:
        """What the dependency's content is now, wherever that can be known from; None when it cannot."""
        algorithm = dependency.recorded.algorithm if dependency.recorded else "md5"
        owner = self._stages.owner(dependency.path)
        if owner is not None and owner[0].name in self._restored:
            return self._inside(owner[1], self._restored[owner[0].name].get(owner[1].path), dependency.path)
        if dependency.external:
            return dependency.recorded
        holder = owner[1].path if owner is not None else dependency.path
        if self._tree.exists(dependency.path) and self._tree.exists(holder):
            return self._tree.hash(dependency.path, algorithm)
        if owner is None:
            return None
        return self._inside(owner[1], owner[1].recorded, dependency.path)

    def _inside(self, output: Output, recorded: Recorded | None, path: str) -> Recorded | None:
        """The record of `path`, which is `output` or lies in that directory."""
        if recorded is None or output.path == path:
            return recorded
        if recorded.oid is None or not recorded.oid.is_directory:
            return None
        manifest = self._manifest(recorded.oid)
        if manifest is None:
            return None
        relpath = path[len(output.path) + 1 :]
        if relpath in manifest:
            return Recorded(recorded.algorithm, manifest[relpath])
        return _subdirectory(manifest, relpath, recorded.algorithm)

    def _output_causes(self, output: Output) -> list[Cause]:
        if output.external:
            return []
        if output.recorded is None:
            return [Cause(kind="output", subject=output.path, detail="no hash in dvc.lock")]
        if output.persist or not self._tree.exists(output.path):
            return []
        present = self._tree.hash(output.path, output.recorded.algorithm)
        if present is None or present.same_as(output.recorded):
            return []
        return [Cause(kind="output", subject=output.path, detail="differs from dvc.lock")]

    def _unavailable(self, chosen: Sequence[Stage]) -> set[str]:
        """Stages judged up to date whose outputs a stale stage needs but that nobody keeps."""
        planned = {stage.name for stage in chosen}
        found = set()
        for stage in chosen:
            if not self._causes[stage.name]:
                continue
            for made, out in self._stages.producers(stage):
                kept = self._tree.exists(out.path) or (
                    out.cached and out.path not in self._lost and (out.can_push or self._at_hand(out))
                )
                if made.name in planned and not made.frozen and not self._causes[made.name] and not kept:
                    found.add(made.name)
        return found

    # ------------------------------------------------------------------------------------ summaries

    def _summary(self, stage: Stage) -> StagePlan:
        causes = tuple(self._causes[stage.name])
        if stage.frozen:
            state = StageState.FROZEN
        elif not causes:
            state = StageState.UP_TO_DATE
        else:
            state = StageState.RESTORABLE if stage.name in self._restored else StageState.STALE
        return StagePlan(
            name=stage.name,
            state=state,
            causes=causes,
            needs=tuple(self._needs(stage)) if causes else (),
            last_duration=self._hint.durations.get(stage.name),
            command=stage.command,
            after=tuple(dict.fromkeys(made.name for made, _ in self._stages.producers(stage) if not made.data_source)),
            label=stage.label,
        )

    def _needs(self, stage: Stage) -> list[str]:
        """DVC-tracked paths that must be in the work tree before the stage can run."""
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
        return bool(self._causes.get(name))

    def restored_outputs(self) -> Mapping[str, Mapping[str, Recorded]]:
        """For every restorable stage: output path -> hash, as the run cache has it. After `plan`."""
        return self._restored


def _params_causes(params: ParamsFile) -> list[Cause]:
    if params.problem:
        return [Cause(kind="param", subject=params.path, detail=params.problem)]
    if params.current is None:
        return [Cause(kind="param", subject=params.path, detail="the file is missing")]
    recorded: Mapping[str, Any] = params.recorded or {}
    names = params.names or tuple(dict.fromkeys((*params.current, *recorded)))
    causes = []
    for name in names:
        subject = f"{params.path}:{name}"
        if name not in params.current:
            causes.append(Cause(kind="param", subject=subject, detail="missing"))
        elif name not in recorded:
            causes.append(Cause(kind="param", subject=subject, detail="not in dvc.lock"))
        elif not _equal(params.current[name], recorded[name]):
            causes.append(
                Cause(kind="param", subject=subject, detail=_difference(recorded[name], params.current[name]))
            )
    return causes


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, tuple):
        one = list(one)
    return bool(one == other)


def _difference(old: Any, new: Any) -> str:
    shown = [json.dumps(value, default=str, ensure_ascii=False) for value in (old, new)]
    return " -> ".join(text if len(text) <= 60 else text[:57] + "..." for text in shown)


def _subdirectory(manifest: Mapping[str, str], relpath: str, algorithm: str) -> Recorded | None:
    """The hash DVC gives to the directory `relpath` of a directory artifact; None when it is empty."""
    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_data.hashfile.tree import Tree

    prefix = relpath + "/"
    inside = {name[len(prefix) :]: md5 for name, md5 in manifest.items() if name.startswith(prefix)}
    if not inside:
        return None
    tree = Tree()
    for name, md5 in inside.items():
        tree.add(tuple(name.split("/")), None, HashInfo("md5", md5))
    tree.digest()
    return Recorded(algorithm, tree.hash_info.value)
