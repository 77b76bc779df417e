"""What a run found, as frozen dataclasses and as versioned JSON.

The record is the only thing that steps hand to each other and the only thing reports are made of.
It lives in ``.mlbutler/record.json`` at the project's root, is ignored by Git, and is replaced
atomically after each step.

Numbers that JSON cannot hold are kept as the strings ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``.
Times are ISO 8601 in UTC, durations are seconds, sizes are bytes.
"""

from __future__ import annotations

from dataclasses import field

from mlbutler.frozen import frozen_by_name
from mlbutler.record_changes import (
    CodeChange,
    DataChange,
    DefinitionChange,
    FolderChange,
    MetricChange,
    MetricHistory,
    Origin,
    ParamChange,
    PastValue,
    PlotChange,
    PlotKind,
    Scalar,
    StageDefinitionChange,
    TableChange,
    TrackedRun,
    Verdict,
)
from mlbutler.record_compare import (
    CompareResult,
    Flip,
    GateResult,
    PredictionChange,
    RepeatResult,
    ScoreChange,
    SliceChange,
)
from mlbutler.record_steps import (
    Cause,
    CheckResult,
    CommandRun,
    CommitResult,
    Cost,
    EarlierBuild,
    FailedCase,
    Finding,
    LintResult,
    Moved,
    Outcome,
    PlanResult,
    PublishResult,
    PushResult,
    ReportResult,
    ReproduceResult,
    StagePlan,
    StageRun,
    StageState,
    StepResult,
    SyncResult,
    TestResult,
    VerifyResult,
)
from mlbutler.record_verified import OutputVerified, StageVerified, Verification

__all__ = [
    "REPORTING_STEPS",
    "RESULTS",
    "SCHEMA_VERSION",
    "STEP_NAMES",
    "WEIGHTIEST_FIRST",
    "Cause",
    "Change",
    "CheckResult",
    "CodeChange",
    "CommandRun",
    "CommitResult",
    "CompareResult",
    "Cost",
    "DataChange",
    "DefinitionChange",
    "EarlierBuild",
    "Environment",
    "FailedCase",
    "Finding",
    "Flip",
    "FolderChange",
    "GateResult",
    "LintResult",
    "MetricChange",
    "MetricHistory",
    "Moved",
    "Origin",
    "Outcome",
    "OutputVerified",
    "ParamChange",
    "PastValue",
    "PlanResult",
    "PlotChange",
    "PlotKind",
    "PredictionChange",
    "PublishResult",
    "PushResult",
    "Record",
    "RepeatResult",
    "ReportResult",
    "ReproduceResult",
    "Scalar",
    "ScoreChange",
    "SliceChange",
    "StageDefinitionChange",
    "StagePlan",
    "StageRun",
    "StageState",
    "StageVerified",
    "StepResult",
    "SyncResult",
    "TableChange",
    "TestResult",
    "TrackedRun",
    "Verdict",
    "Verification",
    "VerifyResult",
]

SCHEMA_VERSION = 1
WEIGHTIEST_FIRST = (Outcome.INTERRUPTED, Outcome.ERROR, Outcome.NOT_KNOWN, Outcome.FAILED, Outcome.PASSED)
"""Which outcome a run takes from its steps: what a retry may change outweighs a judgement."""


