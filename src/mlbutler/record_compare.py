"""What the comparison found: a part of the record."""

from __future__ import annotations

from enum import StrEnum

from mlbutler.frozen import frozen, frozen_by_name
from mlbutler.record_steps import EarlierBuild, StepResult

Scalar = float | int | bool | str | None


class Verdict(StrEnum):
    """What a difference between two values means."""

    BETTER = "better"
    WORSE = "worse"
    SAME = "same"
    WITHIN_NOISE = "within noise"
    NEW = "new"
    GONE = "gone"
    CHANGED = "changed"
    NOT_JUDGED = "not judged"


@frozen_by_name
class MetricChange:
    """One number of one metrics file on both sides. `goal`: ``maximize``, ``minimize`` or None.

    A `name` of '' stands for all numbers of a file that is the same object on both sides and could not be read.

    `noise`: differences up to this say nothing, by ``repeats`` or by the ``history`` of the target branch (`noise_by`);
    None where one run on each side is all there is.
    """

    file: str
    name: str
    old: Scalar = None
    new: Scalar = None
    difference: float | None = None
    relative: float | None = None
    goal: str | None = None
    verdict: Verdict = Verdict.NOT_JUDGED
    reason: str = ""
    noise: float | None = None
    noise_by: str = ""

    @property
    def key(self) -> str:
        """The name used in gates and settings: ``metrics.json:accuracy``."""
        return f"{self.file}:{self.name}" if self.name else self.file

    @property
    def may_be_noise(self) -> bool:
        """Return whether it is called better or worse, and nothing says how much of that chance makes."""
        return self.verdict in (Verdict.BETTER, Verdict.WORSE) and self.noise is None


@frozen_by_name
class Origin:
    """Where the numbers of some metrics files come from.

    `kind`: ``this build`` (its stage ran in it), ``run cache`` (restored in it from an earlier run), ``earlier build``
    (reproduced by mlbutler in the build of `head`, as the results commit `commit` says; `url` is its page),
    ``dvc.lock`` (its stage did not run here: as the author committed it in `commit`), ``file`` (the same, and no stage
    makes it), ``work tree`` (not committed), ``in no commit`` (of this side), ``not known`` (the clone's history is cut
    off).
    """

    files: tuple[str, ...]
    kind: str
    stage: str = ""
    commit: str = ""
    head: str = ""
    url: str = ""


@frozen_by_name
class TrackedRun:
    """A run that a stage of this build logged with an experiment tracker.

    `tracker`: ``MLflow`` or ``Weights & Biases``. `place`: the folder that holds it, from the project's root, '' for a
    server's. `url`: its page, '' where none is known.
    """

    tracker: str
    name: str
    id: str
    place: str = ""
    url: str = ""


@frozen
class PastValue:
    """A metric at one commit. `when`: the commit's time, ISO 8601."""

    commit: str
    when: str
    value: Scalar


@frozen_by_name
class MetricHistory:
    """A metric at the commits of the target branch that measured it anew, oldest first."""

    file: str
    name: str
    goal: str | None = None
    values: tuple[PastValue, ...] = ()

    @property
    def key(self) -> str:
        """The name used in gates and settings: ``metrics.json:accuracy``."""
        return f"{self.file}:{self.name}"


@frozen_by_name
class ParamChange:
    """One parameter that differs. `kind`: ``changed``, ``added``, ``removed``. Values are shown as text.

    `stages` read it; `after` are those that run again because these do.
    """

    file: str
    name: str
    kind: str
    old: str = ""
    new: str = ""
    stages: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


@frozen_by_name
class CodeChange:
    """A file in Git that differs, neither output nor parameters.

    `kind`: ``changed``, ``added``, ``removed``. `stages` declare it as a dependency. `undeclared`: (stage, why) of
    stages that use it without declaring it, so that DVC takes them for up to date.
    """

    path: str
    kind: str
    stages: tuple[str, ...] = ()
    undeclared: tuple[tuple[str, str], ...] = ()


@frozen_by_name
class DefinitionChange:
    """One thing that dvc.yaml says otherwise of a stage.

    `part`: ``command``, ``wdir``, ``frozen``, ``always_changed``, ``dependency``, ``param``, ``output``. `kind`:
    ``added``, ``removed``, ``changed``. `name` is the path or parameter; `old` and `new` are the values where there
    are any, for outputs what kind they are.
    """

    part: str
    kind: str
    name: str = ""
    old: str = ""
    new: str = ""


