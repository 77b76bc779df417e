"""What the comparison found and how it was judged: a part of the record."""

from __future__ import annotations

from mlbutler.frozen import frozen_by_name
from mlbutler.record_changes import (
    CodeChange,
    DataChange,
    MetricChange,
    MetricHistory,
    Origin,
    ParamChange,
    PlotChange,
    Scalar,
    StageDefinitionChange,
    TrackedRun,
    Verdict,
)
from mlbutler.record_steps import EarlierBuild, StepResult


@frozen_by_name
class Flip:
    """One example that is right on one side alone. Predictions and label are shown as text.

    `old_score`, `new_score`: the example's scores, None without a score column. `image`: a data URI, '' for none.
    """

    id: str
    label: str
    old: str
    new: str
    old_score: float | None = None
    new_score: float | None = None
    image: str = ""


@frozen_by_name
class SliceChange:
    """The examples with one value in one slice column.

    `p` is the one-sided p-value of "nothing got worse", `adjusted` the same after Holm's correction for all slices
    looked at; `worse` says whether that is below the file's alpha.
    """

    column: str
    value: str
    examples: int
    old_right: int
    new_right: int
    broken: int
    fixed: int
    p: float
    adjusted: float
    worse: bool


@frozen_by_name
class ScoreChange:
    """A number made from the scores of all paired examples, with the interval on its difference.

    `name`: ``roc_auc``, ``log_loss``, ``brier``, ``mean score``, ``mae``, ``rmse``. `low` and `high` bound
    ``new - old`` with coverage 1 - alpha; `method` says how they were made.
    """

    name: str
    old: float
    new: float
    low: float
    high: float
    goal: str
    verdict: Verdict
    method: str


@frozen_by_name
class PredictionChange:
    """One predictions file on both sides, example by example.

    Attributes:
        examples: paired by id, with the same label on both sides; the counts below are of these.
        only_old, only_new, relabelled: examples that could not be paired.
        old_right, new_right: how many were right. broken: right, now wrong. fixed: wrong, now right.
        p: two-sided p-value of McNemar's exact test. alpha: what it and the slices are compared with.
        flips: some of the broken examples, the worst first. fixed_flips: some of the fixed ones.
        reason: why there is nothing, or what is missing.
    """

    file: str
    verdict: Verdict = Verdict.NOT_JUDGED
    reason: str = ""
    examples: int = 0
    only_old: int = 0
    only_new: int = 0
    relabelled: int = 0
    old_right: int = 0
    new_right: int = 0
    broken: int = 0
    fixed: int = 0
    p: float | None = None
    alpha: float = 0.05
    flips: tuple[Flip, ...] = ()
    fixed_flips: tuple[Flip, ...] = ()
    slices: tuple[SliceChange, ...] = ()
    scores: tuple[ScoreChange, ...] = ()


@frozen_by_name
class RepeatResult:
    """One metric, measured by repeated runs that differ in nothing but the seed.

    Attributes:
        metric: ``metrics.json:accuracy``. stages: what was run again. params: what was set to each of `seeds`.
        old, new: the metric on both sides, one value for each seed, in order.
        difference: mean of new - old; `low` and `high` bound it with coverage `confidence`.
        more: about how many further seeds would tell the difference from none; None when it does, or never would.
        runs, restored: how many runs of stages there were, and how many the run cache spared.
        reason: why there is no verdict: the seeds change nothing, or a run failed. `excused`: on the target's side.
    """

    metric: str
    stages: tuple[str, ...] = ()
    params: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    old: tuple[float, ...] = ()
    new: tuple[float, ...] = ()
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    confidence: float = 0.95
    verdict: Verdict = Verdict.NOT_JUDGED
    more: int | None = None
    runs: int = 0
    restored: int = 0
    reason: str = ""
    excused: bool = False

    @property
    def noise(self) -> float | None:
        """Return half the interval's width."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2


@frozen_by_name
class GateResult:
    """One rule and its judgement.

    `outcome`: ``passed``, ``warned``, ``failed``, ``waived``, ``not judged``, or ``inconclusive``: repeated runs do not
    tell.

    `metric` is the number's name: ``metrics.json:accuracy``, ``data/raw:rows``, ``train:seconds``. `rule` is the limit
    in words ("max drop 0.01"), `sentence` names the deciding numbers. `waiver`: until when, whose, and why.
    """

    metric: str
    rule: str
    level: str
    outcome: str
    sentence: str
    old: Scalar = None
    new: Scalar = None
    limit: float | None = None
    waiver: str = ""


@frozen_by_name
class CompareResult(StepResult):
    """The comparison with the merge base, and the judgement.

    Attributes:
        old_rev, new_rev: commit ids; `new_rev` is '' for the work tree.
        verdict: better, worse, same, changed or not judged, for the whole.
        sentence: the verdict in words, naming the deciding number.
        stages: what dvc.yaml says otherwise.
        history: what the metrics were at the commits up to `old_rev`.
        not_judged: (subject, reason) of everything that could not be compared.
        old_origins, new_origins: where the numbers of both sides come from.
        earlier: the build of mlbutler's that made what dvc.lock records here; None where the author did.
        runs: what stages logged with experiment trackers in this build.
        old_problem, new_problem: which of DVC's own files could not be read on that side, and why; '' for none.
    """

    old_rev: str = ""
    new_rev: str = ""
    metrics: tuple[MetricChange, ...] = ()
    params: tuple[ParamChange, ...] = ()
    code: tuple[CodeChange, ...] = ()
    stages: tuple[StageDefinitionChange, ...] = ()
    plots: tuple[PlotChange, ...] = ()
    data: tuple[DataChange, ...] = ()
    predictions: tuple[PredictionChange, ...] = ()
    repeats: tuple[RepeatResult, ...] = ()
    history: tuple[MetricHistory, ...] = ()
    gates: tuple[GateResult, ...] = ()
    verdict: Verdict = Verdict.NOT_JUDGED
    sentence: str = ""
    not_judged: tuple[tuple[str, str], ...] = ()
    old_problem: str = ""
    new_problem: str = ""
    old_origins: tuple[Origin, ...] = ()
    new_origins: tuple[Origin, ...] = ()
    earlier: EarlierBuild | None = None
    runs: tuple[TrackedRun, ...] = ()
