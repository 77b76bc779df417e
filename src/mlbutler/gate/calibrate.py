"""Try a gate on the target alone: how often it raises a false alarm, and what it misses."""

from __future__ import annotations

import random
from collections.abc import Sequence

from mlbutler.frozen import frozen
from mlbutler.gate.noise import decide_gate, margins
from mlbutler.stats.student import t_interval

TRIALS = 2000
_SHIFTS = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)


@frozen
class Rates:
    """Shares of trials, 0 to 1.

    Attributes:
        effect: true worsening that was put in, in the number's unit. failed, passed: what the gate said; the rest was
            inconclusive. any_drop: a rule that fails any worsening of one run. single: the limit on one run.
    """

    effect: float
    failed: float
    passed: float
    any_drop: float
    single: float


@frozen
class Calibration:
    """One limit, tried.

    Attributes:
        deviation: of the number from seed to seed. nominal: what false alarms and misses at the limit are held to.
        unit: the worsening that is counted as one: the limit, or the deviation where the limit is none.
        rates: one line for each effect, the first with none.
    """

    deviation: float
    nominal: float
    unit: float
    repeats: int
    rates: tuple[Rates, ...]


def calibrate(
    values: Sequence[float], name: str, limit: float, goal: str, repeats: int, confidence: float,
    *, trials: int = TRIALS, seed: int = 0,
) -> Calibration:  # fmt: skip
    """Resample what one revision gave with different seeds into pairs of revisions that do not differ, and worsen one.

    Both sides of a trial are drawn without replacement from `values` when there are at least twice `repeats`, else with
    replacement. Pairs are of different seeds, so that what a shared seed would cancel is counted as noise: real pairs
    are at most as noisy.

    Args:
        values: of the number, one for each seed. name, limit, goal: as `mlbutler.gate.noise.margins`.
    """
    source = random.Random(seed)
    deviation = t_interval(values, confidence).deviation
    mean = sum(values) / len(values)
    unit = limit * (abs(mean) if name == "max_drop_relative" else 1.0) if name.startswith("max_drop") else 0.0
    unit = unit or deviation
    worse = -1 if goal == "maximize" else 1
    rates = []
    for shift in _SHIFTS if unit else _SHIFTS[:1]:  # no noise and no limit: there is no effect to put in
        counts = dict.fromkeys(("failed", "passed", "inconclusive", "any", "single"), 0)
        for _ in range(trials):
            old, new = _draw(source, values, repeats)
            new = [value + worse * shift * unit for value in new]
            counts[decide_gate(margins(name, limit, goal, old, new), confidence).outcome] += 1
            counts["any"] += worse * (new[0] - old[0]) > 0
            counts["single"] += margins(name, limit, goal, old[:1], new[:1])[0] < 0
        share = {key: count / trials for key, count in counts.items()}
        rates.append(Rates(shift * unit, share["failed"], share["passed"], share["any"], share["single"]))
    return Calibration(deviation, (1 - confidence) / 2, unit, repeats, tuple(rates))


def _draw(source: random.Random, values: Sequence[float], repeats: int) -> tuple[list[float], list[float]]:
    if len(values) >= 2 * repeats:
        drawn = source.sample(list(values), 2 * repeats)
    else:
        drawn = source.choices(values, k=2 * repeats)
    return drawn[:repeats], drawn[repeats:]
