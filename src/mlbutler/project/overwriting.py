"""May a verb write these paths of the work tree? Decided here for all of them, before anything is changed.

Bytes that are in no store (cache, mirror, remote, Git) are somebody's unsaved work: they are neither replaced nor
removed. What may go, although no store holds it:

- what a stage of mlbutler's left there (`mlbutler.project.left_by_stages`), such as the half of a killed one's outputs;
- a ``cache: false`` output that is exactly what dvc.lock records: its stage made it, and is about to make it again;
- a ``persist: true`` output: its stage goes on from what is there;
- everything, with ``--discard``.

Files whose fingerprint is remembered are not hashed. Only what differs from what is to be laid out is looked up.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlbutler.errors import PathRefused, UnsavedWork
from mlbutler.first_few import first_few
from mlbutler.frozen import frozen
from mlbutler.project.data import ProjectData
from mlbutler.project.left_by_stages import LeftByStages
from mlbutler.project.model import LEGACY_MD5, MD5, Output, Recorded, Stage
from mlbutler.project.objects import Objects
from mlbutler.project.worktree import file_hash, refuse_special
from mlbutler.state.fingerprint import statuses
from mlbutler.state.hashes import HashCache
from mlbutler.store.interface import ObjectId
from mlbutler.symlinks import STATE, Symlinks, refusal

_SHOWN, _MOST = 3, 1000
_OWNED = {STATE: "mlbutler's", ".git": "Git's", ".dvc": "DVC's"}
"""Folders of settings, hooks and memories. DVC ignores its own and Git's, unless ``.dvcignore`` says otherwise."""


@dataclass(frozen=True)
class _EndangeredFile:
    """A file that would go: its path, its content (None: unknown), its bytes, and what it belongs to."""

    path: str
    oid: ObjectId | None
    size: int
    stage: Stage
    output: Output


@frozen
class _Contents:
    """What is at a path.

    Attributes:
        value: its hash as DVC takes it, '' where it is unknown.
        files: object and bytes of each file ('' for the path itself). links: names of links to folders.
    """

    value: str
    files: Mapping[str, tuple[ObjectId | None, int]]
    links: Collection[str]


def check_laying_out(project: ProjectData, paths: Iterable[str], *, discard: bool = False) -> None:
    """Check that recorded artifacts, or paths in them, may be put into the work tree.

    Raises:
        PathRefused: a path leads through a link or a file, or into a folder of `_OWNED`. UnsavedWork: see the module.
        ProjectError: a path holds what is neither file nor folder.
    """
    owners = {path: owner for path in paths if (owner := project.stages.owner(path)) is not None}
    _refuse(project.root, project.symlinks, owners)
    found: list[_EndangeredFile] = []
    for path, (stage, output) in owners.items():
        if os.path.lexists(project.root / path):
            found += _replaced_files(project, path, stage, output)
    if found and not discard:
        _check(project, found)


def check_running(project: ProjectData, stages: Iterable[Stage], *, discard: bool = False) -> None:
    """Check that these stages may run: DVC removes a stage's outputs before that.

    Raises:
        As `check_laying_out`.
    """
    stages = tuple(stages)
    outputs = [(stage, output) for stage in stages for output in stage.outputs if not output.external]
    beside = [f"{folder}/.gitignore" if folder else ".gitignore"
              for folder in {output.path.rpartition("/")[0] for _, output in outputs}]  # fmt: skip
    written = [*(output.path for _, output in outputs), *(stage.lock_file for stage in stages), *beside]
    _refuse(project.root, project.symlinks, written)
    found: list[_EndangeredFile] = []
    for stage, output in outputs:
        if not output.persist and os.path.lexists(project.root / output.path):
            found += _removed_files(project, stage, output)
    if found and not discard:
        _check(project, found)


# ------------------------------------------------------------------------------------- paths


def _refuse(root: Path, symlinks: Symlinks, paths: Iterable[str]) -> None:
    paths = tuple(paths)
    for path in paths:
        # By capitals too: some file systems do not tell them apart.
        owner = next((_OWNED[part] for part in path.lower().split("/") if part in _OWNED), None)
        if owner is not None:
            raise PathRefused(f"{path} is an output, in a folder that is {owner} own.", "Give it another place.")
    if found := symlinks.refused_links(paths):
        raise refusal(found)
    _refuse_no_folders(root, paths)


def _refuse_no_folders(root: Path, paths: Iterable[str]) -> None:
    """Raise where what is no folder lies in the place of one that a path needs: it is not ours to remove."""
    folders: dict[str, str] = {}
    for path in paths:
        at = path.rpartition("/")[0]
        while at and at not in folders:
            folders[at] = path
            at = at.rpartition("/")[0]
    for folder, path in sorted(folders.items()):
        if os.path.lexists(root / folder) and not (root / folder).is_dir():
            raise PathRefused(
                f"{folder} is not a folder, and {path} has to be put into it.",
                f"Move it elsewhere (mv {shlex.quote(folder)} NAME), or give {path} another place.",
            )


