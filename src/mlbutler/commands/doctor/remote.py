"""Check that the DVC remote answers, with the credentials that are here, and holds what this commit needs."""

from __future__ import annotations

import dataclasses

from mlbutler.commands.doctor.examined import MISSING, NOTE, OK, Examined
from mlbutler.errors import AccessDenied, OutsideError
from mlbutler.steps.context import RunContext
from mlbutler.store.interface import ObjectId, Presence

# No object has this name (it would be the MD5 of something unknown); a healthy remote says that it is missing.
_NOWHERE = ObjectId("0123456789abcdef0123456789abcdef")
_MOST = 3


def remote(context: RunContext) -> Examined:
    """Ask for an object that cannot be there, and for some that this commit's dvc.lock names.

    Nothing is written.
    """
    if context.project.remote_name is None:
        return Examined("remote", MISSING, "no DVC remote is configured", "dvc remote add -d NAME URL")
    return _examine_remote(context, context.project.remote_name)


def mirror_remote(context: RunContext) -> Examined:
    """Ask the remote near the agents in the same way; builds go on without it."""
    name = context.settings.data.mirror_remote
    if name is None:
        return Examined("mirror_remote", OK, "none is set")
    try:
        found = _examine_remote(context, name)
    except OutsideError as error:
        found = Examined("mirror_remote", NOTE, error.message, error.remedy)
    return dataclasses.replace(found, subject="mirror_remote", state=NOTE if found.state == MISSING else found.state)


def _examine_remote(context: RunContext, name: str) -> Examined:
    from mlbutler.remotes.opening import open_remote
    from mlbutler.store.local import LocalStore

    named = _sample_objects(context, name)
    try:
        store = open_remote(context.project, name, context.environ)
        if isinstance(store, LocalStore) and (gone := store.missing_directory_error()) is not None:
            # Nothing was pushed yet, or a disk is not mounted: where this commit names objects, builds fail.
            return Examined("remote", MISSING if named else NOTE, gone.message, gone.remedy)
        answers = store.ask([_NOWHERE, *named])
    except AccessDenied:
        if context.trusted:
            raise
        answers = {}
    if not context.trusted and (not answers or answers[_NOWHERE].denied):
        return Examined("remote", NOTE, f"'{name}' is closed to a fork's change, which is given no credentials")
    absent, here = answers[_NOWHERE], {oid: answers[oid] for oid in named}
    held = [oid for oid, answer in here.items() if answer.presence is Presence.PRESENT]
    lacking = [oid for oid, answer in here.items() if answer.presence is Presence.MISSING]
    if absent.presence is Presence.UNDETERMINED and absent.denied and held:
        return Examined(
            "remote", NOTE, f"'{name}' can be read, and refuses to say that an object is missing: {absent.reason}",
            "What was never pushed then looks forbidden. On S3, let the key list the bucket (s3:ListBucket).",
        )  # fmt: skip
    unclear = next((a for a in (absent, *here.values()) if a.presence is Presence.UNDETERMINED), None)
    if unclear is not None:
        what = "gives no access" if unclear.denied else "cannot be asked"
        remedy = f"{unclear.remedy} See `mlbutler help credentials`." if unclear.denied else unclear.remedy
        return Examined("remote", MISSING, f"'{name}' {what}: {unclear.reason}", remedy)
    if lacking and not held:
        return Examined(
            "remote", NOTE, f"'{name}' answers, and does not hold {named[lacking[0]]} of this commit",
            "Was it never pushed (`mlbutler push`)? Else check the remote's url.",
        )  # fmt: skip
    more = f", and holds {named[held[0]]} of this commit" if held else ""
    return Examined("remote", OK, f"'{name}' answers{more}")


def _sample_objects(context: RunContext, remote_name: str) -> dict[ObjectId, str]:
    """Return some objects that should be on this remote, with their paths."""
    found: dict[ObjectId, str] = {}
    for artifact in context.project.artifacts():
        if artifact.pushed and artifact.oid is not None and artifact.remote in (None, remote_name):
            found[artifact.oid] = artifact.path
        if len(found) == _MOST:
            break
    return found
