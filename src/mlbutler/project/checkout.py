"""Puts whole artifacts that are absent from the work tree there, from the cache, without asking DVC file by file.

What is there already, parts of directories, and kinds of links that are rare are left to DVC's own checkout. Its state
database is told, so that DVC too hashes nothing afterwards.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from operator import itemgetter
from pathlib import Path
from typing import Any, Protocol

from mlbutler.errors import CorruptObject, DiskFull, ProjectError, StoreError
from mlbutler.project.load import one_line, relative
from mlbutler.project.model import Output
from mlbutler.project.signature import Signature, Status, signature_of
from mlbutler.project.telling import Telling
from mlbutler.store.files import duplicate, explained
from mlbutler.store.interface import ObjectId
from mlbutler.store.linking import MANY, Jobs, Linked, link_here, second
from mlbutler.store.manifest import parse_manifest
from mlbutler.store.whole import Whole

_MINE = 0.25
"""The share of a directory's links that is made here, while a second process makes the others."""
_KINDS = ("reflink", "hardlink", "copy")
_JOBS = 4
_AT_ONCE = 256


class Progress(Protocol):
    """Whoever shows a long operation."""

    def advance(self, objects: int = 0, nbytes: int = 0) -> None:
        """Count finished files."""
        ...


def lay_out(
    root: Path, repo: Any, cache: Path, outputs: Iterable[Output], progress: Progress | None = None,
    *, hardlink: bool = False, whole: Whole | None = None,
) -> dict[str, Signature | None]:  # fmt: skip
    """Put outputs into the work tree; returns the paths of those that are there now, whole, with their signatures.

    A directory is made under `.dvc/tmp` and renamed, so that a kill leaves nothing half there.

    Args:
        hardlink: link files where DVC's configuration (``cache.type``) does not say otherwise.
        whole: knows the files of the cache's objects.

    Raises:
        DiskFull: no space is left.
    """
    kinds = list(repo.cache.local.cache_types)
    if hardlink and not repo.config["cache"].get("type"):
        kinds = list(_KINDS)
    if not kinds or any(kind not in _KINDS for kind in kinds):
        return {}
    executable = _executable(repo)
    done: dict[str, Signature | None] = {}
    for output in outputs:
        path, recorded = root / output.path, output.recorded
        if recorded is None or recorded.oid is None or output.external or os.path.lexists(path):
            continue
        scratch = root / ".dvc" / "tmp" / f"mlbutler-{os.getpid()}-{len(done)}"
        try:
            files = dict(_files(cache, recorded.oid))
            scratch.parent.mkdir(parents=True, exist_ok=True)
            telling = Telling(repo, path, files)
            states = _fill(scratch, cache, files, kinds, output.path in executable, progress, whole, telling)
            path.parent.mkdir(parents=True, exist_ok=True)
            scratch.rename(path)
        except DiskFull:
            _clear(scratch)
            raise
        except (OSError, StoreError, CorruptObject):  # DVC's own checkout says what is the matter
            _clear(scratch)
            continue
        except BaseException:
            _clear(scratch)
            raise
        telling.after(states)
        done[output.path] = _signature(root, output.path, states, files)
    return done


def _signature(
    root: Path, path: str, states: Mapping[str, Status], files: Mapping[str, ObjectId]
) -> Signature | None:
    """None where it has to be looked at: a file that was renamed, or linked again, since has another status by now."""
    if "" in files or len(set(files.values())) < len(files):
        return None
    top = str(root / path)
    with suppress(OSError):
        return signature_of(root, path, [(f"{top}/{name}", status) for name, status in states.items()])
    return None


def by_dvc(root: Path, repo: Any, paths: Sequence[str]) -> None:
    """DVC's own checkout of artifacts, or of paths in them.

    Raises:
        ProjectError: a file is in the way or an object is not in the cache.
    """
    from dvc.exceptions import CheckoutError, DvcException

    if not paths:
        return
    targets = [str(root / path) for path in paths]
    try:
        repo.checkout(targets=targets, force=True, relink=False, recursive=False)
    except CheckoutError as error:
        shown = ", ".join(str(target) for target in error.target_infos[:5])
        raise ProjectError(f"DVC could not check out: {shown}", "Run `dvc checkout` to see why.") from error
    except DvcException as error:
        raise ProjectError(f"DVC could not check out: {one_line(error)}", "Run `dvc checkout` to see why.") from error


def _executable(repo: Any) -> frozenset[str]:
    outs = (out for stage in repo.index.stages for out in stage.outs)
    return frozenset(relative(repo, out)[0] for out in outs if getattr(out.meta, "isexec", False))


