"""Snapshots of an experiment's checkpoints, from which its next attempt goes on.

A kill gives no notice, so that a snapshot is taken while the program works. It is made of files that nobody has open
for writing and that do not change while they are copied, and it is a folder that gets its name when all is in it. Each
file's digest is noted, and compared with what is brought back: what is torn, by whatever, is passed over for the
snapshot before.

A store is a folder that outlives the attempt, with a folder for each experiment, whose id is the hash of code and
parameters: another experiment's are never found. Nothing in it is trusted. No credential is needed to fill it, so that
who runs the project's code does that; to take it further is for others, who run none of it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import stat
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlbutler import atomic
from mlbutler.errors import MlbutlerError
from mlbutler.experiments.fields import is_id
from mlbutler.frozen import frozen
from mlbutler.parsing import Unreadable, parse_json
from mlbutler.state.fingerprint import Fingerprint, size_in, wait_while_racy

_KEPT = 2
_MANIFEST, _FILES, _NEW = "manifest.json", "files", ".new-"
_NAME = re.compile(r"[0-9]{1,9}-[0-9]{1,20}")
_CHUNK = 1 << 20
_LARGEST_MANIFEST = 64 << 20
_NOT_OURS = frozenset((".git", ".dvc", ".mlbutler"))


class Unsettled(Exception):
    """The files changed while they were copied, or cannot be copied: nothing was kept."""


@frozen
class Checkpoint:
    """One snapshot. `attempt`: which one made it; `saved`: seconds since the epoch; `size`: bytes."""

    attempt: int
    saved: float
    size: int
    folder: Path


class Checkpoints:
    """The snapshots of one experiment, for one attempt at it.

    Those of an attempt count for more than those of all that began earlier: one that was given up, and works on, does
    not replace them.

    Args:
        store: the folder of all experiments. id: of the experiment.
    """

    def __init__(self, store: Path, id: str) -> None:
        self._folder = store / id
        self._turn = max((_order(one)[0] for one in self._list_snapshots()), default=0) + 1

    def save(
        self, root: Path, paths: Sequence[str], attempt: int, stop: Callable[[], bool] = lambda: False
    ) -> Checkpoint | None:
        """Keep what lies at these paths now; return None where that is nothing, or what is kept already.

        Args:
            root: the project's. paths: from there, files and folders. stop: tells that it is wanted no longer.

        Raises:
            Unsettled: they changed meanwhile, or there is no room for them.
        """
        before = _fingerprints(root, paths)
        if any(one.is_racy() for one in before.values()):
            wait_while_racy(before.values())
            before = _fingerprints(root, paths)
        sure = {path: one.text for path, one in before.items() if not one.is_racy()}
        if not before:
            return None
        last = next(self._whole(), None)
        signature = _signature(sure) if len(sure) == len(before) else ""
        if last is not None and signature and signature == last[1].get("signature"):
            return None
        name = f"{self._turn}-{max([time.time_ns(), *(_order(one)[1] + 1 for one in self._list_snapshots())])}"
        new = self._folder / f"{_NEW}{name}"
        try:
            new.mkdir(parents=True)
            _refuse_full(new, sum(size_in(one.text) for one in before.values()))
            known = last if last is not None else (None, {})
            files = {path: _copy_or_link(root, new, path, sure.get(path, ""), known, stop) for path in before}
            if _fingerprints(root, paths) != before:
                raise Unsettled("they change all the time")
            saved = time.time()
            manifest = {"attempt": attempt, "saved": saved, "signature": signature, "files": files}
            atomic.write(new / _MANIFEST, json.dumps(manifest).encode())
            new.rename(self._folder / name)
        except (OSError, MlbutlerError, Unsettled) as error:
            shutil.rmtree(new, ignore_errors=True)
            raise Unsettled(error.message if isinstance(error, MlbutlerError) else str(error)) from error
        self._drop_old()
        return Checkpoint(attempt, saved, _size(files), self._folder / name)

    def restore(self, root: Path, refuse: Callable[[Sequence[str]], object]) -> Checkpoint | None:
        """Put the newest whole snapshot into a work tree in which nothing runs; return None where there is none.

        Args:
            refuse: raises where one of the paths must not be written to.
        """
        new = root / ".mlbutler" / "checkpoint"
        for folder, manifest in self._whole():
            files: Mapping[str, Any] = manifest["files"]
            shutil.rmtree(new, ignore_errors=True)
            if not all(_is_brought(folder / _FILES / path, new / path, entry) for path, entry in files.items()):
                continue
            refuse(tuple(files))
            for path in files:
                target = root / path
                target.parent.mkdir(parents=True, exist_ok=True)
                if target.is_dir() and not target.is_symlink():
                    shutil.rmtree(target)
                (new / path).replace(target)
            shutil.rmtree(new, ignore_errors=True)
            return Checkpoint(manifest["attempt"], manifest["saved"], _size(files), folder)
        shutil.rmtree(new, ignore_errors=True)
        return None

    def discard(self) -> None:
        """Remove all of them."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _list_snapshots(self) -> list[Path]:
        with contextlib.suppress(OSError):
            found = [one for one in self._folder.iterdir() if _NAME.fullmatch(one.name) and not one.is_symlink()]
            return sorted(found, key=_order, reverse=True)
        return []

    def _whole(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Yield the snapshots whose manifest can be read, the newest first."""
        for folder in self._list_snapshots():
            if (manifest := _manifest(folder / _MANIFEST)) is not None:
                yield folder, manifest

    def _drop_old(self) -> None:
        for folder in self._list_snapshots()[_KEPT:]:
            shutil.rmtree(folder, ignore_errors=True)
        for left in self._folder.glob(f"{_NEW}*"):  # of one that was killed
            shutil.rmtree(left, ignore_errors=True)


def _order(folder: Path) -> tuple[int, int]:
    turn, _, number = folder.name.partition("-")
    return int(turn), int(number)


def remove_old_checkpoints(store: Path, age: float) -> None:
    """Remove the snapshots of experiments that have kept none for so many seconds."""
    with contextlib.suppress(OSError):
        for folder in store.iterdir():
            if not folder.is_symlink() and is_id(folder.name) and folder.stat().st_mtime < time.time() - age:
                shutil.rmtree(folder, ignore_errors=True)


def files_at(root: Path, paths: Sequence[str]) -> Iterator[tuple[str, os.stat_result]]:
    """Yield each file and link at or below these paths, with its status."""
    for path in sorted(set(paths)):
        top = root / path
        if not top.is_dir() or top.is_symlink():
            yield from _file(root, path)
            continue
        for folder, folders, names in os.walk(top):
            here = os.path.relpath(folder, root)
            folders.sort()
            links = [name for name in folders if Path(folder, name).is_symlink()]
            for name in sorted((*names, *links)):
                yield from _file(root, f"{here}/{name}")


def _file(root: Path, path: str) -> Iterator[tuple[str, os.stat_result]]:
    with contextlib.suppress(OSError):
        found = (root / path).lstat()
        if stat.S_ISREG(found.st_mode) or (stat.S_ISLNK(found.st_mode) and _leads_down(str((root / path).readlink()))):
            yield path, found


def _leads_down(link: str) -> bool:
    """Tell whether a link leads to something beside or below it, such as ``latest -> step-100``; no others are kept."""
    return bool(link) and not link.startswith("/") and ".." not in link.split("/") and "\0" not in link


def _size(files: Mapping[str, Any]) -> int:
    return sum(entry.get("size", 0) for entry in files.values())


def _fingerprints(root: Path, paths: Sequence[str]) -> dict[str, Fingerprint]:
    return {path: Fingerprint.of(found) for path, found in files_at(root, paths)}


def _signature(found: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(sorted(found.items())).encode()).hexdigest()


def _refuse_full(place: Path, size: int) -> None:
    """Refuse what would leave the program little room for its next checkpoint."""
    if size * 2 > shutil.disk_usage(place).free:
        raise Unsettled(f"there is no room for them below {place.parent.parent}")


def _copy_or_link(
    root: Path, new: Path, path: str, now: str, known: tuple[Path | None, Mapping[str, Any]],
    stop: Callable[[], bool],
) -> dict[str, Any]:  # fmt: skip
    """Copy one file and return its entry; what the snapshot before has is linked.

    Args:
        now: its fingerprint, '' where a change of it might not show.
    """
    source, target = root / path, new / _FILES / path
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_symlink():
        target.symlink_to(source.readlink())
        return {"link": os.fspath(target.readlink())}
    folder, manifest = known
    before = manifest.get("files", {}).get(path)
    if folder is not None and before is not None and now and before.get("fingerprint") == now:
        with contextlib.suppress(OSError):
            os.link(folder / _FILES / path, target)
            return dict(before)
    size, digest = _copy_and_hash(source, target, stop)
    shutil.copymode(source, target)
    return {"size": size, "digest": digest, "fingerprint": now}


def _copy_and_hash(source: Path, target: Path, stop: Callable[[], bool] = lambda: False) -> tuple[int, str]:
    """Copy a file; return its size and digest."""
    digest, size = hashlib.blake2b(digest_size=32), 0
    with source.open("rb") as old, target.open("xb") as new:
        while data := old.read(_CHUNK):
            if stop():
                raise Unsettled("it was stopped")
            digest.update(data)
            new.write(data)
            size += len(data)
    return size, digest.hexdigest()


def _is_brought(source: Path, target: Path, entry: Mapping[str, Any]) -> bool:
    """Copy one file out of a snapshot; return whether it is what was put in."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if "link" in entry:
            target.symlink_to(entry["link"])
            return True
        if source.is_symlink() or not source.is_file():
            return False
        done = _copy_and_hash(source, target)
        shutil.copymode(source, target)
    except OSError:
        return False
    return done == (entry["size"], entry["digest"])


def _manifest(path: Path) -> dict[str, Any] | None:
    """Return a manifest that can be used: it may be torn, or made by anybody."""
    try:
        if path.is_symlink() or path.stat().st_size > _LARGEST_MANIFEST:
            return None
        found = parse_json(path.read_text(encoding="utf-8"))
        files = found["files"]
        whole = isinstance(found["attempt"], int) and isinstance(found["saved"], float)
        links = {name for name, entry in files.items() if "link" in entry}
        valid = whole and files and all(_is_valid(name, entry, links) for name, entry in files.items())
        return dict(found) if valid else None
    except (OSError, UnicodeDecodeError, Unreadable, KeyError, TypeError, AttributeError):
        return None


def _is_valid(path: str, entry: Mapping[str, Any], links: Collection[str]) -> bool:
    parts = path.split("/")
    if {"", ".", ".."} & set(parts) or _NOT_OURS & {part.lower() for part in parts} or "\0" in path:
        return False
    if any("/".join(parts[:number]) in links for number in range(1, len(parts))):
        return False
    if "link" in entry:
        return isinstance(entry["link"], str) and _leads_down(entry["link"])
    return isinstance(entry["size"], int) and isinstance(entry["digest"], str)
