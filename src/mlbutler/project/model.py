"""A DVC project's stages as plain data: declared in dvc.yaml and .dvc files, recorded in dvc.lock.

Paths are relative to the project's root, with '/', whatever directory a stage works in.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import field
from functools import cached_property
from typing import Any, NamedTuple

from mlbutler.frozen import frozen
from mlbutler.project.artifact import UNCACHED, Artifact
from mlbutler.state.hashes import Hash
from mlbutler.store.interface import ObjectId

MD5, LEGACY_MD5 = "md5", "md5-dos2unix"


class Recorded(NamedTuple):
    """A hash as dvc.lock or a .dvc file records it.

    `algorithm` is DVC's name (``md5``, ``md5-dos2unix``, ``etag``...), `value` ends in ``.dir`` for a directory.
    """

    algorithm: str
    value: str
    size: int | None = None
    files: int | None = None

    @property
    def oid(self) -> ObjectId | None:
        """Return the object's name in a store; None for hashes that are not content MD5s."""
        if self.algorithm not in (MD5, LEGACY_MD5):
            return None
        return ObjectId(self.value, legacy=self.algorithm == LEGACY_MD5)

    def as_hash(self) -> Hash:
        """Return it as it is remembered of what is laid out."""
        return Hash(self.algorithm, self.value, self.size, self.files)

    def same_as(self, other: Recorded) -> bool:
        """Tell whether it is the same content. Equal values of DVC's two MD5 flavours mean equal content too."""
        return self.value == other.value


@frozen
class NotKnown:
    """Why something could not be found out, and what to do about it."""

    reason: str
    remedy: str = ""


@frozen
class Dependency:
    """A file or directory that a stage reads.

    `external`: outside the project; then `path` is the file's whole path, or an address that has to be asked.
    """

    path: str
    recorded: Recorded | None
    external: bool = False

    @property
    def is_url(self) -> bool:
        """Tell whether it is on other storage."""
        return self.external and "://" in self.path


@frozen
class ParamsFile:
    """Parameters of one file that a stage reads.

    `names`: the declared dotted names, empty for the whole file. `recorded`: values in dvc.lock, None when
    there are none. `current`: values in the work tree, None when the file is missing; `problem` says why
    they could not be read. `written`: how dvc.yaml writes the path where DVC, which writes it otherwise into dvc.lock,
    does not find it there again, else ''.
    """

    path: str
    names: tuple[str, ...]
    recorded: Mapping[str, Any] | None
    current: Mapping[str, Any] | None
    problem: str = ""
    written: str = ""


@frozen
class Output:
    """A file or directory that a stage writes, or that a .dvc file tracks."""

    path: str
    recorded: Recorded | None
    cached: bool = True
    can_push: bool = True
    persist: bool = False
    kind: str = "data"
    remote: str | None = None
    external: bool = False

    @property
    def is_url(self) -> bool:
        """Tell whether it is on other storage."""
        return self.external and "://" in self.path


@frozen
class Stage:
    """A stage of dvc.yaml, or a .dvc file (`data_source`; `imported` when DVC can bring it from elsewhere, `source`).

    `directory`: where its command runs, from the project's root ('' for the root itself). `variables`: file -> dotted
    names of what is filled into its definition as ``${name}``.
    """

    name: str
    file: str
    command: str = ""
    locked: bool = True
    command_changed: bool = False
    frozen: bool = False
    always: bool = False
    data_source: bool = False
    imported: bool = False
    source: str = ""
    label: str = ""
    directory: str = ""
    variables: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    dependencies: tuple[Dependency, ...] = ()
    params: tuple[ParamsFile, ...] = ()
    outputs: tuple[Output, ...] = ()

    def how_to_get(self, output: Output, remote: str | None) -> str:
        """Return what to do about an output that no store holds.

        Args:
            remote: the name of the remote that it would be on.
        """
        path = shlex.quote(output.path)
        if self.imported:
            where = self.source or "its source"
            return f"It is imported from {where}: dvc pull {path} where that can be read, or dvc update {self.file}."
        if not output.cached:
            return f"git add {path} where it is: DVC does not keep it (cache: false)."
        if not output.can_push:
            again = f"dvc repro --force {shlex.quote(self.name)}, or " if self.can_run else ""
            return f"DVC pushes it nowhere (push: false): {again}take that out of {self.file} and push it."
        if remote is None:
            return "dvc remote add --default NAME URL, then dvc push where it was made."
        return f"Push it from where it was made: dvc push -r {shlex.quote(remote)} {path}"

    @property
    def can_run(self) -> bool:
        """Tell whether a lost output can be made again by running it."""
        return bool(self.command) and not (self.data_source or self.frozen or self.imported)

    def is_meant(self, targets: Collection[str]) -> bool:
        """Tell whether one of these targets names this stage, the file that defines it, or an output of it."""
        names = {self.name, self.name.split("@")[0], self.file}
        return bool(names & set(targets)) or any(out.path in targets for out in self.outputs)

    @property
    def lock_file(self) -> str:
        """Return where its hashes are recorded: dvc.lock beside its dvc.yaml, or the .dvc file itself."""
        return self.file if self.data_source else self.file.rpartition(".")[0] + ".lock"


