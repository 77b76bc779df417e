"""Results where trackers list them: in files that a results commit has besides, and as runs on an MLflow server."""

from __future__ import annotations

import dataclasses
import posixpath
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from mlbutler.commitback.earlier import REPRODUCED
from mlbutler.commitback.files import from_root
from mlbutler.commitback.push_results import concerns
from mlbutler.comparison.documents import leaves
from mlbutler.git import Git, TreeEntry
from mlbutler.project.model import Stages
from mlbutler.record import Change, Outcome, Record, Scalar
from mlbutler.report.links import report_page
from mlbutler.report.metrics_csv import measured_numbers
from mlbutler.secrets import without_userinfo
from mlbutler.settings import TrackersSettings
from mlbutler.steps.agreed import agreed_section
from mlbutler.steps.context import RunContext
from mlbutler.steps.reviewers import record_to_publish
from mlbutler.trackers import git_files
from mlbutler.trackers.mlflow_server import DAGSHUB_TOKEN, MlflowServer
from mlbutler.trackers.result import Result, unique_names
from mlbutler.variables import FORGE_TOKEN

_FILE = "100644"


def settings(context: RunContext) -> TrackersSettings:
    """Return the settings that the team agreed on: a credential goes where they say."""
    return agreed_section(context, "trackers", context.settings.trackers, branches=True)


def used_params(stages: Stages) -> dict[str, Scalar]:
    """Return the parameters that stages read, as the work tree has them."""
    found: dict[str, Scalar] = {}
    for params in (params for stage in stages.pipeline() for params in stage.params):
        current = params.current or {}
        wanted = {name: current[name] for name in params.names or current if name in current}
        found |= {f"{params.path}:{name}": value for name, value in (leaves(wanted) or {}).items()}
    return {name: found[key] for key, name in unique_names(found).items()}


# ------------------------------------------------------------------------------------ files in Git


def tracking_files(context: RunContext, git: Git, parent: str, depended: Sequence[str]) -> dict[str, TreeEntry]:
    """Return what the results commit has besides, for trackers that read Git.

    Files that the project has itself under these names stay; that is said.

    Args:
        git: at the repository's root. parent: the commit before. depended: paths that stages depend on or write.
    """
    folder, compare = context.settings.trackers.git, context.record.compare
    numbers = measured_numbers(context.record) if compare is not None else []
    if folder is None or not numbers:
        return {}
    contents = {
        git_files.METRICS: git_files.metrics_csv(_metrics(numbers), 1000 * _time(git, context.record.change.head)),
        git_files.PARAMS: git_files.params_yml(used_params(context.project.stages)),
    }
    paths = {name: from_root(context.prefix, posixpath.join(folder, name)) for name in contents}
    there = {entry.path: entry for entry in git.tree(parent)}
    own = git.show(parent, paths[git_files.PARAMS] or "") or git_files.MARK
    taken = [path for path in paths.values() if path is None or concerns(path, depended)]
    if taken or not own.startswith(git_files.MARK) or _is_alone(there, paths):
        context.console.line(f"The project has {' or '.join(contents)} of its own in {folder}: they stay as they are.")
        return {}
    made = {}
    for name, path in paths.items():
        assert path is not None
        oid = git.run("hash-object", "-w", "--stdin", input=contents[name]).text.strip()
        made[path] = TreeEntry(_FILE, oid, path)
    return {path: entry for path, entry in made.items() if there.get(path) != entry}


def _is_alone(there: Mapping[str, TreeEntry], paths: Mapping[str, str | None]) -> bool:
    """Return whether there are metrics without the file that says whose they are."""
    return paths[git_files.METRICS] in there and paths[git_files.PARAMS] not in there


def _time(git: Git, commit: str) -> int:
    return int(git.run("show", "--no-patch", "--format=%ct", commit).text)


def _metrics(numbers: Sequence[tuple[str, float]]) -> dict[str, float]:
    found = dict(numbers)
    return {name: found[key] for key, name in unique_names(found).items()}


# ------------------------------------------------------------------------------------ MLflow


def log_to_mlflow(context: RunContext) -> str:
    """Log what was committed as a run on the MLflow server; return a clause that says so, '' where nothing was.

    The record gets its page, for the report. A build of the results commit itself finds the run that is there, or logs
    it now.

    Raises:
        SettingsError, OutsideError: see `mlbutler.trackers.mlflow_server.log`.
    """
    where = settings(context)
    result = _result(context) if where.mlflow and context.trusted else None
    if where.mlflow is None or result is None:
        return ""
    page = send_run(context, where, result)
    if context.record.commit is not None:
        context.record = dataclasses.replace(
            context.record, commit=dataclasses.replace(context.record.commit, tracker_run=page)
        )
    return "the result is on the MLflow server"


def send_run(context: RunContext, where: TrackersSettings, result: Result) -> str:
    """Log the result as a run on the server; return the address of its page.

    Raises:
        SettingsError, OutsideError: see `mlbutler.trackers.mlflow_server.log`.
    """
    from mlbutler.trackers import mlflow_server

    assert where.mlflow is not None
    name = where.experiment or _repository_name(result.repository)
    return mlflow_server.log(server(context, where.mlflow), name, result)


def server(context: RunContext, url: str) -> MlflowServer:
    """Return the MLflow server with this run's credentials for it."""
    return MlflowServer.of(url, _access(context.environ, context.record, url))


def _access(environ: Mapping[str, str], record: Record, url: str) -> Mapping[str, str]:
    """Return the environment; where Git's remote is on the same host the forge's token is for this server too."""
    from mlbutler.forge.address import parse_address

    at, token = parse_address(record.change.repository), environ.get(FORGE_TOKEN, "")
    same = at is not None and at.web.partition("://")[2] == urlsplit(url).netloc
    return {DAGSHUB_TOKEN: token, **{k: v for k, v in environ.items() if v}} if same and token else environ


def _result(context: RunContext) -> Result | None:
    """Return the result that a commit of this run's holds, None where there is none."""
    made, change = context.record.commit, context.record.change
    if made is None or made.outcome not in (Outcome.PASSED, Outcome.SKIPPED) or change.kind == "local":
        return None
    id = made.commit or (change.head if made.proposed else "")
    if not id and REPRODUCED in context.git.trailers(change.head):
        id = change.head
    if not id:
        return None
    record = record_to_publish(context, change)
    pages = (("build", change.build_url), ("report", report_page(change)), ("pull request", change.url))
    return Result(
        id=id,
        name=f"{change.head_branch or 'results'} {id[:8]}",
        commit=_reproduced_commit(context.git, context.record, id),
        params=used_params(context.project.stages),
        metrics=_metrics(measured_numbers(record)),
        links=tuple((what, url) for what, url in pages if url),
        source=change.build_url,
        branch=change.head_branch or "",
        repository=address(change),
    )


def _reproduced_commit(git: Git, record: Record, id: str) -> str:
    """Return the commit that was reproduced for the results commit `id`, where that is known."""
    return record.change.head if id != record.change.head else git.trailers(id).get(REPRODUCED, id)


def address(change: Change) -> str:
    """Return the repository's address, without a user or password."""
    return without_userinfo(change.repository)


def _repository_name(address: str) -> str:
    return address.rstrip("/").rpartition("/")[2].removesuffix(".git") or "mlbutler"
