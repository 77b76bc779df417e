"""The section on predictions: what flipped, where it got worse, the worst examples."""

from __future__ import annotations

from collections.abc import Iterator

from mlbutler import numbers
from mlbutler.record import CompareResult, Flip, PredictionChange, SliceChange, Verdict
from mlbutler.report.headline import VERDICT_ARROWS, VERDICT_TONES
from mlbutler.report.model import (
    Block,
    Cell,
    Column,
    Gallery,
    Paragraph,
    Row,
    Section,
    Style,
    Table,
    Tone,
    cell,
    code,
    plain,
)

_OTHER_SLICES = 5
_FIXED = 5


def section(compare: CompareResult, precision: int) -> Section | None:
    """Return every declared predictions file; early where something got significantly worse."""
    told = [change for change in compare.predictions if change.examples or change.reason]
    if not told:
        return None
    blocks = tuple(block for change in told for block in _blocks(change, precision))
    worse = any(_is_worse(change) for change in told)
    summary = "; ".join(_summary(change) for change in told[:3])
    return Section("predictions", "Predictions", blocks, 88 if worse else 55, summary)


def _is_worse(change: PredictionChange) -> bool:
    found = (change.verdict, *(score.verdict for score in change.scores))
    return Verdict.WORSE in found or any(part.worse for part in change.slices)


def _summary(change: PredictionChange) -> str:
    if not change.examples:
        return change.reason
    flips = f"{change.broken:,} right → wrong, {change.fixed:,} wrong → right"
    return flips if change.p is None else f"{flips}, {numbers.in_words(change.p, change.alpha)}"


def _share(right: int, examples: int) -> str:
    return numbers.share(right / examples, 2) if examples else numbers.ABSENT


def _blocks(change: PredictionChange, precision: int) -> Iterator[Block]:
    if not change.examples:
        yield Paragraph((code(change.file), plain(f": {change.reason}.")), VERDICT_TONES[change.verdict])
        return
    before, after = (_share(right, change.examples) for right in (change.old_right, change.new_right))
    count = numbers.count(change.examples, "example")
    judged = f"{_summary(change)}: {change.verdict} by McNemar's exact test"
    said = f": {count}, {before} right in the target, {after} here. {judged}."
    yield Paragraph((code(change.file), plain(said)), VERDICT_TONES[change.verdict])
    if change.scores:
        yield _scores(change, precision)
    yield from _slices(change)
    yield from _pictures(change)
    if change.flips:
        yield _flips("Right before, wrong now: the worst", change.flips, change.broken, precision)
    if change.fixed_flips:
        yield _flips("Wrong before, right now:", change.fixed_flips[:_FIXED], change.fixed, precision)


def _scores(change: PredictionChange, precision: int) -> Table:
    columns = (Column("Score"), Column("Target", True), Column("This change", True), Column("Difference", True),
               Column("Interval", True), Column("Verdict"), Column("By"))  # fmt: skip
    rows = []
    for score in change.scores:
        noise = (score.high - score.low) / 2
        old, new, difference = numbers.sides_and_difference(score.old, score.new, precision, noise)
        low, high = (numbers.rounded(bound, noise, signed=True) for bound in (score.low, score.high))
        tone = VERDICT_TONES[score.verdict]
        rows.append(
            (
                cell(score.name, style=Style.CODE),
                cell(old),
                cell(new),
                cell(difference, tone),
                cell(f"{low} to {high}"),
                cell(f"{VERDICT_ARROWS[score.verdict]} {score.verdict}", tone),
                cell(f"{score.method}, {100 * (1 - change.alpha):.4g} %"),
            )
        )
    return Table("Scores", columns, tuple(rows))


def _slices(change: PredictionChange) -> Iterator[Block]:
    worse = [part for part in change.slices if part.worse]
    others = [part for part in change.slices if not part.worse and part.broken > part.fixed][:_OTHER_SLICES]
    if not change.slices:
        return
    looked = numbers.count(len(change.slices), "slice")
    said = f"{len(worse):,} of {looked}" if worse else f"None of {looked}"
    how = f" got significantly worse (one-sided exact tests, Holm's correction, level {change.alpha:g})."
    yield Paragraph((plain(said + how),), Tone.BAD if worse else Tone.MUTED)
    if worse or others:
        names = ("Examples", "Right before", "Right now", "Right → wrong", "Wrong → right", "Adjusted p")
        columns = (Column("Slice"), *(Column(name, numeric=True) for name in names))
        yield Table("Slices", columns, tuple(_slice_row(part) for part in (*worse, *others)))


def _slice_row(part: SliceChange) -> Row:
    tone = Tone.BAD if part.worse else Tone.NONE
    return (
        Cell((code(part.column), plain(" = "), code(part.value or "(empty)"))),
        cell(f"{part.examples:,}"),
        cell(_share(part.old_right, part.examples)),
        cell(_share(part.new_right, part.examples), tone),
        cell(f"{part.broken:,}"),
        cell(f"{part.fixed:,}"),
        cell(numbers.p_value(part.adjusted).removeprefix("= "), tone),
    )


def _flips(caption: str, flips: tuple[Flip, ...], total: int, precision: int) -> Table:
    scored = any(flip.old_score is not None or flip.new_score is not None for flip in flips)
    columns = [Column("Example"), Column("Label"), Column("Target said"), Column("This change says")]
    if scored:
        columns += [Column("Score before", True), Column("Score now", True)]
    rows = []
    for flip in flips:
        row = [cell(flip.id, style=Style.CODE), cell(flip.label), cell(flip.old), cell(flip.new)]
        if scored:
            row += [cell(numbers.value(score, precision)) for score in (flip.old_score, flip.new_score)]
        rows.append(tuple(row))
    return Table(f"{caption} {len(rows):,} of {total:,}", tuple(columns), tuple(rows))


def _pictures(change: PredictionChange) -> Iterator[Block]:
    shown = [flip for flip in change.flips if flip.image]
    if shown:
        said = (f"{flip.id}: {flip.label}, taken for {flip.new}, before for {flip.old}" for flip in shown)
        yield Gallery("The worst, as pictures", tuple(zip((flip.image for flip in shown), said, strict=True)))
