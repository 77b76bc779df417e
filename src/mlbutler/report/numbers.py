"""Numbers, sizes and times as a reviewer reads them."""

from __future__ import annotations

import math

from mlbutler.console import human_bytes, human_seconds

ABSENT = "—"
_MINUS = "−"
_LONGEST = 60
_EXPONENT_FROM = 1e9  # below, 123456.7 reads better as 123457 than as 1.2346e+05


def value(item: object, precision: int) -> str:
    """Return a metric's value: numbers with `precision` significant digits, whole numbers in full, text as it is."""
    if item is None:
        return ABSENT
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, int):
        # bit_length, because Python refuses to print integers of more than 4,300 digits
        return _typeset(str(item) if item.bit_length() <= 60 else _large(item, precision))
    if isinstance(item, float):
        whole = len(str(int(abs(item)))) if 1 <= abs(item) < _EXPONENT_FROM else 0
        return _typeset(f"{item:.{max(precision, whole)}g}")
    return str(item) or "(empty)"


def _large(item: int, precision: int) -> str:
    try:
        return f"{float(item):.{precision}g}"
    except OverflowError:
        return "more than 1e308" if item > 0 else "less than -1e308"


def pair(old: object, new: object, precision: int) -> tuple[str, str]:
    """Return both sides of a difference, with more digits than asked for where they would look the same."""
    for digits in range(precision, 18):
        shown = value(old, digits), value(new, digits)
        if shown[0] != shown[1] or old == new:
            return shown
    return shown


def difference(item: object, precision: int) -> str:
    """Return a signed difference; a dash when there is none."""
    if not is_finite(item):
        return ABSENT
    text = value(item, precision)
    return text if text.startswith(_MINUS) or not item else f"+{text}"


def percent(item: object) -> str:
    """Return a signed share as per cent, '' when there is none or it says nothing."""
    if not is_finite(item) or not item:
        return ""
    share = float(item) * 100  # type: ignore[arg-type]  # is_finite has looked
    if not math.isfinite(share):
        return ""
    text = f"{share:+.0f}" if abs(share) >= 100 and abs(share) < 1e6 else f"{share:+.2g}"
    return _typeset(text) + " %"


def is_finite(item: object) -> bool:
    """Return whether it is a number that can be drawn and subtracted."""
    return isinstance(item, int | float) and not isinstance(item, bool) and as_float(item) is not None


def as_float(item: object) -> float | None:
    """Return a finite float, None for everything else (text, NaN, infinity, integers beyond a float's range)."""
    if not isinstance(item, int | float):
        return None
    try:
        number = float(item)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def size(count: int | None) -> str:
    """Return a size in bytes in readable form, a dash when unknown."""
    return ABSENT if count is None else human_bytes(count)


def seconds(duration: float | None) -> str:
    """Return a duration in readable form, a dash when unknown."""
    return ABSENT if duration is None else human_seconds(duration)


def count(number: int, one: str, many: str = "") -> str:
    """Return ``1 row``, ``1,234 rows``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _typeset(text: str) -> str:
    if len(text) > _LONGEST:
        text = text[: _LONGEST - 1] + "…"
    return text.replace("-", _MINUS, 1) if text.startswith("-") else text
