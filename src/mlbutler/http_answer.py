"""Bound an answer over HTTP in bytes and in time, whatever the server goes on sending."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

LARGEST = 64 << 20
"""Bytes of an answer to an API, unpacked."""
LONGEST = 120.0
"""Seconds for the body of an answer; the time-outs of httpx are for each piece of it."""


def send_request(
    client: httpx.Client, request: httpx.Request, *, largest: int | None = None, longest: float | None = None
) -> httpx.Response:
    """Return the whole answer to a request, without following redirects.

    Args:
        largest: bytes of its body. longest: seconds for its body. `LARGEST` and `LONGEST`, if None.

    Raises:
        httpx.DecodingError: it is larger. httpx.ReadTimeout: it takes longer. httpx.HTTPError: as httpx does.
    """
    import httpx

    largest = LARGEST if largest is None else largest
    end = time.monotonic() + (LONGEST if longest is None else longest)
    answer = client.send(request, stream=True, follow_redirects=False)
    try:
        body = bytearray()
        for part in answer.iter_bytes():
            body += part
            if len(body) > largest:
                raise httpx.DecodingError(f"an answer of more than {largest:,} bytes", request=request)
            if time.monotonic() > end:
                raise httpx.ReadTimeout("the answer does not end", request=request)
    finally:
        answer.close()
    # It is unpacked by now.
    headers = [(key, value) for key, value in answer.headers.multi_items() if key.lower() != "content-encoding"]
    return httpx.Response(answer.status_code, headers=headers, content=bytes(body), request=request)
