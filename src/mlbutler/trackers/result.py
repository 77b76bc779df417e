"""A result as trackers take one: parameters, numbers, and where it is from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import field

from mlbutler.frozen import frozen_by_name
from mlbutler.record import Scalar


@frozen_by_name
class Result:
    """What a run of stages made.

    Attributes:
        id: the commit that holds it; what tells one result from another.
        name: what people call it. source: the build's page, '' for none. commit: what was reproduced.
        params, metrics: by names that tell them apart. links: (what, address) of where to read more.
    """

    id: str
    name: str
    commit: str
    branch: str = ""
    repository: str = ""
    source: str = ""
    params: Mapping[str, Scalar] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    links: tuple[tuple[str, str], ...] = ()


def unique_names(keys: Iterable[str]) -> dict[str, str]:
    """Return ``file:name`` -> the name alone where no other file has the same, else both as ``file/name``."""
    parts = {key: key.partition(":") for key in keys}
    count = Counter(name for _, _, name in parts.values())
    return {key: name if name and count[name] == 1 else f"{file}/{name}".rstrip("/")
            for key, (file, _, name) in parts.items()}  # fmt: skip
