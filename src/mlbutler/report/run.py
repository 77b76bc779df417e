"""Sections on the run itself: tests, checks, transfers, steps, and where it all happened."""

from __future__ import annotations

import shlex

from mlbutler import numbers
from mlbutler.escape import log_line
from mlbutler.record import CommandRun, Finding, Outcome, Record
from mlbutler.report.findings import grouped
from mlbutler.report.headline import OUTCOME_TONES, judged_steps
from mlbutler.report.links import short
from mlbutler.report.model import (
    Block,
    Cell,
    CodeBlock,
    Column,
    Items,
    Line,
    Paragraph,
    Section,
    Style,
    Table,
    Tone,
    cell,
    code,
    link,
    plain,
)

_LOG_LINES = 30
_NAMED = 10
_NOT_CONFIGURED = "not configured"


def failures(record: Record) -> Section | None:
    """Return the last lines of whatever failed."""
    logs: list[Block] = []
    for stage in record.reproduce.stages if record.reproduce else ():
        if stage.outcome == "failed":
            code_text = f", exit code {stage.exit_code}" if stage.exit_code is not None else ""
            took = f" after {numbers.seconds(stage.duration)}" if stage.duration else ""
            logs.append(_log(f"Stage {stage.name} failed{took}{code_text}", stage.tail))
    for name, step in (("test", record.test), ("lint", record.lint)):
        runs = step.runs if step is not None else ()
        logs += [_log(f"{name}: {run.command}: {_describe_end(run)}", run.tail) for run in runs if run.exit_code != 0]
    if not logs:
        return None
    return Section("failures", "What failed", tuple(logs), 92, numbers.count(len(logs), "log"), important=True)


def _log(caption: str, tail: tuple[str, ...]) -> CodeBlock:
    lines = tuple(log_line(line) for line in tail[-_LOG_LINES:])
    return CodeBlock(caption, lines or ("(it wrote nothing)",))


def _describe_end(run: CommandRun) -> str:
    how = "stopped by its timeout" if run.exit_code is None else f"exit code {run.exit_code}"
    return f"{how} after {numbers.seconds(run.duration)}"


def tests(record: Record) -> Section | None:
    """Return counts of the project's tests, and the failing ones by name."""
    result = record.test
    if result is None or not (result.runs or result.failed_cases or result.tests is not None):
        return None
    blocks: list[Block] = []
    summary = result.reason
    if result.tests is not None:
        broken = (result.failures or 0) + (result.errors or 0)
        summary = f"{numbers.count(result.tests, 'test')}: {result.tests - broken - (result.skipped or 0):,} passed"
        counts = ((result.failures, "failed"), (result.errors, "with an error"), (result.skipped, "skipped"))
        summary += "".join(f", {count:,} {what}" for count, what in counts if count)
    if result.failed_cases:
        rows = tuple((cell(c.suite), cell(c.name, Tone.BAD, Style.CODE), cell(c.message)) for c in result.failed_cases)
        blocks.append(Table("Failing tests", (Column("Suite"), Column("Test"), Column("Message")), rows))
    blocks.append(_commands(result.runs))
    bad = result.outcome != Outcome.PASSED
    failed = bool(result.failed_cases)
    return Section("tests", "Tests", tuple(blocks), 80 if bad else 55, summary, important=failed, quiet=not bad)


def lint_section(record: Record) -> Section | None:
    """Return the linters and how each ended."""
    if record.lint is None or not record.lint.runs:
        return None
    bad = sum(run.exit_code != 0 for run in record.lint.runs)
    summary = f"{len(record.lint.runs) - bad} of {numbers.count(len(record.lint.runs), 'command')} passed"
    return Section("lint", "Lint", (_commands(record.lint.runs),), 25, summary, quiet=not bad)


def _commands(runs: tuple[CommandRun, ...]) -> Table:
    rows = tuple(
        (cell(r.command, style=Style.CODE), cell("passed" if r.exit_code == 0 else _describe_end(r),
         Tone.GOOD if r.exit_code == 0 else Tone.BAD), cell(numbers.seconds(r.duration)))
        for r in runs
    )  # fmt: skip
    return Table("Commands", (Column("Command"), Column("Outcome"), Column("Time", True)), rows)


def checks(record: Record) -> Section | None:
    """Return what the checks found wrong, could not find out, or do not cover."""
    check = record.check
    if check is None or not (
        check.findings or check.undetermined or check.pending or check.left_out or check.checked or check.notes
    ):
        return None
    blocks: list[Block] = []
    groups: tuple[tuple[str, tuple[Finding, ...], Tone], ...] = (
        ("Found wrong", check.findings, Tone.BAD),
        ("Not known", check.undetermined, Tone.WARN),
        ("This run fixes", check.pending, Tone.MUTED),
    )
    for caption, findings, tone in groups:
        if findings:
            rows = tuple(
                (
                    cell(f.subject, style=Style.CODE),
                    cell(f.check),
                    cell(f.problem, tone),
                    cell(f.remedy, style=Style.CODE),
                )
                for f in grouped(findings)
            )
            columns = (Column("Subject"), Column("Check"), Column("Problem"), Column("What fixes it"))
            blocks.append(Table(caption, columns, rows))
    if check.left_out:
        left_out = tuple((cell(path, style=Style.CODE), cell(reason)) for path, reason in check.left_out)
        blocks.append(Table("Not covered by the checks", (Column("Artifact"), Column("Reason")), left_out))
    blocks += [Paragraph((plain(f"{note}."),), Tone.MUTED) for note in check.notes]
    asked = f"{numbers.count(check.checked, 'object')} asked for on the remote"
    if check.remembered:
        asked += f", {check.remembered} of them by an earlier build, at most {numbers.seconds(check.answers_age)} ago"
    blocks.append(Paragraph((plain(f"{asked}."),), Tone.MUTED))
    wrong = len(check.findings) + len(check.undetermined)
    summary = numbers.count(wrong, "problem") if wrong else check.reason
    said = bool(wrong or check.pending or check.notes)
    important = bool(check.findings)
    return Section("checks", "Checks", tuple(blocks), 78 if wrong else 28, summary, important=important, quiet=not said)


