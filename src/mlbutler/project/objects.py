"""The project's data by hash: what cache, mirror and remote hold of it, and small objects' bytes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlbutler.errors import AccessDenied, CorruptObject, MlbutlerError, StoreError
from mlbutler.project.model import NotKnown, Output, ParamsFile
from mlbutler.project.opened import OpenedProject
from mlbutler.project.worktree import Manifest
from mlbutler.store.interface import ObjectId

if TYPE_CHECKING:
    from mlbutler.project.model import Stage
    from mlbutler.store.interface import ObjectStatus, Store

_LARGEST_PARAMS = 64 << 20


class Objects:
    """Answers what plans and comparisons ask about objects.

    Attributes:
        problem: why the remote could not be asked; from then on it is not asked again.
    """

    def __init__(self, project: OpenedProject) -> None:
        self._project = project
        self._manifests: dict[ObjectId, Manifest | None] = {}
        self._on_remote: dict[ObjectId, bool] = {}
        self._asked_of_source: set[ObjectId] = set()
        self._failed: dict[ObjectId, MlbutlerError] = {}
        self._opened: dict[tuple[Any, str | None], Store] = {}
        self.problem: MlbutlerError | None = None
        self._near_answers = True

    def manifest(self, oid: ObjectId, *, remote: bool = True) -> Manifest | None:
        """Return a directory's manifest from cache, mirror or (where allowed) remote; None when it is nowhere."""
        from mlbutler.store.manifest import parse_manifest

        if oid not in self._manifests:
            content = self._whole_manifest(oid)
            if content is None and remote and self._bring_small(oid):
                content = self._whole_manifest(oid)
            if content is None and not remote:
                return None
            self._manifests[oid] = None if content is None else parse_manifest(content, oid)
        return self._manifests[oid]

    def _whole_manifest(self, oid: ObjectId) -> bytes | None:
        """Return the bytes of a manifest in cache or mirror; one that is damaged counts as absent."""
        from mlbutler.store.verify import is_content

        for place in self._places():
            with suppress(OSError):
                content = (place / oid.key).read_bytes()
                if is_content(content, oid):
                    return content
        return None

    def listing(self, oid: ObjectId) -> Manifest | None:
        """Return what `manifest` does; an import's, which need not be on a remote, comes with its data from its source.

        Only for what cannot be known otherwise: DVC knows no way to an import's list of files without its files.
        """
        found = self.manifest(oid)
        if found is not None or oid in self._asked_of_source:
            return found
        self._asked_of_source.add(oid)
        paths = [path for path, (stage, _) in self._owners(oid) if stage.imported]
        if not paths:
            return None
        from mlbutler.remotes.imports import fetch_imports

        try:
            fetch_imports(self._project, paths[:1])
        except MlbutlerError as error:
            self._failed[oid] = error
        else:
            self._manifests.pop(oid, None)
        return self.manifest(oid, remote=False)

    def out_of_reach(self, oid: ObjectId) -> NotKnown:
        """Return why a manifest or a small file, which was asked for, could not be had, and what to do about it."""
        what = "its list of files" if oid.is_directory else "its content"
        name = self._remote_of(oid)
        imported = next(((stage, out) for _, (stage, out) in self._owners(oid) if stage.imported), None)
        if imported is not None:
            stage, out = imported
            why = f": {self._failed[oid].message}" if oid in self._failed else ""
            where = stage.source or "its source"
            return NotKnown(f"{what} is not here, nor could it be had from {where}{why}", stage.how_to_get(out, name))
        error = self._failed.get(oid) or (self._missing_directory_error(name) if self.problem is None else self.problem)
        if error is not None:
            return NotKnown(f"{what} is not here, and could not be had: {error.message}", error.remedy)
        there = "no DVC remote is configured" if name is None else f"the remote '{name}' does not have it"
        remedy = next((stage.how_to_get(out, name) for _, (stage, out) in self._owners(oid)), "dvc push")
        return NotKnown(f"{what} is neither in cache nor mirror, and {there}", remedy)

    def _missing_directory_error(self, name: str | None) -> MlbutlerError | None:
        """Return the error where the remote is a directory that is not there."""
        from mlbutler.store.local import LocalStore

        if name is None:
            return None
        try:
            store = self._open_quick_remote(name)
        except MlbutlerError as error:
            return error
        return store.missing_directory_error() if isinstance(store, LocalStore) else None

    def _owners(self, oid: ObjectId) -> Iterator[tuple[str, tuple[Stage, Output]]]:
        for path, owner in self._project.stages.owners.items():
            if owner[1].recorded is not None and owner[1].recorded.oid == oid:
                yield path, owner

    def _remote_of(self, oid: ObjectId) -> str | None:
        """Return the remote that an artifact names for itself, else the project's."""
        own = next((out.remote for _, (_, out) in self._owners(oid) if out.remote), None)
        return own or self._project.remote_name

    def params(self, params: ParamsFile, oid: ObjectId) -> ParamsFile:
        """Return parameters whose file is an artifact and not in the work tree, as cache, mirror or remote hold it."""
        from mlbutler.project.load import params_in

        content = self.content(oid, _LARGEST_PARAMS)
        return params if content is None else params_in(content, params)

    def content(self, oid: ObjectId, limit: int | None = None, *, remote: bool = True) -> bytes | None:
        """Return a small object's bytes from cache, mirror or remote; None when none of them has it or it is too large.

        Args:
            limit: bytes; a larger object is not read. remote: may the remote be asked.
        """
        path = self.object_file(oid, remote=remote)
        try:
            if path is None or (limit is not None and path.stat().st_size > limit):
                return None
            return path.read_bytes()
        except OSError:
            return None

    def object_file(self, oid: ObjectId, *, remote: bool = True) -> Path | None:
        """Return where an object's bytes lie, in cache or mirror; None when neither has it.

        Args:
            remote: may the remote be asked; what it has is brought into the cache.
        """
        for place in self._places():
            if (place / oid.key).is_file():
                return place / oid.key
        return self.object_file(oid, remote=False) if remote and self._bring_small(oid) else None

    def _bring_small(self, oid: ObjectId) -> bool:
        from mlbutler.remotes.opening import open_cache
        from mlbutler.store.engine import bring

        if not self._may_ask(name := self._remote_of(oid)):
            return False
        try:
            brought = bring([oid], open_cache(self._project), None, self._open_quick_remote(name))
        except StoreError as error:
            self.problem = self._failed[oid] = error
            return False
        for problem in brought.errors:
            self._failed[oid] = problem
            if not isinstance(problem, CorruptObject):  # that one says nothing of the others
                self.problem = problem
        return not brought.missing and not brought.errors

    def _may_ask(self, name: str | None) -> bool:
        """Tell whether there is a remote that has answered so far; one that is down is not asked again and again."""
        return name is not None and self.problem is None

    def _open_quick_remote(self, name: str | None) -> Store:
        """Return a remote for optional questions: a run goes on without an answer."""
        from mlbutler.remotes.opening import open_remote
        from mlbutler.store.retry import RetryPolicy

        key = self._project.repo, name  # another `Repo` has another configuration
        if key not in self._opened:  # once: a bucket's place costs a tenth of a second of botocore's each time
            policy = RetryPolicy(attempts=2, pause=0.2)
            self._opened[key] = open_remote(self._project, name, self._project.environ, policy=policy)
        return self._opened[key]

    def is_local(self, output: Output) -> bool:
        """Tell whether cache or mirror holds the output's object."""
        oid = output.recorded.oid if output.recorded else None
        return oid is not None and self.holds(oid)

    def holds(self, oid: ObjectId) -> bool:
        """Tell whether cache or mirror holds the object."""
        return any((place / oid.key).is_file() for place in self._places())

    def size(self, oid: ObjectId) -> int | None:
        """Return the bytes of an object that cache or mirror holds; None when neither does."""
        for place in self._places():
            with suppress(OSError):
                return (place / oid.key).stat().st_size
        return None

    def fetch_runs(self, key: str, place: Path) -> bool:
        """Bring the run cache for one stage into the store at `place`: the near remote's, else the remote's."""
        near = self._project.mirror_remote
        if near is not None and self._near_answers:
            try:
                if self._fetch_runs(near, key, place):
                    return True
            except MlbutlerError:  # a mirror that fails costs time alone
                self._near_answers = False
        if not self._may_ask(self._project.remote_name):
            return False
        try:
            return self._fetch_runs(self._project.remote_name, key, place)
        except MlbutlerError as error:  # then it has to run
            self.problem = error
            return False

    def _fetch_runs(self, name: str | None, key: str, place: Path) -> bool:
        from mlbutler.store.local import LocalStore
        from mlbutler.store.other import OtherStore
        from mlbutler.store.runs import fetch_runs

        remote = self._open_quick_remote(name)
        return isinstance(remote, LocalStore | OtherStore) and fetch_runs(LocalStore("cache", place), remote, key) > 0

    def obtainable(self, oid: ObjectId) -> bool:
        """Tell whether it is available here, or on the remote, where another agent that made it has put it."""
        if self.holds_whole(oid):
            return True
        if oid not in self._on_remote:
            self._on_remote[oid] = self._is_on_remote(oid)
        return self._on_remote[oid]

    def _is_on_remote(self, oid: ObjectId) -> bool:
        from mlbutler.store.interface import Presence
        from mlbutler.store.send import ask_all

        if not self._may_ask(name := self._remote_of(oid)):
            return False
        try:
            oids = [oid]
            if oid.is_directory:
                manifest = self.manifest(oid)
                if manifest is None:
                    return False
                oids += [ObjectId(md5, oid.legacy) for md5 in manifest.values()]
            lacking = [one for one in oids if not self.holds(one)]
            answers = ask_all(self._open_quick_remote(name), lacking)
        except MlbutlerError as error:  # then it has to run
            self.problem = error
            return False
        self._note_problem(answers.values())
        return all(answer.presence is Presence.PRESENT for answer in answers.values())

    def _note_problem(self, answers: Iterable[ObjectStatus]) -> None:
        from mlbutler.store.interface import Presence

        unknown = next((answer for answer in answers if answer.presence is Presence.UNDETERMINED), None)
        if unknown is not None:
            self.problem = (AccessDenied if unknown.denied else StoreError)(unknown.reason, unknown.remedy)

    def on_remote(self, oids: Collection[ObjectId], name: str | None = None) -> frozenset[ObjectId]:
        """Return those that the remote (None: the project's) says it has; none where it cannot be asked (`problem`)."""
        from mlbutler.store.interface import Presence
        from mlbutler.store.send import ask_all

        name = name or self._project.remote_name
        if not oids or not self._may_ask(name):
            return frozenset()
        try:
            answers = ask_all(self._open_quick_remote(name), oids)
        except MlbutlerError as error:
            self.problem = error
            return frozenset()
        self._note_problem(answers.values())
        return frozenset(oid for oid, answer in answers.items() if answer.presence is Presence.PRESENT)

    def holds_whole(self, oid: ObjectId) -> bool:
        """Tell whether cache or mirror holds the object, a directory with all its files."""
        if not self.holds(oid):
            return False
        if not oid.is_directory:
            return True
        manifest = self.manifest(oid)
        return manifest is not None and all(self.holds(ObjectId(md5, oid.legacy)) for md5 in manifest.values())

    def _places(self) -> list[Path]:
        return [self._project.cache_dir] + ([self._project.mirror] if self._project.mirror else [])
