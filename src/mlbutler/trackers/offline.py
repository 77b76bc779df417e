"""Runs that a stage logged into a folder: MLflow's file store and database, and the folders of W&B's client.

The project's code wrote them: they are read in bounded pieces and through no link, and give nothing but names and
numbers.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from mlbutler.comparison.documents import leaves
from mlbutler.frozen import frozen
from mlbutler.numbers import as_float
from mlbutler.parsing import Unreadable, decoded, parse_json, parse_yaml
from mlbutler.record import TrackedRun
from mlbutler.symlinks import open_plain
from mlbutler.trackers import mlflow_db, wandb_file

MLFLOW, WANDB = "MLflow", "Weights & Biases"
_MOST_FOLDERS, _MOST_RUNS, _MOST_METRICS, _MOST_DEPTH = 10_000, 50, 1000, 5
_LARGEST = 1 << 20
_TAIL = 4096
"""Bytes at the end of a metric's file that are read: a line for each step."""
_ONLINE = re.compile(r"run-[0-9]{8}_[0-9]{6}-(?P<id>[\w-]{1,128})", re.ASCII)
_OFFLINE = re.compile(r"offline-run-[0-9]{8}_[0-9]{6}-(?P<id>[\w-]{1,128})", re.ASCII)
_WANDB_HOST = "https://wandb.ai"


@frozen
class LoggedRun:
    """A run with its final numbers. `when`: seconds since 1970, to tell the last one."""

    run: TrackedRun
    when: float
    metrics: Mapping[str, float] = field(default_factory=dict)


def find_logged_runs(root: Path, folders: Iterable[str], since: float, environ: Mapping[str, str]) -> list[LoggedRun]:
    """Return the runs that were written since then, the earliest first, and of MLflow's none that is inside another.

    Args:
        folders: where stages run, from `root`, '' for itself. since: seconds since 1970.
        environ: what names the server, the team and the project of W&B, for links.
    """
    runs: list[LoggedRun] = []
    for folder in dict.fromkeys(folders):
        runs += _find_mlflow_runs(root, _path_below(folder, "mlruns"), since)
        runs += _find_mlflow_db_runs(root, _path_below(folder, mlflow_db.NAME), since)
        runs += _find_wandb_runs(root, _path_below(folder, "wandb"), since, environ)
    return sorted(runs, key=lambda one: one.when)[-_MOST_RUNS:]


def numbers(runs: Iterable[LoggedRun]) -> dict[str, float]:
    """Return the final numbers of all: of several runs with the same the last one's."""
    merged: dict[str, float] = {}
    for one in runs:
        merged |= one.metrics
    return merged


