"""Keep what was verified of a commit as a Git note, for those who look at the commit later."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from mlbutler.commitback.build import Author
from mlbutler.commitback.notes import NOTES, add_note, push_note
from mlbutler.errors import MlbutlerError
from mlbutler.record import Record, VerifyResult
from mlbutler.steps.context import RunContext
from mlbutler.version import __version__


def keep(work: RunContext, result: VerifyResult) -> None:
    """Append a line to the commit's note: in this clone on a laptop, on the remote on a CI server.

    That it cannot be kept is shown, and is no reason to fail. A fork's run writes none.
    """
    if not result.stages or not work.trusted:
        return
    change = work.record.change
    line = work.console.redactor.hide(json.dumps(_line(work.record, result), ensure_ascii=True))
    git = work.git.at(work.git.toplevel())
    try:
        author = Author.parse(work.settings.commit.author)
        if change.ci == "local":
            add_note(git, result.revision, [line], author)
            work.console.detail(f"noted in {NOTES}: git notes --ref=mlbutler show {result.revision[:10]}")
        elif change.git_remote is not None:
            push_note(git, change.git_remote, result.revision, [line], author)
    except MlbutlerError as error:
        work.console.line(f"What was verified is not kept as a note: {error.message}")


def _line(record: Record, result: VerifyResult) -> dict[str, object]:
    return {
        "verified": {stage.name: str(stage.state) for stage in result.stages},
        "drawn_from": result.drawn_from,
        "tolerance": result.tolerance,
        "project": record.project,
        "mlbutler": __version__,
        "build": record.change.build_url,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
