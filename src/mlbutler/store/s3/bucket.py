"""Objects in a bucket, through libcurl: reading, asking and listing, with signed requests.

What S3 answers besides an object, its absence and what may pass is left to DVC's own client: a bucket in another
region, credentials that expired, a refusal, an archived object.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from pathlib import Path

from mlbutler.errors import StoreError
from mlbutler.store.http.download import Download
from mlbutler.store.http.exchange import Receiver, Request, Response, Task
from mlbutler.store.http.store import HttpStore
from mlbutler.store.interface import Arrived, Counter, ObjectId, ObjectStatus, Presence, Results
from mlbutler.store.retry import RetryPolicy, Transient
from mlbutler.store.s3 import listing
from mlbutler.store.s3.place import S3Location

_CODE = re.compile(rb"<Code>(\w+)</Code>")
_LONGEST_ERROR = 1 << 16
_LONGEST_PAGE = 8 << 20
_TOO_MANY = (429, 503)
_SPARE_PAGES = 20
"""Pages more than names that are hashes would need, after which a list is read no further."""


class LeftToDvc(Exception):
    """An answer that DVC's own client has to understand.

    Attributes:
        region: where the bucket is, '' when the answer does not say.
    """

    def __init__(self, region: str = "") -> None:
        super().__init__(region)
        self.region = region


class Bucket(HttpStore):
    """Objects below one prefix of a bucket.

    Attributes:
        unclear: why all further requests are left to DVC's client, None as long as they are not.
    """

    def __init__(
        self, name: str, place: S3Location, *, jobs: int | None = None, policy: RetryPolicy | None = None
    ) -> None:
        super().__init__(name, place.url, place.access, jobs=jobs, policy=policy, sign=self._sign)
        self.unclear: LeftToDvc | None = None
        self._place = place
        self._there = False

    def ask_or_leave(self, objects: Iterable[ObjectId], stop: threading.Event) -> Results[ObjectStatus | LeftToDvc]:
        """Ask whether the bucket holds each object; list it where that costs less, and ask for what is not listed."""
        wanted = dict.fromkeys(objects)
        listed = self._list_objects([oid for oid in wanted if not oid.legacy], stop)
        for oid in wanted:
            if oid in listed:
                yield oid, ObjectStatus(Presence.PRESENT, listed[oid])
        tasks = ((oid, self._ask_with_retries(oid)) for oid in wanted if oid not in listed)
        for oid, answer in self._driver.run(tasks, self._pace, stop):
            if isinstance(answer, BaseException) and not isinstance(answer, LeftToDvc):
                raise answer
            yield oid, answer

    def _sign(self, method: str, url: str) -> list[str]:
        try:
            return self._place.sign(method, url)
        except Exception:  # credentials that cannot be renewed: DVC's client meets the same, and its error is said
            self.unclear = LeftToDvc()
            raise self.unclear from None

    # ---------------------------------------------------------------------------------- one object

    def _ask(self, oid: ObjectId) -> Task[ObjectStatus]:
        response = yield from self._exchange("HEAD", oid)
        if response.status == 404:
            yield from self._require_bucket(oid)
            return ObjectStatus(Presence.MISSING)
        self._refuse(response)
        return ObjectStatus(Presence.PRESENT, response.length)

    def _get(self, oid: ObjectId, download: Download) -> Task[Arrived]:
        try:
            return (yield from super()._get(oid, download))
        except FileNotFoundError:
            yield from self._require_bucket(oid)
            raise

    def _require_bucket(self, oid: ObjectId) -> Task[None]:
        """Leave it to DVC's client where not the object is absent but the whole bucket."""
        if self._there:
            return
        body = bytearray()
        response = yield from self._exchange("GET", oid, receive=_collecting(body, _LONGEST_ERROR, 404))
        code = _CODE.search(body)
        if response.status != 404 or code is None or code[1] != b"NoSuchKey":
            raise self._leave_to_dvc(response)
        self._there = True

    def _exchange(
        self,
        method: str,
        oid: ObjectId,
        *,
        receive: Callable[[Response], Receiver | None] = lambda _: None,
        headers: tuple[str, ...] = (),
        source: Path | None = None,
        count: Counter = lambda _: None,
    ) -> Generator[Request | float, Response | None, Response]:
        """Send one request; a redirect leads to another place that its signature is not for."""
        if self.unclear is not None:
            raise LeftToDvc(self.unclear.region)
        return (yield from self._send(Request(method, f"{self.url}/{oid.key}", True, headers, receive), oid.key))

    def _refuse(self, response: Response, *, partial: bool = False) -> None:
        try:
            super()._refuse(response, partial=partial)
        except Transient:
            if response.status in _TOO_MANY:  # S3 does not say how long to wait
                self._pace.slow_down()
            raise
        except StoreError:
            raise self._leave_to_dvc(response) from None
        self._there = True

    def _leave_to_dvc(self, response: Response) -> LeftToDvc:
        region = response.header("x-amz-bucket-region")
        self.unclear = LeftToDvc(region if region != self._place.region else "")
        return self.unclear

    # --------------------------------------------------------------------------------------- lists

    def _list_objects(self, wanted: list[ObjectId], stop: threading.Event) -> dict[ObjectId, int]:
        """Return objects with their sizes; none where asking for each is cheaper, or the bucket may not be listed."""
        most = listing.most_pages(len(wanted))
        look = self._list_prefixes([f"{wanted[0].folder}/"], most, stop) if most else None
        if look is None:
            return {}
        parts = listing.list_prefixes(len(wanted), len(look))
        pages = len(look) * 256 // len(parts) // listing.PAGE + _SPARE_PAGES if parts else 0
        return self._list_prefixes(parts, pages, stop) or {}

    def _list_prefixes(self, beginnings: list[str], pages: int, stop: threading.Event) -> dict[ObjectId, int] | None:
        """Return the objects whose keys begin so; None where there are more pages, or that cannot be found out."""
        tasks = ((beginning, self._list_prefix(beginning, pages)) for beginning in beginnings)
        found: dict[ObjectId, int] = {}
        with closing(self._driver.run(tasks, self._pace, stop)) as lists:
            for _, result in lists:
                if isinstance(result, LeftToDvc | StoreError):
                    return None
                if isinstance(result, BaseException):
                    raise result
                found.update(result)
        return found

    def _list_prefix(self, beginning: str, pages: int) -> Task[dict[ObjectId, int]]:
        found: dict[ObjectId, int] = {}
        token = ""
        for _ in range(pages):
            page = yield from self._with_retries(lambda: self._list_page(beginning, token))  # noqa: B023 - called at once
            found.update(page.objects)
            token = page.token
            if not token:
                return found
        raise LeftToDvc

    def _list_page(self, beginning: str, token: str) -> Task[listing.Page]:
        prefix = self._place.prefix
        url = f"{self._place.bucket}?{listing.query(f'{prefix}{beginning}', token)}"
        body = bytearray()
        response = yield from self._send(
            Request("GET", url, True, (), _collecting(body, _LONGEST_PAGE, 200)), beginning
        )
        HttpStore._refuse(self, response)  # what is refused here may be allowed for single objects
        try:
            page = listing.read_page(bytes(body), prefix)
        except ValueError:
            raise LeftToDvc from None
        self._there = True
        return page


def _collecting(body: bytearray, most: int, status: int) -> Callable[[Response], Receiver | None]:
    """Return what takes the body of an answer with that status into `body`, and ends one that is longer than `most`."""

    def add(blocks: Sequence[bytes]) -> None:
        body.extend(b"".join(blocks))
        if len(body) > most:
            raise LeftToDvc

    def receive(response: Response) -> Receiver | None:
        body.clear()
        return add if response.status == status else None

    return receive
