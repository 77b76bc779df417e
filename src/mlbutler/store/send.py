"""Put what the cache holds on the stores that lack it, and ask stores what they hold."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from contextlib import closing

from mlbutler.errors import AccessDenied, CorruptObject, DiskFull, Interrupted, MlbutlerError, StoreError
from mlbutler.frozen import frozen
from mlbutler.record import Moved
from mlbutler.store.interface import ObjectId, ObjectStatus, Presence, Store
from mlbutler.store.local import LocalStore
from mlbutler.store.read_back import read_back
from mlbutler.store.transfer import Mover, ProgressSink, Tally, moved_by_place


def worst(errors: Iterable[MlbutlerError]) -> MlbutlerError | None:
    """Return the error to raise for several: a refusal explains more than a failure, a failure more than damage."""

    def rank(error: MlbutlerError) -> int:
        return next(
            (i for i, kind in enumerate((DiskFull, Interrupted, AccessDenied)) if isinstance(error, kind)),
            4 if isinstance(error, CorruptObject) else 3,
        )

    return min(errors, key=rank, default=None)


def ask_all(
    store: Store, oids: Iterable[ObjectId], progress: ProgressSink | None = None
) -> dict[ObjectId, ObjectStatus]:
    """Ask a store for each object, many at once, and return the answers."""
    unique = dict.fromkeys(oids)
    answers = {}
    with closing(store.ask_many(unique, threading.Event())) as done:
        for oid, answer in done:
            answers[oid] = answer
            if progress is not None:
                progress.advance(objects=1)
    return answers


@frozen
class SendResult:
    """What `send` did: objects and bytes put, what could not be, and how many were read back and are whole."""

    moved: tuple[Moved, ...] = ()
    errors: tuple[MlbutlerError, ...] = ()
    read_back: int = 0


def send_to_store(
    oids: Iterable[ObjectId],
    cache: LocalStore,
    store: Store,
    *,
    progress: ProgressSink | None = None,
) -> SendResult:
    """Put on a store what the cache holds and the store does not; files before the manifests that name them.

    Each object is asked for itself; one that the store holds with another size is replaced. Nothing is ever
    deleted. A few of them are read back (`read_back.sample`), but from a directory.

    Raises:
        AccessDenied, StoreError: the store does not answer, so nothing is known.
    """
    missing = find_missing(oids, cache, store)
    stop = threading.Event()
    tally = Tally(progress)
    mover = Mover(cache, None, share=False, verify=False, tally=tally, warn=lambda _: None, stop=stop)
    errors: list[MlbutlerError] = []
    seen = 0
    for batch in ([o for o in missing if not o.is_directory], [o for o in missing if o.is_directory]):
        if errors:
            break  # a manifest must not promise files that are not there
        arrived: list[ObjectId] = []
        with closing(mover.send(batch, store)) as done:
            for oid, result in done:
                if result is None:
                    arrived.append(oid)
                if isinstance(result, StoreError | DiskFull):
                    errors.append(result)
                    if not isinstance(result, CorruptObject):
                        break
                elif isinstance(result, BaseException):
                    raise result
        if not errors and not isinstance(store, LocalStore):
            whole, wrong = read_back(store, {oid: cache.path(oid).stat().st_size for oid in arrived})
            seen += whole
            errors += wrong
    cache.verified.save()
    return SendResult(moved_by_place(tally), tuple(errors), seen)


def find_missing(oids: Iterable[ObjectId], cache: LocalStore, store: Store) -> list[ObjectId]:
    """Return those that the cache holds and the store lacks, or holds with another size.

    Raises:
        AccessDenied, StoreError: the store does not answer, so nothing is known.
    """
    unique = [oid for oid in dict.fromkeys(oids) if cache.stat(oid) is not None]
    answers = ask_all(store, unique)
    unknown = [answer for answer in answers.values() if answer.presence is Presence.UNDETERMINED]
    if unknown:
        raise _unanswered_error(store, unknown)
    return [oid for oid in unique if _lacks(answers[oid], cache, oid)]


def _lacks(answer: ObjectStatus, cache: LocalStore, oid: ObjectId) -> bool:
    if answer.presence is Presence.MISSING:
        return True
    found = cache.stat(oid)
    return answer.size is not None and found is not None and found.st_size != answer.size


def _unanswered_error(store: Store, unknown: Sequence[ObjectStatus]) -> StoreError:
    denied = next((answer for answer in unknown if answer.denied), None)
    answer = denied or unknown[0]
    kind = AccessDenied if denied else StoreError
    return kind(
        f"'{store.name}' did not say what it holds ({len(unknown)} objects): {answer.reason}",
        answer.remedy or ("Check the credentials for this remote." if denied else "Run again when the remote answers."),
    )
