"""`mlbutler verify`: stages of a commit run again in a clean clone, and compared with its dvc.lock."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mlbutler.commands.start import begin
from mlbutler.console import Console, human_seconds
from mlbutler.errors import EXIT_JUDGED, EXIT_OUTSIDE, EXIT_PASSED, Interrupted, UsageError
from mlbutler.frozen import frozen
from mlbutler.project.model import Stages
from mlbutler.record import Outcome, StepResult, Verification, VerifyResult
from mlbutler.report.model import Column, Table, Tone, cell
from mlbutler.report.screen import Screen
from mlbutler.steps.attestations import with_attestations
from mlbutler.steps.attesting import attest, signing_key
from mlbutler.steps.context import RunContext, StepOptions
from mlbutler.steps.verification_note import keep
from mlbutler.steps.verified_run import VerifyRequest
from mlbutler.steps.verify import verify

_CODES = {Outcome.FAILED: EXIT_JUDGED, Outcome.NOT_KNOWN: EXIT_OUTSIDE}


@frozen
class VerifyOptions:
    """What the command line asks for. `stages`: names, all if empty. `sample`: draw that share of them."""

    stages: Sequence[str] = ()
    sample: float | None = None
    tolerance: float | None = None
    isolate: str | None = None
    attestation: Path | None = None


def verify_commit(directory: Path, console: Console, revision: str | None, options: VerifyOptions) -> int:
    """Verify a commit (None: the one that is checked out); return the exit code.

    Raises:
        UsageError: there is no such commit or stage, or as `begin`. Interrupted, and as `verify`.
    """
    with begin(directory, console) as context:
        context.options = StepOptions(isolate=options.isolate)
        key = signing_key(context)
        request = replace(_request(context, revision, options), digests=bool(key or options.attestation))
        if revision is None and context.git.dirty():
            console.line("Note: files that are not committed are not verified: the commit is.")
        try:
            result = verify(context, request)
        except Interrupted as stop:
            if isinstance(stop.partial, VerifyResult):
                _show(console, stop.partial)
            raise
        result = with_attestations(context, result)
        keep(context, result)
        if key or options.attestation is not None:
            attest(context, result, key, options.attestation)
        _show(console, result)
        if console.json:
            print(json.dumps(_document(context.console, result), indent=2, ensure_ascii=False))
        return _CODES.get(result.outcome, EXIT_PASSED)


def _request(context: RunContext, revision: str | None, options: VerifyOptions) -> VerifyRequest:
    commit = context.git.resolve(revision) if revision else context.record.change.checkout
    if commit is None:
        raise UsageError(f"There is no commit '{revision}' in this clone.", "git fetch, or name another.")

    def choose(stages: Stages) -> list[str]:
        known = [stage.name for stage in stages.pipeline()]
        names = {name.split("@")[0] for name in known} | set(known)
        if unknown := [name for name in options.stages if name not in names]:
            raise UsageError(f"There is no stage '{unknown[0]}' at {commit[:10]}.", f"There are: {', '.join(known)}.")
        wanted = set(options.stages)
        return [name for name in known if not wanted or {name, name.split("@")[0]} & wanted]

    settings = context.settings.verify
    tolerance = settings.tolerance if options.tolerance is None else options.tolerance
    return VerifyRequest(commit, choose, options.sample, tolerance, settings.timeout)


def _show(console: Console, result: VerifyResult) -> None:
    if console.quiet:
        return
    rows = tuple(
        (
            cell(stage.name),
            cell(stage.state, Tone.GOOD if stage.state.is_reproduced else _tone(stage.state)),
            cell(human_seconds(stage.seconds) if stage.runs else ""),
            cell("; ".join(filter(None, (stage.reason, *stage.attested)))),
        )
        for stage in result.stages
    )
    screen = Screen(console)
    if rows:
        columns = (Column("Stage"), Column("Result"), Column("Time", numeric=True), Column("Because"))
        screen.table(Table(f"{result.revision[:10]} in a clean clone", columns, rows), whole=("Stage", "Result"))
    show = console.error if result.outcome is Outcome.FAILED else console.line
    remedy = f"\n  {result.remedy}" if result.remedy else ""
    show(f"verify: {result.outcome}: {result.reason}{remedy}", result.outcome)


def _tone(state: Verification) -> Tone:
    return Tone.BAD if state.is_wrong else Tone.WARN


def _document(console: Console, result: StepResult) -> object:
    hidden = console.redactor.hide(json.dumps(dataclasses.asdict(result)))
    return json.loads(hidden)
