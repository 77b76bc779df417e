"""Results of steps by their inputs: a result is valid while its key and its inputs' fingerprints are what they were.

The inputs of a plan are every file that was read for it and every folder that was listed. Of a folder the names that
lead to no tracked path count: what is laid out disturbs nothing, a new dvc.yaml shows.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlbutler.frozen import frozen
from mlbutler.state.fingerprint import Fingerprint, Fingerprints, is_fixed, size_in, to_text
from mlbutler.state.hashes import HashCache
from mlbutler.state.read_recorder import OWN, ReadRecorder, digest_of_others, names_in
from mlbutler.state.rule import is_valid
from mlbutler.state.seal import UNSEALED, Seal
from mlbutler.state.segments import Segment
from mlbutler.state.verified import Object, VerifiedObjects, machine_start

PLAN, SYNC = "plan", "sync"
_MOST = 20_000
_CONFIG = (".dvc/config", ".dvc/config.local")
# Where DVC looks for the user's and the machine's configuration, and where the libraries under it look for the place
# of a remote.
_VARIABLES = (
    "HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS", "DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR", "AWS_PROFILE",
    "AWS_CONFIG_FILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AZURE_STORAGE_ACCOUNT",
)  # fmt: skip
_ABSENT = "absent"
_MALFORMED = (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError)


class InputFingerprints:
    """What a result depends on, as it is now.

    Args:
        root: the project's root. look: shared with all that look at the same files. hashes: of what was laid out.
    """

    def __init__(self, root: Path, look: Fingerprints, hashes: HashCache) -> None:
        self.root, self.look, self.hashes = root, look, hashes

    def of_path(self, path: str, since: float = math.inf) -> str | None:
        """Return what a file or directory is; None where that is not sure, or it changed after `since`."""
        if not os.path.lexists(self.root / path):
            return _ABSENT
        found = self.look(self.root, path)
        return found.text if found is not None and not found.is_racy(since) else None

    def of_input(self, path: str, kept: str, output: Sequence[str] | None) -> str | None:
        """Return what a path is; of an output that was absent, and is there now as it is recorded, what was `kept`.

        Args:
            output: algorithm and value of the recorded hash, None for what is no output.
        """
        found = self.of_path(path)
        if found == kept or kept != _ABSENT or output is None:
            return found
        algorithm, value = output
        known = self.hashes.get(path, algorithm)
        return kept if known is not None and known.value == value else found

    def of_setting(self, path: str, since: float = math.inf) -> str | None:
        """Return what a file outside the project is, '' when there is none; None as for `of_path`."""
        try:
            found = Fingerprint.of(os.stat(path))  # noqa: PTH116 - the user may keep it behind a link
        except OSError:
            return ""
        return None if found.is_racy(since) else found.text

    def of_folder(self, path: str, tracked: Collection[str]) -> str:
        """Return a digest of the names in a folder that lead to no tracked path."""
        return digest_of_others(names_in(self.root, path), path, tracked)


@frozen
class CachedPlan:
    """A plan without stale stages, and what it depends on.

    Attributes:
        key: of the versions that planned, the targets and the place. artifacts: tells those that belong to it, and
            where they are pushed to, from all others.
        inputs, folders, settings: path -> fingerprint; settings lie outside the project.
        outputs: path -> algorithm and value of the recorded hash.
    """

    key: str
    artifacts: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, Sequence[str]]
    folders: Mapping[str, str]
    settings: Mapping[str, str]

    def is_valid(self, key: str, now: InputFingerprints) -> bool:
        """Tell whether the same would be planned now."""
        return is_valid((self.key, key), self._fingerprint_pairs(now))

    def _fingerprint_pairs(self, now: InputFingerprints) -> Iterator[tuple[str, str | None]]:
        for path, kept in self.settings.items():
            yield kept, now.of_setting(path)
        for path, kept in self.inputs.items():
            yield kept, now.of_input(path, kept, self.outputs.get(path))
        tracked = with_folders((*self.inputs, *OWN))
        for path, kept in self.folders.items():
            yield kept, now.of_folder(path, tracked)


class PlanCache:
    """The plan of one clone.

    Args:
        now: the clone's files. versions: of what plans, and settings that decide what is planned; when they change,
            the cached plan is no longer valid.
        anonymous: the user's and the machine's configuration are not read, for a fork's change.
        environ: the environment that this process was started with. seal: shows that mlbutler wrote it.
    """

    def __init__(
        self, now: InputFingerprints, versions: Sequence[str], *, anonymous: bool = False,
        environ: Mapping[str, str] | None = None, seal: Seal = UNSEALED,
    ) -> None:  # fmt: skip
        self._now, self._versions, self._anonymous = now, list(versions), anonymous
        self._environ = os.environ if environ is None else environ
        self._segment = Segment(now.root / ".mlbutler", PLAN, seal=seal)

    def get(self) -> CachedPlan | None:
        """Return the plan that was made last, valid or not; None when there is none."""
        try:
            return CachedPlan(**self._segment.read())
        except TypeError:
            return None

    def is_valid(self, states: object, targets: Sequence[str]) -> bool:
        """Tell whether the plan that was made for these targets, with these states of stages, would be made now."""
        try:
            known = self.get()
            return known is not None and known.is_valid(self._key(states, targets), self._now)
        except _MALFORMED:
            return False

    def put(
        self, states: object, targets: Sequence[str], paths: Iterable[str], read: ReadRecorder, *,
        outputs: Mapping[str, Sequence[str]], artifacts: str = "", settings: Iterable[Path] = (),
        since: float = math.inf,
    ) -> None:  # fmt: skip
        """Keep a plan without stale stages, unless it is not sure what it depends on.

        Args:
            states: what the plan says of its stages. paths: dependencies, parameter files and outputs. read: what
                else was read for it. outputs: path -> algorithm and value of the recorded hash.
            settings: files outside the project that configure DVC, whether they exist or not.
            since: when planning began (seconds since the epoch; now). It may not have seen what changed later.
        """
        names = _outermost((*paths, *read.files, *_CONFIG))
        tracked = with_folders((*names, *OWN))
        folders = {path: found for path, found in read.folders.items() if not _lies_in_any(path, names)}
        if len(names) + len(folders) > _MOST or self._has_new_folder(names, folders, since):
            self.invalidate()
            return
        inputs = {path: self._now.of_path(path, since) for path in names}
        outside = {} if self._anonymous else {str(path): self._now.of_setting(str(path), since) for path in settings}
        if None in inputs.values() or None in outside.values():
            self.invalidate()
            return
        for folder in with_folders(names) - names.keys() - {""}:
            if not os.path.lexists(self._now.root / folder):  # once it is made, what appears in it would be read
                folders[folder] = frozenset()
        self._segment.replace({
            "key": self._key(states, targets), "artifacts": artifacts, "inputs": inputs,
            "outputs": {path: list(outputs[path]) for path in outputs if path in names},
            "folders": {path: digest_of_others(found, path, tracked) for path, found in folders.items()},
            "settings": outside,
        })  # fmt: skip

    def invalidate(self) -> None:
        """Forget the plan, so that the next run plans again."""
        self._segment.remove()

    @property
    def artifacts(self) -> str:
        """Return the key of the plan's artifacts, '' where it is not known."""
        known = self.get()
        return known.artifacts if known is not None and isinstance(known.artifacts, str) else ""

    def digest(self) -> str:
        """Return a digest of this plan, '' where there is none."""
        try:
            return hashlib.sha256(self._segment.file.read_bytes()).hexdigest()
        except OSError:
            return ""

    def _has_new_folder(self, names: Iterable[str], listed: Collection[str], since: float) -> bool:
        """Tell whether a folder above a tracked path may have come after all others were listed."""
        inside = [name for name in names if not name.startswith(("/", "../"))]  # DVC looks for stages in the project
        for folder in with_folders(inside).difference(names, listed, with_folders(OWN)):
            try:
                found = os.stat(self._now.root / folder)  # noqa: PTH116
            except OSError:
                continue
            if Fingerprint.of(found).is_racy(since):
                return True
        return False

    def _key(self, states: object, targets: Sequence[str]) -> str:
        places = None if self._anonymous else [self._environ.get(name) for name in _VARIABLES]
        text = json.dumps([self._versions, list(targets), str(self._now.root), places, states])
        return hashlib.sha256(text.encode()).hexdigest()


