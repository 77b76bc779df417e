"""Reads what is compared: at a commit through Git's objects, and in the work tree. No checkout is made.

What is the same object on both sides is not read at all, so that a change which touches no data fetches none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlbutler.compare.snapshot import Artifact, Entry, PlotDefinition, Snapshot, Source, StageParams, Stored
from mlbutler.compare.tables import is_table
from mlbutler.project.load import load_stages
from mlbutler.project.model import Output, Stages
from mlbutler.project.worktree import partial_directories
from mlbutler.store.interface import ObjectId

if TYPE_CHECKING:
    from mlbutler.project.project import Project

LARGEST = 20 * 1024 * 1024
"""Bytes of the largest metric, parameter or plot file that is read."""

_TOO_LARGE = f"larger than {LARGEST // 1024 // 1024} MB: not read"
_LEADS_OUT = "a link that leads out of the project: not read"
_NOWHERE = "in neither cache, mirror nor remote"
_DEFAULT_PARAMS = "params.yaml"


def read_snapshots(
    project: Project, base: str | None, prefix: str, tables: Sequence[str] = ()
) -> tuple[Snapshot, Snapshot]:
    """The commit `base` (an empty snapshot when None or when it holds no project) and the work tree.

    Args:
        tables: paths of files that are compared row by row; they may be of any size.

    Raises:
        ProjectError: one of them cannot be read.
    """
    new = _Side(project, project.repo, project.stages, "", lambda path: _from_disk(project.root, path))
    old = _at_commit(project, base, prefix) if base else None
    same = _same_objects(old.stages, new.stages) if old else frozenset()
    empty = Snapshot(base or "")
    return (old.read(same, tables) if old else empty), new.read(same, tables)


def _at_commit(project: Project, base: str, prefix: str) -> _Side | None:
    from dvc.exceptions import NotDvcRepoError
    from dvc.fs import GitFileSystem
    from dvc.repo import Repo
    from dvc.scm import SCM

    scm = SCM(str(project.root))
    files = GitFileSystem(scm=scm, rev=base)
    try:
        repo = Repo("/" + prefix.rstrip("/"), fs=files, scm=scm)
        inside = repo.root_dir.strip("/") == prefix.rstrip("/")
    except NotDvcRepoError:
        inside = False
    if not inside:  # the project, or its folder, is new in this change
        return None
    git = _git(project)
    return _Side(project, repo, load_stages(repo, read_params=False), base, lambda path: git(base, prefix + path))


def _git(project: Project) -> Callable[[str, str], Source | None]:
    from mlbutler.git import Git

    git = Git(project.root)

    def read(rev: str, path: str) -> Source | None:
        size = git.run("cat-file", "-s", f"{rev}:{path}", check=False)
        if size.code == 0 and size.text.isdigit() and int(size.text) > LARGEST:
            return Source(None, _TOO_LARGE)
        content = git.show(rev, path)
        return None if content is None else Source(content)

    return read


def _from_disk(root: Path, path: str) -> Source | None:
    file = root / path
    try:
        if _leads_out(root, file):
            return Source(None, _LEADS_OUT)
        if not file.is_file():
            return None
        if file.stat().st_size > LARGEST:
            return Source(None, _TOO_LARGE)
        return Source(file.read_bytes())
    except OSError as error:
        return Source(None, f"cannot be read: {error.strerror}")


def _leads_out(root: Path, file: Path) -> bool:
    outside = not file.resolve().is_relative_to(root.resolve())
    return outside and file.is_symlink() and not _is_dvc_link(root, file)


def _is_dvc_link(root: Path, file: Path) -> bool:
    """With ``cache.type = symlink`` DVC's outputs are links into a cache outside the project."""
    return "/files/md5/" in file.resolve().as_posix() and (root / ".dvc").is_dir()


def _same_objects(old: Stages, new: Stages) -> frozenset[str]:
    """Cached outputs that are recorded as the same object on both sides."""
    return frozenset(
        path
        for path, (_, out) in new.owners.items()
        if (before := old.owners.get(path)) is not None
        and out.cached
        and before[1].cached
        and out.recorded is not None
        and before[1].recorded is not None
        and out.recorded.same_as(before[1].recorded)
    )


