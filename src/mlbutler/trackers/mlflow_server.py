"""A result as a run on an MLflow server: one run for each, whatever breaks in between.

MLflow's client repeats a creation that was not answered, follows redirects and reports its own use; here all three are
off. It is given the credentials themselves, and the environment of other processes none.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field
from datetime import datetime
from itertools import islice
from typing import Any
from urllib.parse import quote

from mlbutler.errors import AccessDenied, OutsideError, SettingsError, UsageError
from mlbutler.escape import escape_invisible, markdown, web_address
from mlbutler.extras import how_to_get
from mlbutler.frozen import frozen
from mlbutler.record import TrackedRun
from mlbutler.remotes.credentials import is_dagshub
from mlbutler.trackers.offline import MLFLOW, LoggedRun
from mlbutler.trackers.result import Result

USER, PASSWORD, TOKEN = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"
DAGSHUB_TOKEN = "DAGSHUB_USER_TOKEN"
RESULT = "mlbutler.result"
"""The tag by which the run of a result is found."""
_CLIENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
    "MLFLOW_ALLOW_HTTP_REDIRECTS": "false",
}
_TRIES = 4
_PAUSE = 1.0
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_ODD = re.compile(r"[^\w. /-]", re.ASCII)
_LONGEST_NAME, _LONGEST_VALUE, _LONGEST_TAG = 250, 500, 5000
_AT_ONCE = 100
_MOST_FOUND = 50
_MOST_EXPERIMENTS = 200
_PARENT = "mlflow.parentRunId"
_REFUSED = ("PERMISSION_DENIED", "UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED")
_LASTING = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST", "ENDPOINT_NOT_FOUND", "RESOURCE_DOES_NOT_EXIST")
_EXISTS = "RESOURCE_ALREADY_EXISTS"


class Refused(OutsideError):
    """The server would answer the same again."""


@frozen
class MlflowServer:
    """An MLflow server, and the credentials for it."""

    url: str
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)

    @classmethod
    def of(cls, url: str, environ: Mapping[str, str]) -> MlflowServer:
        """Return it with the credentials of the environment: MLflow's own, on DagsHub its token."""
        user, password, token = (environ.get(name, "").strip() for name in (USER, PASSWORD, TOKEN))
        if not (user or token) and is_dagshub(url, environ):
            user = password = environ.get(DAGSHUB_TOKEN, "").strip()
        return cls(url, user, password, token)


def log(server: MlflowServer, experiment: str, result: Result, pause: float = _PAUSE) -> str:
    """Have one run for the result on the server; return its page.

    What may have been created is looked for, and not created again. Of two that were created at the same time the
    first stays.

    Args:
        pause: seconds before what was not answered is looked for.

    Raises:
        SettingsError: the extra is not installed. AccessDenied: the credentials are refused.
        OutsideError: the server cannot be reached, or did not take it.
        UsageError: the result's id is no commit: it may come from a record that anybody wrote.
    """
    if not _COMMIT.fullmatch(result.id):
        raise UsageError("The record does not name a commit that holds the results.", "Run `mlbutler commit` first.")
    for number in range(_TRIES - 1):
        try:
            with _client(server) as store:
                return _page(server, _Runs(store, experiment).get_or_create(result))
        except OutsideError as error:
            if isinstance(error, AccessDenied | Refused):
                raise
        time.sleep(pause * 2**number)
    with _client(server) as store:
        return _page(server, _Runs(store, experiment).get_or_create(result))


@contextmanager
def _client(server: MlflowServer) -> Iterator[Any]:
    """Return MLflow's client of the server; what it raises becomes an error of ours.

    Raises:
        SettingsError, AccessDenied, OutsideError: as `log`.
    """
    with _quiet_client():
        try:
            from mlflow.exceptions import MlflowException
            from mlflow.store.tracking.rest_store import RestStore
            from mlflow.utils.rest_utils import MlflowHostCreds
        except ImportError as error:
            raise SettingsError("trackers.mlflow needs MLflow's client.", how_to_get("mlflow")) from error
        known = MlflowHostCreds(
            server.url, username=server.user or None, password=server.password or None, token=server.token or None
        )
        try:
            yield RestStore(lambda: known)
        except MlflowException as error:
            raise _translate_error(server, error) from error


def query_logged_runs(server: MlflowServer, commit: str, since: float) -> list[LoggedRun]:
    """Return the runs that stages logged there since then, by the commit that MLflow notes, the earliest first.

    Args:
        since: seconds since 1970.

    Raises:
        SettingsError, AccessDenied, OutsideError: as `log`.
    """
    with _client(server) as store:
        from mlflow.entities import ViewType

        ids = [found.experiment_id for found in store.search_experiments(ViewType.ACTIVE_ONLY, _MOST_EXPERIMENTS)]
        asked = f"tags.`mlflow.source.git.commit` = '{commit}' and attributes.start_time >= {int(since * 1000)}"
        found = store.search_runs(ids, asked, ViewType.ACTIVE_ONLY, _MOST_FOUND) if ids else []
    own = [run for run in found if RESULT not in run.data.tags and _PARENT not in run.data.tags]
    return [_to_logged_run(server, run) for run in sorted(own, key=lambda run: (run.info.start_time, run.info.run_id))]


