"""The run's context in a second work tree, which is ours."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec

from mlbutler.record import Record
from mlbutler.remotes.trust import from_text
from mlbutler.reproduce.scratch import LOCAL_CONFIG
from mlbutler.steps.context import RunContext, StepOptions, Trust


def scratch_context(context: RunContext, root: Path, *, mirror: Path | None, timeout: float | None) -> RunContext:
    """Return the run's context at `root` of a `scratch_clone`, with a record that holds only the change.

    Args:
        mirror: the mirror to use there. timeout: seconds for all stages of one run.
    """
    data = msgspec.structs.replace(context.settings.data, mirror=str(mirror) if mirror else None)
    reproduce = msgspec.structs.replace(context.settings.reproduce, timeout=timeout)
    settings = msgspec.structs.replace(context.settings, data=data, reproduce=reproduce)
    record = Record(
        change=context.record.change, environment=context.record.environment, project=context.record.project
    )
    loaded = dataclasses.replace(context.loaded, settings=settings)
    agreed = context.trust.agreed_remotes
    if agreed is not None:  # DVC's cache is named in a file that is ours, now: nothing has run there yet
        agreed = (*agreed, from_text((root / LOCAL_CONFIG).read_bytes()))
    scratch = RunContext(
        root=root, loaded=loaded, console=context.console, record=record, environ=context.environ,
        options=StepOptions(isolate=context.options.isolate, discard=True),  # nobody works there
        trust=Trust(agreed, context.trust.access, context.trust.target_revisions),
    )  # fmt: skip
    scratch.build_runs = context.build_runs
    return scratch