class _Side:
    """One revision while it is read."""

    def __init__(
        self,
        project: Project,
        repo: Any,
        stages: Stages,
        revision: str,
        tracked: Callable[[str], Source | None],
    ) -> None:
        self._project, self._repo, self.stages, self._revision = project, repo, stages, revision
        self._tracked = tracked

    def read(self, same: frozenset[str], tables: Sequence[str] = ()) -> Snapshot:
        """Everything that is compared; plots in `same` are left out."""
        metrics = dict.fromkeys(self._metric_paths())
        definitions = [d for d in self._plots() if not all(self._is_same(file, same) for file in d.files)]
        files = dict.fromkeys(file for definition in definitions for file in definition.files)
        return Snapshot(
            revision=self._revision,
            metrics={path: self._source(path) for path in metrics},
            params={path: self._source(path) for path in self._param_paths()},
            stage_params=tuple(
                StageParams(stage.name, {p.path: p.names for p in stage.params})
                for stage in self.stages.pipeline()
                if stage.params
            ),
            plots=tuple(definitions),
            plot_data={path: self._source(path) for path in files},
            tables={name: stored for path in tables for name, stored in self._tables(path, same)},
            artifacts={
                artifact.path: self._artifact(artifact.path, out, same)
                for artifact, (_, out) in ((a, self.stages.owners[a.path]) for a in self.stages.artifacts())
                if out.cached and out.kind == "data" and out.recorded is not None
            },
        )

    def _is_same(self, path: str, same: frozenset[str]) -> bool:
        owner = self.stages.owner(path)
        return owner is not None and owner[1].path in same

    # ------------------------------------------------------------------------------------- contents

    def _source(self, path: str) -> Source:
        owner = self.stages.owner(path)
        if owner is not None and owner[1].cached and (self._revision or not (self._project.root / path).is_file()):
            return self._object(path, owner[1])
        found = self._tracked(path)
        return found if found is not None else Source(None, "the file is missing")

    def _object(self, path: str, out: Output) -> Source:
        oid, problem = self._identified(path, out)
        if oid is None:
            return Source(None, problem)
        if path == out.path and out.recorded is not None and (out.recorded.size or 0) > LARGEST:
            return Source(None, _TOO_LARGE)
        content = self._project.content(oid, LARGEST)
        return Source(content) if content is not None else Source(None, _NOWHERE)

    def _identified(self, path: str, out: Output) -> tuple[ObjectId | None, str]:
        """The object that is recorded for `path`, which may lie inside `out`; or why there is none."""
        oid = out.recorded.oid if out.recorded else None
        if oid is None:
            return None, "no content hash is recorded"
        if path != out.path:
            manifest = self._project.manifest(oid)
            md5 = (manifest or {}).get(path[len(out.path) + 1 :])
            if md5 is None:
                return None, f"not found in {out.path}"
            oid = type(oid)(md5, oid.legacy)
        return oid, ""

    def _tables(self, path: str, same: frozenset[str]) -> Iterator[tuple[str, Stored]]:
        """The file, or the tables in the directory; those are not brought from the remote one by one."""
        owner = self.stages.owner(path)
        oid = owner[1].recorded.oid if owner is not None and owner[1].recorded else None
        if owner is None or oid is None or not oid.is_directory or path != owner[1].path:
            yield path, self._stored(path)
            return
        if path in same:  # what lies in the work tree of it says nothing more
            for name, md5 in (self._project.manifest(oid) or {}).items():
                if is_table(name):
                    locate = partial(self._project.object_file, ObjectId(md5, oid.legacy), remote=False)
                    yield f"{path}/{name}", Stored(locate=locate, problem=_NOWHERE, identity=md5)
            return
        names = self._files(owner[1])
        if path in partial_directories(self._project.root):
            names = (f"{path}/{name}" for name in self._project.manifest(oid) or {})
        for name in names:
            if is_table(name):
                yield name, self._stored(name, remote=False)

    def _stored(self, path: str, *, remote: bool = True) -> Stored:
        """A file of any size: in the work tree as it is there, else as recorded."""
        owner = self.stages.owner(path)
        if owner is None or not owner[1].cached:
            found = self._tracked(path) or Source(None, "the file is missing")
            identity = hashlib.sha256(found.content).hexdigest() if found.content is not None else ""
            return Stored(content=found.content, problem=found.problem, identity=identity)
        if not self._revision and (self._project.root / path).is_file():
            if _leads_out(self._project.root, self._project.root / path):
                return Stored(problem=_LEADS_OUT)
            recorded = owner[1].recorded if path == owner[1].path else None
            present = self._project.tree.hash(path, recorded.algorithm) if recorded else None
            return Stored(path=self._project.root / path, identity=present.value if present else "")
        oid, problem = self._identified(path, owner[1])
        if oid is None:
            return Stored(problem=problem)
        return Stored(
            locate=partial(self._project.object_file, oid, remote=remote), problem=_NOWHERE, identity=oid.md5
        )

    def _artifact(self, path: str, out: Output, same: frozenset[str]) -> Artifact:
        assert out.recorded is not None
        oid = out.recorded.oid
        directory = oid is not None and oid.is_directory
        entries: tuple[Entry, ...] | None = None
        problem = ""
        if directory and oid is not None and path not in same:
            manifest = self._project.manifest(oid)
            if manifest is None:
                problem = "its manifest is in neither cache, mirror nor remote"
            else:
                entries = tuple(Entry(name, md5) for name, md5 in manifest.items())
        return Artifact(path, out.recorded.value, out.recorded.size, out.recorded.files, directory, entries, problem)

    # ---------------------------------------------------------------------------------- what counts

    def _metric_paths(self) -> Iterator[str]:
        for stage in self.stages.pipeline():
            for out in stage.outputs:
                if out.kind == "metric" and not out.external:
                    yield from self._files(out)
        yield from self._top_level(self._repo.index._metrics)

    def _param_paths(self) -> Iterator[str]:
        found = dict.fromkeys(p.path for stage in self.stages.pipeline() for p in stage.params)
        found.update(dict.fromkeys(self._top_level(self._repo.index._params)))
        if _DEFAULT_PARAMS not in found and self._tracked(_DEFAULT_PARAMS) is not None:
            found[_DEFAULT_PARAMS] = None
        return iter(found)

    def _top_level(self, declared: Mapping[str, Iterable[str]]) -> Iterator[str]:
        for file, paths in declared.items():
            for path in paths:
                yield self._below(file, str(path))

    def _below(self, file: str, path: str) -> str:
        """`path`, which `file` names relative to its own folder, from the project's root."""
        files = self._repo.fs
        joined = files.normpath(files.join(files.parent(file), path.replace("\\", "/")))
        return str(files.relpath(joined, self._repo.root_dir)).replace("\\", "/")

    def _files(self, out: Output) -> Iterator[str]:
        """The output itself, or its files when it is a directory."""
        oid = out.recorded.oid if out.recorded else None
        if oid is None or not oid.is_directory:
            yield out.path
            return
        folder = self._project.root / out.path
        if not self._revision and folder.is_dir():
            found = (file.relative_to(self._project.root) for file in sorted(folder.rglob("*")) if file.is_file())
            yield from (file.as_posix() for file in found)
        elif out.cached:
            yield from (f"{out.path}/{name}" for name in self._project.manifest(oid) or {})

    # ---------------------------------------------------------------------------------------- plots

    def _plots(self) -> Iterator[PlotDefinition]:
        seen = set()
        for definition in (*self._top_level_plots(), *self._output_plots()):
            if definition.id not in seen:
                seen.add(definition.id)
                yield definition

    def _output_plots(self) -> Iterator[PlotDefinition]:
        by_path = {
            self._repo.fs.relpath(out.fs_path, self._repo.root_dir).replace("\\", "/"): out.plot
            for stage in self._repo.index.stages
            for out in stage.outs
            if out.plot and out.protocol == "local"
        }
        for path, props in by_path.items():
            owner = self.stages.owner(path)
            if owner is None:
                continue
            for file in self._files(owner[1]):
                yield _definition(file, props if isinstance(props, Mapping) else {}, lambda path: path)

    def _top_level_plots(self) -> Iterator[PlotDefinition]:
        for dvcfile, plots in self._repo.index._plots.items():
            for name, props in _named(plots):
                by_id = isinstance(props.get("y"), Mapping) or isinstance(props.get("x"), Mapping)
                if by_id:
                    yield _definition(name, props, lambda path, file=dvcfile: self._below(file, path))
                    continue
                path = self._below(dvcfile, name)
                owner = self.stages.owner(path)
                files = list(self._files(owner[1])) if owner and owner[1].path == path else [path]
                for file in files:
                    yield _definition(file, props, lambda path: path)


