"""Read how long a server asks us to wait."""

from __future__ import annotations

import email.utils
import time


def retry_after(text: str | None) -> float | None:
    """Return seconds from a ``Retry-After`` header, which holds a number or a date; None when it holds neither."""
    if not text:
        return None
    if text.strip().isdecimal():
        return float(text)
    try:
        return email.utils.parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None
