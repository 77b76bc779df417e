"""The context that every step gets: the project, the settings, the record so far."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mlbutler.console import Console
from mlbutler.frozen import frozen
from mlbutler.git import Git
from mlbutler.git.address import RemoteAccess
from mlbutler.record import PlanResult, Record
from mlbutler.record_file import record_path
from mlbutler.settings import LoadedSettings, Settings
from mlbutler.state.fingerprint import Fingerprints
from mlbutler.variables import HANDED_RUNS

if TYPE_CHECKING:
    from mlbutler.project.build_runs import BuildRuns
    from mlbutler.project.project import Project
    from mlbutler.remotes.trust import Agreement
    from mlbutler.steps.mirror import MirrorUse
    from mlbutler.steps.state import RunState
    from mlbutler.symlinks import Symlinks


class LiveComment(Protocol):
    """What keeps the comment up to date during a run."""

    def end(self) -> None:
        """Stop, since the verdict is published next."""
        ...


@frozen
class StepOptions:
    """What was asked of this run's steps.

    Attributes:
        pipeline: the whole `run` is under way, so that a later step may fix what `check` finds.
        shares: whether results may leave this machine: on a CI server, and elsewhere with --share.
        discard: replace files of the work tree that no store holds.
        compared_with: the revision that was named to compare with, '' for the target branch.
        isolate: how the project's code is isolated, as the command line says; None for what the settings say.
        earlier_plan: of a run before in this clone, where it may count if it is still valid.
    """

    pipeline: bool = False
    shares: bool = True
    discard: bool = False
    compared_with: str = ""
    isolate: str | None = None
    earlier_plan: PlanResult | None = None


@frozen
class Trust:
    """What this run may believe and use, found out before the project's code could run.

    Attributes:
        agreed_remotes: DVC's remotes as the target branch configures them (see `mlbutler.remotes.trust`), None when
            the work tree's own configuration is trusted.
        access: how Git's remote is reached on a CI server, None on a laptop.
        target_revisions: the target branch's tip and the merge base, resolved before the project's code could move
            refs; None where only the record has them, which that code can write.
        given_up: names of the variables that a fork's change does not get, and that this process does not use either;
            None for a change of the repository's own.
    """

    agreed_remotes: tuple[Agreement, ...] | None = None
    access: RemoteAccess | None = None
    target_revisions: tuple[str, ...] | None = ()
    given_up: tuple[str, ...] | None = None


class RunProgress:
    """What this process has done so far.

    Attributes:
        own_steps: names of the steps that this process has run or begun; another process may run others at the same
            time and write their results into the same record.
        plan_held: the plan in the record was checked and is valid, so that nothing is stale in dvc.lock.
        live: keeps the comment up to date until the verdict is published.
    """

    def __init__(self) -> None:
        self.own_steps: set[str] = set()
        self.plan_held = False
        self.live: LiveComment | None = None


@dataclass(eq=False, repr=False)
class RunContext:
    """One run's working state.

    Attributes:
        root: the DVC project's root (where ``.dvc`` lies), which may be below the repository's root.
        record: what is known so far; steps read it and the pipeline replaces it.
        environ: the environment that this process works with: without credentials for a fork's change.
        fingerprints: those that this process has just taken of files.
    """

    root: Path
    loaded: LoadedSettings
    console: Console
    record: Record
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    options: StepOptions = field(default_factory=StepOptions)
    trust: Trust = field(default_factory=Trust)
    progress: RunProgress = field(default_factory=RunProgress)
    fingerprints: Fingerprints = field(default_factory=Fingerprints)

    @property
    def record_path(self) -> Path:
        """Return where the record is."""
        return record_path(self.root, self.settings.report.name)

    @property
    def settings(self) -> Settings:
        """Return the project's settings."""
        return self.loaded.settings

    @property
    def trusted(self) -> bool:
        """Return whether this run may use credentials and write to shared stores: see `Change.trusted`."""
        return self.record.change.trusted

    @cached_property
    def git(self) -> Git:
        """Return git at the project's root."""
        return Git(self.root, self.environ, self.trust.access)

    @cached_property
    def symlinks(self) -> Symlinks:
        """Return the work tree's links, and which of them may be written through."""
        from mlbutler.symlinks import Symlinks

        return Symlinks(self.root, self.git, every=self.record.change.ci != "local")

    @cached_property
    def prefix(self) -> str:
        """Return the project's path from the repository's root: '' or ``sub/folder/``."""
        relative = self.root.resolve().relative_to(self.git.toplevel().resolve()).as_posix()
        return "" if relative == "." else relative + "/"

    @cached_property
    def state(self) -> RunState:
        """Return what is known from earlier runs."""
        from mlbutler.steps.state import RunState

        environment = self.record.environment
        versions = [environment.mlbutler, environment.dvc, self.settings.data.remote or ""]
        return RunState(
            self.root, self.mirror, self.settings, self.environ, self.fingerprints, versions, self.trusted,
            sealed=self.record.change.ci != "local",
        )  # fmt: skip

    @cached_property
    def project(self) -> Project:
        """Open the DVC project when a step first needs it."""
        from mlbutler.project.opened import ProjectOptions
        from mlbutler.project.project import Project

        data = self.settings.data
        given = self.loaded.sources.get("data.remote", "").startswith("MLBUTLER_")
        project = Project(
            self.root,
            self.environ if self.trusted else {},
            self.trust.agreed_remotes,
            anonymous=not self.trusted,
            chosen=None if given else data.remote or "",
            options=ProjectOptions(
                mirror=self.mirror,
                symlinks=self.symlinks,
                fingerprints=self.fingerprints,
                hashes=self.state.inputs.hashes,
                build_runs=self.build_runs,
                discard=self.options.discard,
                hardlink=self.trusted and data.link == "hardlink",
            ),
        )
        project.choose_remotes(data.remote, data.mirror_remote)
        self.console.redactor = self.console.redactor.adding(project.secrets())
        return project

    @cached_property
    def build_runs(self) -> BuildRuns | None:
        """Return the entries of DVC's run cache that count on a CI server, None on a laptop, where all do."""
        if self.record.change.ci == "local":
            return None
        from mlbutler.project.build_runs import BuildRuns

        runs = BuildRuns(self.mirror)
        if self.environ.get(HANDED_RUNS):
            runs.import_entries(self.root / ".dvc" / "cache" / "runs")
        return runs

    @property
    def mirror(self) -> Path | None:
        """Return the agent's mirror, None when none is set. A relative path is taken from the project's root."""
        return self.settings.data.mirror_path(self.root)

    @cached_property
    def mirror_use(self) -> MirrorUse:
        """Return this run's use of the mirror."""
        from mlbutler.steps.mirror import MirrorUse

        return MirrorUse(
            self.mirror, trusted=self.trusted, eviction=lambda: self._eviction,
            remotes=lambda: self.project.local_remotes(), say=self.console.line,
        )  # fmt: skip

    @cached_property
    def _eviction(self) -> tuple[bool, int | None]:
        from mlbutler.settings import settings_at
        from mlbutler.steps.eviction import agreed_eviction

        def target() -> Settings | None:
            change, revisions = self.record.change, self.agreed_at
            if not revisions:  # the only branch there is
                return self.settings if change.kind == "branch" else None
            return settings_at(lambda name: self.git.show(revisions[0], f"{self.prefix}{name}"))

        return agreed_eviction(self.loaded, self.record.change, target)

    @cached_property
    def agreed_at(self) -> tuple[str, ...]:
        """Return the target branch's tip and the merge base, as this command found them, else from the record."""
        from mlbutler.remotes.trust import target_revisions

        found = self.trust.target_revisions
        return found if found is not None else tuple(target_revisions(self.git, self.record.change))
