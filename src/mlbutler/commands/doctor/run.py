"""Run everything that the doctor examines, in the order in which it is shown."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from mlbutler.commands.doctor import clock, gates, machine, mirror, project, remote, trackers
from mlbutler.commands.doctor.examined import MISSING, NOTE, OK, Examined
from mlbutler.commands.start import begin
from mlbutler.console import Console
from mlbutler.errors import EXIT_JUDGED, EXIT_PASSED, MlbutlerError, NoAddress
from mlbutler.secrets import secret_values, without_credentials
from mlbutler.steps.context import RunContext

_SIGNS = {OK: "ok     ", NOTE: "note   ", MISSING: "MISSING"}
_EXAMINATIONS: tuple[tuple[str, Callable[[RunContext], Examined]], ...] = (
    ("git", machine.git),
    ("dvc", machine.dvc),
    ("project", project.project),
    ("change", project.change),
    ("remote", remote.remote),
    ("mirror", mirror.mirror),
    ("mirror_remote", remote.mirror_remote),
    ("links", mirror.links),
    ("disk", machine.disk),
    ("shm", machine.shm),
    ("clock", clock.clock),
    ("gpu", machine.gpu),
    ("isolation", machine.isolation),
    ("test", project.test),
    ("lint", project.lint),
    ("gates", gates.gates),
    ("waivers", project.waivers),
    ("credentials", project.credentials),
    ("forge", project.forge),
    ("trackers", trackers.trackers),
)


_WITH_CREDENTIALS = ("remote", "mirror_remote", "clock", "forge")
"""What asks servers, which without credentials would answer otherwise."""


def doctor(directory: Path, console: Console, *, settings: bool = False, forge: bool = False) -> int:
    """Examine the project at `directory`; return 0 when nothing is missing, else 1.

    Args:
        settings: show each setting with its source instead. forge: try the forge instead, by writing too.

    Raises:
        UsageError: as `begin`.
    """
    with ExitStack() as stack:
        unknown: Examined | None = None
        try:
            context = stack.enter_context(begin(directory, console))
        except NoAddress as error:
            unknown = Examined("address", MISSING, error.message, error.remedy)
            left = without_credentials(os.environ, secret_values(os.environ))
            context = stack.enter_context(begin(directory, console, environ=left))
        if settings:
            _show_settings(context)
            return EXIT_PASSED
        if forge and unknown is not None:
            looks = iter([unknown])
        elif forge:
            from mlbutler.commands.doctor.forge import examine_forge

            looks = examine_forge(context)
        else:
            looks = examine(context, unknown)
        found: list[Examined] = []
        try:
            with console.progress("examined") as progress:  # a server that does not answer may take a minute or two
                for item in looks:
                    found.append(item)
                    progress.advance(1)
        finally:
            _show(console, found, whole=forge or console.verbose)
    if console.json:
        document = {"examined": [dataclasses.asdict(item) for item in found]}
        print(json.dumps(document, indent=2, ensure_ascii=False))
    return EXIT_JUDGED if any(item.state == MISSING for item in found) else EXIT_PASSED


def _show(console: Console, found: Sequence[Examined], *, whole: bool) -> None:
    """Show what is missing, then what is worth knowing; what is fine is one line, unless the `whole` is asked for."""
    for state in (MISSING, NOTE, OK) if whole else (MISSING, NOTE):
        for item in (item for item in found if item.state == state):
            remedy = f"\n         {item.remedy}" if item.remedy else ""
            console.line(f"{_SIGNS[state]}  {item.subject}: {item.text}{remedy}", _SIGNS[state].strip())
    fine = [item.subject for item in found if item.state == OK]
    if fine and not whole:
        console.line(f"{_SIGNS[OK]}  {', '.join(fine)} (--verbose: what was found)", _SIGNS[OK].strip())


def examine(context: RunContext, unknown: Examined | None = None) -> Iterator[Examined]:
    """Examine everything; what cannot be examined is missing, and one reason is given once.

    Args:
        unknown: says why no credential is used; what needs one is not looked at then.
    """
    told: dict[str, str] = {}
    if unknown is not None:
        yield unknown
    for subject, look in _EXAMINATIONS:
        if unknown is not None and subject in _WITH_CREDENTIALS:
            yield Examined(subject, NOTE, f"not looked at: see {unknown.subject}")
            continue
        try:
            yield look(context)
        except MlbutlerError as error:
            if error.message in told:
                yield Examined(subject, NOTE, f"not looked at: see {told[error.message]}")
            else:
                told[error.message] = subject
                yield Examined(subject, MISSING, error.message, error.remedy)


def _show_settings(context: RunContext) -> None:
    from mlbutler.settings.reading import to_document

    values = to_document(context.settings)
    rows = []
    for key, source in context.loaded.sources.items():
        section, _, name = key.partition(".")
        value = values[section][name] if name else values[section]
        rows.append({"setting": key, "value": value, "source": source})
        context.console.line(f"{key} = {json.dumps(value, ensure_ascii=False)}    ({source})")
    if context.console.json:
        print(json.dumps({"settings": rows}, indent=2, ensure_ascii=False))