def _path_below(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _find_mlflow_runs(root: Path, place: str, since: float) -> Iterator[LoggedRun]:
    for experiment in _list_folders(root / place):
        for folder in _list_folders(experiment):
            run, when = _read_mapping(folder / "meta.yaml", parse_yaml), _modified_time(folder / "meta.yaml")
            if when < since or run.get("lifecycle_stage") not in ("active", None) or _is_inner(folder):
                continue
            metrics = dict(islice(_read_metrics(folder / "metrics", ""), _MOST_METRICS))
            name = str(run.get("run_name") or folder.name)
            at = f"{place}/{experiment.name}/{folder.name}"
            yield LoggedRun(TrackedRun(tracker=MLFLOW, name=name, id=folder.name, place=at), when, metrics)


def _find_mlflow_db_runs(root: Path, place: str, since: float) -> Iterator[LoggedRun]:
    for row in mlflow_db.rows(root / place, since) if _modified_time(root / place) >= since else ():
        yield LoggedRun(
            TrackedRun(tracker=MLFLOW, name=row.name or row.id, id=row.id, place=place), row.when, row.metrics
        )


def _is_inner(folder: Path) -> bool:
    """Return whether it is a step of another run, such as one of a search for parameters."""
    return _read_plain_file(folder / "tags" / "mlflow.parentRunId") is not None


def _read_metrics(folder: Path, before: str, depth: int = 0) -> Iterator[tuple[str, float]]:
    """Yield each metric with its last value; a name with slashes is a file in folders."""
    for entry in _list_entries(folder):
        name = f"{before}{entry.name}"
        if entry.is_dir(follow_symlinks=False) and depth < _MOST_DEPTH:
            yield from _read_metrics(Path(entry.path), f"{name}/", depth + 1)
        elif (value := _last_value(_read_plain_file(Path(entry.path), tail=True))) is not None:
            yield name, value


def _last_value(content: bytes | None) -> float | None:
    """Return the value of the highest step: lines are time, value, step."""
    best: tuple[float, float, float] | None = None
    for line in (content or b"").splitlines():
        when, value, step = (as_float(_parse_number(part)) for part in [*line.split(), b"", b"", b""][:3])
        if value is not None and when is not None and (best is None or (step or 0, when) >= best[:2]):
            best = (step or 0, when, value)
    return best[2] if best else None


def _parse_number(text: bytes) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _find_wandb_runs(root: Path, place: str, since: float, environ: Mapping[str, str]) -> Iterator[LoggedRun]:
    for folder in _list_folders(root / place):
        online, offline = _ONLINE.fullmatch(folder.name), _OFFLINE.fullmatch(folder.name)
        match, summary = online or offline, folder / "files" / "wandb-summary.json"
        when = _modified_time(folder / "files")
        if match is None:
            continue
        written = folder / f"run-{match['id']}.wandb"  # all that there is of a run that was not online
        if max(when, _modified_time(summary), _modified_time(written)) < since:
            continue
        metrics = _read_summary(summary) or wandb_file.last_numbers(written)
        url = _page(match["id"], environ) if online else ""
        run = TrackedRun(tracker=WANDB, name=match["id"], id=match["id"], place=f"{place}/{folder.name}", url=url)
        yield LoggedRun(run, when, metrics)


def _read_summary(path: Path) -> dict[str, float]:
    known = leaves({k: v for k, v in _read_mapping(path, parse_json).items() if not str(k).startswith("_")}) or {}
    return {name: number for name, item in islice(known.items(), _MOST_METRICS)
            if not isinstance(item, bool | str) and (number := as_float(item)) is not None}  # fmt: skip


def _page(id: str, environ: Mapping[str, str]) -> str:
    """Return a run's page on the W&B server that the environment names, '' where it does not say whose it is."""
    team, project = environ.get("WANDB_ENTITY", ""), environ.get("WANDB_PROJECT", "")
    host = (environ.get("WANDB_BASE_URL") or _WANDB_HOST).rstrip("/")
    if not (team and project) or urlsplit(host).scheme not in ("http", "https") or "@" in urlsplit(host).netloc:
        return ""
    return f"{host}/{quote(team, safe='')}/{quote(project, safe='')}/runs/{id}"


# ------------------------------------------------------------------------------------ files


def _list_entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        if folder.is_symlink():
            return []
        with os.scandir(folder) as listed:
            return sorted(islice(listed, _MOST_FOLDERS), key=lambda entry: entry.name)
    except OSError:
        return []


def _list_folders(folder: Path) -> list[Path]:
    return [Path(entry.path) for entry in _list_entries(folder) if entry.is_dir(follow_symlinks=False)]


def _modified_time(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:
        return 0.0


def _read_plain_file(path: Path, *, tail: bool = False) -> bytes | None:
    """Return a plain file's content, or its end; None where there is none or it is too large."""
    try:
        with open_plain(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > _LARGEST and not tail:
                return None
            if tail and size > _TAIL:
                file.seek(-_TAIL, os.SEEK_END)
                file.readline(_TAIL)  # the rest of a line
            return file.read(_LARGEST)
    except OSError:
        return None


def _read_mapping(path: Path, parse: Any) -> dict[str, Any]:
    content = _read_plain_file(path)
    try:
        made = parse(decoded(content)) if content is not None else {}
    except Unreadable:
        return {}
    return made if isinstance(made, dict) else {}
