"""What dvc.yaml declares at many commits: DVC is asked once for all commits at which the answer has to be the same."""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlbutler.comparison.snapshot import PlotDefinition
from mlbutler.git import Git
from mlbutler.git.batch import read_objects
from mlbutler.git.trees import Trees
from mlbutler.parsing import Unreadable, decoded, parse_yaml
from mlbutler.project.revision_reader import RevisionReader

DVC_YAML, IGNORE = "dvc.yaml", ".dvcignore"
_LISTS = ("metrics", "params", "plots", "outs")
_DEFAULT_PARAMS = "params.yaml"
_FILLED_IN = re.compile(r"\$\{(?!\s*(?:item|key)\b)")
_CURVES = frozenset(("", "linear", "simple", "smooth"))


@dataclass(frozen=True)
class Curve:
    """One line of a plot: a file of data points, and the columns of it that are drawn; `x` is '' for the row."""

    file: str
    x: str
    y: str
    title: str
    header: bool = True


@dataclass(frozen=True)
class DeclaredFiles:
    """The files of a project's numbers, by path from its root.

    Attributes:
        metrics, params: those that Git keeps. objects: metrics that DVC keeps. curves: lines of plots that Git keeps.
        recorded: the files that say which content `objects` have. problem: why there is nothing.
    """

    metrics: tuple[str, ...] = ()
    params: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()
    curves: tuple[Curve, ...] = ()
    recorded: tuple[str, ...] = ()
    problem: str = ""


def is_of_dvc(name: str) -> bool:
    """Return whether a file of this name can change what a project declares."""
    return name in (DVC_YAML, IGNORE) or name.endswith(".dvc")


def read_declared(side: RevisionReader | None) -> DeclaredFiles:
    """Return what a revision declares."""
    if side is None:
        return DeclaredFiles(problem="there is no DVC project")
    metrics, params = dict.fromkeys(side.metric_paths()), dict.fromkeys(side.param_paths())
    objects = tuple(path for path in metrics if side.is_object(path))
    owners = [owner[0].file for path in objects if (owner := side.stages.owner(path)) is not None]
    locks = (f"{posixpath.join(posixpath.dirname(file), 'dvc.lock')}" for file in owners)
    return DeclaredFiles(
        metrics=tuple(path for path in metrics if path not in objects),
        params=tuple(path for path in params if not side.is_object(path)),
        objects=objects,
        curves=tuple(c for plot in side.plots() for c in _curves(plot) if not side.is_object(c.file)),
        recorded=tuple(sorted({*owners, *locks})),
        problem="" if side.declared else side.problem,
    )


def _curves(plot: PlotDefinition) -> Iterator[Curve]:
    if plot.template in _CURVES:
        for file in plot.files:
            for y in plot.y.get(file, ("",)):
                yield Curve(file, plot.x, str(y), plot.title or plot.id, plot.header)


@dataclass(frozen=True)
class _Raw:
    """What a dvc.yaml says before anything is filled in: files of variables that names depend on, and all paths."""

    variables: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()


class Declarations:
    """Gives commits keys: two commits with equal keys declare the same files.

    Args:
        git, trees: of the repository.
    """

    def __init__(self, git: Git, trees: Trees) -> None:
        self._git, self._trees = git, trees
        self._raw: dict[tuple[str, str], _Raw] = {}

    def keys(self, projects: Iterable[str]) -> dict[str, str]:
        """Map the tree of each project to its key."""
        named = self._trees.matching_files(projects, is_of_dvc)
        files = {tree: [(p, oid) for p, oid in found if not _is_below_dvc(p)] for tree, found in named.items()}
        self._read({(posixpath.dirname(p), oid) for found in files.values() for p, oid in found if _is_yaml(p)})
        return {tree: self._key(tree, found) for tree, found in files.items()}

    def _key(self, tree: str, files: Sequence[tuple[str, str]]) -> str:
        raw = [self._raw[posixpath.dirname(path), oid] for path, oid in files if _is_yaml(path)]
        parts: list[Any] = [[path, "" if path.endswith(".dvc") else oid] for path, oid in files]
        for path in sorted({path for one in raw for path in one.variables}):
            parts.append([path, self._trees.files([tree], path).get(tree, "")])
        for path in sorted({path for one in raw for path in one.paths}):
            if below := self._trees.below(tree, path):
                parts.append([path, *below])
        parts.append(tree in self._trees.files([tree], _DEFAULT_PARAMS))
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]

    def _read(self, wanted: set[tuple[str, str]]) -> None:
        new = {key for key in wanted if key not in self._raw}
        contents = {oid: content for oid, _, content in read_objects(self._git, sorted({oid for _, oid in new}))}
        for folder, oid in new:
            self._raw[folder, oid] = _raw(folder, contents.get(oid, b""))


