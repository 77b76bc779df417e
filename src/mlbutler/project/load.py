"""From DVC's own objects to `model.Stages`. DVC resolves templates, `foreach`, `matrix` and includes."""

from __future__ import annotations

import dataclasses
import os
import posixpath
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mlbutler.errors import MlbutlerError, ProjectError
from mlbutler.parsing import Unreadable, decoded, parse_yaml
from mlbutler.project.dvc_yaml import cached_lock, guard
from mlbutler.project.model import LEGACY_MD5, MD5, Dependency, Output, ParamsFile, Recorded, Stage, Stages
from mlbutler.project.plain_paths import plain_paths
from mlbutler.project.stage_order import order_stages
from mlbutler.secrets import without_userinfo
from mlbutler.store.missing_plugins import replace_missing_plugins

_PLAIN = re.compile(r"[^./][^/]*(?:/[^./][^/]*)*").fullmatch
_MD5 = re.compile(r"[0-9a-f]{32}(?:\.dir)?")


def load_stages(repo: Any, *, read_params: bool = True) -> Stages:
    """Return all stages of an opened `dvc.repo.Repo`, in topological order.

    Args:
        repo: at the work tree or at a revision.
        read_params: read current parameter values too.

    Raises:
        ProjectError: dvc.yaml, dvc.lock or a .dvc file cannot be read, or stages contradict each other.
    """
    guard()
    try:
        with replace_missing_plugins(), plain_paths():
            found = order_stages(repo.index)
        locks = _Locks(repo)
        stages = tuple(_stage(repo, stage, locks, read_params) for stage in found)
        return Stages(stages, orphans=tuple(_orphans(repo, found, locks)))
    except MlbutlerError:
        raise
    except Exception as error:  # DVC raises whatever its parsers, Python or the file system do
        problem, remedy = _fault(repo, error)
        raise ProjectError(f"The DVC project cannot be read: {problem}", remedy) from error


def _fault(repo: Any, error: Exception) -> tuple[str, str]:
    from mlbutler.project.common_faults import common_fault

    path = getattr(error, "path", None)
    if isinstance(path, str) and (found := common_fault(repo, path)) is not None:
        return f"{path}: {found[0]}", found[1]
    return one_line(error), "Fix the file; `dvc status` shows the same error."


def one_line(error: BaseException) -> str:
    """Return a DVC error's message and its cause on one line."""
    if isinstance(error, RecursionError | MemoryError):
        return "a file is nested too deeply, or too large"
    texts = [" ".join(str(error).split())]
    if error.__cause__ is not None and (cause := " ".join(str(error.__cause__).split())):
        texts.append(cause)
    return ": ".join(dict.fromkeys(filter(None, texts))) or type(error).__name__


def relative(repo: Any, item: Any) -> tuple[str, bool]:
    """Return (path from the project's root with '/', is it outside the project) of a DVC output or dependency."""
    from dvc.fs import LocalFileSystem

    if item.protocol != "local":
        return str(item.def_path), True
    if not isinstance(repo.fs, LocalFileSystem):
        return _relative_in_git(repo, item)
    if (inside := _below(repo.root_dir, item.fs_path)) is not None:
        return inside, False
    if not repo.fs.isin_or_eq(item.fs_path, repo.root_dir):
        return str(item.fs_path), True
    return repo.fs.relpath(item.fs_path, repo.root_dir).replace("\\", "/"), False


def _from_root(repo: Any, path: str) -> str:
    """Return a path of DVC's from the project's root, with '/'."""
    inside = _below(repo.root_dir, path)
    return inside if inside is not None else str(repo.fs.relpath(path, repo.root_dir)).replace("\\", "/")


def _below(root: str, path: str) -> str | None:
    """Return an absolute path from `root`, which it is plainly below, as most are; None for DVC to say where it is."""
    top = f"{root}{os.sep}"
    inside = path[len(top) :].replace("\\", "/")
    return inside if path.startswith(top) and _PLAIN(inside) else None


def _relative_in_git(repo: Any, item: Any) -> tuple[str, bool]:
    """Return what `relative` does in the work tree.

    At a commit DVC takes Git's root for ``/``, and nothing lies above that.
    """
    root, below = (Path(repo.scm.root_dir, repo.fs.relpath(path, "/")) for path in (repo.root_dir, item.stage.wdir))
    path = os.path.normpath(below / item.def_path)
    inside = os.path.relpath(path, root)
    return (path, True) if Path(inside).parts[:1] == (os.pardir,) else (inside, False)


