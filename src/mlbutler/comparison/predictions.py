"""Compare predictions example by example: what flipped, whether that is chance, and where it got worse."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mlbutler.comparison.pairing import Pair, as_number, pairing, same_text
from mlbutler.comparison.scores import Scores
from mlbutler.comparison.snapshot import Stored
from mlbutler.comparison.tables import UnreadableTable
from mlbutler.record import Flip, PredictionChange, SliceChange, Verdict
from mlbutler.settings import Predictions
from mlbutler.stats.exact import got_worse, holm, mcnemar

MOST_FLIPS = 20
MOST_PICTURES = 8
MOST_SLICES = 200
_TEXT = 200
_SLACK = 1e-9


def compare_predictions(
    spec: Predictions, old: Stored, new: Stored, picture: Callable[[str], str] = lambda path: ""
) -> PredictionChange:
    """Compare one declared file.

    Only examples with the same id and the same label on both sides are compared: then each is its own control, and
    McNemar's test needs no assumption about the others.

    Args:
        picture: an image's path as the file names it -> a data URI, '' when it cannot be shown.
    """
    if old.identity and old.identity == new.identity:
        return PredictionChange(file=spec.file, verdict=Verdict.SAME, reason="the same file on both sides")
    try:
        with pairing(spec, old, new) as both:
            examples, only_old, only_new = both.counts()
            if spec.id is None and (only_old or only_new):
                raise UnreadableTable(
                    "the number of rows differs, and without an 'id' column only the order tells examples"
                )
            if not examples:
                raise UnreadableTable("no example is on both sides")
            seen = _PairCounter(spec, examples)
            for pair in both.pairs():
                seen.add(pair)
    except UnreadableTable as error:
        return PredictionChange(file=spec.file, reason=str(error)[:300], alpha=spec.alpha)
    return seen.result(only_old, only_new, picture)


@dataclass
class _ExampleCounts:
    examples: int = 0
    old_right: int = 0
    new_right: int = 0
    broken: int = 0
    fixed: int = 0

    def add(self, before: bool, after: bool) -> None:
        self.examples += 1
        self.old_right += before
        self.new_right += after
        self.broken += before and not after
        self.fixed += after and not before


@dataclass
class _Worst:
    """The flips that lost most, and of equals the first."""

    kept: list[tuple[float, int, Pair]] = field(default_factory=list)

    def add(self, lost: float, pair: Pair) -> None:
        item = (lost, -pair.place, pair)
        if len(self.kept) < MOST_FLIPS:
            heapq.heappush(self.kept, item)
        else:
            heapq.heappushpop(self.kept, item)

    def sorted_pairs(self) -> list[Pair]:
        return [pair for _, _, pair in sorted(self.kept, reverse=True)]


class _PairCounter:
    """Counts over the pairs read so far. Memory: the slices, a few flips, and what `Scores` keeps."""

    def __init__(self, spec: Predictions, examples: int) -> None:
        self._spec = spec
        self._all = _ExampleCounts()
        self._slices: list[dict[str, _ExampleCounts] | None] = [{} for _ in spec.slices]
        self._broken, self._fixed = _Worst(), _Worst()
        self._scores = Scores(spec, examples)
        self._relabelled = 0

    def add(self, pair: Pair) -> None:
        if not same_text(pair.label, pair.old_label):
            self._relabelled += 1
            return
        before, after = (self._right(pair.label, said) for said in (pair.old, pair.new))
        self._all.add(before, after)
        for number, value in enumerate(pair.extra[: len(self._slices)]):
            known = self._slices[number]
            if known is None:
                continue
            if value not in known and len(known) == MOST_SLICES:
                self._slices[number] = None  # an id or a number, no slice
                continue
            known.setdefault(value, _ExampleCounts()).add(before, after)
        lost = self._scores.add(pair)
        if before and not after:
            self._broken.add(lost, pair)
        elif after and not before:
            self._fixed.add(-lost, pair)

    def _right(self, label: str, said: str) -> bool:
        if self._spec.tolerance is None:
            return same_text(label, said)
        truth, number = as_number(label), as_number(said)
        if truth is None:
            raise UnreadableTable(f"the label '{label[:60]}' is not a number, which 'tolerance' needs")
        return number is not None and abs(number - truth) <= self._spec.tolerance + _SLACK * abs(truth)

    def result(self, only_old: int, only_new: int, picture: Callable[[str], str]) -> PredictionChange:
        found, spec = self._all, self._spec
        p = mcnemar(found.broken, found.fixed)
        slices, note = self._judge_slices()
        scores = self._scores.result()
        note = "; ".join(filter(None, (note, *self._scores.remarks(scores))))
        if not found.examples:
            note = "every example has another label than in the target"
        return PredictionChange(
            file=spec.file, verdict=_verdict(found, p, spec.alpha), reason=note, examples=found.examples,
            only_old=only_old, only_new=only_new, relabelled=self._relabelled, old_right=found.old_right,
            new_right=found.new_right, broken=found.broken, fixed=found.fixed, p=p, alpha=spec.alpha,
            flips=self._build_flips(self._broken, picture), fixed_flips=self._build_flips(self._fixed, lambda path: ""),
            slices=slices, scores=scores,
        )  # fmt: skip

    def _judge_slices(self) -> tuple[tuple[SliceChange, ...], str]:
        named = [
            (column, value, counts)
            for column, known in zip(self._spec.slices, self._slices, strict=True)
            for value, counts in (known or {}).items()
        ]
        p_values = [got_worse(counts.broken, counts.fixed) for _, _, counts in named]
        adjusted = holm(p_values)
        slices = [
            SliceChange(
                column=column[:_TEXT], value=value[:_TEXT], examples=counts.examples, old_right=counts.old_right,
                new_right=counts.new_right, broken=counts.broken, fixed=counts.fixed, p=p, adjusted=corrected,
                worse=corrected < self._spec.alpha,
            )
            for (column, value, counts), p, corrected in zip(named, p_values, adjusted, strict=True)
        ]  # fmt: skip
        slices.sort(key=lambda found: (found.adjusted, found.p, found.fixed - found.broken, found.column, found.value))
        wide = [column for column, known in zip(self._spec.slices, self._slices, strict=True) if known is None]
        note = f"not looked at as slices, for more than {MOST_SLICES} values: {', '.join(wide)}" if wide else ""
        return tuple(slices[:MOST_SLICES]), note

    def _build_flips(self, worst: _Worst, picture: Callable[[str], str]) -> tuple[Flip, ...]:
        has_image = self._spec.image is not None
        return tuple(
            Flip(
                id=pair.id[:_TEXT], label=pair.label[:_TEXT], old=pair.old[:_TEXT], new=pair.new[:_TEXT],
                old_score=as_number(pair.old_score), new_score=as_number(pair.new_score),
                image=picture(pair.extra[-1]) if has_image and number < MOST_PICTURES else "",
            )
            for number, pair in enumerate(worst.sorted_pairs())
        )  # fmt: skip


def _verdict(found: _ExampleCounts, p: float, alpha: float) -> Verdict:
    if not found.examples:
        return Verdict.NOT_JUDGED
    if found.broken == found.fixed == 0:
        return Verdict.SAME
    if p >= alpha:
        return Verdict.WITHIN_NOISE
    return Verdict.WORSE if found.broken > found.fixed else Verdict.BETTER


def pairing_notes(changes: Sequence[PredictionChange]) -> list[tuple[str, str]]:
    """Return (file, reason) of what could not be compared, or only in part."""
    notes = []
    for change in changes:
        if change.reason and (change.examples or change.verdict is not Verdict.SAME):
            notes.append((change.file, change.reason))
        if change.relabelled:
            notes.append((change.file, f"{change.relabelled:,} examples have another label than in the target"))
        for count, side in ((change.only_old, "only in the target"), (change.only_new, "only here")):
            if count:
                notes.append((change.file, f"{count:,} examples are {side}"))
    return notes
