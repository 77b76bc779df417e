"""Put whole artifacts that are absent from the work tree in place, from the cache, without asking DVC file by file.

What is there already, parts of directories, and kinds of links that are rare are left to DVC's own checkout. What was
made is written into its state database, so that DVC too hashes nothing afterwards.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlbutler.errors import CorruptObject, ProjectError, StoreError
from mlbutler.project.directory_links import DirectoryLinks, EagerLinks, clear, make_folders, new_scratch
from mlbutler.project.dvc_state import DvcStateWriter
from mlbutler.project.load import one_line, relative
from mlbutler.project.model import Output
from mlbutler.state.fingerprint import Fingerprint, Status, tree_fingerprint
from mlbutler.state.verified import VerifiedObjects
from mlbutler.store.files import duplicate, explain_os_error
from mlbutler.store.interface import ObjectId
from mlbutler.store.linking import MANY
from mlbutler.store.manifest import parse_manifest
from mlbutler.store.transfer import ProgressSink

_KINDS = ("reflink", "hardlink", "copy")
_JOBS = 4
_AT_ONCE = 256


def lay_out(
    root: Path, repo: Any, cache: Path, outputs: Iterable[Output], progress: ProgressSink | None = None,
    *, hardlink: bool = False, verified: VerifiedObjects | None = None, early: EagerLinks | None = None,
) -> dict[str, Fingerprint | None]:  # fmt: skip
    """Put outputs into the work tree; returns the paths of those that are there now, whole, with their fingerprints.

    A directory is made under `.dvc/tmp` and renamed, so that a kill leaves nothing half there.

    Args:
        hardlink: link files where DVC's configuration (``cache.type``) does not say otherwise.
        verified: knows the files of the cache's objects. early: directories that have been begun.

    Raises:
        DiskFull: no space is left.
    """
    kinds = kinds_of_links(repo, hardlink=hardlink)
    if not kinds:
        return {}
    executable = executables(repo)
    done: dict[str, Fingerprint | None] = {}
    for output in outputs:
        path, recorded = root / output.path, output.recorded
        if recorded is None or recorded.oid is None or output.external or os.path.lexists(path):
            continue
        begun = early.pop(output.path) if early is not None else None
        scratch = begun.scratch if begun is not None else new_scratch(root)
        try:
            files = dict(_files(cache, recorded.oid))
            state_writer = DvcStateWriter(repo, path, files)
            if begun is None and "" not in files:
                make_folders(scratch, files)
            filling = _Filling(scratch, cache, kinds, progress, executable=output.path in executable)
            states = filling.fill(files, verified, state_writer, begun)
            path.parent.mkdir(parents=True, exist_ok=True)
            _move(scratch, path)
        except BaseException as error:
            if begun is not None:
                begun.stop()
            clear(scratch)
            if isinstance(error, OSError | StoreError | CorruptObject):  # DVC's own checkout says what is the matter
                continue
            raise
        state_writer.commit(states)
        done[output.path] = _fingerprint(root, output.path, states, files)
    return done


def _move(scratch: Path, path: Path) -> None:
    """Give what was made its name, unless something has got that name meanwhile.

    Raises:
        OSError: it has; what was made is still in its old place.
    """
    if scratch.is_dir():  # never replaces a folder that holds anything
        scratch.rename(path)
        return
    try:
        os.link(scratch, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        scratch.rename(path)
        return
    scratch.unlink()


def _fingerprint(
    root: Path, path: str, states: Mapping[str, Status], files: Mapping[str, ObjectId]
) -> Fingerprint | None:
    """Return the fingerprint of what was made, None where a file was renamed or linked again and its status changed."""
    if "" in files or len(set(files.values())) < len(files):
        return None
    top = str(root / path)
    with suppress(OSError):
        return tree_fingerprint(root, path, [(f"{top}/{name}", status) for name, status in states.items()])
    return None


def checkout_with_dvc(root: Path, repo: Any, paths: Sequence[str]) -> None:
    """Let DVC check out artifacts, or paths in them.

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


