"""What can be set, section by section."""

from __future__ import annotations

import math
import re
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import Field, field_validator, model_validator

from mlbutler.settings.comment import CommentSettings
from mlbutler.settings.trackers import TrackersSettings
from mlbutler.settings.types import Amount, Bytes, Patience, Seconds, Section, Share, Strings


class DataSettings(Section):
    """Where artifacts live."""

    remote: str | None = Field(None, description="name of the shared DVC remote; DVC's default if unset")
    mirror: str | None = Field(None, description="directory on the agent that its builds share, in DVC's format")
    mirror_limit: Bytes | None = Field(
        None, description="size such as '200GB' above which the mirror loses what was used least recently"
    )
    mirror_remote: str | None = Field(
        None,
        description="name of a DVC remote near the agents, such as a bucket, that is asked before the shared one and "
        "filled from it",
    )
    jobs: int | None = Field(None, ge=1, le=512, description="transfers at once; chosen by mlbutler if unset")
    verify: Literal["untrusted", "always"] = Field(
        "untrusted", description="whose objects are hashed again on arrival: those of forks, or all"
    )
    remember: Patience = Field(
        86400.0, description="how long 'it is on the remote' is believed without asking again, such as '12h'; 0: never"
    )
    link: Literal["auto", "hardlink", "copy"] = Field(
        "auto",
        description="how objects get from mirror to cache: reflink or hardlink where safe, or a copy; "
        "'hardlink': read-only links in the work tree too",
    )

    def mirror_path(self, root: Path) -> Path | None:
        """Return where the mirror is; a relative path is taken from the project's `root`. None when none is set."""
        return root / Path(self.mirror).expanduser() if self.mirror else None


class TestSettings(Section):
    """The project's tests."""

    __test__ = False

    command: Strings = Field((), description="shell command, or several run in order; any language")
    junit: Strings = Field((), description="globs of the JUnit XML files that the command writes")
    timeout: Seconds | None = Field(None, description="limit for each command, such as 90 or '15m'")


class LintSettings(Section):
    """The project's linters."""

    commands: Strings = Field((), description="shell commands; all run, one failure fails the step")
    timeout: Seconds | None = Field(None, description="limit for each command, such as 90 or '15m'")


class ReproduceSettings(Section):
    """When and how stages run."""

    when: Literal["pull-request", "every-commit", "target-branch", "manual", "message"] = Field(
        "pull-request", description="which builds reproduce the experiment"
    )
    timeout: Seconds | None = Field(None, description="limit for all stages together, such as '6h'")
    targets: Strings = Field((), description="stages to bring up to date; all if empty")
    token: str = Field("[run]", description="text in a commit message that asks for a run with when = 'message'")
    skip_token: str = Field(
        "[skip experiment]", description="text in a commit message that forbids a run, whatever `when` says"
    )
    pass_environment: Strings = Field(
        (), description="environment variables handed to stages, tests and linters, which would be held back"
    )


_SUBJECTS = ("metric", "data", "stage", "predictions")
_MEASURES = {
    "metric": (),
    "data": ("bytes", "files", "rows"),
    "stage": ("seconds", "memory"),
    "predictions": ("right", "broken", "worse_slices"),
}