def transfers(record: Record) -> Section | None:
    """Return objects and bytes moved, by place and direction."""
    moved = [("from", m) for m in record.sync.moved] if record.sync else []
    moved += [("to", m) for m in record.push.moved] if record.push else []
    if not moved:
        return None
    rows = tuple((cell(f"{way} {m.place}"), cell(f"{m.objects:,}"), cell(numbers.size(m.bytes))) for way, m in moved)
    table = Table("Transfers", (Column("Place"), Column("Objects", True), Column("Size", True)), rows)
    total = sum(m.bytes for _, m in moved)
    return Section("transfers", "Transfers", (table,), 20, f"{numbers.size(total)} moved", quiet=not total)


def steps(record: Record) -> Section:
    """Return every step with outcome, time and reason; one that the project does not have is none."""
    reached = [(name, result) for name, result in judged_steps(record) if result.reason != _NOT_CONFIGURED]
    rows = tuple(
        (
            cell(name),
            cell(result.outcome, OUTCOME_TONES[result.outcome]),
            cell(numbers.seconds(result.duration)),
            cell("; ".join(filter(None, (result.reason, result.remedy)))),
        )
        for name, result in reached
    )
    table = Table("Steps", (Column("Step"), Column("Outcome"), Column("Time", True), Column("Reason")), rows)
    total = sum(result.duration for _, result in reached)
    summary = f"{numbers.count(len(reached), 'step')} in {numbers.seconds(total)}"
    return Section("steps", "Steps", (table,), 30, summary)


def moved_remotes(record: Record) -> Section | None:
    """Say where data locations differ from the target branch's: a reviewer has to see that."""
    if not record.moved_remotes:
        return None
    items = Items(tuple((plain(sentence),) for sentence in record.moved_remotes))
    summary = numbers.count(len(record.moved_remotes), "change")
    return Section("remotes", "Where data goes", (items,), 88, summary, folded=False)


def provenance(record: Record) -> Section:
    """Return which commits were compared, where, with what; and the command that does it again."""
    change, env = record.change, record.environment
    pairs: list[tuple[str, Cell]] = [("Head", cell(change.head, style=Style.CODE))]
    if change.uncommitted_count:
        names = ", ".join(change.uncommitted[:_NAMED])
        more = change.uncommitted_count - len(change.uncommitted[:_NAMED])
        pairs.append(("Not committed", cell(names + (f" and {more:,} more" if more > 0 else ""))))
    if change.checkout != change.head:
        what = " (a merge of head and target, made by the CI server)" if change.merge else ""
        pairs.append(("Checked out", Cell((code(change.checkout), plain(what)))))
    if base := (record.compare.old_rev if record.compare else "") or change.base:
        what = f" (merge base with {change.target_branch or 'the target'})" if base == (change.base or base) else ""
        pairs.append(("Compared with", Cell((code(base), plain(what)))))
    optional = (("dvc.lock", record.lock_hash), ("Results commit", record.commit.commit if record.commit else ""))
    pairs += [(name, cell(text, style=Style.CODE)) for name, text in optional if text]
    if change.author:
        pairs.append(("Author", cell(change.author)))
    if change.note:
        pairs.append(("Note", cell(change.note)))
    build: Line = (plain(", "), link("build", change.build_url)) if change.build_url else ()
    pairs.append(("CI", Cell((plain(change.ci), *build))))
    hardware = f"{env.platform}, {numbers.count(env.cpus, 'CPU')}, {numbers.size(env.memory)} memory"
    pairs.append(("Agent", cell(f"{env.host}: {hardware}")))
    kept = {one.isolation for one in (record.test, record.lint, record.reproduce) if one is not None and one.isolation}
    if kept:
        pairs.append(("Isolation", cell("; ".join(sorted(kept)))))
    pairs.append(("Versions", cell(f"mlbutler {env.mlbutler}, DVC {env.dvc}, Python {env.python}, git {env.git}")))
    started = [result.started for _, result in record.steps() if result.started]
    if started:
        pairs.append(("Started", cell(min(started))))
    table = Table("Provenance", (Column("What"), Column("Value")), tuple((cell(name), value) for name, value in pairs))
    against = f" --against {shlex.quote(base)}" if base else ""
    again = (f"git checkout --detach {shlex.quote(change.head)}", f"mlbutler run{against} --no-publish")
    summary = f"{short(change.head)}{f' against {short(base)}' if base else ''}, mlbutler {env.mlbutler}"
    blocks: tuple[Block, ...] = (table, CodeBlock("To run it again", again))
    if record.unverified:  # a stranger's words would be part of the command, and a stranger's code what it runs
        blocks = (table,)
    elif change.uncommitted_count or not change.pushed:
        why = "there were uncommitted files beside it" if change.uncommitted_count else "it is in no remote"
        said = f"Nobody else can run this again from the commit {short(change.head)}: {why}."
        blocks = (table, Paragraph((plain(said),), Tone.WARN))
    return Section("provenance", "Provenance", blocks, 65, summary)
