"""Recorded artifacts into the work tree, and whether stages may write there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from mlbutler.project.data import ProjectData
from mlbutler.project.model import Recorded
from mlbutler.project.worktree import note_partial, partial_directories

if TYPE_CHECKING:
    from mlbutler.project.directory_links import EagerLinks
    from mlbutler.state.verified import VerifiedObjects
    from mlbutler.store.local import LocalStore


class Checkout:
    """Writes into the work tree of one project.

    Args:
        hardlink: may files of the work tree be hardlinks to the cache's?
        discard: replace files of the work tree that no store holds.
    """

    def __init__(self, project: ProjectData, *, hardlink: bool = False, discard: bool = False) -> None:
        self._project, self._hardlink, self._discard = project, hardlink, discard

    def eager_links(self, paths: Iterable[str], mirror: LocalStore | None) -> EagerLinks:
        """Begin to link these artifacts into the work tree, as far as it can, while `mirror` still fills the cache."""
        from mlbutler.project.directory_links import EagerLinks
        from mlbutler.project.lay_out import executables, kinds_of_links

        if mirror is None or "hardlink" not in kinds_of_links(self._project.repo, hardlink=self._hardlink)[:2]:
            return EagerLinks(self._project.root, None, ())
        without = executables(self._project.repo) | partial_directories(self._project.root)
        owners = {path: self._project.stages.owners.get(path) for path in paths}
        found = {path for path, owner in owners.items() if owner is not None and not owner[1].external}
        return EagerLinks(self._project.root, mirror, found - without)

    def check_laying_out(self, paths: Sequence[str]) -> None:
        """Check that these recorded artifacts, or paths in them, may be put into the work tree.

        See `project.overwriting`.

        Raises:
            PathRefused, UnsavedWork, ProjectError.
        """
        from mlbutler.project.overwriting import check_laying_out

        check_laying_out(self._project, self._not_in_place(paths), discard=self._discard)

    def check_running(self, names: Collection[str]) -> None:
        """Check that these stages may run, and DVC may remove their outputs before. See `project.overwriting`.

        Raises:
            PathRefused, UnsavedWork, ProjectError.
        """
        from mlbutler.project.overwriting import check_running

        self._project.fingerprints.clear()
        check_running(
            self._project,
            [stage for stage in self._project.stages.pipeline() if stage.name in names],
            discard=self._discard,
        )

    def _not_in_place(self, paths: Sequence[str]) -> list[str]:
        partial, owners = partial_directories(self._project.root), self._project.stages.owners
        return [
            path
            for path in paths
            if path in partial or not self._is_seen(path, owners[path][1].recorded if path in owners else None)
        ]

    def lay_out(
        self,
        paths: Sequence[str],
        progress: Any = None,
        verified: VerifiedObjects | None = None,
        early: EagerLinks | None = None,
    ) -> None:
        """Put recorded artifacts from the cache into the work tree; a path may lie inside a directory.

        Args:
            verified: knows the files of the cache's objects. early: has begun with some.

        Raises:
            PathRefused, UnsavedWork: see `check_laying_out`.
            ProjectError: DVC could not, because a file is in the way or an object is not in the cache.
            DiskFull: no space is left.
        """
        from mlbutler.project.lay_out import checkout_with_dvc, lay_out
        from mlbutler.project.overwriting import check_laying_out, remove_links

        self._project.fingerprints.clear()  # bringing the objects may have taken hours
        left = self._not_in_place(paths)
        outputs = {path: owner[1] for path in paths if (owner := self._project.stages.owners.get(path)) is not None}
        recorded = {path: out.recorded for path, out in outputs.items() if out.recorded is not None}
        wanted = [outputs[path] for path in left if path in outputs]
        check_laying_out(self._project, left, discard=self._discard)
        made = lay_out(
            self._project.root,
            self._project.repo,
            self._project.cache_dir,
            wanted,
            progress,
            hardlink=self._hardlink,
            verified=verified,
            early=early,
        )
        rest = [path for path in left if path not in made]
        if self._discard:
            remove_links(self._project.root, rest)
        checkout_with_dvc(self._project.root, self._project.repo, rest)
        owners = {owner[1].path for path in paths if (owner := self._project.stages.owner(path)) is not None}
        note_partial(self._project.root, add=owners - recorded.keys(), remove=recorded)
        self._project.hashes.put({path: recorded[path].as_hash() for path in left if path in recorded}, made)
        self._project.fingerprints.put(
            self._project.root, {path: found for path, found in made.items() if found is not None}
        )
        self._project.forget_tree()

    def _is_seen(self, path: str, recorded: Recorded | None) -> bool:
        return recorded is not None and self._project.hashes.get(path, recorded.algorithm) == recorded.as_hash()
