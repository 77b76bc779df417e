"""Check this machine's clock: the servers that builds talk to send theirs with every answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from mlbutler.commands.doctor.examined import MISSING, NOTE, OK, Examined
from mlbutler.console import human_seconds
from mlbutler.errors import MlbutlerError
from mlbutler.steps.context import RunContext

_TOLERABLE, _HARMFUL = 30.0, 300.0
"""Seconds. S3 refuses requests that are 15 minutes off (RequestTimeTooSkewed), Kerberos 5; tokens expire too early."""
_TIMEOUT = 10.0
_STORES = {"s3": "https://s3.amazonaws.com", "gs": "https://storage.googleapis.com"}
_HTTP = {"http": "http", "https": "https", "webdav": "http", "webdavs": "https"}
_REMEDY = "Let the machine keep its time: timedatectl set-ntp true, or chrony."


def clock(context: RunContext) -> Examined:
    """Compare this machine's clock with the first server that sends the time: the remote's, the forge's, Git's."""
    asked = []
    for name, origin in _servers(context):
        skew = ahead(origin)
        if skew is None:
            asked.append(urlsplit(origin).netloc)
            continue
        facts = {"server": origin, "ahead": round(skew, 1)}
        if abs(skew) <= _TOLERABLE:
            return Examined("clock", OK, f"agrees with {name}", facts=facts)
        text = f"{human_seconds(abs(skew))} {'ahead of' if skew > 0 else 'behind'} {name}"
        return Examined("clock", MISSING if abs(skew) > _HARMFUL else NOTE, text, _REMEDY, facts)
    said = f"{' and '.join(asked)} sent no time" if asked else "no server is known that sends the time"
    return Examined("clock", NOTE, f"not compared: {said}")


def _servers(context: RunContext) -> Iterator[tuple[str, str]]:
    """Yield (name, origin) of servers to ask, each once; addresses without path, user or password."""
    seen = set[str]()
    for name, url in _addresses(context):
        parts = urlsplit(url)
        scheme = _HTTP.get(parts.scheme.lower())
        if scheme is None or not parts.hostname:
            continue
        origin = f"{scheme}://{parts.netloc.rpartition('@')[2]}"
        if origin not in seen:
            seen.add(origin)
            yield name, origin


def _addresses(context: RunContext) -> Iterator[tuple[str, str]]:
    from mlbutler.forge import detect

    name = context.project.remote_name
    conf = context.project.remote_config(name) if name is not None else {}
    if conf and name not in context.project.refused:
        url = str(conf.get("url", ""))
        yield f"the remote '{name}'", str(conf.get("endpointurl") or _STORES.get(urlsplit(url).scheme, url))
    try:
        place = detect.locate_forge(context.settings.forge, context.environ, context.record.change)
    except MlbutlerError:  # "forge" reports it
        place = None
    if place is not None:
        yield "the forge", place.url
    yield "Git's server", context.record.change.repository


def ahead(origin: str) -> float | None:
    """Return the seconds by which this clock is ahead of the server's; None when it sends no time.

    Accurate to about a second.
    """
    import httpx

    try:
        # A wrong clock makes certificates look expired: they are not checked. Nothing secret is sent, and nothing but
        # a time is taken from the answer.
        with httpx.Client(verify=False, timeout=_TIMEOUT, headers={"User-Agent": "mlbutler"}) as client:
            before = time.time()
            answer = client.head(f"{origin}/", headers={"Cache-Control": "no-cache"})
            after = time.time()
        date = parsedate_to_datetime(answer.headers["date"])
        age = float(answer.headers.get("age", 0))  # an answer out of a cache is as old as this
    except (httpx.HTTPError, httpx.InvalidURL, KeyError, ValueError):
        return None
    there = (date if date.tzinfo else date.replace(tzinfo=UTC)).astimezone(UTC)
    # The header tells whole seconds, cut off.
    return (datetime.fromtimestamp((before + after) / 2, UTC) - there).total_seconds() - 0.5 - age
