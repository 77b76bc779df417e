"""What the doctor says of one thing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from mlbutler.frozen import frozen

OK, NOTE, MISSING = "ok", "note", "missing"


@frozen
class Examined:
    """One thing looked at.

    Attributes:
        subject: what was looked at. state: ``ok``, ``note`` (works without, or works badly) or ``missing``.
        text: what was found. remedy: what to do, '' for nothing.
        facts: numbers and names behind the text, for ``--json``; sizes in bytes, times in seconds.
    """

    subject: str
    state: str
    text: str
    remedy: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)
