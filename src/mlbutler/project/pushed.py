"""Is every artifact on the remote? Three answers: pushed, not pushed, undetermined.

Every object is asked for itself. A ``.dir`` on the remote proves nothing about its files, and an error proves
nothing about presence.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shlex
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mlbutler.errors import CorruptObject, MlbutlerError
from mlbutler.frozen import frozen
from mlbutler.project.artifact import NO_REMOTE, Artifact
from mlbutler.record import Finding
from mlbutler.state.presence import PresenceCache
from mlbutler.store.interface import ObjectId, ObjectStatus, Presence, Store
from mlbutler.store.local import LocalStore
from mlbutler.store.manifest import Manifest
from mlbutler.store.send import ask_all
from mlbutler.store.transfer import ProgressSink

CHECK = "pushed"
_EXAMPLES = 3

ReadManifest = Callable[[ObjectId], Manifest | None]
"""A directory's files from cache, mirror or remote; None when the manifest cannot be had."""


@frozen
class Pushed:
    """What the remote holds.

    Attributes:
        findings: what is certainly not there. undetermined: what could not be found out.
        left_out: (path, reason) of artifacts that need not be there.
        checked: number of objects asked for, now or, `remembered` of them, by an earlier build; `age` is how many
            seconds ago the oldest of those answers was given.
    """

    findings: tuple[Finding, ...] = ()
    undetermined: tuple[Finding, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    checked: int = 0
    remembered: int = 0
    age: float = 0.0


def check_pushed(
    artifacts: Sequence[Artifact],
    open_store: Callable[[str | None], Store | None],
    manifests: ReadManifest,
    *,
    presence: PresenceCache | None = None,
    address: Callable[[str | None], str] = lambda _: "",
    progress: ProgressSink | None = None,
    size_here: Callable[[ObjectId], int | None] = lambda _: None,
) -> Pushed:
    """Ask the remotes for every object of the artifacts that DVC would push.

    Args:
        open_store: opens a remote by name (None: the project's); called once for each and only when needed.
        manifests: reads directory manifests, never data.
        presence: answers of earlier builds, to use and to add to. address: tells remotes apart in them; '' where
            asking costs nothing. size_here: bytes of an object that is available here, to tell which file of a
            directory is damaged.

    Raises nothing for a remote that fails: that is what `undetermined` says.
    """
    left_out = tuple((artifact.path, artifact.left_out) for artifact in artifacts if not artifact.pushed)
    groups: dict[str | None, list[Artifact]] = {}
    result = _CheckFindings()
    for artifact in artifacts:
        if not artifact.pushed:
            continue
        if artifact.oid is None:
            result.findings.append(_finding(artifact, "no hash is recorded: the stage was never run", "dvc repro"))
        else:
            groups.setdefault(artifact.remote, []).append(artifact)
    for remote, group in groups.items():
        where = address(remote) if presence is not None else ""
        memory = _CachedRemote(presence, where) if presence is not None and where else None
        _check_group(remote, group, open_store, manifests, memory, progress, result, size_here)
    return Pushed(
        tuple(result.findings), tuple(result.undetermined), left_out, result.checked, result.remembered, result.age
    )


def key_of(artifacts: Iterable[Artifact], address: Callable[[str | None], str]) -> str:
    """Return a key for these artifacts on these remotes; '' where a remote is a directory, which answers fast.

    Args:
        address: where a remote (None: the project's) is, '' for a directory.
    """
    rows = []
    for artifact in artifacts:
        where = address(artifact.remote) if artifact.pushed else ""
        if artifact.pushed and (not where or artifact.oid is None):
            return ""
        rows.append([artifact.path, artifact.oid, artifact.size, where, artifact.left_out])
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest() if rows else ""


@dataclass
class _CheckFindings:
    findings: list[Finding] = field(default_factory=list)
    undetermined: list[Finding] = field(default_factory=list)
    checked: int = 0
    remembered: int = 0
    age: float = 0.0


@frozen
class _CachedRemote:
    presence: PresenceCache
    address: str


def _ask(
    store: Store,
    wanted: Iterable[ObjectId],
    memory: _CachedRemote | None,
    progress: ProgressSink | None,
    result: _CheckFindings,
) -> dict[ObjectId, ObjectStatus]:
    """Return an answer for each object, from an earlier build where it is still believed."""
    known = memory.presence.get(memory.address) if memory is not None else {}
    answers = {oid: ObjectStatus(Presence.PRESENT, known[oid].size) for oid in wanted if oid in known}
    result.remembered += len(answers)
    result.age = max([result.age, *(known[oid].age for oid in answers)])
    if progress is not None:
        progress.advance(objects=len(answers))
    began = time.time()
    asked = ask_all(store, [oid for oid in wanted if oid not in answers], progress)
    if memory is not None:
        if any(answer.presence is Presence.MISSING for answer in asked.values()) and answers:
            memory.presence.invalidate(began)  # what else was said of it may be wrong as well
            again = ask_all(store, answers)
            result.remembered -= len(answers)
            asked |= again
            answers = {}
        there = {oid: answer.size for oid, answer in asked.items() if answer.presence is Presence.PRESENT}
        memory.presence.put(memory.address, there, began)
    return answers | asked


def _check_group(
    remote: str | None,
    group: Sequence[Artifact],
    open_store: Callable[[str | None], Store | None],
    manifests: ReadManifest,
    memory: _CachedRemote | None,
    progress: ProgressSink | None,
    result: _CheckFindings,
    size_here: Callable[[ObjectId], int | None],
) -> None:
    try:
        store = open_store(remote)
    except MlbutlerError as error:
        result.undetermined += [_remote_error_finding(artifact, error, remote) for artifact in group]
        return
    gone = store.missing_directory_error() if isinstance(store, LocalStore) else None
    if gone is not None:
        result.undetermined += [_remote_error_finding(artifact, gone, remote) for artifact in group]
        return
    if store is None:
        problem = f"{NO_REMOTE}, so it is only where it was made"
        result.findings += [_finding(artifact, problem, "dvc remote add --default NAME URL") for artifact in group]
        return
    files: dict[str, Manifest | str] = {a.path: _files(a.oid, manifests) for a in group if a.oid and a.oid.is_directory}
    wanted: dict[ObjectId, None] = {}
    for artifact in group:
        assert artifact.oid is not None
        wanted[artifact.oid] = None
        content = files.get(artifact.path)
        if isinstance(content, Mapping):
            wanted.update((ObjectId(md5, artifact.oid.legacy), None) for md5 in content.values())
    answers = _ask(store, wanted, memory, progress, result)
    result.checked += len(answers)
    for artifact in group:
        if artifact.oid is not None and artifact.oid.is_directory:
            _judge_directory(artifact, files[artifact.path], answers, store.name, result, size_here)
        else:
            _judge_file(artifact, answers, store.name, result)


def _files(oid: ObjectId, manifests: ReadManifest) -> Manifest | str:
    """Return a directory's files, or why they are not known."""
    try:
        content = manifests(oid)
    except CorruptObject as error:
        return error.message
    except MlbutlerError as error:
        return f"its list of files could not be read: {error.message}"
    return "its list of files is neither here nor on the remote" if content is None else content


def _judge_file(
    artifact: Artifact, answers: Mapping[ObjectId, ObjectStatus], remote: str, result: _CheckFindings
) -> None:
    assert artifact.oid is not None
    answer = answers[artifact.oid]
    if answer.presence is Presence.UNDETERMINED:
        problem = f"not known whether it is on '{remote}': {answer.reason}"
        result.undetermined.append(_undetermined_finding(artifact, problem, answer.remedy, remote))
    elif answer.presence is Presence.MISSING:
        result.findings.append(_finding(artifact, f"not on '{remote}'", _push(remote, artifact)))
    elif answer.size is not None and artifact.size is not None and answer.size != artifact.size:
        problem = f"damaged on '{remote}': {answer.size} bytes there, {artifact.size} recorded"
        result.findings.append(_finding(artifact, problem, "mlbutler push"))


def _judge_directory(
    artifact: Artifact,
    content: Manifest | str,
    answers: Mapping[ObjectId, ObjectStatus],
    remote: str,
    result: _CheckFindings,
    size_here: Callable[[ObjectId], int | None],
) -> None:
    assert artifact.oid is not None
    own = answers[artifact.oid]
    if not isinstance(content, Mapping):
        if own.presence is Presence.MISSING:
            problem = f"not on '{remote}' (its list of files is missing, and with it all of them)"
            result.findings.append(_finding(artifact, problem, _push(remote, artifact)))
        else:
            result.undetermined.append(_undetermined_finding(artifact, own.reason or content, own.remedy, remote))
        return
    children = {path: answers[ObjectId(md5, artifact.oid.legacy)] for path, md5 in content.items()}
    missing = [path for path, answer in children.items() if answer.presence is Presence.MISSING]
    unknown = [path for path, answer in children.items() if answer.presence is Presence.UNDETERMINED]
    if missing or own.presence is Presence.MISSING:
        # DVC takes the .dir for proof of its files and would push nothing.
        remedy = _push(remote, artifact) if own.presence is Presence.MISSING else "mlbutler push"
        what = _format_count(missing, len(children)) if missing else "its list of files"
        result.findings.append(_finding(artifact, f"not on '{remote}': {what}", remedy))
    elif unknown or own.presence is Presence.UNDETERMINED:
        asked = own if own.reason else children[unknown[0]]
        what = f" ({_format_count(unknown, len(children))})" if unknown else ""
        problem = f"not known whether it is on '{remote}'{what}: {asked.reason}"
        result.undetermined.append(_undetermined_finding(artifact, problem, asked.remedy, remote))
    elif artifact.size is not None:
        sizes = [answer.size for answer in children.values()]
        there = sum(size for size in sizes if size is not None)
        if None not in sizes and there != artifact.size:
            problem = f"damaged on '{remote}': its files have {there} bytes there, {artifact.size} are recorded"
            here = {path: size_here(ObjectId(md5, artifact.oid.legacy)) for path, md5 in content.items()}
            differing = [path for path, size in here.items() if size not in (None, children[path].size)]
            problem += f": {_format_count(differing, len(children))}" if differing else ""
            result.findings.append(_finding(artifact, problem, "mlbutler push"))


def _format_count(paths: Sequence[str], total: int) -> str:
    examples = ", ".join(sorted(paths)[:_EXAMPLES])
    more = ", ..." if len(paths) > _EXAMPLES else ""
    return f"{len(paths)} of {total} files, {examples}{more}"


def _push(remote: str, artifact: Artifact) -> str:
    return f"dvc push -r {shlex.quote(remote)} {shlex.quote(artifact.path)}"


def _finding(artifact: Artifact, problem: str, remedy: str) -> Finding:
    owner = f" ({artifact.owner})" if artifact.owner and artifact.owner != f"{artifact.path}.dvc" else ""
    return Finding(check=CHECK, subject=artifact.path, problem=f"{problem}{owner}", remedy=remedy)


def _undetermined_finding(artifact: Artifact, problem: str, remedy: str, remote: str) -> Finding:
    general = "Run again when the remote answers; check its credentials if it refused them."
    return dataclasses.replace(_finding(artifact, problem.rstrip("."), remedy or general), silent_remote=remote)


def _remote_error_finding(artifact: Artifact, error: MlbutlerError, remote: str | None) -> Finding:
    """Return answers for an artifact whose remote could not even be opened."""
    return dataclasses.replace(_finding(artifact, error.message, error.remedy), silent_remote=remote or "the default")