def kinds_of_links(repo: Any, *, hardlink: bool) -> list[str]:
    """Return how files may get into the work tree, the best first; none where only DVC can put them there.

    Args:
        hardlink: link files where DVC's configuration does not say otherwise.
    """
    kinds = list(repo.cache.local.cache_types)
    if hardlink and not repo.config["cache"].get("type"):
        kinds = list(_KINDS)
    return kinds if all(kind in _KINDS for kind in kinds) else []


def executables(repo: Any) -> frozenset[str]:
    """Return paths of outputs that are programs."""
    outs = (out for stage in repo.index.stages for out in stage.outs)
    return frozenset(relative(repo, out)[0] for out in outs if getattr(out.meta, "isexec", False))


def _files(cache: Path, oid: ObjectId) -> Iterator[tuple[str, ObjectId]]:
    """Return path below the artifact ('' for a file) and object of each of its files."""
    if not oid.is_directory:
        yield "", oid
        return
    content = parse_manifest((cache / oid.key).read_bytes(), oid)
    for relpath, md5 in content.items():
        yield relpath, ObjectId(md5, oid.legacy)


class _Filling:
    """Makes the files of one artifact at `scratch`, where the folders of a directory are already."""

    def __init__(
        self, scratch: Path, cache: Path, kinds: Sequence[str], progress: ProgressSink | None, *, executable: bool
    ) -> None:
        self._scratch, self._cache, self._executable, self._progress = scratch, cache, executable, progress
        self._left = list(kinds)
        self._bring = _bringer(self._left)

    def fill(
        self,
        files: Mapping[str, ObjectId],
        verified: VerifiedObjects | None,
        state_writer: DvcStateWriter,
        begun: DirectoryLinks | None,
    ) -> dict[str, Status]:
        """Make all files; return their statuses.

        Args:
            begun: those that are being made already.
        """
        statuses: dict[str, Status] = {}
        items = list(files.items())
        try:
            if verified is not None and not self._executable and len(items) >= MANY:
                statuses = self._hardlink_all(items, verified, state_writer, begun)
                items = [item for item in items if item[0] not in statuses]
            elif begun is not None:
                begun.stop()
            parts = [items[start : start + _AT_ONCE] for start in range(0, len(items), _AT_ONCE)]
            # For links, threads cost more than they bring.
            while parts and (len(parts) == 1 or not statuses or self._left[0] != "copy"):
                statuses.update(self._make(parts.pop(0)))
            pool = ThreadPoolExecutor(_JOBS)
            try:
                for made in pool.map(self._make, parts):
                    statuses.update(made)
            finally:
                pool.shutdown(cancel_futures=True)
        except OSError as error:
            raise explain_os_error(error, "putting data into the work tree", self._scratch.parent) from error
        return statuses

    def _hardlink_all(
        self,
        items: list[tuple[str, ObjectId]],
        verified: VerifiedObjects,
        state_writer: DvcStateWriter,
        begun: DirectoryLinks | None,
    ) -> dict[str, Status]:
        """Return what could be hardlinked at once."""
        statuses: dict[str, Status] = {}
        if begun is None:
            first, rest = items[:_AT_ONCE], items[_AT_ONCE:]
            if self._left[0] != "copy":
                statuses.update(self._make(first))  # shows which kind of link works
            if self._left[0] != "hardlink":
                return statuses
            known = verified.fingerprints([oid for _, oid in rest])
            begun = DirectoryLinks(self._scratch, self._cache, rest, known)
        return statuses | begun.finish(verified, state_writer, self._progress)

    def _make(self, some: list[tuple[str, ObjectId]]) -> list[tuple[str, os.stat_result]]:
        made = []
        for path, oid in some:
            target = f"{self._scratch}/{path}" if path else str(self._scratch)
            self._bring(f"{self._cache}/{oid.key}", target)
            if self._executable:
                os.chmod(target, os.stat(target).st_mode | 0o100)  # noqa: PTH101, PTH116
            made.append((path, os.stat(target)))  # noqa: PTH116 - for each of 50,000 files
        if self._progress is not None:
            self._progress.advance(objects=len(made))
        return made


def _bringer(left: list[str]) -> Callable[[str, str], None]:
    """Return a function that uses the first kind of link in `left` that works; it removes those that do not."""

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
