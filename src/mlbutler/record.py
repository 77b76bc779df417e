"""What a run found, as frozen dataclasses and as versioned JSON.

The record is the only thing that steps hand to each other and the only thing reports are made of.
It lives in ``.mlbutler/record.json`` at the project's root, is ignored by Git, and is replaced
atomically after each step.

Numbers that JSON cannot hold are kept as the strings ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``.
Times are ISO 8601 in UTC, durations are seconds, sizes are bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

SCHEMA_VERSION = 1

Scalar = float | int | bool | str | None


class Outcome(StrEnum):
    """How a step ended. Only `FAILED` is a judgement on the change; `ERROR` is the world's fault."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"


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


# ---------------------------------------------------------------------------------------- the change


@dataclass(frozen=True, kw_only=True)
class Change:
    """What is being worked on: a pull request, a branch build, or a local work tree.

    Attributes:
        ci: the environment it was read from: ``jenkins``, ``github-actions``, ``gitlab-ci``, ``local``.
        kind: ``pull-request``, ``branch`` or ``local``.
        head: commit id of the author's head, the one that results are committed onto.
        checkout: commit id of the work tree's HEAD; differs from `head` when CI built a local merge.
        merge: True when `checkout` is a merge of head and target made by the CI server.
        base: commit id of the merge base of `head` and the target branch, None when there is none.
        head_branch, target_branch: short branch names without ``refs/heads/``.
        number: the pull request's number as the forge shows it.
        fork: True when the head comes from another repository: no credentials, no writes.
        git_remote: name of the git remote that holds target and head branch.
        repository: that remote's URL without any user name or password.
        message: the head commit's full message.
    """

    ci: str
    kind: str
    head: str
    checkout: str
    merge: bool = False
    base: str | None = None
    head_branch: str | None = None
    target_branch: str | None = None
    number: str | None = None
    fork: bool = False
    title: str = ""
    author: str = ""
    url: str = ""
    build_url: str = ""
    git_remote: str | None = None
    repository: str = ""
    message: str = ""

    def same_work(self, other: Change) -> bool:
        """Is it the same commit for the same purpose? A record of one then speaks for the other."""
        names = ("ci", "kind", "head", "checkout", "number", "fork")
        return all(getattr(self, name) == getattr(other, name) for name in names)


@dataclass(frozen=True, kw_only=True)
class Environment:
    """Where the run happened: versions and hardware, nothing that could be a secret."""

    mlbutler: str
    dvc: str
    git: str
    python: str
    platform: str
    host: str
    cpus: int
    memory: int


# ------------------------------------------------------------------------------------- step results


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """What every step says of itself.

    Attributes:
        outcome: how it ended.
        reason: one sentence a reviewer can read ("not configured", "2 stages stale", ...).
        remedy: what to do about it when it did not pass.
        started: ISO 8601 UTC time. duration: seconds. The pipeline fills both in.
    """

    outcome: Outcome
    reason: str
    remedy: str = ""
    started: str = ""
    duration: float = 0.0


@dataclass(frozen=True, kw_only=True)
class CommandRun:
    """One command of the project: its text, exit code (None: killed by timeout), seconds, last lines."""

    command: str
    exit_code: int | None
    duration: float
    tail: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class FailedCase:
    """One failing test of a JUnit file."""

    suite: str
    name: str
    message: str


