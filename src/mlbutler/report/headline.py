"""The verdict in one sentence, from what the steps found."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from mlbutler import numbers
from mlbutler.first_few import first_few
from mlbutler.record import (
    REPORTING_STEPS,
    WEIGHTIEST_FIRST,
    CompareResult,
    GateResult,
    Outcome,
    Record,
    StepResult,
    Verdict,
)
from mlbutler.record_ended import again
from mlbutler.report.model import Headline, Tone

_SENTENCE_LIMIT = 600
_WORD = re.compile(
    r"(Failed|Waived|Inconclusive|Warning|(?:Mixed|Better|Worse)(?: or noise)?|Within noise|Same|Changed|New|Gone"
    r"|Not judged): "
)

VERDICT_TONES = {
    Verdict.BETTER: Tone.GOOD,
    Verdict.WORSE: Tone.BAD,
    Verdict.SAME: Tone.MUTED,
    Verdict.WITHIN_NOISE: Tone.MUTED,
    Verdict.NEW: Tone.NONE,
    Verdict.GONE: Tone.WARN,
    Verdict.CHANGED: Tone.NONE,
    Verdict.NOT_JUDGED: Tone.WARN,
}
VERDICT_ARROWS = {
    Verdict.BETTER: "▲",
    Verdict.WORSE: "▼",
    Verdict.SAME: "·",
    Verdict.WITHIN_NOISE: "≈",
    Verdict.NEW: "◆",
    Verdict.GONE: "✕",
    Verdict.CHANGED: "≠",
    Verdict.NOT_JUDGED: "?",
}
OUTCOME_TONES = {
    Outcome.PASSED: Tone.GOOD,
    Outcome.FAILED: Tone.BAD,
    Outcome.ERROR: Tone.WARN,
    Outcome.NOT_KNOWN: Tone.WARN,
    Outcome.INTERRUPTED: Tone.MUTED,
    Outcome.SKIPPED: Tone.MUTED,
}
OR_NOISE = " or noise"
"""What follows "better" and "worse" where nothing tells how much of a difference chance makes."""

_STOPS = (
    (Outcome.ERROR, "Error"),
    (Outcome.NOT_KNOWN, "Not known"),
    (Outcome.FAILED, "Failed"),
)
"""Outcomes that keep a run from passing, the weightiest first, with the word that the headline begins with.

An interrupted run has its own headline.
"""


def judged_steps(record: Record) -> tuple[tuple[str, StepResult], ...]:
    """Return the steps that a report covers: all but the report itself and its publication."""
    return tuple((name, result) for name, result in record.steps() if name not in REPORTING_STEPS)


def outcome(record: Record) -> Outcome:
    """Return how the run ended, whatever became of its report."""
    outcomes = {result.outcome for _, result in judged_steps(record)}
    return next((o for o in WEIGHTIEST_FIRST if o in outcomes), Outcome.SKIPPED)


def headline(record: Record) -> Headline:
    """Return the verdict sentence. What stopped the run comes first, then the comparison."""
    said = _headline(record)
    if record.compare is not None:
        said = _with_names(said, record.compare)
    if record.unverified:
        claim = f"this is what the build of a fork says, and not verified: {said.sentence}"
        said = dataclasses.replace(said, sentence=_clip(claim), tone=Tone.WARN)
    return said


def _with_names(said: Headline, compare: CompareResult) -> Headline:
    """Return the headline with each metric's name alone, where only one file has it."""
    files = Counter(metric.name for metric in compare.metrics)
    shown = {
        metric.key: metric.name if metric.name and files[metric.name] == 1 else metric.key for metric in compare.metrics
    }
    if not shown:
        return said
    # A key may begin another one: the longest is meant.
    any_key = re.compile("|".join(map(re.escape, sorted(shown, key=len, reverse=True))))

    def shorten_keys(text: str) -> str:
        return any_key.sub(lambda found: shown[found[0]], text)

    return replace(
        said, sentence=shorten_keys(said.sentence), further=tuple(shorten_keys(text) for text in said.further)
    )


