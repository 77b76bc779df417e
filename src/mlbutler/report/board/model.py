"""What the page of experiments shows, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from mlbutler.record import Scalar

Points = tuple[tuple[float, ...], tuple[float, ...]]
"""The x and the y of a curve."""


class RowKind(StrEnum):
    """What a row of the table is."""

    COMMIT = "commit"
    PULL_REQUEST = "pull request"
    EXPERIMENT = "experiment"
    TRAINING = "training"


@dataclass(frozen=True)
class BoardColumn:
    """A metric or a param.

    Attributes:
        key: ``file:name``. label: what stands above it: the name, with the file where another column has the same.
        goal: ``maximize`` or ``minimize``, None where that is not known.
    """

    key: str
    label: str
    metric: bool
    goal: str | None = None

    def of(self, row: BoardRow) -> Scalar:
        """Return the value that an experiment has here, None for none."""
        return (row.metrics if self.metric else row.params).get(self.key)


@dataclass(frozen=True)
class BoardRow:
    """One experiment.

    Attributes:
        name: of the experiment, or the commit's subject. commit: its id, '' for one whose results are not here.
        branch: '' where none is known. pull: the pull request's number. when: seconds since the epoch.
        state: of a training, or why numbers of a commit are not here.
        metrics, params: ``file:name`` -> value. baseline: the commit that it is compared with, '' for none.
        same: whether it measured the same as its parent, with the same params. links: word -> address.
        curves: name -> key of its points.
    """

    kind: RowKind
    name: str
    commit: str = ""
    branch: str = ""
    pull: str = ""
    when: int = 0
    author: str = ""
    state: str = ""
    metrics: Mapping[str, Scalar] = field(default_factory=dict)
    params: Mapping[str, Scalar] = field(default_factory=dict)
    baseline: str = ""
    same: bool = False
    links: Mapping[str, str] = field(default_factory=dict)
    curves: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Board:
    """All experiments, newest first.

    Attributes:
        title: the project's name. target: the target branch. main: key of the metric that counts most, '' for none.
        curves: key -> points. notes: what is not shown, and why.
    """

    title: str
    target: str
    rows: tuple[BoardRow, ...]
    columns: tuple[BoardColumn, ...]
    main: str = ""
    curves: Mapping[str, Points] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
