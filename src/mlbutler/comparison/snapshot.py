"""One side of a comparison, as plain data: what `project/` read at one revision.

Nothing here knows DVC or Git; `comparison` works on two of these.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import BinaryIO

from mlbutler.frozen import frozen


@frozen
class Source:
    """A file's content at one revision, or why there is none.

    `content` is None when it could not be had; `problem` then says why in words fit for a report. `absent`: there is
    certainly no such file at this revision. `identity`: the content's hash where it is recorded, '' otherwise: two with
    the same identity are the same, whether they can be read or not.
    """

    content: bytes | None
    problem: str = ""
    absent: bool = False
    identity: str = ""

    def is_same_as(self, other: Source) -> bool:
        """Return whether it is recorded as the same content."""
        return bool(self.identity) and self.identity == other.identity


@frozen
class Stored:
    """A file that may be too large for memory: where its bytes lie, or the bytes, or why there are none.

    Attributes:
        locate: finds the bytes, perhaps on a remote, when they are asked for; None when nobody has them.
        problem: why there are none. explain: the same, asked when `locate` found nothing.
        identity: the content's hash where it is recorded, '' otherwise: of two with the same identity one need not
            be read, nor be brought.
    """

    path: Path | None = None
    content: bytes | None = None
    locate: Callable[[], Path | None] | None = None
    problem: str = ""
    explain: Callable[[], str] | None = None
    identity: str = ""

    def why(self) -> str:
        """Return why there are no bytes, '' when that is not known."""
        return self.explain() if self.explain is not None else self.problem

    def open(self) -> BinaryIO:
        """Return the content as a stream.

        Raises:
            OSError: there is none, `problem` says why; or it cannot be read.
        """
        if self.content is not None:
            return io.BytesIO(self.content)
        path = self.locate() if self.path is None and self.locate is not None else self.path
        if path is None:
            raise FileNotFoundError(2, self.why() or "the file is missing")
        return path.open("rb")


@frozen
class PlotDefinition:
    """One entry of `plots:` as DVC resolves it. `y` maps a data file to the fields drawn from it.

    `xs` does the same for x where a file of its own is named for it. `template` is DVC's name for it (``linear``,
    ``confusion``, ``scatter``...) or that of a file. An image file has none.
    """

    id: str
    files: tuple[str, ...]
    x: str = ""
    y: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    xs: Mapping[str, str] = field(default_factory=dict)
    title: str = ""
    template: str = ""
    header: bool = True
    x_label: str = ""
    y_label: str = ""


@frozen
class DirectoryEntry:
    """One file of a directory artifact."""

    path: str
    hash: str


@frozen
class ArtifactState:
    """One output or .dvc file as recorded.

    `entries` is None when it is no directory or the manifest is not available (`problem` then says so).
    """

    path: str
    hash: str
    size: int | None = None
    files: int | None = None
    directory: bool = False
    entries: tuple[DirectoryEntry, ...] | None = None
    problem: str = ""


@frozen
class StageParams:
    """Which parameters one stage depends on: file -> dotted names (empty tuple: the whole file).

    `after`: the stages that run again when this one does, in order.
    """

    stage: str
    params: Mapping[str, tuple[str, ...]]
    after: tuple[str, ...] = ()


@frozen
class StageDefinition:
    """What dvc.yaml says of one stage, with templates filled in.

    `outputs` maps a path to what kind of output it is (``out``, ``metric``, ``plot``) with DVC's flags where they are
    not the usual ones; `params` are ``file:name``, or the file alone.
    """

    name: str
    command: str = ""
    directory: str = ""
    frozen: bool = False
    always: bool = False
    dependencies: tuple[str, ...] = ()
    params: tuple[str, ...] = ()
    outputs: Mapping[str, str] = field(default_factory=dict)


@frozen
class Snapshot:
    """Everything that is compared, at one revision. Paths are relative to the project's root, with '/'.

    `revision` is a commit id, or '' for the work tree. `tables` holds the files that the settings name, by path;
    `local_tables` the tables among the data that may have changed, to be looked for in cache and mirror alone.
    `problem` says what of DVC's own files could not be read at this revision; there is then no more here than Git
    keeps. `definitions`: None where dvc.yaml could not be read. `hidden`: paths that DVC does not see here, although a
    file of its own tracks them -> why.
    """

    revision: str
    metrics: Mapping[str, Source] = field(default_factory=dict)
    params: Mapping[str, Source] = field(default_factory=dict)
    stage_params: tuple[StageParams, ...] = ()
    plots: tuple[PlotDefinition, ...] = ()
    plot_data: Mapping[str, Source] = field(default_factory=dict)
    artifacts: Mapping[str, ArtifactState] = field(default_factory=dict)
    tables: Mapping[str, Stored] = field(default_factory=dict)
    local_tables: Mapping[str, Stored] = field(default_factory=dict)
    definitions: tuple[StageDefinition, ...] | None = ()
    problem: str = ""
    hidden: Mapping[str, str] = field(default_factory=dict)
