"""The metrics of an experiment, beside those of the commit that it stands on."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import cache
from pathlib import Path

from mlbutler.comparison.documents import LARGEST, read_document
from mlbutler.comparison.snapshot import Source
from mlbutler.experiments.experiment import Experiment, Measure
from mlbutler.git import Git
from mlbutler.numbers import as_float
from mlbutler.project.model import Stages

_MOST = 50


def read_measures(
    git: Git, experiment: Experiment, root: Path, stages: Stages, of: Collection[str] | None = None
) -> tuple[Measure, ...]:
    """Return the numbers of the metric files that lie in a work tree, at most fifty.

    Args:
        git: at the repository's root. root: the project's root in a clone, after its stages have run.
        of: stages whose metrics count, None for all.
    """
    found = [measure for path in _metric_files(stages, of) for measure in _of(git, experiment, root, path)]
    return tuple(found[:_MOST])


def _metric_files(stages: Stages, of: Collection[str] | None) -> Iterator[str]:
    for stage in (stage for stage in stages.pipeline() if of is None or stage.name in of):
        yield from (out.path for out in stage.outputs if out.kind == "metric" and not out.external)


@cache  # what a commit holds does not change
def _document(git: Git, revision: str, path: str) -> Mapping[str, object]:
    return read_document(path, Source(git.show(revision, path))).values


def baseline_values(git: Git, experiment: Experiment, path: str) -> Mapping[str, object]:
    """Return what a metric file held at the commit that an experiment stands on, by dotted names.

    Args:
        path: from the project's root.
    """
    return _document(git, experiment.baseline, f"{experiment.project}{path}")


def _of(git: Git, experiment: Experiment, root: Path, path: str) -> Iterator[Measure]:
    old = baseline_values(git, experiment, path)
    for name, value in read_document(path, _present(root / path)).values.items():
        number = None if isinstance(value, bool) else as_float(value)
        if number is not None:
            yield Measure(file=path, name=name, value=number, before=as_float(old.get(name)))


def _present(path: Path) -> Source:
    try:
        if not path.is_file() or path.stat().st_size > LARGEST:
            return Source(None)
        return Source(path.read_bytes())
    except OSError:
        return Source(None)