def address(repo: Any, stage: Any) -> str:
    """Return a stage's name as DVC takes it at the project's root: ``train``, ``sub/dvc.yaml:train``, ``data.dvc``."""
    file = _from_root(repo, stage.path)
    name = getattr(stage, "name", None)
    if not name:
        return str(file)
    return str(name) if file == "dvc.yaml" else f"{file}:{name}"


def _stage(repo: Any, stage: Any, locks: _Locks, read_params: bool) -> Stage:
    from dvc.dependency import ParamsDependency
    from dvc.stage import PipelineStage

    pipeline = isinstance(stage, PipelineStage)
    file = _from_root(repo, stage.path)
    command = stage.cmd
    text = "\n".join(command) if isinstance(command, list) else (command or "")
    dependencies = tuple(
        Dependency(*_with_record(repo, dep)) for dep in stage.deps if not isinstance(dep, ParamsDependency)
    )
    lock = locks.entries(stage).get(stage.name) if pipeline else None
    params = tuple(_params(repo, dep, lock, read_params) for dep in stage.deps if isinstance(dep, ParamsDependency))
    outputs = tuple(_output(repo, out) for out in stage.outs)
    records = [*(d.recorded for d in dependencies), *(o.recorded for o in outputs), *(p.recorded for p in params)]
    locked = any(record is not None for record in records)
    return Stage(
        name=address(repo, stage),
        file=file,
        command=text,
        locked=locked or (pipeline and stage.name in locks.entries(stage)),
        command_changed=bool(pipeline and stage.cmd_changed),
        frozen=bool(stage.frozen),
        always=bool(stage.always_changed or stage.is_callback),
        data_source=not stage.cmd,
        imported=bool(stage.is_import),
        source=_source(stage) if stage.is_import else "",
        label=_label(stage),
        directory=_directory(repo, stage),
        variables=_variables(repo, stage),
        dependencies=dependencies,
        params=params,
        outputs=outputs,
    )


def _source(stage: Any) -> str:
    """Return where an import comes from, without credentials."""
    dependency = stage.deps[0]
    path = str(dependency.def_path)
    repository = getattr(dependency, "def_repo", None)
    url = repository.get("url") if isinstance(repository, Mapping) else None
    return f"{path} of {without_userinfo(str(url))}" if url else without_userinfo(path)


def _directory(repo: Any, stage: Any) -> str:
    folder = _from_root(repo, stage.wdir)
    return "" if folder == "." else folder


def _variables(repo: Any, stage: Any) -> dict[str, tuple[str, ...]]:
    """Return what DVC filled into the definition, from files alone."""
    tracked = getattr(stage, "tracked_vars", None)
    found = {}
    for file, values in (tracked if isinstance(tracked, Mapping) else {}).items():
        path = repo.fs.abspath(str(file))  # DVC names them from the current directory
        shown = str(repo.fs.relpath(path, repo.root_dir)).replace("\\", "/")
        found[shown] = tuple(str(name) for name in values)
    return found


def _label(stage: Any) -> str:
    """Return the label in ``meta: {label: ...}``, which DVC leaves to other programs."""
    meta = stage.meta if isinstance(getattr(stage, "meta", None), dict) else {}
    label = meta.get("label")
    return label if isinstance(label, str) else ""


def _with_record(repo: Any, item: Any) -> tuple[str, Recorded | None, bool]:
    path, external = relative(repo, item)
    if "\0" in path or not is_text(path):
        raise ProjectError(f"The project names a file that there cannot be: {path[:100]!r}.", "Fix its name.")
    return path, recorded_hash(item), external


