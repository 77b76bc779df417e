"""Send the data of an experiment's results to the DVC remotes."""

from __future__ import annotations

import os

from mlbutler.commands.train.opening import Training
from mlbutler.console import human_bytes
from mlbutler.errors import StoreError
from mlbutler.few import few
from mlbutler.numbers import count
from mlbutler.project.artifact import Artifact
from mlbutler.project.project import Project
from mlbutler.remotes.opening import Remotes, open_cache
from mlbutler.store.holdings import at_hand, is_complete
from mlbutler.store.interface import Presence, Store
from mlbutler.store.local import LocalStore
from mlbutler.store.send import ask_all, send, worst


def send_data(training: Training, project: Project, commit: str) -> None:
    """Send what dvc.lock and .dvc files record at a commit to the project's remotes, as far as they lack it.

    Args:
        project: in the work tree, whose cache holds the data and whose configuration the credentials.

    Raises:
        ProjectError: DVC cannot open the project of then.
        AccessDenied, StoreError: a remote refused or failed, or something is neither here nor there.
    """
    reader = project.snapshots.at_commit(commit, training.prefix)
    found = reader.stages.artifacts() if reader is not None else ()
    artifacts = [one for one in found if one.oid is not None and one.cached and one.pushed]
    remotes = Remotes(project, project.remote_name, os.environ, training.settings.data.jobs)
    cache = open_cache(project)
    by_remote: dict[str | None, list[Artifact]] = {}
    for artifact in artifacts:
        by_remote.setdefault(remotes.name(artifact.remote), []).append(artifact)
    for name, some in by_remote.items():
        if (store := remotes(name)) is None:
            paths = few([one.path for one in some])
            training.console.line(f"Not sent, since there is no DVC remote: {paths}")
        else:
            _send(training, cache, store, some)


def _send(training: Training, cache: LocalStore, store: Store, artifacts: list[Artifact]) -> None:
    oids = [one.oid for one in artifacts if one.oid is not None]
    with training.console.progress(f"to {store.name}") as progress:
        sent = send(at_hand(cache, oids), cache, store, progress=progress)
    if (error := worst(sent.errors)) is not None:
        raise error
    for moved in sent.moved:
        training.console.line(f"{count(moved.objects, 'object')} ({human_bytes(moved.bytes)}) sent to {store.name}")
    away = [oid for oid in oids if not is_complete(cache, [oid])]
    answers = ask_all(store, away)
    absent = [one.path for one in artifacts if one.oid in answers and answers[one.oid].presence is not Presence.PRESENT]
    if absent:
        raise StoreError(
            f"{few(absent)} is neither in the cache nor, as far as it says, on {store.name}.",
            "Push it from where it was made, or have the experiment make it again: mlbutler train retry.",
        )