@frozen
class Stages:
    """All stages in an order in which they can run, and who makes what."""

    ordered: tuple[Stage, ...]
    orphans: tuple[tuple[str, str], ...] = ()

    @cached_property
    def owners(self) -> Mapping[str, tuple[Stage, Output]]:
        """Map each output's path to the stage that makes it, and the output."""
        return {output.path: (stage, output) for stage in self.ordered for output in stage.outputs}

    @cached_property
    def _children(self) -> Mapping[str, Sequence[str]]:
        children: dict[str, list[str]] = {}
        for path in self.owners:
            for parent in _parents(path):
                children.setdefault(parent, []).append(path)
        return children

    def pipeline(self) -> tuple[Stage, ...]:
        """Return the stages that have a command."""
        return tuple(stage for stage in self.ordered if not stage.data_source)

    def select(self, targets: Collection[str]) -> tuple[Stage, ...]:
        """Return the stages with a command that are meant by `targets`, and those that they depend on; all if empty.

        Args:
            targets: names of stages, files that define them, or outputs.
        """
        pipeline = self.pipeline()
        if not targets:
            return pipeline
        wanted = {stage.name for stage in pipeline if stage.is_meant(targets)}
        for stage in reversed(pipeline):
            if stage.name in wanted and not stage.frozen:
                wanted |= {made.name for made, _ in self.producers(stage)}
        return tuple(stage for stage in pipeline if stage.name in wanted)

    @property
    def asks_elsewhere(self) -> bool:
        """Tell whether a plan has to ask other storage than the project's remotes."""
        judged = [stage for stage in self.pipeline() if not stage.frozen]
        return any(
            any(dependency.is_url for dependency in stage.dependencies) or any(out.is_url for out in stage.outputs)
            for stage in judged
        )

    def owner(self, path: str) -> tuple[Stage, Output] | None:
        """Return what makes `path`, or a directory that holds it; None when Git (or nothing) keeps it."""
        for candidate in (path, *_parents(path)):
            if candidate in self.owners:
                return self.owners[candidate]
        return None

    def inside(self, path: str) -> tuple[tuple[Stage, Output], ...]:
        """Return the outputs that lie below the directory `path`."""
        return tuple(self.owners[child] for child in self._children.get(path, ()))

    def producers(self, stage: Stage) -> tuple[tuple[Stage, Output], ...]:
        """Return the outputs that a stage reads, with the stages (or .dvc files) that make them."""
        found: list[tuple[Stage, Output]] = []
        for path in (*(dep.path for dep in stage.dependencies), *(params.path for params in stage.params)):
            if (owner := self.owner(path)) is not None:
                found.append(owner)
            found.extend(self.inside(path))
        return tuple((made, out) for made, out in found if made.name != stage.name)

    @cached_property
    def followers(self) -> Mapping[str, tuple[str, ...]]:
        """Return each stage -> all stages that run again when its outputs change, in an order in which they can run."""
        above: dict[str, set[str]] = {}
        for stage in self.ordered:  # what it reads was made by stages before it
            direct = {made.name for made, _ in self.producers(stage)}
            above[stage.name] = direct.union(*(above.get(name, ()) for name in direct))
        return {
            stage.name: tuple(other.name for other in self.ordered if stage.name in above[other.name])
            for stage in self.ordered
        }

    def artifacts(self) -> tuple[Artifact, ...]:
        """Return every recorded output as an artifact, with the reason where DVC does not keep or push it."""
        return tuple(_artifact(stage, output) for stage in self.ordered for output in stage.outputs)


def _parents(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _artifact(stage: Stage, output: Output) -> Artifact:
    recorded = output.recorded
    if output.external:
        left_out = "outside the project"
    elif not output.cached and output.can_push:
        left_out = UNCACHED
    elif stage.imported:
        left_out = f"an import: DVC brings it from {stage.source or 'its source'}"
    elif not output.can_push:
        left_out = "push: false"
    elif recorded is not None and recorded.oid is None:
        left_out = f"recorded by {recorded.algorithm}, not by content"
    else:
        left_out = ""
    return Artifact(
        path=output.path,
        owner=stage.name,
        oid=recorded.oid if recorded else None,
        size=recorded.size if recorded else None,
        files=recorded.files if recorded else None,
        cached=output.cached and not output.external,
        pushed=not left_out,
        left_out=left_out,
        remote=output.remote,
        kind=output.kind,
    )
