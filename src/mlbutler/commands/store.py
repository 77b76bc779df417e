"""Implement `mlbutler store status|verify|prune`: looking after the agent's mirror."""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlbutler.console import Console, human_bytes, human_seconds
from mlbutler.errors import EXIT_JUDGED, EXIT_PASSED, MlbutlerError, SettingsError, UsageError
from mlbutler.frozen import frozen
from mlbutler.numbers import count

if TYPE_CHECKING:
    from mlbutler.settings import DataSettings
    from mlbutler.store.local import LocalStore

_LISTED = 20


@frozen
class MirrorInfo:
    """A mirror, and what the settings say of it."""

    mirror: Path
    limit: int | None


def status(directory: Path, console: Console, mirror: Path | None) -> int:
    """Say what the mirror holds and who uses it."""
    from mlbutler.store.upkeep import uses, verification
    from mlbutler.store.upkeep.survey import StoredObject, survey

    place = _mirror_info(directory, mirror)
    store = _store(place)
    verification.require_folder(store)
    objects = size = unfinished = directories = 0
    with console.progress("objects") as progress:
        for item in survey(place.mirror):
            if isinstance(item, StoredObject):
                objects, size, directories = objects + 1, size + item.size, directories + item.oid.is_directory
                progress.advance(objects=1)
            else:
                unfinished += 1
    use = uses.read_uses(place.mirror)
    free = shutil.disk_usage(place.mirror)
    oldest = min(use.last.values(), default=None)
    found = {
        "mirror": str(place.mirror), "objects": objects, "directories": directories, "bytes": size,
        "limit": place.limit, "unfinished": unfinished, "artifacts_used": len(use.last),
        "least_recent_use": oldest, "running_builds": use.builds, "free_bytes": free.free, "disk_bytes": free.total,
    }  # fmt: skip
    of = f" of {human_bytes(place.limit)}" if place.limit else ", no limit (data.mirror_limit)"
    console.line(f"mirror     {place.mirror}")
    console.line(f"holds      {human_bytes(size)}{of}: {count(objects, 'object')}, {directories:,} of them directories")
    console.line(f"disk       {human_bytes(free.free)} of {human_bytes(free.total)} free")
    ago = f", the least recent {human_seconds(max(time.time() - oldest, 0))} ago" if oldest is not None else ""
    console.line(f"used       {count(len(use.last), 'artifact')}{ago}")
    console.line(f"builds     {use.builds} at work")
    if unfinished:
        console.line(f"unfinished {count(unfinished, 'transfer')}; `mlbutler store prune` removes those of days before")
    return _end(console, found, EXIT_PASSED)


def verify(directory: Path, console: Console, mirror: Path | None, jobs: int) -> int:
    """Hash every object of the mirror and remove damaged ones, which are then fetched again.

    The exit code is 1 when there were any.
    """
    from mlbutler.store.upkeep import verification

    store = _store(_mirror_info(directory, mirror))
    verification.require_folder(store)
    with console.progress("objects") as progress:
        done = verification.verify_mirror(store, jobs=jobs, remove=True, progress=progress.advance)
    for oid in done.damaged[:_LISTED]:
        console.line(f"damaged, removed: {oid.key}")
    for oid, reason in done.unreadable[:_LISTED]:
        console.line(f"not readable: {oid.key}: {reason}")
    bad = len(done.damaged) + len(done.unreadable)
    console.line(
        f"{count(done.objects, 'object')} hashed, {human_bytes(done.bytes)}: "
        + (f"{len(done.damaged)} damaged, {len(done.unreadable)} not readable" if bad else "all are whole")
    )
    found = {
        "mirror": str(store.root), "objects": done.objects, "bytes": done.bytes,
        "damaged": [oid.key for oid in done.damaged],
        "unreadable": [{"object": oid.key, "reason": reason} for oid, reason in done.unreadable],
    }  # fmt: skip
    return _end(console, found, EXIT_JUDGED if bad else EXIT_PASSED)


