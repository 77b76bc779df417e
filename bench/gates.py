"""Measure, as `python -m bench.gates`, false alarms and power of gates by repeated runs, beside gates on one run.

Real models are trained on scikit-learn's bundled digits (1,797 pictures, UCI). A trial is one pull request: its base is
trained with several seeds, and so is the change. In the A/A arm the change is a refactoring: the same method, other
random numbers. In the other arms a share of the training labels is wrong, which is the injected effect; what that
costs in truth is the mean over all models of the arm.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache, partial
from typing import Any

from mlbutler.gate.noise import decide_gate, margins

CONFIDENCE = 0.95
LIMIT = 0.01
WRONG = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3)
_TEST = 450
_OTHER_NUMBERS = 1_000_000


@dataclass(frozen=True)
class Arm:
    """All trials of one kind of change.

    Attributes:
        model: what was trained. wrong: share of wrong labels in the change's training data.
        effect: the true worsening of the accuracy. noise: its standard deviation from seed to seed.
        trials: how many. The rest are shares of trials: ``any_drop`` and ``max_drop`` fail by one run; ``repeated`` and
            ``repeated_limit``: (failed, inconclusive, passed) by repeated runs, with no drop and with `LIMIT` allowed.
    """

    model: str
    wrong: float
    effect: float
    noise: float
    trials: int
    any_drop: float
    max_drop: float
    repeated: tuple[float, float, float]
    repeated_limit: tuple[float, float, float]


@cache
def _digits() -> tuple[Any, Any, Any, Any]:
    import numpy as np
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    test, train = order[:_TEST], order[_TEST:]
    return x[train] / 16, y[train], x[test] / 16, y[test]


def _forest(seed: int) -> Any:
    from sklearn.ensemble import ExtraTreesClassifier

    return ExtraTreesClassifier(10, random_state=seed)


def _network(seed: int) -> Any:
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier((16,), learning_rate_init=0.004, batch_size=32, max_iter=10, random_state=seed)


MODELS: dict[str, Callable[[int], Any]] = {"10 extra trees": _forest, "network of 16 units": _network}


def accuracy(model: str, wrong: float, offset: int, seed: int) -> float:
    """Train once and test.

    Args:
        wrong: share of training labels that are drawn at random instead. offset: added to the seed.
    """
    import numpy as np

    warnings.simplefilter("ignore")
    x, y, x_test, y_test = _digits()
    if wrong:
        source = np.random.default_rng(seed)
        y = y.copy()
        rows = source.choice(len(y), round(wrong * len(y)), replace=False)
        y[rows] = source.integers(0, 10, len(rows))
    return float(MODELS[model](seed + offset).fit(x, y).score(x_test, y_test))


def judge_series(model: str, wrong: float, base: Sequence[float], change: Sequence[float], repeats: int) -> Arm:
    """Cut both series into trials of `repeats` pairs, and let every gate judge each."""
    counts = {"any": 0, "limit": 0}
    outcomes = {limit: dict.fromkeys(("failed", "inconclusive", "passed"), 0) for limit in (0.0, LIMIT)}
    trials = len(base) // repeats
    for trial in range(trials):
        part = slice(trial * repeats, (trial + 1) * repeats)
        old, new = base[part], change[part]
        counts["any"] += new[0] < old[0]
        counts["limit"] += margins("max_drop", LIMIT, "maximize", old[:1], new[:1])[0] < -1e-9
        for limit, seen in outcomes.items():
            seen[decide_gate(margins("max_drop", limit, "maximize", old, new), CONFIDENCE).outcome] += 1
    mean = math.fsum(change) / len(change)
    noise = math.sqrt(math.fsum((value - mean) ** 2 for value in change) / (len(change) - 1))
    shares = {
        limit: (seen["failed"] / trials, seen["inconclusive"] / trials, seen["passed"] / trials)
        for limit, seen in outcomes.items()
    }
    return Arm(
        model, wrong, math.fsum(base) / len(base) - mean, noise, trials, counts["any"] / trials,
        counts["limit"] / trials, shares[0.0], shares[LIMIT],
    )  # fmt: skip


def measure_model(model: str, nulls: int, trials: int, repeats: int, pool: ProcessPoolExecutor) -> list[Arm]:
    """Measure every arm of one model; `nulls` trials in the A/A arm, `trials` in each of the others."""

    def series(wrong: float, offset: int, count: int) -> list[float]:
        return list(pool.map(partial(accuracy, model, wrong, offset), range(count * repeats), chunksize=20))

    base = series(0.0, 0, max(nulls, trials))
    arms = []
    for wrong in WRONG:
        count = trials if wrong else nulls
        change = series(wrong, 0 if wrong else _OTHER_NUMBERS, count)
        arms.append(judge_series(model, wrong, base[: len(change)], change, repeats))
        print(f"{model}, {wrong:.0%} wrong labels: done", file=sys.stderr, flush=True)
    return arms


def too_many(failed: int, trials: int, rate: float) -> float:
    """Return P(X >= `failed`) of a binomial: below 0.01 the promised rate is not believable."""
    return math.fsum(
        math.comb(trials, k) * rate**k * (1 - rate) ** (trials - k) for k in range(failed, trials + 1)
    )  # fmt: skip


def table(arms: Sequence[Arm], repeats: int) -> str:
    """Return the arms as a Markdown table."""
    head = (
        "| model | wrong labels | trials | true worsening | noise | any drop: fails | max_drop 0.01, one run: fails "
        f"| {repeats} repeats, max_drop 0: fails / inconclusive / passes | {repeats} repeats, max_drop 0.01 |\n"
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    )

    def triple(shares: Sequence[float]) -> str:
        return " / ".join(f"{100 * share:.1f}" for share in shares)

    rows = [
        f"| {arm.model} | {f'{arm.wrong:.0%}' if arm.wrong else 'none (A/A)'} | {arm.trials} | {arm.effect:+.4f} "
        f"| {arm.noise:.4f} "
        f"| {100 * arm.any_drop:.1f} | {100 * arm.max_drop:.1f} | {triple(arm.repeated)} "
        f"| {triple(arm.repeated_limit)} |"
        for arm in arms
    ]
    return "\n".join((head, *rows))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; return 1 when the false alarms are more than chance makes of the nominal rate."""
    parser = argparse.ArgumentParser(description="False alarms and power of gates, on real models.")
    parser.add_argument("--nulls", type=int, default=1000, help="pull requests without an effect (default: 1000)")
    parser.add_argument("--trials", type=int, default=200, help="pull requests of each effect (default: 200)")
    parser.add_argument("--repeats", type=int, default=5, help="seeds of each (default: 5)")
    parser.add_argument("--model", choices=list(MODELS), help="only this one")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument("--smoke", action="store_true", help="a few trials: does it still work?")
    options = parser.parse_args(arguments)
    nulls, trials = (4, 4) if options.smoke else (options.nulls, options.trials)
    chosen = [options.model] if options.model else list(MODELS)[: 1 if options.smoke else None]
    with ProcessPoolExecutor(2) as pool:
        arms = [arm for model in chosen for arm in measure_model(model, nulls, trials, options.repeats, pool)]
    print(json.dumps([asdict(arm) for arm in arms], indent=1) if options.json else table(arms, options.repeats))
    nominal = (1 - CONFIDENCE) / 2
    none = [arm for arm in arms if arm.wrong == 0]
    return int(any(too_many(round(a.repeated[0] * a.trials), a.trials, nominal) < 0.01 for a in none))


if __name__ == "__main__":
    sys.exit(main())
