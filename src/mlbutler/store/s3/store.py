"""A remote in a bucket: read, asked and listed through libcurl, everything else by DVC's own client."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from threading import Event
from typing import Any

from mlbutler.store.interface import Arrived, Counter, DownloadRequest, ObjectId, ObjectStatus, Results
from mlbutler.store.other import OtherStore
from mlbutler.store.retry import RetryPolicy
from mlbutler.store.s3.bucket import Bucket, LeftToDvc
from mlbutler.store.s3.place import find_location


class S3Store(OtherStore):
    """Objects below one prefix of a bucket.

    Args:
        root: bucket and prefix. config: keys of DVC's remote configuration. connect: as of `OtherStore`.
        jobs: transfers at once; found out when None, except for DVC's client, which makes 16.
    """

    def __init__(
        self,
        name: str,
        root: str,
        config: Mapping[str, Any],
        connect: Callable[[], tuple[Any, str]],
        *,
        policy: RetryPolicy | None = None,
        jobs: int | None = None,
    ) -> None:
        super().__init__(name, connect, policy, jobs or 16)
        self._root, self._config, self._limit, self._given = root, config, jobs, policy
        self._bucket: Bucket | None = None
        self._looked = self._moved = False

    def ask_many(self, objects: Iterable[ObjectId], stop: Event) -> Results[ObjectStatus]:
        """Ask for many objects, as `Store.ask_many`."""
        left = list(objects)
        while left and (bucket := self._fast_bucket()) is not None:
            left = yield from _split_results(bucket.ask_or_leave(left, stop))
            if left:
                self._give_up(bucket)
        yield from super().ask_many(left, stop)

    def get_many(
        self, wanted: Iterable[DownloadRequest], count: Counter, stop: Event
    ) -> Results[Arrived | BaseException]:
        """Get many objects, as `Store.get_many`."""
        while (bucket := self._fast_bucket()) is not None:
            taken: dict[ObjectId, DownloadRequest] = {}
            left = yield from _split_results(bucket.get_many(_record_requests(wanted, taken), count, stop))
            if not left:
                return
            self._give_up(bucket)
            wanted = [taken[oid] for oid in left]
        yield from super().get_many(wanted, count, stop)

    def _fast_bucket(self) -> Bucket | None:
        """Return what reads through libcurl, None where all is left to DVC's client."""
        with self._lock:
            if not self._looked:
                self._looked = True
                self._bucket = self._open_bucket()
            return self._bucket

    def _give_up(self, bucket: Bucket) -> None:
        """Use it no more; where it told the region of the bucket, go there, once."""
        with self._lock:
            if self._bucket is bucket:
                region = bucket.unclear.region if bucket.unclear is not None else ""
                self._bucket = self._open_bucket(region) if region and not self._moved else None
                self._moved = True

    def _open_bucket(self, region: str = "") -> Bucket | None:
        try:
            place = find_location(self._root, self._config, region)
            return Bucket(self.name, place, jobs=self._limit, policy=self._given) if place else None
        except Exception:  # DVC's client meets the same, and its error is said
            return None


def _record_requests(
    wanted: Iterable[DownloadRequest], taken: dict[ObjectId, DownloadRequest]
) -> Iterator[DownloadRequest]:
    for one in wanted:
        taken[one.oid] = one
        yield one


def _split_results(results: Results[Any]) -> Generator[tuple[ObjectId, Any], None, list[ObjectId]]:
    """Yield the results; return the objects that are left to DVC's client."""
    left: list[ObjectId] = []
    with closing(results) as done:
        for oid, result in done:
            if isinstance(result, LeftToDvc):
                left.append(oid)
            else:
                yield oid, result
    return left
