"""Rules on numbers: what a gate is about, how runs are repeated for it, whose waivers count."""

import math
from typing import Annotated, Literal

from msgspec import Meta

from mlbutler.settings.types import Amount, Seconds, SettingsSection, Strings, about

_SUBJECTS = ("metric", "data", "stage", "predictions")
_MEASURES = {
    "metric": (),
    "data": ("bytes", "files", "rows"),
    "stage": ("seconds", "memory"),
    "predictions": ("right", "broken", "worse_slices"),
}


class Gate(SettingsSection, frozen=True):
    """One rule on one number: of a metric, of data or a model, of a stage, or of predictions."""

    metric: Annotated[str | None, about("which number: '<file>:<dotted name>', or only the name if it is unique")] = (
        None
    )
    data: Annotated[str | None, about("instead of a metric: path of an output or of data that DVC tracks")] = None
    stage: Annotated[str | None, about("instead of a metric: a stage's name")] = None
    predictions: Annotated[str | None, about("instead of a metric: a file declared in [[predictions]]")] = None
    measure: Annotated[
        Literal["bytes", "files", "rows", "seconds", "memory", "right", "broken", "worse_slices"] | None,
        about(
            "of data: 'bytes' (if unset), 'files', 'rows'; of a stage: 'seconds' (if unset), 'memory'; "
            "of predictions: 'right' (the share, if unset), 'broken', 'worse_slices'"
        ),
    ] = None
    goal: Annotated[
        Literal["maximize", "minimize"] | None,
        about("direction; if unset guessed from a metric's name; less data is worse, a longer stage is worse"),
    ] = None
    min: Annotated[Amount | None, about("lowest value allowed; also a size like '50 MB' or a time like '15m'")] = None
    max: Annotated[Amount | None, about("highest value allowed")] = None
    max_drop: Annotated[
        Annotated[Amount, Meta(ge=0)] | None, about("largest worsening allowed, in the number's unit")
    ] = None
    max_drop_relative: Annotated[
        Annotated[float, Meta(ge=0)] | None, about("largest worsening allowed, as a share of the old value")
    ] = None
    repeats: Annotated[
        Annotated[int, Meta(ge=2, le=200)] | None,
        about("of a metric: judge it by so many runs on both sides, each with its own seed"),
    ] = None
    level: Annotated[Literal["fail", "warn"], about("what a broken rule does: 'fail' the run, or 'warn'")] = "fail"

    def __post_init__(self) -> None:
        """Raise ValueError unless it limits exactly one thing, in a way that a number can pass."""
        if sum(getattr(self, name) is not None for name in _SUBJECTS) != 1:
            raise ValueError("a gate needs exactly one of metric, data, stage, predictions")
        if self.measure is not None and self.measure not in _MEASURES[self.kind]:
            known = ", ".join(_MEASURES[self.kind]) or "none"
            raise ValueError(f"a gate on a {self.kind} has no measure '{self.measure}' (there is: {known})")
        if self.min is None and self.max is None and self.max_drop is None and self.max_drop_relative is None:
            raise ValueError("a gate needs one of min, max, max_drop, max_drop_relative")
        for name in ("min", "max", "max_drop", "max_drop_relative"):
            limit = getattr(self, name)
            if limit is not None and not math.isfinite(limit):
                raise ValueError(f"{name} must be a finite number, not {limit}: it would judge nothing")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}: no number can pass")
        if self.repeats is not None and self.metric is None:
            raise ValueError("repeats are for a metric")

    @property
    def kind(self) -> str:
        """Return ``metric``, ``data``, ``stage`` or ``predictions``."""
        return next(name for name in _SUBJECTS if getattr(self, name) is not None)

    @property
    def of(self) -> str:
        """Return what is measured: ``bytes``, ``seconds``...; '' for a metric."""
        return self.measure or next(iter(_MEASURES[self.kind]), "")

    @property
    def subject(self) -> str:
        """Return its name in reports and waivers: the metric as written, or ``data/raw:rows``, ``train:seconds``."""
        named = str(getattr(self, self.kind))
        return f"{named}:{self.of}" if self.of else named


class RepeatSettings(SettingsSection, frozen=True):
    """How runs are repeated for gates with `repeats`."""

    seed: Annotated[Strings, about("params that are the seed: '<file>:<dotted name>'; each run sets them all")] = ()
    confidence: Annotated[float, Meta(gt=0.5, lt=1, description="of the interval that decides")] = 0.95
    timeout: Annotated[Seconds | None, about("limit for all stages of one repeated run, such as '1h'")] = None


class WaiverSettings(SettingsSection, frozen=True):
    """Which people's waivers count."""

    trust: Annotated[
        Literal["target", "change"],
        about(
            "whose waivers count for a pull request: 'target': those on its target branch; 'change': its own too, "
            "where the target branch says so"
        ),
    ] = "target"
