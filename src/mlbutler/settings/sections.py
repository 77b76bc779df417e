"""What can be set, section by section."""

import re
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from mlbutler.settings.comment import CommentSettings
from mlbutler.settings.gates import Gate, RepeatSettings, WaiverSettings
from mlbutler.settings.trackers import TrackersSettings
from mlbutler.settings.train import TrainSettings
from mlbutler.settings.types import (
    Bytes,
    Checked,
    Flag,
    Inside,
    NonNegativeSeconds,
    Seconds,
    SettingsSection,
    Share,
    Strings,
    about,
)


class DataSettings(SettingsSection, frozen=True):
    """Where artifacts live."""

    remote: Annotated[str | None, about("name of the shared DVC remote; DVC's default if unset")] = None
    mirror: Annotated[str | None, about("directory on the agent that its builds share, in DVC's format")] = None
    mirror_limit: Annotated[
        Bytes | None, about("size such as '200GB' above which the mirror loses what was used least recently")
    ] = None
    mirror_remote: Annotated[
        str | None,
        about(
            "name of a DVC remote near the agents, such as a bucket, that is asked before the shared one and "
            "filled from it"
        ),
    ] = None
    jobs: Annotated[
        Annotated[int, Meta(ge=1, le=512)] | None, about("transfers at once; chosen by mlbutler if unset")
    ] = None
    verify: Annotated[
        Literal["untrusted", "always"],
        about("whose objects are hashed again on arrival: 'untrusted': those of forks; 'always': all"),
    ] = "untrusted"
    remember: Annotated[
        NonNegativeSeconds,
        about("how long 'it is on the remote' is believed without asking again, such as '12h'; 0: never"),
    ] = 86400.0
    link: Annotated[
        Literal["auto", "hardlink", "copy"],
        about(
            "how objects get from mirror to cache: 'auto': reflink or hardlink where safe, else a copy; "
            "'hardlink': read-only links in the work tree too; 'copy': always a copy"
        ),
    ] = "auto"

    def mirror_path(self, root: Path) -> Path | None:
        """Return where the mirror is; a relative path is taken from the project's `root`. None when none is set."""
        return root / Path(self.mirror).expanduser() if self.mirror else None


class TestSettings(SettingsSection, frozen=True):
    """The project's tests."""

    __test__ = False

    command: Annotated[Strings, about("shell command, or several run in order; any language")] = ()
    junit: Annotated[Strings, about("globs of the JUnit XML files that the command writes")] = ()
    timeout: Annotated[Seconds | None, about("limit for each command, such as 90 or '15m'")] = None


class LintSettings(SettingsSection, frozen=True):
    """The project's linters."""

    commands: Annotated[Strings, about("shell commands; all run, one failure fails the step")] = ()
    timeout: Annotated[Seconds | None, about("limit for each command, such as 90 or '15m'")] = None


class ReproduceSettings(SettingsSection, frozen=True):
    """When and how stages run."""

    when: Annotated[
        Literal["pull-request", "every-commit", "target-branch", "manual", "message"],
        about("which builds reproduce the experiment"),
    ] = "pull-request"
    timeout: Annotated[Seconds | None, about("limit for all stages together, such as '6h'")] = None
    targets: Annotated[Strings, about("stages to bring up to date; all if empty")] = ()
    token: Annotated[str, about("text in a commit message that asks for a run with when = 'message'")] = "[run]"
    skip_token: Annotated[str, about("text in a commit message that forbids a run, whatever `when` says")] = (
        "[skip experiment]"
    )
    pass_environment: Annotated[
        Strings, about("environment variables handed to stages, tests and linters, which would be held back")
    ] = ()


class IsolationSettings(SettingsSection, frozen=True):
    """How stages, tests and linters are kept from the rest of the machine."""

    mode: Annotated[
        Literal["auto", "require", "off"],
        about(
            "'auto': with bubblewrap on a CI server, where that works; 'require': else nothing of the project "
            "is run; 'off': not at all"
        ),
    ] = "auto"
    writable: Annotated[
        Strings, about("folders and files outside the workspace that they may write, such as '~/.cache/huggingface'")
    ] = ()
    readable: Annotated[
        Strings, about("folders and files of a user's home that they may read, such as '~/datasets'")
    ] = ()


class VerifySettings(SettingsSection, frozen=True):
    """How results are verified: stages run again in a clean clone, and what they make compared with dvc.lock."""

    sample: Annotated[
        Share | None,
        about(
            "share of the stages whose results a change brings that `check` verifies, drawn at random, at "
            "least one, such as '10%'; none if unset"
        ),
    ] = None
    tolerance: Annotated[
        float,
        Meta(
            ge=0, le=1, description="relative difference up to which a metric's number counts as the same, such as 1e-6"
        ),
    ] = 0.0
    timeout: Annotated[Seconds | None, about("limit for each stage that is run again, such as '2h'")] = None
    signers: Annotated[
        Strings, about("whose signatures on attestations count: a name and an Ed25519 public key in base64 each")
    ] = ()


class Predictions(SettingsSection, frozen=True):
    """One file with a row for each example that the model was tried on."""

    file: Annotated[Inside, about("the file's path; CSV, TSV, JSON lines (.jsonl) or Parquet")]
    id: Annotated[str | None, about("column that tells examples apart; the row's number if unset")] = None
    label: Annotated[str, about("column of what is true")] = "label"
    prediction: Annotated[str, about("column of what the model says")] = "prediction"
    score: Annotated[str | None, about("column of a number for each example")] = None
    positive: Annotated[
        str | None, about("label whose probability the score is: ROC AUC, log loss and Brier score are compared")
    ] = None
    goal: Annotated[
        Literal["maximize", "minimize"], about("which way the score is better, where `positive` is unset")
    ] = "maximize"
    slices: Annotated[Strings, about("columns whose values part the examples into slices")] = ()
    image: Annotated[str | None, about("column of an image file's path from the project's root")] = None
    tolerance: Annotated[
        Annotated[float, Meta(ge=0)] | None,
        about("for numbers: a prediction this near to the label is right; MAE and RMSE are compared"),
    ] = None
    alpha: Annotated[
        float, Meta(gt=0, lt=0.5, description="chance of a false 'worse', of each test and of all slices")
    ] = 0.05