def _is_yaml(path: str) -> bool:
    return posixpath.basename(path) == DVC_YAML


def _is_below_dvc(path: str) -> bool:
    return "/.dvc/" in f"/{path}"


def _raw(folder: str, content: bytes) -> _Raw:
    try:
        document = parse_yaml(decoded(content))
    except Unreadable:  # DVC will say so
        return _Raw()
    if not isinstance(document, Mapping):
        return _Raw()
    declared = [(folder, document)]
    stages = document.get("stages")
    for stage in stages.values() if isinstance(stages, Mapping) else ():
        one = stage.get("do", stage) if isinstance(stage, Mapping) else {}
        if isinstance(one, Mapping):
            declared.append((posixpath.join(folder, str(one.get("wdir", ""))), one))
    paths = dict.fromkeys(
        _normal(posixpath.join(where, path))
        for where, part in declared
        for name in _LISTS
        for path in _paths(part, name)
    )
    filled = [*paths, *(str(s.get(word)) for s in _mappings(stages) for word in ("foreach", "matrix"))]
    variables = _variables(folder, document, stages) if any(_FILLED_IN.search(text) for text in filled) else ()
    return _Raw(tuple(filter(None, variables)), tuple(path for path in paths if path and "${" not in path))


def _mappings(found: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(found, Mapping):
        yield from (one for one in found.values() if isinstance(one, Mapping))


def _paths(part: Mapping[str, Any], name: str) -> Iterator[str]:
    """Yield the paths of a list in dvc.yaml, whose items are texts and mappings."""
    found = part.get(name)
    for item in found if isinstance(found, list) else [found]:
        if isinstance(item, Mapping):
            for key, props in item.items():
                yield str(key)
                y = props.get("y") if isinstance(props, Mapping) else None
                yield from map(str, y) if isinstance(y, Mapping) else ()
        elif isinstance(item, str):
            yield item


def _variables(folder: str, document: Mapping[str, Any], stages: Any) -> Iterator[str]:
    """Yield the files that values are filled in from."""
    yield _normal(posixpath.join(folder, _DEFAULT_PARAMS))
    for part in (document, *_mappings(stages)):
        named = part.get("vars")
        for item in named if isinstance(named, list) else ():
            if isinstance(item, str):
                where = posixpath.join(folder, str(part.get("wdir", "")))
                yield _normal(posixpath.join(where, item.partition(":")[0]))


def _normal(path: str) -> str:
    """Return a path from the project's root, '' where it leads out of it."""
    path = posixpath.normpath(path)
    return "" if path.startswith(("..", "/")) or path == "." else path


def as_row(declared: DeclaredFiles) -> list[Any]:
    """Return what can be kept as JSON."""
    curves = [[c.file, c.x, c.y, c.title, c.header] for c in declared.curves]
    return [declared.metrics, declared.params, declared.objects, curves, declared.recorded, declared.problem]


def from_row(row: Any) -> DeclaredFiles | None:
    """Return what `as_row` made, None for anything else: anybody may have written it."""
    try:
        metrics, params, objects, curves, recorded, problem = row
        lists = [tuple(map(str, one)) for one in (metrics, params, objects, recorded)]
        lines = tuple(Curve(str(f), str(x), str(y), str(t), bool(header)) for f, x, y, t, header in curves)
        return DeclaredFiles(lists[0], lists[1], lists[2], lines, lists[3], str(problem))
    except (TypeError, ValueError):
        return None
