"""Metrics, params and curves at many commits, from Git's objects and what cache and mirror hold.

What a commit declares and holds never changes, so what was read of it once is remembered: a push costs what is new.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Protocol

from mlbutler.comparison.documents import is_number, read_document
from mlbutler.comparison.plots import cell_value, read_rows, thinned
from mlbutler.comparison.snapshot import Source
from mlbutler.errors import ProjectError
from mlbutler.git import Git
from mlbutler.git.log import LoggedCommit
from mlbutler.git.objects import read_blobs
from mlbutler.git.trees import Trees
from mlbutler.parsing import Unreadable
from mlbutler.project.declared_files import Curve, Declarations, DeclaredFiles, as_row, from_row, read_declared
from mlbutler.project.snapshot import SnapshotReader
from mlbutler.record import Scalar

LARGEST = 1024 * 1024
"""Bytes of the largest file that is read: thousands of versions of it are."""

MOST_VALUES = 500
"""Metrics, and params, of one commit."""

MOST_POINTS = 60
_MOST_CURVES = 12
_LONGEST = 200
_FORMAT = "1"
_HASH = re.compile(r"[0-9a-f]{32}(?:\.dir)?")
_SCALARS = (str, int, float, bool, type(None))
_TOO_LARGE = f"larger than {LARGEST >> 20} MB: not read"


@dataclass(frozen=True)
class CommittedCurve:
    """A curve at one commit: its name, and the blob that holds it."""

    name: str
    curve: Curve
    blob: str

    @property
    def key(self) -> str:
        """Return what names its points."""
        return f"{self.blob[:24]} {_spec(self.curve)}"


@cache
def _spec(curve: Curve) -> str:
    """Return what tells how the points are read from a file."""
    text = json.dumps([curve.file.rpartition(".")[2], curve.x, curve.y, curve.header])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Numbers:
    """What one commit measured.

    Attributes:
        metrics, params: ``file:name`` -> value. curves: those that Git keeps.
        away: (file, hash) of metrics that DVC keeps and that are not here.
        problems: (file, why) that could not be read.
    """

    metrics: Mapping[str, Scalar] = field(default_factory=dict)
    params: Mapping[str, Scalar] = field(default_factory=dict)
    curves: tuple[CommittedCurve, ...] = ()
    away: tuple[tuple[str, str], ...] = ()
    problems: tuple[tuple[str, str], ...] = ()

    def same_values(self, other: Numbers) -> bool:
        """Return whether both measured the same with the same params."""
        return self.metrics == other.metrics and self.params == other.params


Points = tuple[tuple[float, ...], tuple[float, ...]]
"""The x and the y of a curve."""


class Memory(Protocol):
    """Keeps rows from one process to the next; `mlbutler.state.hints.Hints` does."""

    def read(self) -> dict[str, Any]:
        """Return what is known."""
        ...

    def write(self, values: Mapping[str, Any]) -> None:
        """Add to what is known."""
        ...


class PastNumbers:
    """Reads the numbers of one project at any of its commits.

    Args:
        git: at the project's root. prefix: the project's path from the repository's root, '' or ``sub/folder/``.
        memory: what earlier processes found out. open_project: opens DVC's project, where it has to be asked.
        stores: folders of cache and mirror: what was not there may be by now.
    """

    def __init__(
        self,
        git: Git,
        prefix: str,
        memory: Memory,
        open_project: Callable[[], SnapshotReader],
        stores: Sequence[Path] = (),
    ) -> None:
        self._git, self._prefix, self._memory, self._open = git, prefix, memory, open_project
        self._stores = tuple(dict.fromkeys(stores))
        self._trees = Trees(git)
        self._known = memory.read()
        self._new: dict[str, Any] = {}
        self._documents: dict[tuple[str, str], tuple[Mapping[str, Scalar], str]] = {}

    @cached_property
    def _snapshots(self) -> SnapshotReader:
        return self._open()

    def at(self, commits: Iterable[LoggedCommit]) -> dict[str, Numbers]:
        """Return the numbers of each commit, by its id."""
        commits = tuple({commit.oid: commit for commit in commits}.values())
        found = {c.oid: numbers for c in commits if (numbers := self._cached_numbers(c.oid)) is not None}
        new = [commit for commit in commits if commit.oid not in found]
        for declared, group in self._group_by_declaration(new):
            found |= self._read(declared, group)
        return found

    def save(self) -> None:
        """Remember what was read."""
        if self._new:
            self._memory.write(self._new)
            self._known |= self._new
            self._new = {}

    # ------------------------------------------------------------------------------------ declared

    def _group_by_declaration(self, commits: Sequence[LoggedCommit]) -> Iterator[tuple[DeclaredFiles, dict[str, str]]]:
        """Yield what is declared, with the project's tree at each commit where it is that."""
        projects = self._trees.folders([commit.tree for commit in commits], self._prefix)
        keys = Declarations(self._git, self._trees).keys(projects.values())
        groups: dict[str, dict[str, str]] = {}
        for commit in commits:
            if commit.tree in projects:
                tree = projects[commit.tree]
                groups.setdefault(keys[tree], {})[commit.oid] = tree
        for key, group in groups.items():
            yield self._read_declaration(key, next(iter(group))), group

    def _read_declaration(self, key: str, commit: str) -> DeclaredFiles:
        name = f"{_FORMAT} declared {key}"
        found = from_row(self._known.get(name))
        if found is None:
            try:
                found = read_declared(self._snapshots.open_at_commit(commit, self._prefix))
            except ProjectError as error:
                found = DeclaredFiles(problem=error.message)
            self._new[name] = as_row(found)
        return found

    # --------------------------------------------------------------------------------------- read

    def _read(self, declared: DeclaredFiles, group: Mapping[str, str]) -> dict[str, Numbers]:
        trees = tuple(dict.fromkeys(group.values()))
        files = (*declared.metrics, *declared.params, *declared.recorded, *(curve.file for curve in declared.curves))
        blobs = {path: self._trees.files(trees, path) for path in dict.fromkeys(files)}
        self._read_documents(
            {(path, oid) for path in (*declared.metrics, *declared.params) for oid in blobs[path].values()}
        )
        found = {}
        objects: dict[tuple[str, ...], Mapping[str, Source]] = {}
        for commit, tree in group.items():
            sources: Mapping[str, Source] = {}
            if declared.objects:
                key = tuple(blobs[path].get(tree, "") for path in declared.recorded)
                if key not in objects:
                    objects[key] = self._objects(commit, declared.objects)
                sources = objects[key]
            here = {path: oid for path, oids in blobs.items() if (oid := oids.get(tree)) is not None}
            found[commit] = self._numbers(declared, here, sources)
            self._remember(commit, found[commit])
        return found

    def _objects(self, commit: str, paths: Sequence[str]) -> Mapping[str, Source]:
        """Return the metrics that DVC keeps, as cache and mirror have them."""
        try:
            side = self._snapshots.open_at_commit(commit, self._prefix)
        except ProjectError as error:
            return {path: Source(None, error.message) for path in paths}
        return side.sources(paths, remote=False) if side is not None else {}

    def _numbers(self, declared: DeclaredFiles, here: Mapping[str, str], objects: Mapping[str, Source]) -> Numbers:
        problems = [("dvc.yaml", declared.problem)] if declared.problem else []
        metrics: dict[str, Scalar] = {}
        params: dict[str, Scalar] = {}
        for paths, values in ((declared.metrics, metrics), (declared.params, params)):
            for path in paths:
                if path in here:
                    found, problem = self._documents[path, here[path]]
                    problems += [(path, problem)] if problem else []
                    values |= {f"{path}:{name}": value for name, value in found.items()}
        away = [(p, found.identity) for p, found in objects.items() if found.content is None and not found.absent]
        for path, source in objects.items():
            if source.content is not None:
                document = read_document(path, source)
                metrics |= {f"{path}:{name}": _short(value) for name, value in document.values.items()}
        curves = [CommittedCurve(_name(c), c, here[c.file]) for c in declared.curves if c.file in here][:_MOST_CURVES]
        return Numbers(_first(metrics), _first(params), tuple(curves), tuple(away), tuple(problems))

    def _read_documents(self, wanted: Iterable[tuple[str, str]]) -> None:
        new = sorted(key for key in wanted if key not in self._documents)
        blobs = read_blobs(self._git, [oid for _, oid in new], LARGEST)
        for path, oid in new:
            blob = blobs.get(oid)
            content = blob.content if blob is not None else None
            document = read_document(path, Source(content, "" if content is not None else _TOO_LARGE))
            values = {name: _short(value) for name, value in document.values.items()}
            self._documents[path, oid] = (values, document.problem)

    # ------------------------------------------------------------------------------------- curves

    def points(self, curves: Iterable[CommittedCurve]) -> dict[str, Points]:
        """Return the points of each curve by its key, without those that have none."""
        curves = tuple({curve.key: curve for curve in curves}.values())
        names = {curve.key: f"{_FORMAT} curve {curve.key}" for curve in curves}
        known = {key: self._known.get(name, self._new.get(name)) for key, name in names.items()}
        new = [curve for curve in curves if _points_in(known[curve.key]) is None]
        blobs = read_blobs(self._git, [curve.blob for curve in new], LARGEST)
        for curve in new:
            blob = blobs.get(curve.blob)
            known[curve.key] = _points(curve.curve, blob.content if blob is not None else None)
            self._new[names[curve.key]] = known[curve.key]
        found = {key: points for key, row in known.items() if (points := _points_in(row)) is not None}
        return {key: points for key, points in found.items() if points[0]}

    # ------------------------------------------------------------------------------------- memory

    def _remember(self, commit: str, numbers: Numbers) -> None:
        metrics, params = dict(numbers.metrics), dict(numbers.params)
        curves = [[c.name, c.curve.file, c.curve.x, c.curve.y, c.curve.title, c.curve.header] for c in numbers.curves]
        shape = [list(metrics), list(params), curves]
        name = hashlib.sha256(json.dumps(shape).encode()).hexdigest()[:16]
        self._new.setdefault(f"{_FORMAT} shape {name}", shape)
        blobs = [curve.blob for curve in numbers.curves]
        values = [name, list(metrics.values()), list(params.values()), blobs, numbers.problems, numbers.away]
        self._new[f"{_FORMAT} at {commit}"] = values

    def _cached_numbers(self, commit: str) -> Numbers | None:
        try:
            name, metrics, params, blobs, problems, gone = self._known[f"{_FORMAT} at {commit}"]
            names, param_names, curves = self._known[f"{_FORMAT} shape {name}"]
            drawn = [
                CommittedCurve(str(n), Curve(str(f), str(x), str(y), str(title), bool(header)), str(blob))
                for (n, f, x, y, title, header), blob in zip(curves, blobs, strict=True)
            ]
            away = tuple((str(file), str(identity)) for file, identity in gone)
            if not all(isinstance(value, _SCALARS) for value in (*metrics, *params)) or any(map(self._is_here, away)):
                return None
            return Numbers(
                dict(zip(names, metrics, strict=True)),
                dict(zip(param_names, params, strict=True)),
                tuple(drawn),
                away,
                problems=tuple((str(file), str(why)) for file, why in problems),
            )
        except (KeyError, TypeError, ValueError):
            return None

    def _is_here(self, away: tuple[str, str]) -> bool:
        """Return whether cache or mirror may hold by now what they did not."""
        value = away[1].partition(" ")[0]  # behind it the file's path, in a directory of DVC's
        if not _HASH.fullmatch(value):
            return True
        places = (f"files/md5/{value[:2]}/{value[2:]}", f"{value[:2]}/{value[2:]}")
        return any((store / place).exists() for store in self._stores for place in places)


