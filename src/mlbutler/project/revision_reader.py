"""One revision of the project while it is read: what is recorded, and the contents of its small files."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from mlbutler.comparison.snapshot import (
    ArtifactState,
    DirectoryEntry,
    PlotDefinition,
    Snapshot,
    Source,
    StageDefinition,
    StageParams,
    Stored,
)
from mlbutler.comparison.tables import is_table
from mlbutler.project.data import ProjectData
from mlbutler.project.model import Output, Stage, Stages
from mlbutler.project.overlooked import find_overlooked_file, why
from mlbutler.project.plot_definitions import definitions, plot_paths
from mlbutler.project.worktree import partial_directories
from mlbutler.store.interface import ObjectId

LARGEST = 20 * 1024 * 1024
"""Bytes of the largest metric, parameter or plot file that is read."""

TOO_LARGE = f"larger than {LARGEST // 1024 // 1024} MB: not read"
LEADS_OUT = "it lies outside the project: not read"
UNASKED = "the remote could not be asked"
_NOWHERE = "in neither cache, mirror nor remote"
_NOT_HERE = "in neither cache nor mirror; the remote was not asked"
_NO_REMOTE = "in neither cache nor mirror, and no remote is configured"
_MISSING = Source(None, "the file is missing", absent=True)
_NOT_FOUND = "not found in"
_DEFAULT_PARAMS = "params.yaml"


def leads_out(root: Path, file: Path) -> bool:
    """Tell whether it lies outside the project, by its name or by a link that DVC did not make.

    A pull request may name any path in dvc.yaml: files outside must not get into the report.
    """
    outside = not file.resolve().is_relative_to(root.resolve())
    return outside and not (file.is_symlink() and _is_dvc_link(root, file))


def _is_dvc_link(root: Path, file: Path) -> bool:
    """Tell whether a link is DVC's: ``cache.type = symlink`` makes outputs links into a cache outside the project."""
    return "/files/md5/" in file.resolve().as_posix() and (root / ".dvc").is_dir()


class Tracked(Protocol):
    """The files of one revision that Git keeps."""

    def ahead(self, paths: Iterable[str]) -> None:
        """Read these paths together, before they are asked for one by one."""
        ...

    def __call__(self, path: str) -> Source | None:
        """Return the file's content, or why it was not read; None when there is none."""
        ...

    def below(self, path: str) -> tuple[str, ...]:
        """Return the files below a folder, none when it is no folder."""
        ...