# ------------------------------------------------------------------------------------- what would go


def _replaced_files(project: ProjectData, path: str, stage: Stage, output: Output) -> Iterator[_EndangeredFile]:
    """Yield files at `path` that are not those of the record."""
    recorded = output.recorded
    if recorded is None or recorded.oid is None:
        return
    seen = _cached_hash(project.hashes, path, recorded.algorithm)
    if seen is not None and (seen == recorded or (_same_kind(seen, recorded) and _is_local(project.objects, seen))):
        return
    target = _target(project.objects, output, recorded, path)
    contents = _contents(project, path, recorded.algorithm, ignored=target is None or "" in target)
    if path == output.path and contents.value == recorded.value and not contents.links:
        return
    if refused := project.symlinks.refused_links(f"{path}/{name}/" for name in contents.links):
        raise refusal(refused)
    for name, (oid, size) in contents.files.items():
        if oid is None or target is None or target.get(name) != oid.md5:
            yield _EndangeredFile(f"{path}/{name}" if name else path, oid, size, stage, output)


def _removed_files(project: ProjectData, stage: Stage, output: Output) -> Iterator[_EndangeredFile]:
    """Yield files of an output; for those that DVC does not keep, only where they are not what dvc.lock records."""
    recorded = output.recorded
    algorithm = recorded.algorithm if recorded is not None and recorded.oid is not None else MD5
    seen = _cached_hash(project.hashes, output.path, algorithm)
    if seen is not None and not output.cached and seen == recorded:
        return
    known: Mapping[str, str] = {}
    if seen is not None and output.cached and _is_local(project.objects, seen):
        known = _files_of(project.objects, seen) or {}
        top = str(project.root / output.path)
        if {name[len(top) + 1 :] for name, _ in statuses(top)} == known.keys():
            return
    contents = _contents(project, output.path, algorithm, ignored=True)
    made = not output.cached and recorded is not None and contents.value == recorded.value
    for name, (oid, size) in contents.files.items():
        if not (made and oid is not None) and name not in known:
            yield _EndangeredFile(f"{output.path}/{name}" if name else output.path, oid, size, stage, output)


def _cached_hash(hashes: HashCache, path: str, algorithm: str) -> Recorded | None:
    found = hashes.get(path, algorithm)
    return Recorded(*found) if found is not None else None


def _same_kind(one: Recorded, other: Recorded) -> bool:
    return one.value.endswith(".dir") == other.value.endswith(".dir")


def _is_local(objects: Objects, recorded: Recorded) -> bool:
    return recorded.oid is not None and objects.holds_whole(recorded.oid)


def _files_of(objects: Objects, recorded: Recorded) -> Mapping[str, str] | None:
    """Return path ('' for a file) -> MD5 of what a record stands for; None where a manifest cannot be had."""
    if recorded.oid is None:
        return None
    return objects.manifest(recorded.oid) if recorded.oid.is_directory else {"": recorded.oid.md5}


def _target(objects: Objects, output: Output, recorded: Recorded, path: str) -> Mapping[str, str] | None:
    files = _files_of(objects, recorded)
    if files is None or path == output.path:
        return files
    inside = path[len(output.path) + 1 :]
    if inside in files:
        return {"": files[inside]}
    return {name[len(inside) + 1 :]: md5 for name, md5 in files.items() if name.startswith(f"{inside}/")}


# ------------------------------------------------------------------------------------- what is there


def _contents(project: ProjectData, path: str, algorithm: str, *, ignored: bool) -> _Contents:
    """Return what is at `path`, by DVC's own memory of hashes where that knows it.

    Args:
        ignored: count files that DVC ignores: where a folder goes as a whole, they go with it.
    """
    refuse_special(project.root, path)
    top = _top(project.root, path)
    value, hashed = _hash_files(project.repo, project.root, path, algorithm)
    files: dict[str, tuple[ObjectId | None, int]] = {}
    links: list[str] = []
    for name, status in statuses(top):
        inside = name[len(top) + 1 :]
        if stat.S_ISLNK(status.st_mode) and os.path.isdir(name):  # noqa: PTH112
            links.append(inside)
            files[inside] = (None, 0)
        elif inside in hashed:
            files[inside] = (hashed[inside], _size(name))
        elif stat.S_ISLNK(status.st_mode) and _leads_into(name, project.cache_dir):
            continue  # to an object that is gone: there is nothing to lose
        elif ignored or not value:
            files[inside] = (_object(name, algorithm), status.st_size)
    return _Contents(value, files, links)


def _top(root: Path, path: str) -> str:
    """Return the file or folder at `path`; a folder behind a link, where that may be followed, under its own name."""
    top = root / path
    return os.path.realpath(top) if top.is_dir() else str(top)