def _name(curve: Curve) -> str:
    return f"{curve.title}: {curve.y}" if curve.y and curve.title != curve.y else curve.title


def _short(value: Scalar) -> Scalar:
    return value[: _LONGEST - 1] + "…" if isinstance(value, str) and len(value) > _LONGEST else value


def _first(values: dict[str, Scalar]) -> dict[str, Scalar]:
    return dict(list(values.items())[:MOST_VALUES])


def _points(curve: Curve, content: bytes | None) -> list[list[float]]:
    """Return the x and the y of a curve's points; none where the file holds none."""
    try:
        rows = read_rows(curve.file, content, curve.header) if content is not None else []
    except Unreadable:
        return [[], []]
    y = curve.y or (str(list(rows[0])[-1]) if rows and rows[0] else "")
    found = [
        (float(step) if not curve.x else cell_value(row.get(curve.x)), cell_value(row.get(y)))
        for step, row in enumerate(rows)
    ]
    points = thinned([point for point in found if all(map(is_number, point))], MOST_POINTS)
    return [[float(x) for x, _ in points], [float(y) for _, y in points]]  # type: ignore[arg-type]


def _points_in(row: Any) -> Points | None:
    try:
        xs, ys = row
        return tuple(float(x) for x in xs), tuple(float(y) for y in ys)
    except (TypeError, ValueError):
        return None