def _files(cache: Path, oid: ObjectId) -> Iterator[tuple[str, ObjectId]]:
    """Path below the artifact ('' for a file) and object of each of its files."""
    if not oid.is_directory:
        yield "", oid
        return
    content = parse_manifest((cache / oid.key).read_bytes(), oid)
    for relpath, md5 in content.items():
        yield relpath, ObjectId(md5, oid.legacy)


def _fill(
    scratch: Path, cache: Path, files: Mapping[str, ObjectId], kinds: list[str], executable: bool,
    progress: Progress | None, whole: Whole | None, telling: Telling,
) -> dict[str, Status]:  # fmt: skip
    """Make all files; their statuses."""
    _clear(scratch)
    if "" not in files:
        scratch.mkdir()
        for folder in sorted({path.rpartition("/")[0] for path in files} - {""}):
            (scratch / folder).mkdir(parents=True, exist_ok=True)
    left = list(kinds)
    bring = _bringer(left)
    place, store = str(scratch), str(cache)

    def make(some: list[tuple[str, ObjectId]]) -> list[tuple[str, os.stat_result]]:
        made = []
        for path, oid in some:
            target = f"{place}/{path}" if path else place
            bring(f"{store}/{oid.key}", target)
            if executable:
                os.chmod(target, os.stat(target).st_mode | 0o100)  # noqa: PTH101, PTH116
            made.append((path, os.stat(target)))  # noqa: PTH116 - for each of 50,000 files
        if progress is not None:
            progress.advance(objects=len(made))
        return made

    items = list(files.items())
    parts = [items[start : start + _AT_ONCE] for start in range(0, len(items), _AT_ONCE)]
    statuses: dict[str, Status] = {}
    try:
        if whole is not None and not executable and len(items) >= MANY and kinds != ["copy"]:
            statuses.update(make(parts.pop(0)))  # shows which kind of link works
            if left[0] == "hardlink":
                statuses |= _linked(scratch, cache, items[_AT_ONCE:], whole, progress, telling)
            rest = [item for item in items if item[0] not in statuses]
            parts = [rest[start : start + _AT_ONCE] for start in range(0, len(rest), _AT_ONCE)]
        while parts and (len(parts) == 1 or not statuses or left[0] != "copy"):  # for links, threads cost more
            statuses.update(make(parts.pop(0)))
        pool = ThreadPoolExecutor(_JOBS)
        try:
            for made in pool.map(make, parts):
                statuses.update(made)
        finally:
            pool.shutdown(cancel_futures=True)
    except OSError as error:
        raise explained(error, "putting data into the work tree", scratch.parent) from error
    return statuses


def _linked(
    place: Path, cache: Path, items: Sequence[tuple[str, ObjectId]], whole: Whole, progress: Progress | None,
    telling: Telling,
) -> dict[str, Status]:  # fmt: skip
    """Hardlink those of a directory's files whose objects are known; their statuses. A second process makes the links
    while this one tells DVC of them."""
    known = whole.statuses([oid for _, oid in items])
    jobs = [(oid, path, status) for path, oid in items if (status := known.get(oid)) is not None]
    jobs.sort(key=itemgetter(0))  # as they lie on the disk, which then writes half as much
    mine, others = Jobs.of(cache, place, jobs).split(_MINE)
    beside = second(others)

    def count(done: int) -> None:
        if progress is not None:
            progress.advance(objects=done)

    try:
        future = {path: Linked(status, time.time_ns()) for _, path, status in jobs}
        if beside is None:
            done = link_here(mine, count) + link_here(others, count)
        else:
            telling.before(future)
            done = link_here(mine, count) + beside.result()
            count(len(others))
    except BaseException:
        if beside is not None:
            beside.stop()
        raise
    when = time.time_ns()
    made = {path: future[path] for (_, path, _), one in zip(jobs, done, strict=True) if one}
    for linked in made.values():
        linked.st_ctime_ns = when
    return dict(made)


def _bringer(left: list[str]) -> Callable[[str, str], None]:
    """The first kind of link in `left` that works; those that do not are taken out of it."""

    def bring(source: str, target: str) -> None:
        while True:
            kind = left[0]
            try:
                duplicate(kind, source, target)
            except FileExistsError:  # made by a second process that was killed before it could say so
                os.unlink(target)  # noqa: PTH108
            except OSError:
                if kind == "copy" or len(left) == 1 or not os.path.exists(source):  # noqa: PTH110
                    raise
                with suppress(FileNotFoundError):
                    os.unlink(target)  # noqa: PTH108
                if left[0] == kind:  # another thread may have found out first
                    left.pop(0)
            else:
                return

    return bring


def _clear(scratch: Path) -> None:
    if scratch.is_dir() and not scratch.is_symlink():
        shutil.rmtree(scratch, ignore_errors=True)
    else:
        scratch.unlink(missing_ok=True)
