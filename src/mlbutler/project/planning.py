"""Which stages are stale, and what they need."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlbutler.errors import ProjectError, UsageError
from mlbutler.project.data import ProjectData
from mlbutler.project.model import Recorded, Stage
from mlbutler.record import StagePlan, StageState
from mlbutler.store.interface import Need, ObjectId

if TYPE_CHECKING:
    from mlbutler.project.build_runs import BuildRuns
    from mlbutler.project.plan import Planner


class Planning:
    """Plans one project.

    Attributes:
        build_runs: the entries of DVC's run cache that count on a CI server, None where all do.
    """

    def __init__(self, project: ProjectData, build_runs: BuildRuns | None = None) -> None:
        self._project = project
        self.build_runs = build_runs
        self._planner: Planner | None = None

    def forget(self) -> None:
        """Forget the last plan: what it was made from has changed."""
        self._planner = None

    def plan(
        self,
        targets: Sequence[str] = (),
        durations: Mapping[str, float] | None = None,
        lost: Collection[str] = (),
    ) -> tuple[StagePlan, ...]:
        """Return the state of every stage; see `mlbutler.project.plan`.

        Args:
            lost: paths of outputs that no store holds: a stage that makes one that is needed is stale.

        Raises:
            UsageError: a target names no stage. ProjectError: the project cannot be read.
        """
        from mlbutler.project.plan import Hint, Planner
        from mlbutler.project.run_cache import dvc_stages, find_run

        self._check_targets(targets)
        repo = self._project.repo
        by_name = functools.cache(lambda: dvc_stages(repo))

        def find(stage: Stage, hashes: Mapping[str, Recorded]) -> Mapping[str, Recorded] | None:
            found = find_run(repo, by_name()[stage.name], stage, hashes, self._find_entry)
            objects = [out.oid for out in found.values()] if found else []
            return (
                found
                if objects and all(oid is not None and self._project.objects.obtainable(oid) for oid in objects)
                else None
            )

        self._planner = Planner(
            self._project.stages,
            self._project.current_hashes(),
            find,
            self._project.objects.is_local,
            targets=targets,
            hint=Hint(durations or {}),
            lost=lost,
        )
        try:
            return tuple(self._planner.plan())
        except OSError as error:
            raise ProjectError(f"A dependency cannot be read: {error}", "Check its permissions.") from error

    def _find_entry(self, key: str) -> Mapping[str, Any] | None:
        """Return the entry of DVC's run cache for a key: in the clone, the mirror or the remote."""
        from mlbutler.project.run_cache import newest

        if self.build_runs is not None:
            return self.build_runs.find(key, lambda folder: self._project.objects.fetch_runs(key, folder))
        folders = [place / "runs" for place in (self._project.cache_dir, self._project.mirror) if place is not None]
        found = newest(folders, key)
        return (
            newest(folders[:1], key)
            if found is None and self._project.objects.fetch_runs(key, self._project.cache_dir)
            else found
        )

    def bring_run_cache(self) -> int:
        """Copy the mirror's entries of DVC's run cache into the clone's; return how many were not there.

        On a CI server nothing is copied: there they are looked up in the mirror itself.

        Raises:
            StoreError: an entry cannot be read or written.
        """
        from mlbutler.remotes.opening import open_cache
        from mlbutler.store.local import LocalStore
        from mlbutler.store.runs import bring_runs

        if self._project.mirror is None or self.build_runs is not None:
            return 0
        return bring_runs(open_cache(self._project), LocalStore("mirror", self._project.mirror))

    def not_up_to_date(self) -> tuple[StagePlan, ...]:
        """Return, in order, the stages whose outputs are not known to be those of the code, data and parameters here.

        Decided from what is available here, like `plan`; no cache is asked what it could restore. A stage that DVC runs
        every time is none for that alone.

        Raises:
            ProjectError: the project cannot be read.
        """
        from mlbutler.record import StageState

        stale: dict[str, StagePlan] = {}
        states = (StageState.STALE, StageState.CANNOT_RUN, StageState.NOT_KNOWN)
        for plan in self.plan_locally():
            own = any(cause.kind not in ("always", "upstream") for cause in plan.causes)
            above = any(cause.kind == "upstream" and cause.subject in stale for cause in plan.causes)
            if plan.state in states and (own or above):
                stale[plan.name] = plan
        return tuple(stale.values())

    def plan_locally(self) -> tuple[StagePlan, ...]:
        """Return the state of every stage from what is available here; no cache is asked what it could restore.

        Raises:
            ProjectError: the project cannot be read.
        """
        from mlbutler.project.plan import Planner

        planner = Planner(
            self._project.stages,
            self._project.current_hashes(),
            lambda stage, hashes: None,
            self._project.objects.is_local,
        )
        try:
            return tuple(planner.plan())
        except OSError as error:
            raise ProjectError(f"A dependency cannot be read: {error}", "Check its permissions.") from error

    def runs_of(self, names: Collection[str]) -> dict[str, frozenset[tuple[str, ObjectId | None]]]:
        """Return key in DVC's run cache -> named outputs, of the runs of these stages that dvc.lock records now."""
        from mlbutler.project.run_cache import dvc_stages, recorded_run

        repo = self._project.repo
        by_name = dvc_stages(repo)
        return dict(
            found
            for stage in self._project.stages.pipeline()
            if stage.name in names and (found := recorded_run(repo, by_name[stage.name], stage)) is not None
        )

    def _check_targets(self, targets: Sequence[str]) -> None:
        known = {name for s in self._project.stages.pipeline() for name in (s.name, s.name.split("@")[0], s.file)}
        known |= {out.path for s in self._project.stages.pipeline() for out in s.outputs}
        for target in targets:
            if target not in known:
                import difflib

                near = difflib.get_close_matches(target, known, n=3)
                hint = f"Did you mean {', '.join(near)}?" if near else "See `dvc stage list`."
                raise UsageError(f"There is no stage '{target}'.", hint)

    def needs_of_stale(self, plans: Sequence[StagePlan]) -> tuple[Need, ...]:
        """Return the objects that the stale ones of `plans` need; restorable ones need their recorded outputs too."""
        needs: dict[tuple[str, str], Need] = {}
        for plan in plans:
            if plan.state not in (StageState.STALE, StageState.RESTORABLE):
                continue
            needs |= {(need.path, need.oid.md5): need for need in self.needs_of(plan.needs)}
            restored = self._planner.restored_outputs().get(plan.name, {}) if self._planner else {}
            for path, output in restored.items():
                if output.oid is not None:
                    needs[(path, output.oid.md5)] = Need(path, output.oid, (), output.size, False)
        return tuple(needs.values())

    def missing_bytes(self, plans: Sequence[StagePlan]) -> int | None:
        """Return the bytes of what these stages need and neither cache nor mirror holds whole; None: not known."""
        objects = self._project.objects
        sizes = {need.oid: need.size for need in self.needs_of_stale(plans) if not objects.holds_whole(need.oid)}
        known = [size for size in sizes.values() if size is not None]
        return sum(known) if len(known) == len(sizes) else None

    def all_artifacts(self) -> tuple[Need, ...]:
        """Return the objects of every recorded artifact that DVC keeps."""
        return tuple(
            Need(
                a.path, a.oid, (), a.size, remote=a.remote, imported=not a.pushed and "import" in a.left_out,
                files=a.files,
            )
            for a in self._project.artifacts()
            if a.cached and a.oid is not None
        )  # fmt: skip

    def needs_of(self, paths: Iterable[str]) -> Iterator[Need]:
        """Return the objects of those recorded artifacts, or parts of them, that are not in the work tree."""
        for path in paths:
            owner = self._project.stages.owner(path)
            if owner is None or (recorded := owner[1].recorded) is None or (oid := recorded.oid) is None:
                continue
            out = owner[1]
            if self._project.tree.exists(path) and self._project.tree.exists(out.path):
                continue
            inside = (path[len(out.path) + 1 :],) if path != out.path else ()
            yield Need(path, oid, inside, recorded.size, True, out.remote, owner[0].imported, recorded.files)
