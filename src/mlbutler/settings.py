"""Typed settings of a project, and where each value came from.

They are read from ``mlbutler.toml`` at the project's root, or ``[tool.mlbutler]`` in pyproject.toml, and
overridden by environment variables ``MLBUTLER_<SECTION>_<KEY>``. A project without any file works.
"""

from __future__ import annotations

import difflib
import json
import math
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from mlbutler.errors import SettingsError
from mlbutler.settings_problems import problem

FILE_NAME = "mlbutler.toml"

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def _seconds(value: object) -> object:
    """A number of seconds from ``90``, ``"90s"``, ``"15m"``, ``"2h"`` or ``"1d"``."""
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd]?)\s*", value)
        if match is None:
            raise ValueError("must be a duration, as 90, '90s', '15m', '2h' or '1d'")
        return float(match[1]) * _UNITS[match[2]]
    return value


_SIZES = {"": 1, "B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}


def _bytes(value: object) -> object:
    """A number of bytes from ``5000``, ``"200 GB"``, ``"1.5TB"``; powers of 1024."""
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?B?)\s*", value.upper())
        if match is None:
            raise ValueError("must be a size, as 5000 or '200 GB'")
        unit = match[2] if match[2] in _SIZES else f"{match[2]}B"
        return int(float(match[1]) * _SIZES[unit])
    return value


def _amount(value: object) -> object:
    """A number as it is; bytes from ``"50 MB"`` (powers of 1024, as reports show them), seconds from ``"15m"``."""
    if isinstance(value, str):
        if match := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?B)\s*", value, re.IGNORECASE):
            return float(match[1]) * _SIZES[match[2].upper()]
        try:
            return float(value)
        except ValueError:
            pass
        try:
            return _seconds(value)
        except ValueError:
            raise ValueError("must be a number, a size as '50 MB' or a duration as '15m'") from None
    return value


def _listed(value: object) -> object:
    """A single string stands for a list of one."""
    return [value] if isinstance(value, str) else value


Bytes = Annotated[int, BeforeValidator(_bytes), Field(gt=0)]
Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0)]
Amount = Annotated[float, BeforeValidator(_amount)]
Strings = Annotated[tuple[str, ...], BeforeValidator(_listed)]


Patience = Annotated[float, BeforeValidator(_seconds), Field(ge=0)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(_Section):
    """Where artifacts live."""

    remote: str | None = Field(None, description="name of the shared DVC remote; DVC's default if unset")
    mirror: str | None = Field(None, description="directory on the agent that its builds share, in DVC's format")
    mirror_limit: Bytes | None = Field(
        None, description="size such as '200GB' above which the mirror loses what was used least recently"
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
        """Where the mirror is; a relative path is taken from the project's `root`. None when none is set."""
        return root / Path(self.mirror).expanduser() if self.mirror else None


class Test(_Section):
    """The project's tests."""

    __test__ = False

    command: Strings = Field((), description="shell command, or several run in order; any language")
    junit: Strings = Field((), description="globs of the JUnit XML files that the command writes")
    timeout: Seconds | None = Field(None, description="limit for each command, such as 90 or '15m'")


class Lint(_Section):
    """The project's linters."""

    commands: Strings = Field((), description="shell commands; all run, one failure fails the step")
    timeout: Seconds | None = Field(None, description="limit for each command, such as 90 or '15m'")


class Reproduce(_Section):
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
        (), description="environment variables handed to stages although they look like credentials"
    )


_SUBJECTS = ("metric", "data", "stage", "predictions")
_MEASURES = {
    "metric": (),
    "data": ("bytes", "files", "rows"),
    "stage": ("seconds", "memory"),
    "predictions": ("right", "broken", "worse_slices"),
}


class Gate(_Section):
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


class Repeat(_Section):
    """How runs are repeated for gates with `repeats`."""

    seed: Strings = Field((), description="params that are the seed: '<file>:<dotted name>'; each run sets them all")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="of the interval that decides")
    timeout: Seconds | None = Field(None, description="limit for all stages of one repeated run, such as '1h'")


class Waivers(_Section):
    """Whose waivers count."""

    trust: Literal["target", "change"] = Field(
        "target",
        description="for a pull request: those on its target branch, or (where the target branch says so) its own too",
    )


class Predictions(_Section):
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


class Commit(_Section):
    """How results are committed back."""

    author: str = Field("mlbutler <mlbutler@localhost>", description="'Name <e-mail>' of results commits")
    message: str = Field(
        "Reproduce {short}: update results",
        description="first line of results commits; {short} and {head} are the reproduced commit",
    )
    paths: Strings = Field((), description="further paths to commit (globs), besides what DVC declares")
    on_merge: Literal["refuse", "head"] = Field(
        "refuse",
        description="when CI built a merge of head and target: do not commit, or commit onto the head",
    )


class Report(_Section):
    """What reports show."""

    metrics: Strings = Field((), description="globs of 'file:name' to show; all if empty")
    plots: bool = Field(True, description="show plots")
    images: bool = Field(True, description="show images")
    precision: int = Field(5, ge=1, le=17, description="significant digits")
    hide_unchanged: bool = Field(False, description="leave out metrics that did not change")
    history: int = Field(
        50, ge=0, le=1000, description="commits of the target branch whose metrics are shown beside; 0 shows none"
    )
    directory: str = Field(".mlbutler/report", description="where the renderings are written")


