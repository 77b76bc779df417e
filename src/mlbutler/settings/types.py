"""Parse durations, sizes and lists as people write them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from msgspec.structs import FieldInfo

from mlbutler.frozen import frozen


class SettingsSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A section of the settings; `values.read_section` makes one of what a file has.

    Where values do not go together, its `__post_init__` raises ValueError.
    """

    @classmethod
    def keys(cls) -> dict[str, FieldInfo]:
        """Return each field by the name that the file has for it: some are words of Python's."""
        return {field.encode_name: field for field in msgspec.structs.fields(cls)}


def about(text: str) -> Meta:
    """Return what the type of a setting says of it."""
    return Meta(description=text)


@frozen
class Written:
    """How people write a value: makes it of a text, and leaves everything else as it is. Raises ValueError."""

    read: Callable[[object], object]


@frozen
class Checked:
    """What a value that is set has to be besides its type: returns it, maybe tidied. Raises ValueError."""

    check: Callable[[Any], Any]


_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def _parse_seconds(value: object) -> object:
    """Return a number of seconds from ``90``, ``"90s"``, ``"15m"``, ``"2h"`` or ``"1d"``."""
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd]?)\s*", value)
        if match is None:
            raise ValueError("must be a duration, as 90, '90s', '15m', '2h' or '1d'")
        return float(match[1]) * _UNITS[match[2]]
    return value


_SIZES = {"": 1, "B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}


def _parse_bytes(value: object) -> object:
    """Return a number of bytes from ``5000``, ``"200 GB"``, ``"1.5TB"``; powers of 1024."""
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?B?)\s*", value.upper())
        if match is None:
            raise ValueError("must be a size, as 5000 or '200 GB'")
        unit = match[2] if match[2] in _SIZES else f"{match[2]}B"
        return int(float(match[1]) * _SIZES[unit])
    return value


def _parse_amount(value: object) -> object:
    """Return a number as it is, bytes from ``"50 MB"``, seconds from ``"15m"``.

    Sizes are in powers of 1024, as reports show them.
    """
    if isinstance(value, str):
        if match := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?B)\s*", value, re.IGNORECASE):
            return float(match[1]) * _SIZES[match[2].upper()]
        try:
            return float(value)
        except ValueError:
            pass
        try:
            return _parse_seconds(value)
        except ValueError:
            raise ValueError("must be a number, a size as '50 MB' or a duration as '15m'") from None
    return value


def parse_share(value: object) -> object:
    """Return a share from ``0.1`` or ``"10%"``.

    Raises:
        ValueError: the text is neither.
    """
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(%?)\s*", value)
        if match is None:
            raise ValueError("must be a share, as 0.1 or '10%'")
        return float(match[1]) / (100 if match[2] else 1)
    return value


def _as_list(value: object) -> object:
    """Return a list; a single string stands for a list of one."""
    return [value] if isinstance(value, str) else value


_FLAGS = {
    **dict.fromkeys(("1", "true", "t", "yes", "y", "on"), True),
    **dict.fromkeys(("0", "false", "f", "no", "n", "off"), False),
}


def _parse_flag(value: object) -> object:
    """Return whether a text such as ``yes`` means yes, the words that options take too."""
    return _FLAGS.get(value.strip().lower(), value) if isinstance(value, str) else value


def _check_inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts:
        raise ValueError("must be a path inside the project")
    return PurePosixPath(path).as_posix()


Bytes = Annotated[int, Written(_parse_bytes), Meta(gt=0)]
Seconds = Annotated[float, Written(_parse_seconds), Meta(gt=0)]
Amount = Annotated[float, Written(_parse_amount)]
Strings = Annotated[tuple[str, ...], Written(_as_list)]
NonNegativeSeconds = Annotated[float, Written(_parse_seconds), Meta(ge=0)]
Share = Annotated[float, Written(parse_share), Meta(gt=0, le=1)]
Flag = Annotated[bool, Written(_parse_flag)]
Inside = Annotated[str, Checked(_check_inside)]
