"""DVC's run cache: which earlier run of a stage had these inputs, and what it produced.

An entry is a small YAML file at ``runs/<first two>/<key>/<value>`` that looks like a stage in dvc.lock. The key
is DVC's own hash of command, dependencies, parameters and output paths.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlbutler.parsing import Unreadable, decoded, parse_yaml
from mlbutler.project.load import address, relative
from mlbutler.project.model import LEGACY_MD5, MD5, Recorded, Stage
from mlbutler.store.interface import ObjectId
from mlbutler.store.runs import newest_in


def dvc_stages(repo: Any) -> dict[str, Any]:
    """Return DVC's own stages by the names of ours."""
    return {address(repo, stage): stage for stage in repo.index.stages}


def find_run(
    repo: Any,
    dvc_stage: Any,
    stage: Stage,
    hashes: Mapping[str, Recorded],
    look_up: Callable[[str], Mapping[str, Any] | None],
) -> dict[str, Recorded] | None:
    """Return the outputs (project path -> hash) of a recorded run with these inputs, None when there is none.

    Args:
        dvc_stage: the same of DVC (`dvc_stages`). hashes: content of every dependency, by project path. look_up: finds
            the newest entry for a key.
    """
    if not hashes or not stage.outputs or any(o.persist or o.external for o in stage.outputs):
        return None
    try:
        key = _key(repo, dvc_stage, stage, hashes)
    except (TypeError, ValueError, RecursionError):  # a parameter that JSON has no word for: DVC keeps no such run
        return None
    entry = look_up(key)
    return _outputs(repo, dvc_stage, entry) if entry is not None else None


def recorded_run(repo: Any, dvc_stage: Any, stage: Stage) -> tuple[str, frozenset[tuple[str, ObjectId | None]]] | None:
    """Return the key of the run that dvc.lock records of a stage, and its outputs as DVC's run cache names them.

    None where it records none that DVC keeps.
    """
    hashes = {dependency.path: dependency.recorded for dependency in stage.dependencies if dependency.recorded}
    recorded = {out.path: out.recorded.oid if out.recorded else None for out in stage.outputs}
    try:
        outputs = frozenset((str(out.def_path), recorded[relative(repo, out)[0]]) for out in dvc_stage.outs)
        return _key(repo, dvc_stage, stage, hashes), outputs
    except (KeyError, TypeError, ValueError, RecursionError):
        return None


def _key(repo: Any, dvc_stage: Any, stage: Stage, hashes: Mapping[str, Recorded]) -> str:
    from dvc.utils import dict_sha256

    current = {params.path: params for params in stage.params}
    dependencies: list[dict[str, Any]] = []
    params: dict[str, Any] = {}
    for item in sorted(dvc_stage.deps, key=lambda dep: dep.def_path):
        path, _ = relative(repo, item)
        if path in current and hasattr(item, "params"):
            values = current[path].current or {}
            names = current[path].names or tuple(values)
            params[item.def_path] = {name: values[name] for name in sorted(names) if name in values}
            continue
        present = hashes[path]
        entry: dict[str, Any] = {"path": item.def_path}
        if present.algorithm != LEGACY_MD5:
            entry["hash"] = "md5"
        entry[MD5] = present.value
        if _is_executable(Path(repo.root_dir, path), item):
            entry["isexec"] = True
        dependencies.append(entry)
    content: dict[str, Any] = {"cmd": dvc_stage.cmd, "deps": dependencies}
    if params:
        content["params"] = params
    content["outs"] = [out.def_path for out in sorted(dvc_stage.outs, key=lambda out: out.def_path)]
    return str(dict_sha256(content, exclude=["size", "nfiles"]))


def _is_executable(path: Path, item: Any) -> bool:
    if path.is_file():
        return bool(path.stat().st_mode & 0o111)
    return bool(getattr(item.meta, "isexec", False))


def newest(run_caches: Iterable[Path], key: str) -> Mapping[str, Any] | None:
    """Return the newest entry for a key in the first of these ``runs`` directories that has one."""
    for runs in run_caches:
        file = newest_in(runs / key[:2] / key)
        with suppress(OSError):
            if file is not None and (found := parse_entry(file.read_bytes())) is not None:
                return found
    return None


def parse_entry(content: bytes) -> Mapping[str, Any] | None:
    """Return an entry as data, None when it is none."""
    try:
        found = parse_yaml(decoded(content))
    except Unreadable:
        return None
    return found if isinstance(found, Mapping) else None


def _outputs(repo: Any, dvc_stage: Any, entry: Mapping[str, Any]) -> dict[str, Recorded] | None:
    by_definition = {out.def_path: relative(repo, out)[0] for out in dvc_stage.outs}
    found: dict[str, Recorded] = {}
    outs = entry.get("outs")
    for out in outs if isinstance(outs, list) else ():
        path = by_definition.get(str(out.get("path"))) if isinstance(out, Mapping) else None
        if path is None or not isinstance(out.get(MD5), str):
            return None
        algorithm = MD5 if out.get("hash") == "md5" else LEGACY_MD5
        found[path] = Recorded(algorithm, out[MD5], _whole(out.get("size")), _whole(out.get("nfiles")))
    return found if len(found) == len(by_definition) else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None