def _to_logged_run(server: MlflowServer, run: Any) -> LoggedRun:
    name, id = run.info.run_name or run.info.run_id, run.info.run_id
    metrics = {key: float(value) for key, value in run.data.metrics.items()}
    page = _page(server, run)
    return LoggedRun(TrackedRun(tracker=MLFLOW, name=name, id=id, url=page), run.info.start_time / 1000, metrics)


def _page(server: MlflowServer, run: Any) -> str:
    return f"{server.url}/#/experiments/{quote(run.info.experiment_id)}/runs/{quote(run.info.run_id)}"


@contextmanager
def _quiet_client() -> Iterator[None]:
    """Set how MLflow's client behaves, which only variables can, while the block runs."""
    before = {name: os.environ.get(name) for name in _CLIENT}
    os.environ.update(_CLIENT)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _translate_error(server: MlflowServer, error: Any) -> OutsideError:
    said = escape_invisible(str(error.message).partition("\n")[0], 300)
    for secret in filter(None, (server.password, server.token)):
        said = said.replace(secret, "[hidden]")
    if error.error_code in _REFUSED:
        remedy = f"Set {USER} and {PASSWORD}, or {TOKEN}; on DagsHub {DAGSHUB_TOKEN} does."
        return AccessDenied(f"The MLflow server {server.url} refused the credentials: {said}", remedy)
    kind = Refused if error.error_code in _LASTING else OutsideError
    return kind(
        f"The MLflow server {server.url} did not answer as it should: {said}", "`mlbutler publish` tries again."
    )


class _Runs:
    """The runs of one experiment, by MLflow's client.

    Args:
        experiment: its name; it is created when it is not there.
    """

    def __init__(self, store: Any, experiment: str) -> None:
        self._store, self._experiment = store, experiment
        self._id = ""

    def get_or_create(self, result: Result) -> Any:
        """Return the run of the result, complete; it is created where there is none."""
        self._id = self._id or self._experiment_id()
        if not self._find_runs(result):
            self._create_run(result)
        first, *others = self._find_runs(result)
        if first.info.status != "FINISHED":
            self._fill_run(first.info.run_id, result)
        for other in others:
            self._store.delete_run(other.info.run_id)
        return first

    def _experiment_id(self) -> str:
        from mlflow.exceptions import MlflowException

        found = self._store.get_experiment_by_name(self._experiment)
        if found is None:
            try:
                return str(self._store.create_experiment(self._experiment))
            except MlflowException as error:
                found = self._store.get_experiment_by_name(self._experiment) if error.error_code == _EXISTS else None
                if found is None:
                    raise
        return str(found.experiment_id)

    def _find_runs(self, result: Result) -> list[Any]:
        """Return the result's runs, the oldest first."""
        from mlflow.entities import ViewType

        asked = f"tags.`{RESULT}` = '{result.id}'"
        found = self._store.search_runs([self._id], asked, ViewType.ACTIVE_ONLY, _MOST_FOUND)
        return sorted(found, key=lambda run: (run.info.start_time, run.info.run_id))

    def _create_run(self, result: Result) -> None:
        from mlflow.entities import RunTag

        tags = [RunTag(name, value[:_LONGEST_TAG]) for name, value in _tags(result).items() if value]
        self._store.create_run(self._id, "", _now(), tags, escape_invisible(result.name, _LONGEST_NAME))

    def _fill_run(self, run: str, result: Result) -> None:
        from mlflow.entities import Metric, Param, RunStatus

        now = _now()
        params = [
            Param(name, escape_invisible(str(value), _LONGEST_VALUE))
            for name, value in _fit_names(result.params).items()
        ]
        metrics = [Metric(name, number, now, 0) for name, number in _fit_names(result.metrics).items()]
        for some in _batches(params):
            self._store.log_batch(run, [], some, [])
        for some in _batches(metrics):
            self._store.log_batch(run, some, [], [])
        self._store.update_run_info(run, RunStatus.FINISHED, _now(), None)


def _now() -> int:
    return int(datetime.now().timestamp() * 1000)


def _batches(items: list[Any]) -> Iterator[list[Any]]:
    left = iter(items)
    while some := list(islice(left, _AT_ONCE)):
        yield some


def _fit_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values by names that MLflow takes: of several that would be one, the first."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        parts = [part for part in _ODD.sub("_", name).split("/") if part not in ("", ".", "..")]
        found.setdefault("/".join(parts)[:_LONGEST_NAME].rstrip("/ ") or "value", value)
    return found


def _tags(result: Result) -> dict[str, str]:
    """Return what tells where the result is from, by the names that MLflow's pages show."""
    links = [f"[{markdown(what)}]({address})" for what, url in result.links if (address := web_address(url))]
    return {
        RESULT: result.id,
        "mlflow.note.content": " · ".join(links),
        "mlflow.source.type": "JOB",
        "mlflow.source.name": result.source or "mlbutler",
        "mlflow.source.git.commit": result.commit,
        "mlflow.source.git.branch": result.branch,
        "mlflow.source.git.repoURL": result.repository,
    }