class RevisionReader:
    """One revision while it is read.

    Args:
        problem: which of DVC's own files could not be read, '' for none: what they record is not known.
        declared: could every dvc.yaml be read?
    """

    def __init__(
        self,
        project: ProjectData,
        repo: Any,
        stages: Stages,
        revision: str,
        tracked: Tracked,
        problem: str = "",
        *,
        declared: bool = True,
    ) -> None:
        self._project, self._repo, self.stages, self._revision = project, repo, stages, revision
        self._tracked, self.problem, self.declared = tracked, problem, declared
        self._same: frozenset[str] = frozenset()

    def read_snapshot(self, same: frozenset[str], tables: Sequence[str] = ()) -> Snapshot:
        """Return everything that is compared, without plots whose files are all in `same`."""
        self._tracked.ahead(path for path in self._named_paths() if not self.is_object(path))
        metrics = dict.fromkeys(self.metric_paths())
        self._same = same
        plots = [d for d in self.plots() if not all(self._is_same(file, same) for file in d.files)]
        files = dict.fromkeys(file for plot in plots for file in (*plot.files, *plot.xs))
        params = tuple(self.param_paths())
        self._tracked.ahead(path for path in (*metrics, *params, *files) if not self.is_object(path))
        artifacts = {
            artifact.path: self._artifact(artifact.path, out, same)
            for artifact, (_, out) in ((a, self.stages.owners[a.path]) for a in self.stages.artifacts())
            if out.cached and out.kind == "data" and out.recorded is not None
        }
        return Snapshot(
            revision=self._revision,
            metrics={path: self._source(path) for path in metrics},
            params={path: self._source(path) for path in params},
            stage_params=tuple(
                StageParams(stage.name, _read_by(stage), self.stages.followers[stage.name])
                for stage in self.stages.pipeline()
                if stage.params or stage.variables
            ),
            plots=tuple(plots),
            plot_data={path: self._source(path) for path in files},
            tables={name: stored for path in tables for name, stored in self._tables(path, same)},
            artifacts=artifacts,
            local_tables=dict(self._changed_tables(artifacts, same)),
            definitions=tuple(map(_definition, self.stages.pipeline())) if self.declared else None,
            problem=self.problem,
        )

    def _is_same(self, path: str, same: frozenset[str]) -> bool:
        owner = self.stages.owner(path)
        return owner is not None and owner[1].path in same

    # ------------------------------------------------------------------------------------- contents

    def sources(self, paths: Sequence[str], *, remote: bool = True) -> dict[str, Source]:
        """Return these files' contents.

        Args:
            remote: may a file that neither cache nor mirror holds be brought from the remote?
        """
        self._tracked.ahead(path for path in paths if not self.is_object(path))
        return {path: self._source(path, remote=remote) for path in paths}

    def is_object(self, path: str) -> bool:
        """Tell whether it is read from cache, mirror or remote."""
        owner = self.stages.owner(path)
        if owner is None or not owner[1].cached:
            return False
        return bool(self._revision) or not (self._project.root / path).is_file()

    def _source(self, path: str, *, remote: bool = True) -> Source:
        owner = self.stages.owner(path)
        if owner is not None and self.is_object(path):
            return self._object(path, owner[1], remote=remote)
        found = self._tracked(path)
        if found is None:  # what a file of DVC's that cannot be read declares might be its owner
            may_be_overlooked = owner is None and not self._revision
            file = find_overlooked_file(self._project.root, self.stages, path) if may_be_overlooked else ""
            unseen = why(file) if file else self.problem if owner is None else ""
            return Source(None, unseen) if unseen else _MISSING
        if owner is None or found.content is None or not self._is_same(path, self._same):
            return found
        out = owner[1]  # in the work tree it need not be what is recorded
        present = self._project.tree.hash(out.path, out.recorded.algorithm) if out.recorded else None
        as_recorded = present is not None and out.recorded is not None and present.same_as(out.recorded)
        return dataclasses.replace(found, identity=self._identity(path, out)) if as_recorded else found

    def _identity(self, path: str, out: Output) -> str:
        """Return what is recorded of `path`: the hash of the output that it is, or lies in."""
        return f"{out.recorded.value} {path[len(out.path) + 1 :]}".rstrip() if out.recorded is not None else ""

    def _object(self, path: str, out: Output, *, remote: bool) -> Source:
        if out.recorded is None or out.recorded.oid is None:
            if self.problem:
                return Source(None, self.problem)
            return Source(None, "no content hash is recorded", absent=out.recorded is None)
        identity = self._identity(path, out)
        oid, problem = self._find_object(path, out, remote=remote)
        if oid is None:
            absent = problem.startswith(_NOT_FOUND)
            return Source(None, problem, absent=absent, identity="" if absent else identity)
        if path == out.path and (out.recorded.size or 0) > LARGEST:
            return Source(None, TOO_LARGE, identity=identity)
        content = self._project.objects.content(oid, LARGEST, remote=remote)
        return Source(content, "" if content is not None else self._nowhere(remote=remote), identity=identity)

    def _nowhere(self, *, remote: bool = True) -> str:
        """Return why an object is not available here."""
        trouble = self._project.objects.problem
        if trouble is not None:
            return f"{UNASKED}: {trouble.message}"
        if self._project.remote_name is None:
            return _NO_REMOTE
        return _NOWHERE if remote else _NOT_HERE

    def _find_object(self, path: str, out: Output, *, remote: bool = True) -> tuple[ObjectId | None, str]:
        """Return the object that is recorded for `path`, which may lie inside `out`; or why there is none."""
        oid = out.recorded.oid if out.recorded else None
        if oid is None:
            return None, "no content hash is recorded"
        if path != out.path:
            manifest = self._project.objects.manifest(oid, remote=remote)
            md5 = (manifest or {}).get(path[len(out.path) + 1 :])
            if md5 is None:
                why = f"{_NOT_FOUND} {out.path}" if manifest is not None else self._nowhere(remote=remote)
                return None, why
            oid = type(oid)(md5, oid.legacy)
        return oid, ""

    def _tables(self, path: str, same: frozenset[str]) -> Iterator[tuple[str, Stored]]:
        """Return the file, or the tables in the directory; those are not brought from the remote one by one."""
        owner = self.stages.owner(path)
        oid = owner[1].recorded.oid if owner is not None and owner[1].recorded else None
        if owner is None or oid is None or not oid.is_directory or path != owner[1].path:
            yield path, self._stored_file(path)
            return
        if path in same:  # what lies in the work tree of it says nothing more
            for name, md5 in (self._project.objects.manifest(oid) or {}).items():
                if is_table(name):
                    locate = partial(self._project.objects.object_file, ObjectId(md5, oid.legacy), remote=False)
                    yield f"{path}/{name}", Stored(locate=locate, explain=self._nowhere, identity=md5)
            return
        names = self._files(owner[1])
        if path in partial_directories(self._project.root):
            names = (f"{path}/{name}" for name in self._project.objects.manifest(oid) or {})
        for name in names:
            if is_table(name):
                yield name, self._stored_file(name, remote=False)

    def _stored_file(self, path: str, *, remote: bool = True) -> Stored:
        """Return a file of any size: in the work tree as it is there, else as recorded."""
        owner = self.stages.owner(path)
        if owner is None or not owner[1].cached:
            found = self._tracked(path) or _MISSING
            identity = hashlib.sha256(found.content).hexdigest() if found.content is not None else ""
            return Stored(content=found.content, problem=found.problem, identity=identity)
        if not self._revision and (self._project.root / path).is_file():
            if leads_out(self._project.root, self._project.root / path):
                return Stored(problem=LEADS_OUT)
            recorded = owner[1].recorded if path == owner[1].path else None
            present = self._project.tree.hash(path, recorded.algorithm) if recorded else None
            return Stored(path=self._project.root / path, identity=present.value if present else "")
        oid, problem = self._find_object(path, owner[1])
        if oid is None:
            return Stored(problem=problem)
        return Stored(
            locate=partial(self._project.objects.object_file, oid, remote=remote),
            explain=self._nowhere,
            identity=oid.md5,
        )

    def _changed_tables(
        self, artifacts: Mapping[str, ArtifactState], same: frozenset[str]
    ) -> Iterator[tuple[str, Stored]]:
        """Return the tables among the artifacts that are not the same on both sides."""
        for path, artifact in artifacts.items():
            recorded = self.stages.owners[path][1].recorded
            oid = recorded.oid if recorded is not None else None
            if path in same or oid is None:
                continue
            files = [(f"{path}/{e.path}", e.hash) for e in artifact.entries or ()] or [(path, oid.md5)]
            for name, md5 in files:
                if is_table(name):
                    locate = partial(self._project.objects.object_file, ObjectId(md5, oid.legacy), remote=False)
                    yield name, Stored(locate=locate, explain=self._nowhere, identity=md5)

    def _artifact(self, path: str, out: Output, same: frozenset[str]) -> ArtifactState:
        assert out.recorded is not None
        oid = out.recorded.oid
        directory = oid is not None and oid.is_directory
        entries: tuple[DirectoryEntry, ...] | None = None
        problem = ""
        if directory and oid is not None and path not in same:
            manifest = self._project.objects.manifest(oid)
            if manifest is None:
                problem = f"its manifest: {self._nowhere()}"
            else:
                entries = tuple(DirectoryEntry(name, md5) for name, md5 in manifest.items())
        return ArtifactState(
            path, out.recorded.value, out.recorded.size, out.recorded.files, directory, entries, problem
        )

    # ---------------------------------------------------------------------------------- what counts

    def _named_paths(self) -> Iterator[str]:
        """Return what dvc.yaml names, files and folders: nearly all that is read, so that it is read at once."""
        index = self._repo.index
        yield from (out.path for stage in self.stages.pipeline() for out in stage.outputs if out.kind != "data")
        for declared in (index._metrics, index._params):
            yield from (self._below(file, str(path)) for file, paths in declared.items() for path in paths)
        yield from (self._below(file, path) for file, plots in index._plots.items() for path in plot_paths(plots))
        yield from (path for stage in self.stages.pipeline() for path in _read_by(stage))
        yield _DEFAULT_PARAMS

    def metric_paths(self) -> Iterator[str]:
        """Return every metrics file, some perhaps twice."""
        for stage in self.stages.pipeline():
            for out in stage.outputs:
                if out.kind == "metric" and not out.external:
                    yield from self._files(out)
        yield from self._top_level(self._repo.index._metrics)

    def plots(self) -> Iterator[PlotDefinition]:
        """Return every plot, once."""
        return definitions(self._repo, self.stages, self._files, self._below, self._expand_folders)

    def param_paths(self) -> Iterator[str]:
        """Return every file of parameters, once."""
        found = dict.fromkeys(path for stage in self.stages.pipeline() for path in _read_by(stage))
        found.update(dict.fromkeys(self._top_level(self._repo.index._params)))
        if _DEFAULT_PARAMS not in found and self._tracked(_DEFAULT_PARAMS) is not None:
            found[_DEFAULT_PARAMS] = None
        return iter(found)

    def _top_level(self, declared: Mapping[str, Iterable[str]]) -> Iterator[str]:
        named = [self._below(file, str(path)) for file, paths in declared.items() for path in paths]
        files = self._expand_folders(named)
        return (file for path in named for file in files[path])

    def _expand_folders(self, paths: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Return each path with its files: those below it, when it is a folder, as DVC takes it."""
        named = tuple(dict.fromkeys(paths))
        self._tracked.ahead(path for path in named if not self.is_object(path))
        return {path: self._inside(path) or (path,) for path in named}

    def _inside(self, path: str) -> tuple[str, ...]:
        owner = self.stages.owner(path)
        oid = owner[1].recorded.oid if owner is not None and owner[1].recorded is not None else None
        if owner is not None and oid is not None and oid.is_directory:
            return tuple(file for file in self._files(owner[1]) if file.startswith(f"{path}/"))
        if self.is_object(path) or self._tracked(path) is not None:
            return ()
        return self._tracked.below(path)

    def _below(self, file: str, path: str) -> str:
        """Return `path`, which `file` names relative to its own folder, from the project's root."""
        files = self._repo.fs
        joined = files.normpath(files.join(files.parent(file), path.replace("\\", "/")))
        return str(files.relpath(joined, self._repo.root_dir)).replace("\\", "/")

    def _files(self, out: Output) -> Iterator[str]:
        """Return the output itself, or its files when it is a directory."""
        oid = out.recorded.oid if out.recorded else None
        if oid is None or not oid.is_directory:
            yield out.path
            return
        folder = self._project.root / out.path
        if not self._revision and folder.is_dir():
            found = (file.relative_to(self._project.root) for file in sorted(folder.rglob("*")) if file.is_file())
            yield from (file.as_posix() for file in found)
        elif out.cached:
            manifest = self._project.objects.manifest(oid)
            # Without its manifest the directory stands for its files: perhaps it is the same on both sides.
            yield from (f"{out.path}/{name}" for name in manifest) if manifest is not None else (out.path,)
        else:
            yield from self._tracked.below(out.path)


def _definition(stage: Stage) -> StageDefinition:
    params = (f"{file.path}:{name}" if name else file.path for file in stage.params for name in file.names or ("",))
    return StageDefinition(
        name=stage.name,
        command=stage.command,
        directory=stage.directory,
        frozen=stage.frozen,
        always=stage.always,
        dependencies=tuple(dependency.path for dependency in stage.dependencies),
        params=tuple(params),
        outputs={out.path: _kind(out) for out in stage.outputs},
    )


def _kind(out: Output) -> str:
    flags = [
        *(["cache: false"] if not out.cached else []),
        *(["persist: true"] if out.persist else []),
        *(["push: false"] if not out.can_push else []),
        *([f"remote: {out.remote}"] if out.remote else []),
    ]
    return ", ".join(["out" if out.kind == "data" else out.kind, *flags])


def _read_by(stage: Stage) -> dict[str, tuple[str, ...]]:
    """Return the parameters that a stage depends on and those filled into its definition; () is the whole file."""
    found = dict(stage.variables)
    for params in stage.params:
        known = found.get(params.path)
        found[params.path] = (*params.names, *known) if params.names and known else params.names
    return found