@frozen
class InPlace:
    """What `sync` put in place: the artifacts' paths and objects, and how many objects and bytes in all."""

    paths: tuple[str, ...]
    artifacts: tuple[str, ...]
    objects: int
    bytes: int


class SyncCache:
    """Remembers in one clone that `sync --all` put all artifacts in place, so that they are not read again.

    It is valid for the very plan it was made for, while each object in the cache is the file that was verified and each
    artifact in the work tree is what was laid out: a look at every file and no more. DVC's project is not opened.

    Args:
        plan: of the clone. seal: shows that mlbutler wrote it.
    """

    def __init__(self, now: InputFingerprints, plan: PlanCache, seal: Seal = UNSEALED) -> None:
        self._now, self._plan = now, plan
        self._segment = Segment(now.root / ".mlbutler", SYNC, seal=seal)

    def get(self) -> InPlace | None:
        """Return what was brought and is still in place, None where that is not sure."""
        try:
            found = self._segment.read()
            if not self._plan.digest() or not is_valid((found.get("key"), self._key()), self._fingerprint_pairs(found)):
                return None
            artifacts = tuple(str(md5) for md5 in found["artifacts"])
            return InPlace(tuple(found["inputs"]), artifacts, int(found["objects"]), int(found["bytes"]))
        except _MALFORMED:
            return None

    def put(
        self, paths: Sequence[str], artifacts: Sequence[str], objects: Collection[Object], cache: Path,
        verified: VerifiedObjects, fingerprints: Mapping[str, str],
    ) -> None:  # fmt: skip
        """Keep what was just brought; what is not sure is looked at again the next time.

        Args:
            paths: of the artifacts in the work tree. artifacts: their objects' MD5s. objects: all that they are made
                of, each once. cache: where these lie. fingerprints: of what is at `paths`.
        """
        texts = {oid[0]: text for oid, text in verified.fingerprints(objects).items()}
        if len(texts) != len(objects) or set(paths) != set(fingerprints) or not self._plan.digest():
            return
        names = sorted(texts)
        self._segment.replace({
            "key": self._key(), "cache": str(cache), "digest": _digest((name, texts[name]) for name in names),
            "inputs": dict(fingerprints), "artifacts": list(artifacts), "names": names,
            "objects": len(texts), "bytes": sum(map(size_in, texts.values())),
        })  # fmt: skip

    def _fingerprint_pairs(self, found: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
        for path, kept in found["inputs"].items():
            yield kept, self._now.of_path(path)
        yield found["digest"], _digest_of_objects(Path(found["cache"]), found["names"])

    def _key(self) -> list[str]:
        return [machine_start(), self._plan.digest()]


def _digest_of_objects(cache: Path, names: Sequence[str]) -> str | None:
    top = f"{cache}/files/md5/"
    entries = []
    for name in names:
        try:
            found = os.stat(f"{top}{name[:2]}/{name[2:]}")  # noqa: PTH116 - for each of 50,000 objects
        except OSError:
            return None
        if not is_fixed(found):
            return None
        entries.append((name, to_text(found)))
    return _digest(entries)


def _digest(entries: Iterable[tuple[str, str]]) -> str:
    return hashlib.sha256("\n".join(map(" ".join, entries)).encode()).hexdigest()


def with_folders(paths: Iterable[str]) -> set[str]:
    """Return paths and all folders above them, the project's own as ''."""
    found: set[str] = {""}
    for path in paths:
        while path not in found:
            found.add(path)
            path = path.rpartition("/")[0]
    return found


def _outermost(paths: Iterable[str]) -> dict[str, None]:
    """Return those that lie in no other: the fingerprint of a directory covers what is in it."""
    names = dict.fromkeys(paths)
    return {path: None for path in names if not _lies_in_any(path.rpartition("/")[0], names)}


def _lies_in_any(path: str, names: Collection[str]) -> bool:
    while path:
        if path in names:
            return True
        path = path.rpartition("/")[0]
    return False