@frozen_by_name
class StageDefinitionChange:
    """A stage that dvc.yaml defines otherwise, with templates filled in.

    `kind`: ``added``, ``removed``, ``changed``, ``renamed`` (from `old_name`: it makes the same outputs).
    """

    stage: str
    kind: str
    old_name: str = ""
    parts: tuple[DefinitionChange, ...] = ()

    def lost(self) -> tuple[DefinitionChange, ...]:
        """Return dependencies and params that the stage no longer has: DVC does not run it when they change."""
        if self.kind in ("added", "removed"):
            return ()
        return tuple(p for p in self.parts if p.kind == "removed" and p.part in ("dependency", "param"))

    def freezes(self) -> bool:
        """Return whether this change freezes the stage, so that it never runs again, whatever changes."""
        return any(part.part == "frozen" and part.new for part in self.parts)


class PlotKind(StrEnum):
    """How a plot is compared and shown; ``linear`` is also for scatter, simple and smooth."""

    LINEAR = "linear"
    CONFUSION = "confusion"
    IMAGE = "image"
    UNSUPPORTED = "unsupported"


@frozen_by_name
class PlotChange:
    """One plot on both sides.

    For ``linear``, `old` and `new` are points (x, y), at most a few hundred; for ``confusion`` they are
    (row label, column label, count); for ``image`` they hold one item, (data URI,).
    `old_total` and `new_total` count the points before thinning. Empty means absent on that side, or not known:
    `reason` says so. `changed` is None where that cannot be told, since one side could not be read.

    `group` is the definition in dvc.yaml that it belongs to. Where that has a template of DVC's or of its own, the
    first plot of the group holds the `specification` of the whole as Vega-Lite JSON; `own_template`: it is the
    project's text, not DVC's.
    """

    file: str
    title: str
    kind: PlotKind
    changed: bool | None
    x: str = ""
    y: str = ""
    old: tuple[tuple[Scalar, ...], ...] = ()
    new: tuple[tuple[Scalar, ...], ...] = ()
    old_total: int = 0
    new_total: int = 0
    reason: str = ""
    group: str = ""
    specification: str = ""
    own_template: bool = False


@frozen_by_name
class TableChange:
    """A table (CSV, TSV, JSON lines, Parquet) that differs and was at hand on at least one side.

    Rows are None where there is no such side, or where the table was too large to be counted. `retyped` holds
    (column, old type, new type), known for Parquet alone. `reason`: why something is missing.
    """

    path: str
    old_rows: int | None = None
    new_rows: int | None = None
    columns_added: tuple[str, ...] = ()
    columns_removed: tuple[str, ...] = ()
    retyped: tuple[tuple[str, str, str], ...] = ()
    reason: str = ""


@frozen_by_name
class FolderChange:
    """Files that differ directly or deeper in one folder of a directory artifact; '' are those outside any."""

    folder: str
    added: int = 0
    removed: int = 0
    changed: int = 0
    renamed: int = 0


@frozen_by_name
class DataChange:
    """One artifact (an output or a .dvc file) that differs.

    `kind`: ``added``, ``removed``, ``changed``, ``renamed`` (from `old_path`, with the same content). Sizes in bytes,
    None when not recorded. File counts and `examples` come from the directory manifests; None counts mean that a
    manifest was not at hand. A file that has another name and the same content is renamed, neither added nor removed.
    `folders`: the first level below the artifact, those with most differences first.
    """

    path: str
    kind: str
    old_path: str = ""
    old_size: int | None = None
    new_size: int | None = None
    old_files: int | None = None
    new_files: int | None = None
    files_added: int | None = None
    files_removed: int | None = None
    files_changed: int | None = None
    files_renamed: int | None = None
    examples: tuple[tuple[str, str], ...] = ()
    folders: tuple[FolderChange, ...] = ()
    tables: tuple[TableChange, ...] = ()
    reason: str = ""


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
        p: two-sided p-value of McNemar's exact test. alpha: what it and the slices are held against.
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