@dataclass(frozen=True, kw_only=True)
class TestResult(StepResult):
    """The project's tests. Counts are None when no JUnit file was written."""

    __test__ = False  # not a test class, whatever pytest thinks of its name

    runs: tuple[CommandRun, ...] = ()
    tests: int | None = None
    failures: int | None = None
    errors: int | None = None
    skipped: int | None = None
    failed_cases: tuple[FailedCase, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LintResult(StepResult):
    """The project's linters, one run for each command."""

    runs: tuple[CommandRun, ...] = ()


class StageState(StrEnum):
    """What a stage needs."""

    UP_TO_DATE = "up to date"
    STALE = "stale"
    RESTORABLE = "restorable"
    FROZEN = "frozen"


@dataclass(frozen=True, kw_only=True)
class Cause:
    """Why a stage is stale.

    `kind` is one of: ``code`` (a dependency that Git tracks), ``data`` (a dependency that DVC tracks),
    ``param``, ``command``, ``upstream`` (a stage before it is stale), ``output`` (an output differs from
    dvc.lock or is not declared there), ``never run``, ``always``.
    `subject` names it (a path, ``params.yaml:train.lr``, a stage), `detail` says what differs.
    """

    kind: str
    subject: str
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class StagePlan:
    """One stage: its state, the causes when stale, the DVC-tracked paths it needs, past run time.

    `needs` are paths relative to the project's root. `need_bytes` is what of them neither work tree
    nor cache holds; None when unknown. `last_duration` is the seconds of its last recorded run, None
    if none is known. `after` are the stages that make what it reads; `label` is ``meta.label`` of dvc.yaml: on
    which agents it wants to run, '' for any.
    """

    name: str
    state: StageState
    causes: tuple[Cause, ...] = ()
    needs: tuple[str, ...] = ()
    need_bytes: int | None = None
    last_duration: float | None = None
    command: str = ""
    after: tuple[str, ...] = ()
    label: str = ""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What the stale stages are expected to cost, said before anything is spent.

    Attributes:
        download_bytes: of what they need, what neither cache nor mirror holds; None when a size is unknown.
        seconds: of the stages that have to run, from their last runs. untimed: those without a known last run.
    """

    download_bytes: int | None = None
    seconds: float = 0.0
    untimed: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PlanResult(StepResult):
    """All stages in an order in which they can run; `expected` is kept from the first plan of a run."""

    stages: tuple[StagePlan, ...] = ()
    expected: Cost | None = None

    def stale(self) -> tuple[StagePlan, ...]:
        """The stages that have to run or to be restored, in order."""
        return tuple(s for s in self.stages if s.state in (StageState.STALE, StageState.RESTORABLE))


@dataclass(frozen=True, kw_only=True)
class Moved:
    """Objects and bytes that came from, or went to, one place: ``cache``, ``mirror`` or a remote's name."""

    place: str
    objects: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class SyncResult(StepResult):
    """What was brought, from where; `paths` are the artifacts now present in the work tree."""

    paths: tuple[str, ...] = ()
    moved: tuple[Moved, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that a check found wrong: where, what, and the command that mends it."""

    check: str
    subject: str
    problem: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class CheckResult(StepResult):
    """`lock`: is dvc.lock up to date. `pushed`: is every artifact of the commit on the remote.

    Attributes:
        findings: what is wrong. undetermined: what could not be found out, and why.
        left_out: (path, reason) of artifacts that the check does not cover (``cache: false``, imports...).
        checked: number of objects asked for on the remote; 0 when only the lock was checked.
        remembered: how many of these an earlier build had asked for; `answers_age` is how many seconds ago, at most.
        pending: what is stale or not pushed now but that this very run is going to make and push.
    """

    findings: tuple[Finding, ...] = ()
    undetermined: tuple[Finding, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    checked: int = 0
    remembered: int = 0
    answers_age: float = 0.0
    pending: tuple[Finding, ...] = ()


@dataclass(frozen=True, kw_only=True)
class StageRun:
    """One stage that was looked at: ``ran``, ``restored``, ``unchanged``, ``failed``, ``not reached``.

    `duration` in seconds, `peak_memory` in bytes (None if not measured), `tail` the log's last lines
    when it failed, `cause` the sentence of the plan.
    """

    name: str
    outcome: str
    duration: float = 0.0
    peak_memory: int | None = None
    exit_code: int | None = None
    cause: str = ""
    tail: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ReproduceResult(StepResult):
    """The stages of this run. `log` is the path of the full log, relative to the project's root."""

    stages: tuple[StageRun, ...] = ()
    log: str = ""
    always_changes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PushResult(StepResult):
    """What went where. `run_cache` says where the run cache is kept: a remote's name, ``mirror`` or ''."""

    moved: tuple[Moved, ...] = ()
    run_cache: str = ""


# --------------------------------------------------------------------------------------- comparison


@dataclass(frozen=True, kw_only=True)
class MetricChange:
    """One number of one metrics file on both sides. `goal`: ``maximize``, ``minimize`` or None."""

    file: str
    name: str
    old: Scalar = None
    new: Scalar = None
    difference: float | None = None
    relative: float | None = None
    goal: str | None = None
    verdict: Verdict = Verdict.NOT_JUDGED
    reason: str = ""

    @property
    def key(self) -> str:
        """The name used in gates and settings: ``metrics.json:accuracy``."""
        return f"{self.file}:{self.name}"


@dataclass(frozen=True, kw_only=True)
class ParamChange:
    """One parameter that differs. `kind`: ``changed``, ``added``, ``removed``. Values are shown as text."""

    file: str
    name: str
    kind: str
    old: str = ""
    new: str = ""
    stages: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PlotChange:
    """One plot on both sides.

    `kind`: ``linear`` (also scatter, simple, smooth), ``confusion``, ``image`` or ``unsupported``.
    For ``linear``, `old` and `new` are points (x, y), at most a few hundred; for ``confusion`` they are
    (row label, column label, count); for ``image`` they hold one item, (data URI,).
    `old_total` and `new_total` count the points before thinning. Empty means absent on that side.
    """

    file: str
    title: str
    kind: str
    changed: bool
    x: str = ""
    y: str = ""
    old: tuple[tuple[Scalar, ...], ...] = ()
    new: tuple[tuple[Scalar, ...], ...] = ()
    old_total: int = 0
    new_total: int = 0
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class DataChange:
    """One artifact (an output or a .dvc file) that differs.

    `kind`: ``added``, ``removed``, ``changed``. Sizes in bytes, None when not recorded. File counts and
    `examples` come from the directory manifests; None counts mean that a manifest was not at hand.
    """

    path: str
    kind: str
    old_size: int | None = None
    new_size: int | None = None
    old_files: int | None = None
    new_files: int | None = None
    files_added: int | None = None
    files_removed: int | None = None
    files_changed: int | None = None
    examples: tuple[tuple[str, str], ...] = ()
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
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


@dataclass(frozen=True, kw_only=True)
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
    mended: int
    p: float
    adjusted: float
    worse: bool


@dataclass(frozen=True, kw_only=True)
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


@dataclass(frozen=True, kw_only=True)
class PredictionChange:
    """One predictions file on both sides, example by example.

    Attributes:
        examples: paired by id, with the same label on both sides; the counts below are of these.
        only_old, only_new, relabelled: examples that could not be paired.
        old_right, new_right: how many were right. broken: right, now wrong. mended: wrong, now right.
        p: two-sided p-value of McNemar's exact test. alpha: what it and the slices are held against.
        flips: some of the broken examples, the worst first. mended_flips: some of the mended ones.
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
    mended: int = 0
    p: float | None = None
    alpha: float = 0.05
    flips: tuple[Flip, ...] = ()
    mended_flips: tuple[Flip, ...] = ()
    slices: tuple[SliceChange, ...] = ()
    scores: tuple[ScoreChange, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RepeatResult:
    """One metric, measured by repeated runs that differ in nothing but the seed.

    Attributes:
        metric: ``metrics.json:accuracy``. stages: what was run again. params: what was set to each of `seeds`.
        old, new: the metric on both sides, one value for each seed, in order.
        difference: mean of new - old; `low` and `high` bound it with coverage `confidence`.
        more: about how many further seeds would tell the difference from none; None when it is told, or never.
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


@dataclass(frozen=True, kw_only=True)
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


@dataclass(frozen=True, kw_only=True)
class CompareResult(StepResult):
    """The comparison with the merge base, and the judgement.

    Attributes:
        old_rev, new_rev: commit ids; `new_rev` is '' for the work tree.
        verdict: better, worse, same, changed or not judged, for the whole.
        sentence: the verdict in words, naming the deciding number.
        not_judged: (subject, reason) of everything that could not be compared.
    """

    old_rev: str = ""
    new_rev: str = ""
    metrics: tuple[MetricChange, ...] = ()
    params: tuple[ParamChange, ...] = ()
    plots: tuple[PlotChange, ...] = ()
    data: tuple[DataChange, ...] = ()
    predictions: tuple[PredictionChange, ...] = ()
    repeats: tuple[RepeatResult, ...] = ()
    gates: tuple[GateResult, ...] = ()
    verdict: Verdict = Verdict.NOT_JUDGED
    sentence: str = ""
    not_judged: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class CommitResult(StepResult):
    """The results commit: its id, the parent it was put on, the branch, the files. Empty id: none made."""

    commit: str = ""
    parent: str = ""
    branch: str = ""
    files: tuple[str, ...] = ()
    fetch_command: str = ""


@dataclass(frozen=True, kw_only=True)
class ReportResult(StepResult):
    """(kind, path) of each rendering, relative to the project's root; kind is md, html, json or junit."""

    files: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class PublishResult(StepResult):
    """Where the comment and the status went; empty when the forge takes none."""

    forge: str = ""
    comment: str = ""
    status: str = ""


# ------------------------------------------------------------------------------------------- record


@dataclass(frozen=True, kw_only=True)
class Record:
    """Everything a run found. A step that has not been reached is None; one that did not apply is
    a result with outcome ``skipped`` and a reason.

    `project` is the DVC project's folder from the repository's root, '' at the root; it tells the reports
    of several projects in one pull request apart.
    """

    schema: int = SCHEMA_VERSION
    change: Change
    environment: Environment
    project: str = ""
    lock_hash: str = ""
    test: TestResult | None = None
    lint: LintResult | None = None
    plan: PlanResult | None = None
    sync: SyncResult | None = None
    check: CheckResult | None = None
    reproduce: ReproduceResult | None = None
    push: PushResult | None = None
    compare: CompareResult | None = None
    commit: CommitResult | None = None
    report: ReportResult | None = None
    publish: PublishResult | None = None
    durations: dict[str, float] = field(default_factory=dict)

    def steps(self) -> tuple[tuple[str, StepResult], ...]:
        """(name, result) of the steps reached so far, in pipeline order."""
        pairs = ((name, getattr(self, name)) for name in STEP_NAMES)
        return tuple((name, result) for name, result in pairs if result is not None)

    def outcome(self) -> Outcome:
        """The whole run: an error outweighs a failure, a failure outweighs a pass."""
        outcomes = {result.outcome for _, result in self.steps()}
        for worst in (Outcome.ERROR, Outcome.FAILED, Outcome.PASSED):
            if worst in outcomes:
                return worst
        return Outcome.SKIPPED


STEP_NAMES = (
    "test",
    "lint",
    "plan",
    "sync",
    "check",
    "reproduce",
    "push",
    "compare",
    "commit",
    "report",
    "publish",
)