def _named(plots: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The entries of ``plots:``, which is a mapping or a list of names and mappings."""
    for item in plots if isinstance(plots, list) else [plots]:
        if isinstance(item, Mapping):
            for name, props in item.items():
                yield str(name), props if isinstance(props, Mapping) else {}
        else:
            yield str(item), {}


def _definition(name: str, props: Mapping[str, Any], locate: Callable[..., str]) -> PlotDefinition:
    """One plot; `name` is a file's path unless `y` (or `x`) maps files to fields."""
    y: dict[str, tuple[str, ...]] = {}
    given = props.get("y")
    if isinstance(given, Mapping):
        y = {locate(str(file)): _fields(fields) for file, fields in given.items()}
        files = tuple(y)
    elif isinstance(props.get("x"), Mapping):
        files = tuple(locate(str(file)) for file in props["x"])
        y = {file: _fields(given) for file in files}
    else:
        files = (name,)
        y = {name: _fields(given)} if given else {}
    x = props.get("x")
    if isinstance(x, Mapping):
        x = next(iter(x.values()), "")
    return PlotDefinition(
        id=name,
        files=files,
        x=str(x or ""),
        y=y,
        title=str(props.get("title") or ""),
        template=str(props.get("template") or ""),
        header=bool(props.get("header", True)),
    )


def _fields(value: Any) -> tuple[str, ...]:
    if isinstance(value, (list, tuple)):
        return tuple(str(item) for item in value)
    return (str(value),) if value else ()
