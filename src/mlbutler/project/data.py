"""A project's data: what the work tree, cache, mirror and remote hold of what its stages record."""

from __future__ import annotations

import copy
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from mlbutler.project.model import Stages
from mlbutler.project.objects import Objects
from mlbutler.project.opened import OpenedProject
from mlbutler.project.worktree import WorkTree
from mlbutler.state.fingerprint import Fingerprints
from mlbutler.state.hashes import HashCache

if TYPE_CHECKING:
    from mlbutler.project.current_hashes import CurrentHashes
    from mlbutler.project.outside import Outside


class ProjectData(OpenedProject):
    """A DVC project, its files and its objects."""

    @cached_property
    def fingerprints(self) -> Fingerprints:
        """Return fingerprints of files of the work tree, each taken once in this process until `forget_tree`."""
        return self.options.fingerprints or Fingerprints()

    def of(self, repo: Any, stages: Stages) -> Self:
        """Return the same project with stages that were read otherwise; this one still refuses what it cannot read."""
        other = copy.copy(self)
        other.__dict__.pop("tree", None)
        other.__dict__ |= {"repo": repo, "stages": stages}
        return other

    @cached_property
    def tree(self) -> WorkTree:
        """Return the work tree."""
        return WorkTree(self.root, self.repo, self.stages, self.objects.manifest, self.hashes, self.fingerprints)

    @cached_property
    def objects(self) -> Objects:
        """Return the project's data by hash."""
        return Objects(self)

    @cached_property
    def hashes(self) -> HashCache:
        """Return what present files were when they were last laid out."""
        return self.options.hashes or HashCache(self.root, self.fingerprints)

    @cached_property
    def outside(self) -> Outside:
        """Return what lies on other storage than the project's own."""
        from mlbutler.project.outside import Outside

        return Outside(self.repo, self.refused, agreed=self.agreed is not None)

    def current_hashes(self) -> CurrentHashes:
        """Return what dependencies, parameter files and outputs are now."""
        from mlbutler.project.current_hashes import CurrentHashes

        return CurrentHashes(self.stages, self.tree, self.objects, self.outside)

    def forget_tree(self) -> None:
        """Forget what is in the work tree: something was written there."""
        self.__dict__.pop("tree", None)

    def reload(self) -> None:
        """Forget what was read: dvc.lock or the work tree changed."""
        self.fingerprints.clear()
        for name in ("repo", "stages", "tree", "outside"):
            self.__dict__.pop(name, None)