class Gate(Section):
    """One rule on one number: of a metric, of data or a model, of a stage, or of predictions."""

    metric: str | None = Field(
        None, description="which number: '<file>:<dotted name>', or only the name if it is unique"
    )
    data: str | None = Field(None, description="instead of a metric: path of an output or of data that DVC tracks")
    stage: str | None = Field(None, description="instead of a metric: a stage's name")
    predictions: str | None = Field(None, description="instead of a metric: a file declared in [[predictions]]")
    measure: Literal["bytes", "files", "rows", "seconds", "memory", "right", "broken", "worse_slices"] | None = Field(
        None,
        description="of data: 'bytes' (if unset), 'files', 'rows'; of a stage: 'seconds' (if unset), 'memory'; "
        "of predictions: 'right' (the share, if unset), 'broken', 'worse_slices'",
    )
    goal: Literal["maximize", "minimize"] | None = Field(
        None,
        description="direction; if unset guessed from a metric's name; less data is worse, a longer stage is worse",
    )
    min: Amount | None = Field(None, description="lowest value allowed; also a size like '50 MB' or a time like '15m'")
    max: Amount | None = Field(None, description="highest value allowed")
    max_drop: Amount | None = Field(None, ge=0, description="largest worsening allowed, in the number's unit")
    max_drop_relative: float | None = Field(
        None, ge=0, description="largest worsening allowed, as a share of the old value"
    )
    repeats: int | None = Field(
        None, ge=2, le=200, description="of a metric: judge it by so many runs on both sides, each with its own seed"
    )
    level: Literal["fail", "warn"] = Field("fail", description="what a broken rule does")

    @model_validator(mode="after")
    def _is_whole(self) -> Gate:
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
        return self

    @property
    def kind(self) -> str:
        """``metric``, ``data``, ``stage`` or ``predictions``."""
        return next(name for name in _SUBJECTS if getattr(self, name) is not None)

    @property
    def of(self) -> str:
        """What is measured: ``bytes``, ``seconds``...; '' for a metric."""
        return self.measure or next(iter(_MEASURES[self.kind]), "")

    @property
    def subject(self) -> str:
        """What reports and waivers call it: the metric as written, or ``data/raw:rows``, ``train:seconds``."""
        named = str(getattr(self, self.kind))
        return f"{named}:{self.of}" if self.of else named


class RepeatSettings(Section):
    """How runs are repeated for gates with `repeats`."""

    seed: Strings = Field((), description="params that are the seed: '<file>:<dotted name>'; each run sets them all")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="of the interval that decides")
    timeout: Seconds | None = Field(None, description="limit for all stages of one repeated run, such as '1h'")


class IsolationSettings(Section):
    """How stages, tests and linters are kept from the rest of the machine."""

    mode: Literal["auto", "require", "off"] = Field(
        "auto",
        description="'auto': with bubblewrap on a CI server, where that works; 'require': else nothing of the project "
        "is run; 'off': not at all",
    )
    writable: Strings = Field(
        (), description="folders and files outside the workspace that they may write, such as '~/.cache/huggingface'"
    )


class VerifySettings(Section):
    """How results are verified: stages run again in a clean clone, and what they make compared with dvc.lock."""

    sample: Share | None = Field(
        None,
        description="share of the stages whose results a change brings that `check` verifies, drawn at random, at "
        "least one, such as '10%'; none if unset",
    )
    tolerance: float = Field(
        0.0,
        ge=0,
        le=1,
        description="relative difference up to which a metric's number counts as the same, such as 1e-6",
    )
    timeout: Seconds | None = Field(None, description="limit for each stage that is run again, such as '2h'")


class WaiverSettings(Section):
    """Which people's waivers count."""

    trust: Literal["target", "change"] = Field(
        "target",
        description="for a pull request: those on its target branch, or (where the target branch says so) its own too",
    )


class Predictions(Section):
    """One file with a row for each example that the model was tried on."""

    file: str = Field(description="the file's path; CSV, TSV, JSON lines (.jsonl) or Parquet")
    id: str | None = Field(None, description="column that tells examples apart; the row's number if unset")
    label: str = Field("label", description="column of what is true")
    prediction: str = Field("prediction", description="column of what the model says")
    score: str | None = Field(None, description="column of a number for each example")
    positive: str | None = Field(
        None, description="label whose probability the score is: ROC AUC, log loss and Brier score are compared"
    )
    goal: Literal["maximize", "minimize"] = Field(
        "maximize", description="which way the score is better, where `positive` is unset"
    )
    slices: Strings = Field((), description="columns whose values part the examples into slices")
    image: str | None = Field(None, description="column of an image file's path from the project's root")
    tolerance: float | None = Field(
        None, ge=0, description="for numbers: a prediction this near to the label is right; MAE and RMSE are compared"
    )
    alpha: float = Field(0.05, gt=0, lt=0.5, description="chance of a false 'worse', of each test and of all slices")

    @field_validator("file")
    @classmethod
    def _is_inside(cls, path: str) -> str:
        parts = PurePosixPath(path).parts
        if not parts or path.startswith("/") or ".." in parts:
            raise ValueError("must be a path inside the project")
        return PurePosixPath(path).as_posix()


