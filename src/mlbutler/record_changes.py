"""What differs between the two sides of a comparison, thing by thing: a part of the record."""

from __future__ import annotations

from enum import StrEnum

from mlbutler.frozen import frozen, frozen_by_name

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
        """Return the name used in gates and settings: ``metrics.json:accuracy``."""
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
    off). `signer`: whose signature an attestation of that build has, by the name in ``verify.signers``.
    """

    files: tuple[str, ...]
    kind: str
    stage: str = ""
    commit: str = ""
    head: str = ""
    url: str = ""
    signer: str = ""


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
    """A metric at the commits of the target branch that measured it again, oldest first."""

    file: str
    name: str
    goal: str | None = None
    values: tuple[PastValue, ...] = ()

    @property
    def key(self) -> str:
        """Return the name used in gates and settings: ``metrics.json:accuracy``."""
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

    def lost_inputs(self) -> tuple[DefinitionChange, ...]:
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
    `reason` says so. `changed` is None where one side could not be read.

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
    """A table (CSV, TSV, JSON lines, Parquet) that differs and was available on at least one side.

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
    manifest was not available. A file that has another name and the same content is renamed, neither added nor removed.
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
