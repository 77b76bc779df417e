"""What each step found, but for the comparison: a part of the record."""

from __future__ import annotations

from enum import StrEnum

from mlbutler.frozen import frozen_by_name
from mlbutler.record_verified import StageVerified


class Outcome(StrEnum):
    """How a step ended. Only `FAILED` is a judgement on the change; `ERROR` is a fault outside of it.

    `NOT_KNOWN`: the step did its work but could not answer what it was asked; the reason says why. It is neither green
    nor red, and its exit code is that of an error. `INTERRUPTED`: the run was asked to stop; there is no verdict.
    """

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    NOT_KNOWN = "not known"
    INTERRUPTED = "interrupted"
    SKIPPED = "skipped"


@frozen_by_name
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


@frozen_by_name
class CommandRun:
    """One command of the project: its text, exit code (None: killed by timeout), seconds, last lines."""

    command: str
    exit_code: int | None
    duration: float
    tail: tuple[str, ...] = ()


@frozen_by_name
class FailedCase:
    """One failing test of a JUnit file. `file` and `line`: where it failed, as far as that is said."""

    suite: str
    name: str
    message: str
    file: str = ""
    line: int | None = None


@frozen_by_name
class TestResult(StepResult):
    """The project's tests. Counts are None when no JUnit file was written.

    `held_back`: names of the environment variables that the commands were not given. `isolation`: how they were kept
    from the rest of the machine, '' where that is not known.
    """

    __test__ = False  # not a test class, whatever pytest thinks of its name

    runs: tuple[CommandRun, ...] = ()
    tests: int | None = None
    failures: int | None = None
    errors: int | None = None
    skipped: int | None = None
    failed_cases: tuple[FailedCase, ...] = ()
    held_back: tuple[str, ...] = ()
    isolation: str = ""


@frozen_by_name
class LintResult(StepResult):
    """The project's linters, one run for each command. `held_back`, `isolation`: as in `TestResult`."""

    runs: tuple[CommandRun, ...] = ()
    held_back: tuple[str, ...] = ()
    isolation: str = ""


class StageState(StrEnum):
    """What a stage needs.

    `NOT_KNOWN`: something it depends on could not be asked about. `CANNOT_RUN`: it is stale, and a file that it needs
    is in neither Git nor DVC nor made by a stage, or a stage before it cannot run.
    """

    UP_TO_DATE = "up to date"
    STALE = "stale"
    RESTORABLE = "restorable"
    FROZEN = "frozen"
    NOT_KNOWN = "not known"
    CANNOT_RUN = "cannot run"


@frozen_by_name
class Cause:
    """Why a stage is stale, not known, or cannot run.

    `kind` is one of: ``code`` (a dependency that Git tracks), ``data`` (a dependency that DVC tracks),
    ``param``, ``command``, ``upstream`` (a stage before it is stale), ``output`` (an output differs from
    dvc.lock or is not declared there), ``never run``, ``always`` (DVC runs it every time), ``not known`` (what the
    subject is now could not be found out), ``missing`` and ``unreadable`` (it cannot run for lack of the subject).
    `subject` names it (a path, ``params.yaml:train.lr``, a stage), `detail` says what differs, `remedy` what to do
    where running the stage is not the answer.
    """

    kind: str
    subject: str
    detail: str = ""
    remedy: str = ""


@frozen_by_name
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


@frozen_by_name
class Cost:
    """What the stale stages are expected to cost, said before anything is spent.

    Attributes:
        download_bytes: of what they need, what neither cache nor mirror holds; None when a size is unknown.
        seconds: of the stages that have to run, from their last runs. untimed: those without a known last run.
    """

    download_bytes: int | None = None
    seconds: float = 0.0
    untimed: tuple[str, ...] = ()


@frozen_by_name
class PlanResult(StepResult):
    """All stages in an order in which they can run; `expected` is kept from the first plan of a run.

    `left_over`: (dvc.lock's path, stage) of entries whose stage no dvc.yaml declares any more.
    """

    stages: tuple[StagePlan, ...] = ()
    expected: Cost | None = None
    left_over: tuple[tuple[str, str], ...] = ()

    def stale(self) -> tuple[StagePlan, ...]:
        """Return the stages that have to run or to be restored, in order."""
        return tuple(s for s in self.stages if s.state in (StageState.STALE, StageState.RESTORABLE))

    def is_up_to_date(self) -> bool:
        """Return whether every stage is up to date or frozen."""
        return all(s.state in (StageState.UP_TO_DATE, StageState.FROZEN) for s in self.stages)


@frozen_by_name
class Moved:
    """Objects and bytes that came from, or went to, one place: ``cache``, ``mirror`` or a remote's name."""

    place: str
    objects: int
    bytes: int