def _headline(record: Record) -> Headline:
    steps = judged_steps(record)
    if outcome(record) is Outcome.INTERRUPTED:
        return _describe_interruption(record)
    compare = record.compare
    verdict = _verdict(compare)
    for worst, word in _STOPS:
        bad = [(name, result) for name, result in steps if result.outcome == worst]
        if not bad:
            continue
        first = next((pair for pair in bad if pair[0] in record.began), None) or _choose_deciding_step(bad)
        if compare is not None and first[1] is compare and worst == Outcome.FAILED:
            said = _describe_broken_gate(compare)
        elif first[0] in record.began:
            said = Headline("Stopped", f"{first[0]} {first[1].reason}", OUTCOME_TONES[worst], first[1].remedy)
        else:
            said = Headline(word, f"{first[0]}: {first[1].reason}", OUTCOME_TONES[worst], first[1].remedy)
        others = [
            f"{name}: {result.outcome}: {result.reason}"
            for name, result in steps
            if result.outcome in dict(_STOPS) and name not in (first[0], "compare")
        ]
        if compare is not None and compare.outcome == Outcome.NOT_KNOWN and first[1] is compare:
            others += [text for text in (compare.sentence, *(verdict.further if verdict else ())) if text]
        if compare is not None and compare.outcome == Outcome.ERROR and first[1] is not compare:
            others.append(f"compare: error: {compare.reason}")
        if verdict is not None and first[1] is not compare:
            compared = (
                _describe_broken_gate(compare) if compare is not None and compare.outcome == Outcome.FAILED else verdict
            )
            others += [f"compare: {compared.word.lower()}: {compared.sentence}", *compared.further]
        return _clip_headline(said, others)
    if verdict is not None:
        return _clip_headline(verdict, [])
    why = f"not compared: {compare.reason}" if compare is not None else "nothing was compared"
    if outcome(record) == Outcome.PASSED:
        return _clip_headline(Headline("Passed", why, Tone.GOOD), [])
    return _clip_headline(Headline("Nothing judged", why, Tone.MUTED), [])


def _describe_interruption(record: Record) -> Headline:
    """Say where the run was when it was stopped.

    What it had found by then is no verdict and is not presented as one.
    """
    name, result = next(pair for pair in judged_steps(record) if pair[1].outcome is Outcome.INTERRUPTED)
    where = f"during {name}" if result.started else f"before {name}"
    stages = record.reproduce.stages if record.reproduce else ()
    done = sum(stage.outcome in ("ran", "restored") for stage in stages)
    finished = f", with {done} of {len(stages)} stages finished" if stages else ""
    return Headline("Interrupted", f"{where}{finished}; nothing is judged", Tone.MUTED, again(record))


def _verdict(compare: CompareResult | None) -> Headline | None:
    if compare is None or compare.outcome in (Outcome.SKIPPED, Outcome.ERROR):
        return None
    word, sentence = _split(compare.sentence or compare.reason, str(compare.verdict).capitalize())
    tone = VERDICT_TONES[compare.verdict]
    if compare.verdict == Verdict.WORSE or any(g.outcome in ("waived", "inconclusive") for g in compare.gates):
        tone = Tone.WARN  # worse, but no gate forbids it
    elif word.endswith(OR_NOISE):
        tone = Tone.NONE
    further = (
        *_describe_unreadable_files(compare),
        *_describe_tolerated_gates(compare, sentence),
        *_describe_worse_predictions(compare),
        *_describe_unseen_changes(compare),
    )
    return Headline(word, sentence, tone, compare.remedy, further)


def _choose_deciding_step(bad: list[tuple[str, StepResult]]) -> tuple[str, StepResult]:
    """Choose what explains the verdict: a failed stage before the comparison it spoiled, a number before the rest."""
    by_name = dict(bad)
    return next(((name, by_name[name]) for name in ("reproduce", "compare") if name in by_name), bad[0])