class CommitSettings(SettingsSection, frozen=True, rename={"way": "as"}):
    """How results are committed back."""

    author: Annotated[str, about("'Name <e-mail>' of results commits")] = "mlbutler <mlbutler@localhost>"
    message: Annotated[str, about("first line of results commits; {short} and {head} are the reproduced commit")] = (
        "Reproduce {short}: update results"
    )
    paths: Annotated[Strings, about("further paths to commit (globs), besides what DVC declares")] = ()
    way: Annotated[
        Literal["commit", "pull-request"],
        about(
            "'commit': onto the branch; 'pull-request': as a pull request into it, for a protected branch, or results "
            "that somebody reviews"
        ),
    ] = "commit"
    on_merge: Annotated[
        Literal["refuse", "head"],
        about("when CI built a merge of head and target: 'refuse' to commit, or commit onto the 'head'"),
    ] = "refuse"


def _check_report_name(name: str) -> str:
    # Forges do not tell statuses apart by capitals, and one of them takes 40 characters with ours before it.
    if len(name) > 30 or not re.fullmatch(r"[a-z0-9]+(?:[._-][a-z0-9]+)*", name):
        raise ValueError("must be at most 30 lower-case letters and digits, with single '.', '_' or '-' between")
    return name


class ReportSettings(SettingsSection, frozen=True):
    """What reports show."""

    name: Annotated[
        Annotated[str, Checked(_check_report_name)] | None,
        about("which pipeline this is, where several of one project report on the same pull request"),
    ] = None
    metrics: Annotated[Strings, about("globs of 'file:name' to show; all if empty")] = ()
    plots: Annotated[Flag, about("show plots")] = True
    images: Annotated[Flag, about("show images")] = True
    precision: Annotated[int, Meta(ge=1, le=17, description="significant digits")] = 5
    hide_unchanged: Annotated[Flag, about("leave out metrics that did not change")] = False
    history: Annotated[
        int,
        Meta(ge=0, le=1000, description="commits of the target branch whose metrics are shown beside; 0 shows none"),
    ] = 50
    directory: Annotated[str, about("where the renderings are written")] = ".mlbutler/report"


class ForgeSettings(SettingsSection, frozen=True):
    """Where the report is published."""

    kind: Annotated[
        Literal["github", "gitlab", "gitea", "dagshub", "gogs", "bitbucket", "folder"] | None,
        about("which forge; found out if unset"),
    ] = None
    url: Annotated[
        str | None, about("address of the forge's pages, or of its API; for the folder forge, its directory")
    ] = None
    repository: Annotated[str | None, about("owner/name there; the git remote's if unset")] = None
    api: Annotated[str | None, about("address of the forge's API where it is not the usual one")] = None


class NotifySettings(SettingsSection, frozen=True):
    """Who is notified besides, through the webhook in ``MLBUTLER_NOTIFY_WEBHOOK``."""

    on: Annotated[
        Literal["end", "verdict-change"],
        about("'end': after every run; 'verdict-change': when the verdict differs from that of the run before"),
    ] = "end"
    form: Annotated[Literal["json", "slack"], about("'json': a document; 'slack': a message for Slack and others")] = (
        "json"
    )
    experiments: Annotated[
        tuple[Literal["done", "failed", "lost", "time"], ...],
        about(
            "events of experiments: 'done': all that were sent together have ended; 'failed': the first failed; "
            "'lost': one is lost; 'time': its time is nearly over"
        ),
    ] = ("done", "failed", "lost", "time")
    mail_to: Annotated[Strings, about("addresses that an e-mail about experiments goes to")] = ()
    mail_from: Annotated[str | None, about("its sender; MLBUTLER_SMTP_USER, else the first receiver, if unset")] = None
    desktop: Annotated[Flag, about("show the end of experiments on the desktop of the person who watches them")] = True


class ProjectSettings(SettingsSection, frozen=True):
    """What is compared with what."""

    target: Annotated[str | None, about("target branch where the CI names none; found out if unset")] = None
    git_remote: Annotated[str | None, about("git remote to fetch from and push to; 'origin' if it exists")] = None


class Settings(SettingsSection, frozen=True):
    """All settings of a project."""

    project: ProjectSettings = ProjectSettings()
    data: DataSettings = DataSettings()
    test: TestSettings = TestSettings()
    lint: LintSettings = LintSettings()
    reproduce: ReproduceSettings = ReproduceSettings()
    gate: tuple[Gate, ...] = ()
    predictions: tuple[Predictions, ...] = ()
    repeat: RepeatSettings = RepeatSettings()
    isolation: IsolationSettings = IsolationSettings()
    verify: VerifySettings = VerifySettings()
    train: TrainSettings = TrainSettings()
    waivers: WaiverSettings = WaiverSettings()
    commit: CommitSettings = CommitSettings()
    report: ReportSettings = ReportSettings()
    comment: CommentSettings = CommentSettings()
    forge: ForgeSettings = ForgeSettings()
    trackers: TrackersSettings = TrackersSettings()
    notify: NotifySettings = NotifySettings()
