"""DVC's `plots:` as definitions: both forms at the top of dvc.yaml, and plots that are outputs of stages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from mlbutler.comparison.snapshot import PlotDefinition
from mlbutler.project.model import Output, Stages


def definitions(
    repo: Any,
    stages: Stages,
    files: Callable[[Output], Iterator[str]],
    below: Callable[[str, str], str],
    expanded: Callable[[Iterable[str]], Mapping[str, tuple[str, ...]]],
) -> Iterator[PlotDefinition]:
    """Return every plot of one revision, once.

    Args:
        files: an output's files (itself, when it is no directory).
        below: (a dvc.yaml, a path relative to its folder) -> the path from the project's root.
        expanded: paths -> each with its files (itself, when it is no directory).
    """
    seen = set()
    for definition in (*_top_level(repo, below, expanded), *_outputs(repo, stages, files)):
        if definition.id not in seen:
            seen.add(definition.id)
            yield definition


def _outputs(repo: Any, stages: Stages, files: Callable[[Output], Iterator[str]]) -> Iterator[PlotDefinition]:
    by_path = {
        repo.fs.relpath(out.fs_path, repo.root_dir).replace("\\", "/"): out.plot
        for stage in repo.index.stages
        for out in stage.outs
        if out.plot and out.protocol == "local"
    }
    for path, props in by_path.items():
        owner = stages.owner(path)
        if owner is None:
            continue
        for file in files(owner[1]):
            yield _definition(file, props if isinstance(props, Mapping) else {}, lambda path: path)


def _top_level(
    repo: Any,
    below: Callable[[str, str], str],
    expanded: Callable[[Iterable[str]], Mapping[str, tuple[str, ...]]],
) -> Iterator[PlotDefinition]:
    found = [(file, name, props) for file, plots in repo.index._plots.items() for name, props in _plot_entries(plots)]
    files = expanded(below(file, name) for file, name, props in found if not _by_id(props))
    for dvcfile, name, props in found:
        if _by_id(props):
            yield _definition(name, props, lambda path, file=dvcfile: below(file, path))
            continue
        for file in files[below(dvcfile, name)]:
            yield _definition(file, props, lambda path: path)


def plot_paths(plots: Any) -> Iterator[str]:
    """Return the files and folders that an entry ``plots:`` of dvc.yaml names, as it writes them."""
    for name, props in _plot_entries(plots):
        yield from ([name] if not _by_id(props) else ())
        yield from (str(file) for axis in ("x", "y") if isinstance(props.get(axis), Mapping) for file in props[axis])


def _by_id(props: Mapping[str, Any]) -> bool:
    """Tell whether its name is an id, and no path."""
    return isinstance(props.get("y"), Mapping) or isinstance(props.get("x"), Mapping)


def _plot_entries(plots: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the entries of ``plots:``, which is a mapping or a list of names and mappings."""
    for item in plots if isinstance(plots, list) else [plots]:
        if isinstance(item, Mapping):
            for name, props in item.items():
                yield str(name), props if isinstance(props, Mapping) else {}
        else:
            yield str(item), {}


def _definition(name: str, props: Mapping[str, Any], locate: Callable[..., str]) -> PlotDefinition:
    """Return one plot; `name` is a file's path unless `y` (or `x`) maps files to fields."""
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
    xs: dict[str, str] = {}
    if isinstance(x, Mapping):
        xs = {locate(str(file)): str(field) for file, field in x.items() if isinstance(field, str)}
        x = next(iter(xs.values()), "")
    return PlotDefinition(
        id=name,
        files=files,
        x=str(x or ""),
        y=y,
        xs=xs,
        title=str(props.get("title") or ""),
        template=str(props.get("template") or ""),
        header=bool(props.get("header", True)),
        x_label=str(props.get("x_label") or ""),
        y_label=str(props.get("y_label") or ""),
    )


def _fields(value: Any) -> tuple[str, ...]:
    if isinstance(value, (list, tuple)):
        return tuple(str(item) for item in value)
    return (str(value),) if value else ()