def _leads_into(link: str, folder: Path) -> bool:
    return os.path.join(os.path.dirname(link), os.readlink(link)).startswith(f"{folder}{os.sep}")  # noqa: PTH115, PTH118, PTH120


def remove_links(root: Path, paths: Iterable[str]) -> None:
    """Remove links to folders, or to nowhere, at and below these paths of artifacts: DVC would write through them.

    Only where what is there was given up. A link that may be followed to an artifact's own folder stays.
    """
    for path in paths:
        if not os.path.lexists(root / path):
            continue
        for name, status in list(statuses(_top(root, path))):
            if stat.S_ISLNK(status.st_mode) and not os.path.isfile(name):  # noqa: PTH113
                os.unlink(name)  # noqa: PTH108


def _hash_files(repo: Any, root: Path, path: str, algorithm: str) -> tuple[str, dict[str, ObjectId]]:
    """Return the whole's hash, and each file's; nothing where one cannot be read, such as a link to nowhere."""
    from dvc.exceptions import DvcException
    from dvc.fs import localfs
    from dvc_data.hashfile.build import build
    from dvc_data.hashfile.tree import Tree

    legacy = algorithm == LEGACY_MD5
    odb = repo.cache.legacy if legacy else repo.cache.local
    try:
        _, _, found = build(odb, str(root / path), localfs, algorithm, ignore=repo.dvcignore, dry_run=True)
    except (OSError, DvcException, UnicodeError):  # a name that is no text is none for DVC's memory of hashes
        return "", {}
    if not isinstance(found, Tree):
        return found.hash_info.value, {"": ObjectId(found.hash_info.value, legacy)}
    return found.hash_info.value, {"/".join(key): ObjectId(info.value, legacy) for key, _, info in found}


def _object(name: str, algorithm: str) -> ObjectId | None:
    with suppress(OSError):
        return ObjectId(file_hash(Path(name), algorithm), algorithm == LEGACY_MD5)
    return None


def _size(name: str) -> int:
    with suppress(OSError):
        return os.stat(name).st_size  # noqa: PTH116 - for each of 50,000 files
    return 0


# ------------------------------------------------------------------------------------- who holds it


def _check(project: ProjectData, found: Collection[_EndangeredFile]) -> None:
    left = LeftByStages(project.root).holds({file.output.path for file in found})
    loose = [file for file in found if file.output.path not in left and not _is_held(project.objects, file)]
    if loose:
        kept = project.git.unmodified_paths({file.output.path for file in loose})
        loose = [file for file in loose if file.path not in kept]
    if loose:
        loose = _in_no_remote(project.objects, loose)
    if loose:
        raise _unsaved_error(project.objects, project.repo, project.root, loose)


def _is_held(objects: Objects, file: _EndangeredFile) -> bool:
    """Tell whether cache or mirror holds the content. One that is cut short does not."""
    if file.oid is None:
        return False
    size = objects.size(file.oid)
    return size is not None and (file.oid.legacy or size == file.size)


def _in_no_remote(objects: Objects, files: Collection[_EndangeredFile]) -> list[_EndangeredFile]:
    held: set[tuple[str | None, ObjectId]] = set()
    for remote in {file.output.remote for file in files}:
        oids = {file.oid for file in files if file.output.remote == remote and file.oid is not None}
        held |= {(remote, oid) for oid in objects.on_remote(oids, remote)}
    return [file for file in files if file.oid is None or (file.output.remote, file.oid) not in held]


def _unsaved_error(objects: Objects, repo: Any, root: Path, files: Collection[_EndangeredFile]) -> UnsavedWork:
    problem = objects.problem
    paths = tuple(sorted({file.path for file in files}))
    asked = f" (the remote could not be asked: {problem.message})" if problem is not None else ""
    commands = list(dict.fromkeys(command for file in files if (command := _to_keep(repo, root, file))))
    ways = "; ".join(commands[:_SHOWN]) + (" ..." if len(commands) > _SHOWN else "")
    error = UnsavedWork(
        f"Not saved in any store, and it would be lost: {first_few(paths, _SHOWN)}{asked}.",
        f"To keep it: {ways}. To give it up, run again with --discard.",
    )
    error.paths = paths[:_MOST]
    return error


def _to_keep(repo: Any, root: Path, file: _EndangeredFile) -> str:
    stage, output = file.stage, file.output
    if repo.dvcignore.is_ignored_file(str(root / file.path)):  # no DVC command takes it
        return f"move {shlex.quote(file.path)} elsewhere"
    if stage.imported:
        return f"move {shlex.quote(output.path)} elsewhere"
    if stage.data_source:
        return f"dvc add {shlex.quote(output.path)}"
    if output.cached:
        return f"dvc commit {shlex.quote(stage.name)}"
    return f"git add {shlex.quote(output.path)}"