class Forge(_Section):
    """Where reviewers are told."""

    kind: Literal["github", "gitlab", "gitea", "dagshub", "gogs", "bitbucket", "folder"] | None = Field(
        None, description="which forge; found out if unset"
    )
    url: str | None = Field(None, description="address of the forge's pages; for the folder forge, its directory")
    repository: str | None = Field(None, description="owner/name there; the git remote's if unset")
    api: str | None = Field(None, description="address of the forge's API where it is not the usual one")


class Notify(_Section):
    """Who else is told, through the webhook in ``MLBUTLER_NOTIFY_WEBHOOK``."""

    on: Literal["end", "verdict-change"] = Field(
        "end", description="after every run, or when the verdict is another than in the run before"
    )
    form: Literal["json", "slack"] = Field("json", description="a document, or the message that Slack and others take")


class Project(_Section):
    """What is compared with what."""

    target: str | None = Field(None, description="target branch where the CI names none; found out if unset")
    git_remote: str | None = Field(None, description="git remote to fetch from and push to; 'origin' if it exists")


class Settings(_Section):
    """All settings of a project."""

    project: Project = Project()
    data: Data = Data()
    test: Test = Test()
    lint: Lint = Lint()
    reproduce: Reproduce = Reproduce()
    gate: tuple[Gate, ...] = ()
    predictions: tuple[Predictions, ...] = ()
    repeat: Repeat = Repeat()
    waivers: Waivers = Waivers()
    commit: Commit = Commit()
    report: Report = Report()
    forge: Forge = Forge()
    notify: Notify = Notify()


@dataclass(frozen=True)
class Loaded:
    """Settings and, for each ``section.key``, its source: ``default``, a file name, or a variable's name."""

    settings: Settings
    sources: Mapping[str, str]


def load(root: Path, environ: Mapping[str, str] | None = None) -> Loaded:
    """Read the settings of the project at `root`.

    Raises:
        SettingsError: the file does not parse, a key is unknown, or a value does not fit.
    """
    environ = os.environ if environ is None else environ
    name, values = _from_file(root)
    return _validated(name, values, environ)


def parse(text: str, name: str = FILE_NAME) -> Settings:
    """Settings from the text of a mlbutler.toml (another revision's, say), or a pyproject.toml; no environment.

    Raises:
        SettingsError: as `load`.
    """
    try:
        values = tomllib.loads(text)
        if name != FILE_NAME:
            values = values.get("tool", {}).get("mlbutler", {})
        return _validated(name, values, {}).settings
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{name} is not valid TOML: {error}", f"Mend {name}.") from error


def _validated(name: str, values: dict[str, Any], environ: Mapping[str, str]) -> Loaded:
    sources = dict.fromkeys(_keys(values), name)
    for variable, section, key in _variables():
        if (text := environ.get(variable)) is not None and text != "":
            section_values = values.setdefault(section, {})
            if not isinstance(section_values, dict):
                raise SettingsError(f"{name}: '{section}' must be a table.", f"Write [{section}].")
            section_values[key] = _from_text(section, key, text)
            sources[f"{section}.{key}"] = variable
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise _explained(error, name, sources) from error
    return Loaded(settings, {key: sources.get(key, "default") for key in _keys(settings.model_dump())})


def _from_file(root: Path) -> tuple[str, dict[str, Any]]:
    own, shared = root / FILE_NAME, root / "pyproject.toml"
    for path, inside in ((own, ()), (shared, ("tool", "mlbutler"))):
        if not path.is_file():
            continue
        try:
            values: Any = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            if path == shared:  # somebody else's file: not ours to complain about
                continue
            raise SettingsError(f"{path.name} is not valid TOML: {error}", f"Mend {path.name}.") from error
        for key in inside:
            values = values.get(key) if isinstance(values, dict) else None
        if isinstance(values, dict):
            return path.name, values
    return FILE_NAME, {}


def _keys(values: Mapping[str, Any]) -> Iterator[str]:
    for section, content in values.items():
        if isinstance(content, Mapping):
            yield from (f"{section}.{key}" for key in content)
        else:
            yield section


def _variables() -> Iterator[tuple[str, str, str]]:
    for section, field in Settings.model_fields.items():
        model = field.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            for key in model.model_fields:
                yield f"MLBUTLER_{section}_{key}".upper(), section, key


def _from_text(section: str, key: str, text: str) -> Any:
    model = Settings.model_fields[section].annotation
    assert isinstance(model, type)
    assert issubclass(model, BaseModel)
    default = model.model_fields[key].default
    if isinstance(default, tuple) and text.lstrip().startswith("["):
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return text
    return text


def _explained(error: ValidationError, name: str, sources: Mapping[str, str]) -> SettingsError:
    problems, remedies = [], []
    for item in error.errors():
        where = [str(part) for part in item["loc"]]
        dotted = ".".join(where)
        source = sources.get(".".join(where[:2]), name)
        if item["type"] == "extra_forbidden":
            problems.append(f"{source}: unknown key '{dotted}'")
            nearest = difflib.get_close_matches(where[-1], _siblings(where), n=1, cutoff=0.0)
            remedies.append(f"The nearest known key is '{'.'.join([*where[:-1], nearest[0]])}'." if nearest else "")
        else:
            problems.append(f"{source}: {dotted}: {problem(item)}")
    remedy = " ".join(filter(None, remedies)) or "See docs/settings.md for what each key takes."
    return SettingsError("; ".join(problems) + ".", remedy)


def _siblings(where: list[str]) -> list[str]:
    if len(where) == 1:
        return list(Settings.model_fields)
    repeated: dict[str, Any] = {"gate": Gate, "predictions": Predictions}
    model: Any = repeated.get(where[0]) or Settings.model_fields[where[0]].annotation
    return list(model.model_fields)
