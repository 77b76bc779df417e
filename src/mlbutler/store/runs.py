"""DVC's run cache: small YAML files below ``runs/`` that say what a stage made from which inputs.

DVC keeps them in the cache's root and, on remotes that can list files, in the remote's root. HTTP remotes
cannot, so there the mirror keeps them.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from mlbutler import atomic
from mlbutler.errors import StoreError
from mlbutler.frozen import frozen
from mlbutler.parsing import Unreadable, decoded, parse_yaml
from mlbutler.shared_folders import make_folder
from mlbutler.store.files import explain_os_error, replace, temporary
from mlbutler.store.interface import ObjectId
from mlbutler.store.local import LocalStore
from mlbutler.store.other import OtherStore

FOLDER = "runs"
_KEY = re.compile(r"runs/[0-9a-f]{2}/[0-9a-f]{64}/[0-9a-f]{64}")
_LARGEST = 8 << 20

RunStore = LocalStore | OtherStore
"""Stores that can hold a run cache."""


@frozen
class RunCacheEntry:
    """One entry: its path in a store (``runs/ab/<key>/<value>``), its outputs as DVC names them with their objects."""

    key: str
    named: frozenset[tuple[str, ObjectId]]

    @property
    def outputs(self) -> frozenset[ObjectId]:
        """Return the objects of its outputs."""
        return frozenset(oid for _, oid in self.named)

    @property
    def stage_key(self) -> str:
        """Return DVC's hash of the stage and its inputs."""
        return self.key.split("/")[2]


def keys(store: RunStore) -> frozenset[str]:
    """Return paths of all entries of a store.

    Raises:
        AccessDenied, StoreError: the store cannot be listed.
    """
    if isinstance(store, OtherStore):
        return frozenset(key for key in store.list_files(FOLDER) if _KEY.fullmatch(key))
    return frozenset(_local_keys(store.root))


def _local_keys(root: Path) -> Iterator[str]:
    top = str(root / FOLDER)
    for folder, _, names in os.walk(top):
        inside = FOLDER + folder[len(top) :].replace(os.sep, "/")
        for name in names:
            if _KEY.fullmatch(key := f"{inside}/{name}"):
                yield key


def read_entry(store: LocalStore, key: str) -> RunCacheEntry | None:
    """Read one entry of a local store; return None when it is no valid one."""
    return _entry(store.root / key, key)


def _entry(path: Path, key: str) -> RunCacheEntry | None:
    try:
        if path.stat().st_size > _LARGEST:
            return None
        content = parse_yaml(decoded(path.read_bytes()))
    except (OSError, Unreadable):
        return None
    outputs = content.get("outs") if isinstance(content, Mapping) else None
    if not isinstance(outputs, list) or not outputs:
        return None
    found = [(str(out.get("path")), _object(out)) for out in outputs if isinstance(out, Mapping)]
    named = frozenset((path, oid) for path, oid in found if oid is not None)
    return RunCacheEntry(key, named) if len(named) == len(outputs) else None


def _object(out: Mapping[str, Any]) -> ObjectId | None:
    md5 = out.get("md5")
    if not isinstance(md5, str) or not re.fullmatch(r"[0-9a-f]{32}(\.dir)?", md5):
        return None
    return ObjectId(md5, legacy=out.get("hash") != "md5")


def current(cache: LocalStore, outputs: Collection[ObjectId]) -> tuple[RunCacheEntry, ...]:
    """Return the cache's entries whose outputs are all among `outputs`: the runs that made what is recorded now."""
    wanted = set(outputs)
    runs = (read_entry(cache, key) for key in sorted(keys(cache)))
    return tuple(run for run in runs if run is not None and run.outputs <= wanted)


def copy_entry(source: LocalStore, target: RunStore, key: str) -> None:
    """Copy one entry, whole, with its time: DVC takes the newest of several.

    Raises:
        AccessDenied, StoreError, DiskFull: it cannot be written.
    """
    path = source.root / key
    if isinstance(target, OtherStore):
        target.put_file(key, path)
        return
    final = target.root / key
    unfinished = temporary(final)
    try:
        make_folder(final.parent)
        shutil.copy2(path, unfinished)
        replace(unfinished, final, unfinished.stat())
    except OSError as error:
        raise explain_os_error(error, f"writing to '{target.name}'", target.root) from error
    finally:
        if unfinished.exists():
            unfinished.unlink(missing_ok=True)


def newest_in(folder: Path) -> Path | None:
    """Return the newest of a key's entries, the one that DVC takes; None when there is none."""
    try:
        return max(folder.iterdir(), key=lambda file: file.stat().st_mtime, default=None)
    except OSError:
        return None


def put_entry(root: Path, key: str, content: bytes) -> None:
    """Write one entry into a local store, whole.

    Raises:
        StoreError, DiskFull: it cannot be written.
    """
    try:
        make_folder((root / key).parent)
        atomic.write(root / key, content, durable=False)
    except OSError as error:
        raise explain_os_error(error, "storing the run cache", root) from error


def bring_runs(cache: LocalStore, mirror: LocalStore) -> int:
    """Copy the mirror's entries that are not in the cache; return how many.

    Raises:
        StoreError, DiskFull: the cache cannot be written.
    """
    lacking = keys(mirror) - keys(cache)
    copied = 0
    for key in sorted(lacking):
        if read_entry(mirror, key) is None:
            continue
        try:
            copy_entry(mirror, cache, key)
        except StoreError as error:
            if isinstance(error.__cause__, FileNotFoundError):  # removed by somebody else meanwhile
                continue
            raise
        copied += 1
    return copied


def fetch_runs(cache: LocalStore, remote: RunStore, stage_key: str) -> int:
    """Copy what the remote's run cache has for one stage with certain inputs; return how many entries were copied.

    Args:
        stage_key: 64 hexadecimal digits, DVC's hash of the stage and its inputs.

    Raises:
        AccessDenied, StoreError: the remote cannot be listed or read, or the cache cannot be written.
    """
    folder = f"{FOLDER}/{stage_key[:2]}/{stage_key}"
    if isinstance(remote, OtherStore):
        names = sorted(key for key in remote.list_files(folder) if _KEY.fullmatch(key))
    else:
        place = remote.root / folder
        there = sorted(place.iterdir(), key=lambda path: path.stat().st_mtime) if place.is_dir() else []
        names = [key for path in there if _KEY.fullmatch(key := f"{folder}/{path.name}")]
    return sum(_fetch(cache, remote, key) for key in names if not (cache.root / key).exists())


def _fetch(cache: LocalStore, remote: RunStore, key: str) -> bool:
    final = cache.root / key
    unfinished = temporary(final)
    try:
        make_folder(final.parent)
        if isinstance(remote, OtherStore):
            if not remote.get_file(key, unfinished, _LARGEST):
                return False
        else:
            shutil.copy2(remote.root / key, unfinished)
        if _entry(unfinished, key) is None:
            return False
        replace(unfinished, final, unfinished.stat())
    except FileNotFoundError:  # removed by somebody else meanwhile
        return False
    except OSError as error:
        raise explain_os_error(error, "storing the run cache", cache.root) from error
    finally:
        unfinished.unlink(missing_ok=True)
    return True
