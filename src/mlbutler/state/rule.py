"""The one rule of what is remembered; each memory says what its keys, inputs and expiry are, and asks here.

Where a key is what an entry is found by, the name of a row or what a file is for, it is the same and not given.
"""

from __future__ import annotations

import math
from collections.abc import Iterable


def is_valid(
    key: tuple[object, object] = (None, None), inputs: Iterable[tuple[object, object]] = (), now: float = 0.0,
    expiry: float = math.inf,
) -> bool:  # fmt: skip
    """Tell whether an entry is valid: key and inputs' fingerprints are what they were, and now is before its expiry.

    Args:
        key: as it was kept, and as it is. inputs: the fingerprint of each as it was kept, and as it is; what is not
            known, None, is equal to nothing. They are looked at one by one, until one differs.
        now, expiry: seconds since the epoch.
    """
    if key[0] != key[1] or not now < expiry:
        return False
    for kept, found in inputs:  # noqa: SIM110 - a generator costs as much again, for each of 50,000 objects
        if kept is None or kept != found:
            return False
    return True
