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


def keep(context: RunContext, result: VerifyResult) -> None:
    """Append a line to the commit's note: in this clone on a laptop, on the remote on a CI server.

    That it cannot be kept is shown, and is no reason to fail. A fork's run writes none.
    """
    if not result.stages or not context.trusted:
        return
    change = context.record.change
    line = context.console.redactor.hide(json.dumps(_line(context.record, result), ensure_ascii=True))
    git = context.git.at(context.git.toplevel())
    try:
        author = Author.parse(context.settings.commit.author)
        if change.ci == "local":
            add_note(git, result.revision, [line], author)
            context.console.detail(f"noted in {NOTES}: git notes --ref=mlbutler show {result.revision[:10]}")
        elif change.git_remote is not None:
            push_note(git, change.git_remote, result.revision, [line], author)
    except MlbutlerError as error:
        context.console.line(f"What was verified is not kept as a note: {error.message}")


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