@frozen_by_name
class SyncResult(StepResult):
    """What was brought, from where; `paths` are the artifacts now present in the work tree.

    `unsaved`: files that would have been replaced and that no store holds; nothing was done then.
    """

    paths: tuple[str, ...] = ()
    moved: tuple[Moved, ...] = ()
    missing: tuple[str, ...] = ()
    unsaved: tuple[str, ...] = ()


@frozen_by_name
class Finding:
    """One thing that a check found wrong: where, what, and the command that fixes it.

    `silent_remote`: the name of the remote that did not say whether it holds it, '' where that is not the problem.
    """

    check: str
    subject: str
    problem: str
    remedy: str
    silent_remote: str = ""


@frozen_by_name
class VerifyResult(StepResult):
    """Stages of the commit `revision` that were run again in a clean clone.

    `drawn_from`: the stages among which they were drawn at random, 0 where all of these were verified. `tolerance`: the
    relative difference up to which a metric counted as the same.
    """

    revision: str
    stages: tuple[StageVerified, ...] = ()
    drawn_from: int = 0
    tolerance: float = 0.0


@frozen_by_name
class CheckResult(StepResult):
    """`lock`: is dvc.lock up to date. `pushed`: is every artifact of the commit on the remote.

    Attributes:
        findings: what is wrong. undetermined: what could not be found out, and why.
        left_out: (path, reason) of artifacts that the check does not cover (``cache: false``, imports...).
        checked: number of objects asked for on the remote; 0 when only the lock was checked.
        remembered: how many of these an earlier build had asked for; `answers_age` is how many seconds ago, at most.
        pending: what is stale or not pushed now but that this very run is going to make and push.
        notes: sentences on what is odd and does no harm, such as entries in dvc.lock of stages that are gone.
        verified: stages that were run again in a clean clone (``verify.sample``), None where none was.
    """

    findings: tuple[Finding, ...] = ()
    undetermined: tuple[Finding, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    checked: int = 0
    remembered: int = 0
    answers_age: float = 0.0
    pending: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    verified: VerifyResult | None = None


@frozen_by_name
class StageRun:
    """One stage that was looked at: ``ran``, ``restored``, ``unchanged``, ``failed``, ``interrupted``, ``not reached``.

    `duration` in seconds, `peak_memory` in bytes (None if not measured), `tail` the log's last lines
    when it failed, `cause` the sentence of the plan. `entry`: the fingerprint of its entry in dvc.lock, as its run made
    it.
    """

    name: str
    outcome: str
    duration: float = 0.0
    peak_memory: int | None = None
    exit_code: int | None = None
    cause: str = ""
    tail: tuple[str, ...] = ()
    entry: str = ""


@frozen_by_name
class EarlierBuild:
    """A build whose results a commit of mlbutler's holds, as that commit's message says.

    `commit` is the results commit, `head` what was reproduced, `url` the build's page, '' if not known. `stages` are
    those that ran or were restored in it.
    """

    commit: str
    head: str
    url: str = ""
    stages: tuple[StageRun, ...] = ()


@frozen_by_name
class ReproduceResult(StepResult):
    """The stages of this run. `log` is the path of the full log, relative to the project's root.

    `always_changes`: stages that made other outputs right after our own commit of theirs. `stale_again`: what makes a
    stage stale as soon as it has run, with what to write instead.
    `unsaved`: outputs that would have been removed and that no store holds; nothing was run then.
    `held_back`: names of the environment variables that the stages were not given. `isolation`: as in `TestResult`.
    """

    stages: tuple[StageRun, ...] = ()
    log: str = ""
    unsaved: tuple[str, ...] = ()
    always_changes: tuple[str, ...] = ()
    stale_again: tuple[Finding, ...] = ()
    held_back: tuple[str, ...] = ()
    isolation: str = ""


@frozen_by_name
class PushResult(StepResult):
    """What went where. `run_cache` says where the run cache is kept: a remote's name, ``mirror`` or ''."""

    moved: tuple[Moved, ...] = ()
    run_cache: str = ""


@frozen_by_name
class CommitResult(StepResult):
    """The results commit: its id, the parent it was put on, the branch, the files. Empty id: none is on the branch.

    `proposed`: another branch that has it, for a pull request into `branch`; `pull_request`: that one's page.
    `tracker_run`: the page of its run on an MLflow server. `attested`: the stages of which a signed statement was kept.
    """

    commit: str = ""
    parent: str = ""
    branch: str = ""
    files: tuple[str, ...] = ()
    fetch_command: str = ""
    proposed: str = ""
    pull_request: str = ""
    tracker_run: str = ""
    attested: tuple[str, ...] = ()


@frozen_by_name
class ReportResult(StepResult):
    """(kind, path) of each rendering, relative to the project's root; kind is md, html, json or junit."""

    files: tuple[tuple[str, str], ...] = ()


@frozen_by_name
class PublishResult(StepResult):
    """Where the comment and the status went; empty when the forge takes none.

    `comment` is the name of a branch where the report went to one instead.
    """

    forge: str = ""
    comment: str = ""
    status: str = ""
