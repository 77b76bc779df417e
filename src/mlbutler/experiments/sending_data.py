"""Send the data that experiments need to the DVC remote: where they run elsewhere, they bring it from there."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

from mlbutler.errors import UsageError
from mlbutler.first_few import first_few
from mlbutler.frozen import frozen
from mlbutler.project.artifact import Artifact
from mlbutler.project.project import Project
from mlbutler.remotes.opening import Remotes, open_cache
from mlbutler.settings import Settings
from mlbutler.state.presence import Invalidation, PresenceCache
from mlbutler.store.holdings import is_complete, local_objects
from mlbutler.store.interface import ObjectId, Presence, Store
from mlbutler.store.send import ask_all, find_missing, send_to_store, worst
from mlbutler.store.transfer import ProgressSink


@frozen
class Unsent:
    """What a remote lacks of the data that is here. `paths`: the artifacts that it belongs to."""

    store: Store
    address: str
    objects: tuple[ObjectId, ...]
    bytes: int
    paths: tuple[str, ...]


class DataToSend:
    """Find and send what a project's remotes lack.

    Args:
        project: in the work tree. environ: with the credentials of remotes.
    """

    def __init__(self, project: Project, settings: Settings, environ: Mapping[str, str]) -> None:
        self._project, self._cache = project, open_cache(project)
        self._remotes = Remotes(project, project.remote_name, environ, settings.data.jobs)
        mirror = settings.data.mirror_path(project.root)
        places = [project.root / ".mlbutler", *([mirror / "mlbutler"] if mirror is not None else [])]
        self._presence = PresenceCache(places[-1], Invalidation(places, settings.data.remember))

    def find_unsent(self, artifacts: Iterable[Artifact] | None = None) -> list[Unsent]:
        """Return what the remotes lack, largest first.

        Args:
            artifacts: what is to be there; what the work tree records if None.

        Raises:
            UsageError: there is data and no remote. AccessDenied, StoreError: a remote does not answer.
        """
        by_remote = self._by_remote(self._project.artifacts() if artifacts is None else artifacts)
        if unplaced := by_remote.pop(None, None):
            raise UsageError(
                f"{first_few(list(unplaced))} is in no DVC remote: an agent could not get it.",
                "dvc remote add --default NAME URL",
            )
        found = [self._of(name, artifacts) for name, artifacts in by_remote.items() if name is not None]
        return sorted((one for one in found if one.objects), key=lambda one: -one.bytes)

    def find_lost(self, artifacts: Iterable[Artifact]) -> list[str]:
        """Return the paths of artifacts that are neither here, nor, as far as it says, on their remote.

        Raises:
            AccessDenied, StoreError: a remote cannot be opened.
        """
        found = []
        for name, some in self._by_remote(artifacts).items():
            away = {path: oid for path, oid in some.items() if not is_complete(self._cache, [oid])}
            store = self._remotes(name)
            answers = ask_all(store, away.values()) if store is not None and away else {}
            there = {oid for oid, answer in answers.items() if answer.presence is Presence.PRESENT}
            found += [path for path, oid in away.items() if oid not in there]
        return found

    def _by_remote(self, artifacts: Iterable[Artifact]) -> dict[str | None, dict[str, ObjectId]]:
        found: dict[str | None, dict[str, ObjectId]] = {}
        for artifact in artifacts:
            if artifact.cached and artifact.pushed and artifact.oid is not None:
                found.setdefault(self._remotes.name(artifact.remote), {})[artifact.path] = artifact.oid
        return found

    def _of(self, name: str, artifacts: Mapping[str, ObjectId]) -> Unsent:
        store, address = self._remotes(name), self._remotes.address(name)
        assert store is not None
        began = time.time()
        known = self._presence.get(address) if address else {}
        here = local_objects(self._cache, artifacts.values())
        asked = [oid for oid in here if oid not in known]
        missing = find_missing(asked, self._cache, store)
        if address:
            there = set(asked) - set(missing)
            self._presence.put(address, dict.fromkeys(there), began)
        lost = set(missing)
        paths = [path for path, oid in artifacts.items() if lost & set(local_objects(self._cache, [oid]))]
        return Unsent(store, address, tuple(missing), sum(map(self._size, missing)), tuple(paths))

    def _size(self, oid: ObjectId) -> int:
        found = self._cache.stat(oid)
        return found.st_size if found is not None else 0

    def send(self, unsent: Sequence[Unsent], progress: ProgressSink | None = None) -> Iterator[str]:
        """Send it, and yield a sentence for each remote.

        Raises:
            AccessDenied, StoreError, DiskFull: what was sent until then is there.
        """
        for one in unsent:
            began = time.time()
            sent = send_to_store(one.objects, self._cache, one.store, progress=progress)
            if (error := worst(sent.errors)) is not None:
                raise error
            if one.address:
                self._presence.put(one.address, dict.fromkeys(one.objects), began)
            yield f"sent to {one.store.name}: {first_few(one.paths, 5)}"