class TrainSettings(Section):
    """Where `mlbutler train` runs experiments, and how."""

    url: str | None = Field(None, description="address of a Jenkins controller; with `job`, experiments run there")
    job: str | None = Field(None, description="full name of the job there that runs them, such as 'team/train'")
    label: str | None = Field(None, description="label of the agents that may run them; the job's own if unset")
    gpus: int = Field(0, ge=0, le=256, description="GPUs that an experiment needs")
    jobs: int = Field(1, ge=1, le=256, description="experiments of one submission that run at once")
    max_failures: int | None = Field(
        None, ge=1, description="failed experiments after which the rest of a submission is cancelled"
    )
    most_queued: int = Field(10, ge=1, le=1000, description="builds of one user that may wait for an agent at once")
    ask_above: Bytes = Field(1 << 30, description="size of data such as '5GB' above which sending it is asked for")
    stall: Patience = Field(
        1800.0,
        description="time without output, change of a metric or GPU use after which one is shown as stalled; 0: never",
    )
    checkpoints: Strings = Field(
        (), description="files and folders that a program goes on from, besides outputs with `persist: true`"
    )
    checkpoint_every: Seconds = Field(600.0, description="how often they are kept while an experiment runs")
    checkpoint_store: str | None = Field(
        None,
        description="folder that all agents of a label mount: what a lost agent kept there, the next one goes on from",
    )
    gpu_locks: str | None = Field(
        None,
        description="folder for the locks by which a machine's GPUs are given out, one for all containers on it; "
        "/run/lock or /tmp if unset",
    )

    @field_validator("checkpoints")
    @classmethod
    def _are_inside(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        for path in paths:
            parts = PurePosixPath(path).parts
            if not parts or path.startswith("/") or {"..", ".git", ".dvc", ".mlbutler"} & set(parts):
                raise ValueError(f"'{path}' must be a path inside the project")
        return tuple(PurePosixPath(path).as_posix() for path in paths)

    @field_validator("label")
    @classmethod
    def _is_label(cls, label: str | None) -> str | None:
        if label is not None and not re.fullmatch(r"(?!-)[\w.+@-]+", label, re.ASCII):
            raise ValueError("must be one label, not an expression of several")
        return label

    @field_validator("job")
    @classmethod
    def _is_job(cls, job: str | None) -> str | None:
        if job is not None and {"", ".", ".."} & set(job.strip("/").split("/")):
            raise ValueError("must be a job's full name, such as 'folder/train'")
        return job

    @property
    def checkpoint_folder(self) -> Path | None:
        """Where checkpoints are kept on agents, None for nowhere."""
        return Path(self.checkpoint_store).expanduser() if self.checkpoint_store else None

    @property
    def gpu_folder(self) -> Path | None:
        """Where the locks of GPUs lie, None for the machine's own place."""
        return Path(self.gpu_locks).expanduser() if self.gpu_locks else None

    @property
    def on_jenkins(self) -> bool:
        """Return whether there is a job that runs experiments."""
        return bool(self.url and self.job)


class CommitSettings(Section):
    """How results are committed back."""

    author: str = Field("mlbutler <mlbutler@localhost>", description="'Name <e-mail>' of results commits")
    message: str = Field(
        "Reproduce {short}: update results",
        description="first line of results commits; {short} and {head} are the reproduced commit",
    )
    paths: Strings = Field((), description="further paths to commit (globs), besides what DVC declares")
    way: Literal["commit", "pull-request"] = Field(
        "commit",
        alias="as",
        description="onto the branch, or as a pull request into it: for a protected branch, or results that somebody "
        "reviews",
    )
    on_merge: Literal["refuse", "head"] = Field(
        "refuse",
        description="when CI built a merge of head and target: do not commit, or commit onto the head",
    )


class ReportSettings(Section):
    """What reports show."""

    name: str | None = Field(
        None, description="which pipeline this is, where several of one project report on the same pull request"
    )
    metrics: Strings = Field((), description="globs of 'file:name' to show; all if empty")
    plots: bool = Field(True, description="show plots")
    images: bool = Field(True, description="show images")
    precision: int = Field(5, ge=1, le=17, description="significant digits")
    hide_unchanged: bool = Field(False, description="leave out metrics that did not change")
    history: int = Field(
        50, ge=0, le=1000, description="commits of the target branch whose metrics are shown beside; 0 shows none"
    )
    directory: str = Field(".mlbutler/report", description="where the renderings are written")

    @field_validator("name")
    @classmethod
    def _is_plain(cls, name: str | None) -> str | None:
        # Forges do not tell statuses apart by capitals, and one of them takes 40 characters with ours before it.
        if name is not None and (len(name) > 30 or not re.fullmatch(r"[a-z0-9]+(?:[._-][a-z0-9]+)*", name)):
            raise ValueError("must be at most 30 lower-case letters and digits, with single '.', '_' or '-' between")
        return name


class ForgeSettings(Section):
    """Where the report is published."""

    kind: Literal["github", "gitlab", "gitea", "dagshub", "gogs", "bitbucket", "folder"] | None = Field(
        None, description="which forge; found out if unset"
    )
    url: str | None = Field(
        None, description="address of the forge's pages, or of its API; for the folder forge, its directory"
    )
    repository: str | None = Field(None, description="owner/name there; the git remote's if unset")
    api: str | None = Field(None, description="address of the forge's API where it is not the usual one")


class NotifySettings(Section):
    """Who is notified besides, through the webhook in ``MLBUTLER_NOTIFY_WEBHOOK``."""

    on: Literal["end", "verdict-change"] = Field(
        "end", description="after every run, or when the verdict differs from that of the run before"
    )
    form: Literal["json", "slack"] = Field("json", description="a document, or the message that Slack and others take")
    experiments: tuple[Literal["done", "failed", "lost", "time"], ...] = Field(
        ("done", "failed", "lost", "time"),
        description="events of experiments: all that were sent together have ended, the first failed, one is lost, "
        "its time is nearly over",
    )
    mail_to: Strings = Field((), description="addresses that an e-mail about experiments goes to")
    mail_from: str | None = Field(None, description="its sender; MLBUTLER_SMTP_USER, else the first receiver, if unset")
    desktop: bool = Field(True, description="show the end of experiments on the desktop of the person who watches them")


class ProjectSettings(Section):
    """What is compared with what."""

    target: str | None = Field(None, description="target branch where the CI names none; found out if unset")
    git_remote: str | None = Field(None, description="git remote to fetch from and push to; 'origin' if it exists")


class Settings(Section):
    """All settings of a project."""

    project: ProjectSettings = ProjectSettings.model_construct()
    data: DataSettings = DataSettings.model_construct()
    test: TestSettings = TestSettings.model_construct()
    lint: LintSettings = LintSettings.model_construct()
    reproduce: ReproduceSettings = ReproduceSettings.model_construct()
    gate: tuple[Gate, ...] = ()
    predictions: tuple[Predictions, ...] = ()
    repeat: RepeatSettings = RepeatSettings.model_construct()
    isolation: IsolationSettings = IsolationSettings.model_construct()
    verify: VerifySettings = VerifySettings.model_construct()
    train: TrainSettings = TrainSettings.model_construct()
    waivers: WaiverSettings = WaiverSettings.model_construct()
    commit: CommitSettings = CommitSettings.model_construct()
    report: ReportSettings = ReportSettings.model_construct()
    comment: CommentSettings = CommentSettings.model_construct()
    forge: ForgeSettings = ForgeSettings.model_construct()
    trackers: TrackersSettings = TrackersSettings.model_construct()
    notify: NotifySettings = NotifySettings.model_construct()
