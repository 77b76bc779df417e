"""Check the tools that list experiments: where results go besides, and which of them stages write to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec

from mlbutler.commands.doctor.examined import MISSING, NOTE, OK, Examined
from mlbutler.extras import how_to_get
from mlbutler.numbers import count
from mlbutler.steps import tracked
from mlbutler.steps.context import RunContext
from mlbutler.trackers import offline
from mlbutler.trackers.mlflow_server import TOKEN, USER

_PAGE = "`mlbutler help dagshub`"


def trackers(context: RunContext) -> Examined:
    """Say where results go besides, and which runs of stages there are; nothing is asked over the network here."""
    where = tracked.settings(context)
    said = [*([f"files in Git ({where.git})"] if where.git is not None else []), *_runs(context)]
    if where.mlflow is None:
        if said and where.git is None:
            return Examined(
                "trackers", NOTE, f"{'; '.join(said)}: reports name those of a build; no tracker gets results",
                f"Set trackers.mlflow to have results as runs on a server: {_PAGE}.",
            )  # fmt: skip
        return Examined("trackers", OK, "; ".join(said) or "none")
    said.insert(0, f"runs on {where.mlflow}")
    if find_spec("mlflow") is None:
        return Examined("trackers", MISSING, f"{said[0]}: MLflow's client is not installed", how_to_get("mlflow"))
    server = tracked.server(context, where.mlflow)
    if context.trusted and not (server.user or server.token):
        return Examined(
            "trackers", NOTE, f"{'; '.join(said)}: no credential for the server is in the environment",
            f"If it wants one, set {USER} and its password, or {TOKEN}: {_PAGE}.",
        )  # fmt: skip
    return Examined("trackers", OK, "; ".join(said))


def _runs(context: RunContext) -> Iterator[str]:
    """Yield what stages logged into folders of the work tree."""
    folders = ["", *(stage.directory for stage in context.project.stages.pipeline())]
    found = Counter(one.run.tracker for one in offline.find_logged_runs(context.root, folders, 0, context.environ))
    for tracker, number in found.items():
        yield f"{count(number, 'run')} of {tracker} in the work tree"