def _describe_broken_gate(compare: CompareResult) -> Headline:
    """Describe a broken gate.

    An improvement that is above a ceiling failed; "worse" is what the metric's verdict says.
    """
    broken = [g for g in compare.gates if g.outcome == "failed" and g.sentence]
    deciding = broken[0].metric if broken else ""
    verdicts = {m.verdict for m in compare.metrics if deciding in (m.key, m.name)} or {compare.verdict}
    _, own = _split(compare.sentence, "")
    sentence = own or (broken[0].sentence if broken else compare.reason)
    word = "Worse" if verdicts == {Verdict.WORSE} else "Failed"
    told = (*_further_sentences(broken, sentence), *_describe_tolerated_gates(compare, sentence))
    further = (
        *_describe_unreadable_files(compare),
        *told,
        *_describe_worse_predictions(compare),
        *_describe_unseen_changes(compare),
    )
    return Headline(word, sentence, Tone.BAD, compare.remedy, further)


def _describe_tolerated_gates(compare: CompareResult, sentence: str) -> tuple[str, ...]:
    """Describe broken gates that fail nothing: a waiver stays visible until it lapses."""
    waived = [f"Waived {g.waiver}: {g.sentence}" for g in compare.gates if g.waiver and g.sentence not in sentence]
    return (
        *waived,
        *_further_sentences([g for g in compare.gates if g.outcome in ("inconclusive", "warned")], sentence),
    )


def _describe_worse_predictions(compare: CompareResult) -> Iterator[str]:
    """Say where predictions got significantly worse: a mean can hide it."""
    for change in compare.predictions:
        named = change.file in compare.sentence
        if change.verdict == Verdict.WORSE and change.p is not None and not named:
            said = f"{change.broken:,} examples right → wrong, {change.fixed:,} wrong → right"
            yield f"{change.file}: {said}, {numbers.in_words(change.p, change.alpha)}"
        worse = [part for part in change.slices if part.worse]
        if worse:
            first = worse[0]
            before, after = (numbers.share(right / first.examples, 1) for right in (first.old_right, first.new_right))
            chance = numbers.in_words(first.adjusted, change.alpha)
            more = f" (one of {len(worse)} slices)" if len(worse) > 1 else ""
            where = f"{first.column} = {first.value or '(empty)'}"
            yield f"{change.file}: worse where {where}: {before} → {after} right, {chance}{more}"


def _describe_unreadable_files(compare: CompareResult) -> Iterator[str]:
    """Say what could not be read of DVC's own files, on either side."""
    for side, problem in (("The target", compare.old_problem), ("This change", compare.new_problem)):
        if problem and problem not in compare.reason:
            yield f"{side} could not be read whole: {problem}; only what Git keeps is compared"


def _describe_unseen_changes(compare: CompareResult) -> Iterator[str]:
    """Describe what DVC does not see.

    Stages that lost a dependency or are frozen, and code that a stage uses without declaring it.
    """
    for stage in [s for s in compare.stages if s.lost_inputs() or s.freezes()][:2]:
        lost = [part.name for part in stage.lost_inputs()]
        if lost:
            yield f"Stage {stage.stage} no longer depends on {first_few(lost, 2)}: it does not run again for that"
        if stage.freezes():
            yield f"Stage {stage.stage} is frozen by this change: it never runs again"
    for change in [c for c in compare.code if c.undeclared][:2]:
        stages = ", ".join(stage for stage, _ in change.undeclared[:3])
        yield f"{change.path} changed and is used by {stages}, which does not declare it: the numbers may be stale"


def _further_sentences(gates: list[GateResult], sentence: str) -> tuple[str, ...]:
    """Return what further gates say, but not a second time of a number that the sentence names."""
    return tuple(
        g.sentence for g in gates if g.sentence not in sentence and g.metric.rpartition(":")[2] not in sentence
    )


def _split(sentence: str, word: str) -> tuple[str, str]:
    """Return the word that a sentence begins with and the rest; `word` when it begins with none."""
    match = _WORD.match(sentence)
    return (match[1], sentence[match.end() :]) if match else (word, sentence)


def _clip_headline(said: Headline, others: list[str]) -> Headline:
    further = (*said.further, *others)
    return Headline(
        said.word,
        _clip(said.sentence.rstrip(".")),
        said.tone,
        _clip(said.remedy),
        tuple(_clip(text) for text in further[:6]),
    )


def _clip(text: str) -> str:
    return text if len(text) <= _SENTENCE_LIMIT else text[: _SENTENCE_LIMIT - 1] + "…"