def prune(
    directory: Path,
    console: Console,
    mirror: Path | None,
    limit: str | None,
    older_than: str | None,
    *,
    dry: bool,
    adopt: Path | None = None,
) -> int:
    """Evict what was used least recently, until the mirror is below its limit.

    Args:
        adopt: the mirror's path again: somebody says that it is no DVC remote.
    """
    from mlbutler.store.upkeep import mark
    from mlbutler.store.upkeep.prune import prune as evict

    place = _mirror_info(directory, mirror)
    remotes = _local_remotes(directory)
    if adopt is not None:
        if not adopt.is_absolute() or adopt.resolve() != place.mirror.resolve():
            raise UsageError(
                f"--adopt {adopt} is not the mirror {place.mirror}.", f"Pass --adopt {place.mirror.absolute()}"
            )
        mark.adopt(place.mirror, remotes)
        console.line(f"{place.mirror} is a mirror from now on, which may lose what it holds.")
    size = _parse_option("mirror_limit", limit, "--limit") if limit is not None else place.limit
    age = _parse_option("remember", older_than, "--older-than") if older_than is not None else None
    with console.progress("evicted") as progress:
        done = evict(place.mirror, size, age, remotes=remotes, dry=dry, progress=progress.advance)
    would = "would be evicted" if dry else "evicted"
    console.line(f"{count(done.objects, 'object')} {would}, {human_bytes(done.bytes)}")
    if done.unfinished:
        console.line(f"{count(done.unfinished, 'unfinished file')} of transfers {'would be ' if dry else ''}removed")
    console.line(f"{count(done.left_objects, 'object')} left, {human_bytes(done.left_bytes)}")
    if size is None and age is None:
        console.line("There is no limit: set data.mirror_limit, or pass --limit or --older-than.")
    elif size is not None and done.left_bytes > size:
        console.line(f"That is above the limit of {human_bytes(size)}: the rest was used within the last hour.")
    elif age is not None and not done.objects:
        console.line("What was used within the last hour always stays.")
    return _end(console, {"mirror": str(place.mirror), "dry_run": dry, **dataclasses.asdict(done)}, EXIT_PASSED)


def _mirror_info(directory: Path, mirror: Path | None) -> MirrorInfo:
    data, root = _data(directory, required=mirror is None)
    path = directory / mirror if mirror is not None else data.mirror_path(root)
    if path is None:
        raise SettingsError("No mirror is set.", "Pass --mirror DIR, or set data.mirror or MLBUTLER_DATA_MIRROR.")
    return MirrorInfo(path, data.mirror_limit)


def _local_remotes(directory: Path) -> tuple[Path, ...]:
    """Return directories that are DVC remotes of the project.

    None outside of a project, as when an agent runs it from cron.
    """
    from mlbutler.project.project import Project
    from mlbutler.project.root import find_root

    try:
        root = find_root(directory)
    except MlbutlerError:
        return ()
    return Project(root, {}).local_remotes()


def _data(directory: Path, *, required: bool) -> tuple[DataSettings, Path]:
    """Return the settings, of the project if there is one: an agent's cron job works outside of any."""
    from mlbutler.settings import load

    try:
        from mlbutler.project.root import find_root

        root = find_root(directory)
    except MlbutlerError:
        root = directory
    try:
        return load(root).settings.data, root
    except SettingsError:
        if required:
            raise
        from mlbutler.settings import DataSettings

        return DataSettings(), root


def _parse_option(key: str, text: str, option: str) -> Any:
    """Return the value of an option that is written as the setting `key` is."""
    from mlbutler.settings import DataSettings
    from mlbutler.settings.values import parse_value

    try:
        return parse_value(DataSettings.keys()[key].type, text)
    except ValueError as error:
        example = "200GB" if key == "mirror_limit" else "30d"
        raise SettingsError(f"{option} {error}.", f"Such as {option} {example}.") from error


def _store(place: MirrorInfo) -> LocalStore:
    from mlbutler.store.local import LocalStore

    return LocalStore("mirror", place.mirror)


def _end(console: Console, found: dict[str, Any], code: int) -> int:
    if console.json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    return code