def is_text(text: str) -> bool:
    """Tell whether it is without halves of characters, which YAML and JSON can hold and nothing else can write."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def recorded_hash(item: Any) -> Recorded | None:
    """Return the hash that dvc.lock or a .dvc file records for a DVC output or dependency.

    Raises:
        ProjectError: what is recorded as an MD5 is none; it would be a path to anywhere.
    """
    info = item.hash_info
    if not info or not isinstance(info.value, str):
        return None
    if info.name in (MD5, LEGACY_MD5) and not _MD5.fullmatch(info.value):
        raise ProjectError(
            f"What is recorded for {str(item.def_path)[:100]!r} is not an MD5: {info.value[:40]!r}.",
            "Take dvc.lock or the .dvc file from Git as it was, or run `dvc repro` or `dvc add`.",
        )
    meta = item.meta
    return Recorded(info.name, info.value, _whole(getattr(meta, "size", None)), _whole(getattr(meta, "nfiles", None)))


def _whole(value: object) -> int | None:
    """Return a size, None where it is no number of bytes: DVC takes any word for one."""
    return value if isinstance(value, int) and value >= 0 else None


def _output(repo: Any, out: Any) -> Output:
    path, record, external = _with_record(repo, out)
    return Output(
        path=path,
        recorded=record,
        cached=bool(out.use_cache),
        can_push=bool(out.can_push),
        persist=bool(out.persist),
        kind="metric" if out.metric else "plot" if out.plot else "data",
        remote=out.remote,
        external=external,
    )


def _params(repo: Any, dep: Any, lock: Any, read: bool) -> ParamsFile:
    path, _ = relative(repo, dep)
    value = dep.hash_info.value if dep.hash_info else None
    written = ""
    if not value and (elsewhere := _values_under_plain_path(dep, lock)) is not None:
        value, written = elsewhere, str(dep.def_path)
    current: Mapping[str, Any] | None = None
    problem = ""
    if read and dep.protocol != "local":
        problem = "DVC reads parameters from files alone, and from no other storage"
    elif read:
        try:
            current = dep.read_params() if dep.exists else None
        except Exception as error:  # DVC raises whatever the file's parser raises
            problem = one_line(error)
    return ParamsFile(
        path=path,
        names=tuple(dep.params),
        recorded=value if isinstance(value, Mapping) else None,
        current=current,
        problem=problem,
        written=written,
    )


def _values_under_plain_path(dep: Any, lock: Any) -> Mapping[str, Any] | None:
    """Return the values that dvc.lock has where DVC looks under the path as dvc.yaml writes it, but records another.

    Args:
        lock: the stage's entry in dvc.lock.
    """
    plain = posixpath.normpath(str(dep.def_path))
    params = lock.get("params") if isinstance(lock, Mapping) else None
    if plain == dep.def_path or not isinstance(params, Mapping) or not isinstance(params.get(plain), Mapping):
        return None
    values: Mapping[str, Any] = params[plain]
    return {name: values[name] for name in (dep.params or values) if name in values}


def params_in(content: bytes, params: ParamsFile) -> ParamsFile:
    """Return the parameters as an object holds them, read as DVC reads a file of that name."""
    from dvc.dependency.param import read_param_file
    from dvc.fs import localfs

    guard()
    current: Mapping[str, Any] | None = None
    problem = ""
    with tempfile.TemporaryDirectory(prefix="mlbutler-params-") as folder:
        file = Path(folder, params.path.rpartition("/")[2])
        file.write_bytes(content)
        try:
            current = read_param_file(localfs, str(file), list(params.names) or None, flatten=True)
        except Exception as error:  # as in `_params`
            problem = one_line(error).replace(str(file), params.path)
    return dataclasses.replace(params, current=current, problem=problem)


class _Locks:
    """The dvc.lock files of a project, each read once."""

    def __init__(self, repo: Any) -> None:
        self._repo = repo
        self._read: dict[str, Mapping[str, Any]] = {}

    def path(self, stage: Any) -> str:
        """Return where the stage is locked."""
        return str(stage.path).rpartition(".")[0] + ".lock"

    def entries(self, stage: Any) -> Mapping[str, Any]:
        """Return the stages in the stage's dvc.lock, of either schema; empty when there is none."""
        path = self.path(stage)
        if path not in self._read:  # for DVC, too, a dvc.lock that is ignored is none
            ignored = self._repo.dvcignore.is_ignored_file(path)
            self._read[path] = {} if ignored else self._load(path)
        return self._read[path]

    def _load(self, path: str) -> Mapping[str, Any]:
        try:
            with self._repo.fs.open(path, mode="rb") as file:
                text = decoded(file.read(), path)
            content = known if (known := cached_lock(text)) is not None else parse_yaml(text, path)
        except (FileNotFoundError, IsADirectoryError):
            return {}
        except Unreadable as error:
            raise ProjectError(error.message, "Fix it, or run `dvc repro`.") from error
        if not isinstance(content, Mapping):
            return {}
        stages = content.get("stages", {}) if "schema" in content else content
        return stages if isinstance(stages, Mapping) else {}


def _orphans(repo: Any, ordered: list[Any], locks: _Locks) -> Iterator[tuple[str, str]]:
    """Return (dvc.lock's path, stage) for entries whose stage no dvc.yaml declares any more."""
    from dvc.stage import PipelineStage

    by_lock: dict[str, list[Any]] = {}
    for stage in ordered:
        if isinstance(stage, PipelineStage):
            by_lock.setdefault(locks.path(stage), []).append(stage)
    for path, stages in by_lock.items():
        declared = {stage.name for stage in stages}
        shown = repo.fs.relpath(path, repo.root_dir).replace("\\", "/")
        yield from ((shown, str(name)) for name in locks.entries(stages[0]) if name not in declared)
