"""The DVC project at a root: opening it, planning, checkout and comparing."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from mlbutler.project.data import ProjectData

if TYPE_CHECKING:
    from mlbutler.project.checkout import Checkout
    from mlbutler.project.planning import Planning
    from mlbutler.project.snapshot import SnapshotReader


class Project(ProjectData):
    """One DVC project, with what is done to it."""

    @cached_property
    def planning(self) -> Planning:
        """Return what tells which stages are stale, and what they need."""
        from mlbutler.project.planning import Planning

        return Planning(self, self.options.build_runs)

    @cached_property
    def checkout(self) -> Checkout:
        """Return what puts recorded artifacts into the work tree."""
        from mlbutler.project.checkout import Checkout

        return Checkout(self, hardlink=self.options.hardlink, discard=self.options.discard)

    @cached_property
    def snapshots(self) -> SnapshotReader:
        """Return what reads the project at commits and in the work tree, as plain data."""
        from mlbutler.project.snapshot import SnapshotReader

        return SnapshotReader(self)

    def reload(self) -> None:
        """Forget what was read: dvc.lock or the work tree changed."""
        super().reload()
        self.planning.forget()
