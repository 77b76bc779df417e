"""The paths that a project's stages name."""

from __future__ import annotations

from mlbutler.project.model import Stages


def result_paths(stages: Stages) -> tuple[str, ...]:
    """Return files that Git keeps and a reproduction may change: dvc.lock, uncached outputs, .gitignore files."""
    paths: dict[str, None] = {}
    for stage in stages.pipeline():
        paths[stage.lock_file] = None
        for out in stage.outputs:
            if out.external:
                continue
            if not out.cached:
                paths[out.path] = None
            else:
                parent = out.path.rpartition("/")[0]
                paths[f"{parent}/.gitignore" if parent else ".gitignore"] = None
    return tuple(paths)


def dependency_paths(stages: Stages) -> tuple[str, ...]:
    """Return what stages are made from: dvc.yaml and .dvc files, dependencies, parameter files, settings of DVC."""
    paths: dict[str, None] = {".dvc/config": None}
    for stage in stages.ordered:
        paths[stage.file] = None
        paths |= dict.fromkeys(dependency.path for dependency in stage.dependencies)
        paths |= dict.fromkeys(params.path for params in stage.params)
    return tuple(paths)


def read_paths(stages: Stages) -> tuple[str, ...]:
    """Return every path on this machine that a plan looks at: dependencies, parameter files, outputs."""
    paths: dict[str, None] = {}
    for stage in stages.ordered:
        paths |= dict.fromkeys(d.path for d in stage.dependencies if not d.is_url)
        paths |= dict.fromkeys(params.path for params in stage.params)
        paths |= dict.fromkeys(out.path for out in stage.outputs if not out.is_url)
    return tuple(paths)


def recorded_hashes(stages: Stages) -> dict[str, tuple[str, str]]:
    """Return algorithm and value of each output's hash that dvc.lock or a .dvc file records."""
    found = ((path, out.recorded) for path, (_, out) in stages.owners.items())
    return {path: (recorded.algorithm, recorded.value) for path, recorded in found if recorded is not None}
