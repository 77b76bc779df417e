"""The space of a search: overrides in Hydra's grammar, as its Optuna sweeper takes them, read by Hydra's own parser."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlbutler.errors import UsageError
from mlbutler.frozen import frozen
from mlbutler.project.overrides import MOST, check_file

_DEFAULT = "params.yaml"
_DIGITS = 6
_GRAMMAR = (
    "The grammar is that of Hydra's Optuna sweeper: -S 'rate=tag(log, interval(1e-5, 1e-1))', "
    "-S 'depth=int(interval(2, 8))', -S width=range(16,128,16), -S kind=a,b"
)

Value = float | int | str
"""Of one parameter in a study: a number, or of a choice without order its text."""


@frozen
class Choice:
    """Some values, each as a command line has it. `ordered`: its value in a study is its place."""

    key: str
    texts: tuple[str, ...]
    ordered: bool

    @property
    def size(self) -> int | None:
        """Return how many values there are."""
        return len(self.texts)

    def text(self, value: Value) -> str:
        """Return a value as a command line has it."""
        return self.texts[int(value)] if self.ordered else str(value)

    def value(self, text: str) -> Value | None:
        """Return what `text` made a text of; None for another text."""
        if text not in self.texts:
            return None
        return self.texts.index(text) if self.ordered else text

    def every(self) -> Iterator[Value]:
        """Yield all values."""
        return iter(range(len(self.texts)) if self.ordered else self.texts)

    def __str__(self) -> str:
        return f"{self.key}: {', '.join(self.texts)}"


@frozen
class SearchInterval:
    """Numbers from `low` to `high`, both among them. `log`: drawn by their logarithm. `whole`: no fractions."""

    key: str
    low: float
    high: float
    log: bool
    whole: bool

    @property
    def size(self) -> int | None:
        """Return how many values there are, None for no end of them."""
        return int(self.high) - int(self.low) + 1 if self.whole else None

    def text(self, value: Value) -> str:
        """Return a value as a command line has it: six digits are enough, and an end is as it was given."""
        number = float(value)
        if self.whole:
            return str(round(number))
        inside = self._nearest(number)
        is_end = inside in (self.low, self.high)
        return repr(inside if is_end else self._nearest(float(f"{inside:.{_DIGITS}g}")))

    def _nearest(self, number: float) -> float:
        return float(min(max(number, self.low), self.high))

    def value(self, text: str) -> Value | None:
        """Return what `text` made a text of; None for another text."""
        try:
            number = float(text)
        except ValueError:
            return None
        if not self.low <= number <= self.high:
            return None
        return int(number) if self.whole else number

    def every(self) -> Iterator[Value]:
        """Yield all values of one without fractions."""
        return iter(range(int(self.low), int(self.high) + 1))

    def __str__(self) -> str:
        how = "".join((", whole numbers" if self.whole else "", ", by logarithm" if self.log else ""))
        return f"{self.key}: {self.low:g} to {self.high:g}{how}"


Dimension = Choice | SearchInterval


@frozen
class Space:
    """What is searched. `fixed`: overrides that all points have."""

    dimensions: tuple[Dimension, ...]
    fixed: tuple[str, ...]

    @property
    def size(self) -> int | None:
        """Return how many points there are, None for no end of them."""
        sizes = [one.size for one in self.dimensions]
        return None if None in sizes else math.prod(size for size in sizes if size is not None)

    def overrides(self, values: Mapping[str, Value]) -> tuple[str, ...]:
        """Return a point as overrides; `values` are by the keys of the dimensions."""
        return (*self.fixed, *(f"{one.key}={one.text(values[one.key])}" for one in self.dimensions))

    def values(self, overrides: Sequence[str]) -> dict[str, Value] | None:
        """Return the values of a point, by their keys; None for one that is not in this space."""
        given = {key: text for key, _, text in (override.partition("=") for override in overrides)}
        found = {one.key: one.value(given.get(one.key, "")) for one in self.dimensions}
        known = {key: value for key, value in found.items() if value is not None}
        return known if len(known) == len(found) else None

    def every(self) -> Iterator[dict[str, Value]]:
        """Yield the values of all points of a space that has an end."""
        keys = [one.key for one in self.dimensions]
        for values in itertools.product(*(one.every() for one in self.dimensions)):
            yield dict(zip(keys, values, strict=True))


def read_space(params: Sequence[str]) -> Space:
    """Return the space that overrides describe.

    Raises:
        UsageError: one cannot be read, has no values, or is given twice; or there is nothing to search.
    """
    from dvc.exceptions import DvcException
    from dvc.utils.cli_parse import to_path_overrides
    from dvc.utils.hydra import to_hydra_overrides
    from hydra.errors import HydraException

    dimensions, fixed, seen = list[Dimension](), list[str](), set[str]()
    for path, texts in to_path_overrides(params).items():
        check_file(path)
        file = "" if path == _DEFAULT else f"{path}:"
        try:
            parsed = to_hydra_overrides(texts)
        except (HydraException, DvcException, ValueError, TypeError) as error:
            raise UsageError(f"-S cannot be read: {str(error).strip().partition(chr(10))[0]}", _GRAMMAR) from error
        for text, one in zip(texts, parsed, strict=True):
            key = file + one.get_key_element()
            if key.lstrip("+~") in seen:
                raise UsageError(f"-S: {key} is given twice.", "Give it once.")
            seen.add(key.lstrip("+~"))
            if one.is_sweep_override():
                dimensions.append(_dimension(key, one))
            else:
                fixed.append(file + text)
    if not dimensions:
        raise UsageError("--search: there is nothing to search, since -S gives no parameter a range.", _GRAMMAR)
    return Space(tuple(dimensions), tuple(fixed))


def _dimension(key: str, override: Any) -> Dimension:
    """Return the values that an override of Hydra's stands for.

    Raises:
        UsageError: there are none, or too many, or they are not known before each run.
    """
    value = override.value()
    if override.is_interval_sweep():
        return _interval(key, value)
    if getattr(value, "shuffle", True) or value.tags:  # a glob has neither
        raise UsageError(f"-S: {key}: shuffle(), glob() and tag() of a choice mean nothing in a search.", _GRAMMAR)
    try:
        texts = tuple(dict.fromkeys(itertools.islice(override.sweep_string_iterator(), MOST + 1)))
    except (ArithmeticError, ValueError, TypeError, AssertionError) as error:
        raise UsageError(f"-S: {key} has no values that can be listed.", _GRAMMAR) from error
    if not 0 < len(texts) <= MOST:
        raise UsageError(f"-S: {key} has {'too many' if texts else 'no'} values.", f"Give it 1 to {MOST:,}.")
    return Choice(key, texts, ordered=override.is_range_sweep())


def _interval(key: str, found: Any) -> SearchInterval:
    low, high, log = found.start, found.end, "log" in found.tags
    if found.tags - {"log"}:
        raise UsageError(f"-S: {key}: the only tag of an interval is log.", _GRAMMAR)
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise UsageError(f"-S: {key}: an interval needs a lower end that is below its upper one.", _GRAMMAR)
    if log and low <= 0:
        raise UsageError(f"-S: {key}: by their logarithm only numbers above 0 can be drawn.", _GRAMMAR)
    return SearchInterval(key, low, high, log, whole=isinstance(low, int) and isinstance(high, int))
