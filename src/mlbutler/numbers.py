"""Numbers, sizes and times as a reviewer reads them."""

from __future__ import annotations

import math
from typing import Any

from mlbutler.console import human_bytes, human_seconds

ABSENT = "—"
PRECISION = 5
"""Significant digits where nobody asked for others."""

MINUS = "−"
_LONGEST = 60
_EXPONENT_FROM = 1e9  # below, 123456.7 reads better as 123457 than as 1.2346e+05


def value(item: object, precision: int = PRECISION) -> str:
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


def pair(old: object, new: object, precision: int = PRECISION, noise: float | None = None) -> tuple[str, str]:
    """Return both sides of a difference; see `sides_and_difference`."""
    return sides_and_difference(old, new, precision, noise)[:2]


def sides_and_difference(
    old: object, new: object, precision: int = PRECISION, noise: float | None = None
) -> tuple[str, str, str]:
    """Return both sides and their difference, all three with the same number of decimals.

    There are more digits than asked for where both sides would look the same and are not.

    Args:
        noise: differences up to this say nothing: digits far below it are left out.
    """
    if not (is_finite(old) and is_finite(new)):
        return value(old, precision), value(new, precision), ABSENT
    noise = as_float(noise)
    for digits in range(precision, 18):
        shown = _align_decimals(old, new, digits, noise if digits == precision else None)
        if shown[0] != shown[1] or old == new:
            return shown
    return (*_in_full(old, new), shown[2])


def _align_decimals(old: Any, new: Any, precision: int, noise: float | None) -> tuple[str, str, str]:
    sides = value(old, precision), value(new, precision)
    needed = None if any("e" in side for side in sides) else max(len(side.partition(".")[2]) for side in sides)
    if noise and max(abs(old), abs(new)) < _EXPONENT_FROM and (worth := _decimals(noise)) <= 17:
        return _format_fixed(old, new, max(0, worth if needed is None else min(worth, needed)))
    if needed is None:
        return (*sides, difference(new - old, precision))
    return _format_fixed(old, new, needed) if needed else (*sides, difference(round(new - old), precision))


def _format_fixed(old: Any, new: Any, decimals: int) -> tuple[str, str, str]:
    before, after = (_typeset(_without_minus_zero(f"{side:.{decimals}f}")) for side in (old, new))
    apart = new - old
    return before, after, _typeset(_without_minus_zero(f"{apart:+.{decimals}f}")) if apart else "0"


def _without_minus_zero(text: str) -> str:
    return text.lstrip("+-") if not text.strip("+-0.") else text


def rounded(item: float | None, noise: float | None, *, signed: bool = False) -> str:
    """Return a number without the digits far below `noise`."""
    if item is None or not is_finite(item):
        return ABSENT
    if not noise or not is_finite(noise) or abs(item) >= _EXPONENT_FROM:
        return difference(item) if signed else value(item)
    decimals = min(17, max(0, _decimals(noise)))
    text = _typeset(_without_minus_zero(f"{item:+.{decimals}f}"))
    return text if signed else text.removeprefix("+")


def _decimals(noise: float) -> int:
    """Return up to which decimal a number is worth writing: the second digit of its noise."""
    return 1 - math.floor(math.log10(noise))


def _in_full(*items: object) -> tuple[str, str]:
    """Return whole numbers that a float cannot tell apart."""
    shown = [str(item) if isinstance(item, int) and item.bit_length() <= 200 else value(item, 17) for item in items]
    return shown[0], shown[1]


def difference(item: object, precision: int = PRECISION) -> str:
    """Return a signed difference; a dash when there is none."""
    if not is_finite(item):
        return ABSENT
    text = value(item, precision)
    return text if text.startswith(MINUS) or not item else f"+{text}"


def percent(item: object) -> str:
    """Return a signed share as per cent, '' when there is none or it says nothing."""
    if not is_finite(item) or not item:
        return ""
    share = float(item) * 100  # type: ignore[arg-type]  # is_finite has looked
    if not math.isfinite(share):
        return ""
    text = f"{share:+.0f}" if abs(share) >= 100 and abs(share) < 1e6 else f"{share:+.2g}"
    return _typeset(text) + " %"


def in_words(p: float, alpha: float) -> str:
    """Return what a p-value says of a difference, plain words first; below `alpha` it is not taken for chance."""
    return f"{'' if p < alpha else 'no '}more than chance explains (p {p_value(p)})"


def p_value(p: float) -> str:
    """Return ``= 0.012``, or ``< 0.0001``."""
    return "< 0.0001" if p < 0.0001 else f"= {p:.2g}"


def share(item: float, decimals: int | None = None) -> str:
    """Return a share as per cent: ``93.20 %`` with two decimals, ``93.2 %`` with as many as it needs."""
    return f"{item * 100:.4g} %" if decimals is None else f"{item:.{decimals}%}".replace("%", " %")


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
    return text.replace("-", MINUS, 1) if text.startswith("-") else text