@frozen_by_name
class Change:
    """What is being worked on: a pull request, a branch build, or a local work tree.

    Attributes:
        ci: the environment it was read from: a key of `mlbutler.ci.ADAPTERS`, ``gitea-actions`` or ``forgejo-actions``.
        kind: ``pull-request``, ``branch`` or ``local``.
        head: commit id of the author's head, the one that results are committed onto.
        checkout: commit id of the work tree's HEAD; differs from `head` when CI built a local merge.
        merge: True when `checkout` is a merge of head and target made by the CI server.
        base: commit id of the merge base of `head` and the target branch, None when there is none.
        head_branch, target_branch: short branch names without ``refs/heads/``.
        number: the pull request's number as the forge shows it.
        fork: True when the head comes from another repository, or nothing shows that it does not: no credentials, no
            writes.
        approved: who with write access to the repository approved this very commit of a fork, '' for nobody: it is
            built as one of the repository's own, and its branch is still not ours to write.
        git_remote: name of the git remote that holds target and head branch.
        repository: that remote's URL without any user name or password.
        message: the head commit's full message.
        note: what the CI server does not say although it should, and what was made of that.
        on_target: True when the head is on the target branch itself, so that `base` is the commit before, or `head`
            where the work tree differs from it.
        uncommitted: on a laptop some of the files, from the repository's root, that differ from `head` or are new;
            `uncommitted_count` is how many there are.
        pushed: False when no branch of a git remote is known to hold `head`.
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
    approved: str = ""
    title: str = ""
    author: str = ""
    url: str = ""
    build_url: str = ""
    git_remote: str | None = None
    repository: str = ""
    message: str = ""
    note: str = ""
    on_target: bool = False
    uncommitted: tuple[str, ...] = ()
    uncommitted_count: int = 0
    pushed: bool = True

    @property
    def trusted(self) -> bool:
        """Return whether its code may run with credentials and write to shared stores."""
        return not self.fork or bool(self.approved)

    def same_work(self, other: Change) -> bool:
        """Return whether it is the same commit for the same purpose. A record of one then holds for the other."""
        names = ("ci", "kind", "head", "checkout", "number", "fork", "approved")
        return all(getattr(self, name) == getattr(other, name) for name in names)


@frozen_by_name
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


@frozen_by_name
class Record:
    """Everything a run found.

    A step that has not been reached is None; one that did not apply is a result with outcome ``skipped`` and a reason.

    `project` is the DVC project's folder from the repository's root, '' at the root; it tells the reports
    of several projects in one pull request apart. `report_name` is the pipeline's, '' for the only one of a project; it
    tells those of several pipelines apart.

    `moved_remotes`: where data comes from and goes to otherwise than on the target branch, a sentence for each.

    `unverified`: this is what an untrusted build of a fork's change says (`mlbutler.bundle`).

    `began`: the steps that began and have no result of it, with the time (UTC): they are under way, or were killed.
    In a report, '' for a step that was due and did not begin. `due`: the steps whose result a run owes.
    """

    schema: int = SCHEMA_VERSION
    change: Change
    environment: Environment
    project: str = ""
    report_name: str = ""
    lock_hash: str = ""
    moved_remotes: tuple[str, ...] = ()
    unverified: bool = False
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
    began: dict[str, str] = field(default_factory=dict)
    due: tuple[str, ...] = ()

    def steps(self) -> tuple[tuple[str, StepResult], ...]:
        """Return (name, result) of the steps reached so far, in pipeline order."""
        pairs = ((name, getattr(self, name)) for name in STEP_NAMES)
        return tuple((name, result) for name, result in pairs if result is not None)

    def outcome(self) -> Outcome:
        """Return how the whole run ended: the weightiest of its steps' outcomes, see `WEIGHTIEST_FIRST`."""
        outcomes = {result.outcome for _, result in self.steps()}
        return next((outcome for outcome in WEIGHTIEST_FIRST if outcome in outcomes), Outcome.SKIPPED)


RESULTS: dict[str, type[StepResult]] = {
    "test": TestResult,
    "lint": LintResult,
    "plan": PlanResult,
    "sync": SyncResult,
    "check": CheckResult,
    "reproduce": ReproduceResult,
    "push": PushResult,
    "compare": CompareResult,
    "commit": CommitResult,
    "report": ReportResult,
    "publish": PublishResult,
}
STEP_NAMES = tuple(RESULTS)
REPORTING_STEPS = ("report", "publish")
"""Steps that tell of the others: no report speaks of them."""
