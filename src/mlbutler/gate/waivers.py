"""Read waivers: a reviewed file says which broken gate is let pass, why, on whose word, and until when."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import date
from typing import Annotated

from msgspec import Meta

from mlbutler.errors import SettingsError
from mlbutler.parsing import Unreadable, parse_toml
from mlbutler.record import GateResult
from mlbutler.settings.problems import Problem, explain_problems
from mlbutler.settings.types import SettingsSection, about
from mlbutler.settings.values import read_section

FILE_NAME = "mlbutler-waivers.toml"
_Text = Annotated[str, Meta(min_length=1)]


class Waiver(SettingsSection, frozen=True):
    """One waiver."""

    gate: Annotated[_Text, about("the gate's number as reports name it, or 'number: rule' for one limit")]
    reason: Annotated[_Text, about("why it is let pass")]
    owner: Annotated[_Text, about("who answers for it")]
    until: Annotated[date, about("last day on which it holds, in UTC")]

    def covers(self, result: GateResult) -> bool:
        """Return whether it is about this limit."""
        name = result.metric.rpartition(":")[2]
        return self.gate in (result.metric, name, f"{result.metric}: {result.rule}", f"{name}: {result.rule}")


class _WaiverFile(SettingsSection, frozen=True):
    waiver: tuple[Waiver, ...] = ()


def parse_waivers(text: str) -> tuple[Waiver, ...]:
    """Return the waivers in the text of a mlbutler-waivers.toml.

    Raises:
        SettingsError: it is no TOML, a key is missing or unknown, or a value does not fit.
    """
    if not text:  # there is no file, as in most projects: tomllib is not imported for it
        return ()
    remedy = "Each [[waiver]] needs gate, reason, owner and until = 2026-12-31 (`mlbutler help compare`)."
    problems: list[Problem] = []
    try:
        found = read_section(_WaiverFile, parse_toml(text, FILE_NAME), problems)
    except Unreadable as error:
        raise SettingsError(error.message, error.remedy) from error
    if problems or found is None:
        said, nearest = explain_problems(problems, lambda where: FILE_NAME)
        raise SettingsError(said, nearest or remedy)
    return found.waiver


def apply_waivers(
    results: Sequence[GateResult], waivers: Sequence[Waiver], today: date
) -> tuple[tuple[GateResult, ...], tuple[tuple[str, str], ...]]:
    """Mark failed gates that a waiver covers as waived; add notes on waivers that lapsed or cover nothing.

    Returns:
        the results, and (subject, remark).
    """
    notes = [
        (f"waiver of {waiver.gate}", "matches no gate: remove it from " + FILE_NAME)
        for waiver in waivers
        if not any(waiver.covers(result) for result in results)
    ]
    judged = []
    for result in results:
        covering = [waiver for waiver in waivers if result.outcome == "failed" and waiver.covers(result)]
        if not covering:
            judged.append(result)
            continue
        waiver = max(covering, key=lambda found: found.until)
        whose = f"{waiver.owner}: {waiver.reason}"
        if waiver.until >= today:
            said = f"until {waiver.until}, {whose}"
            judged.append(dataclasses.replace(result, outcome="waived", waiver=said))
        else:
            lapsed = f"{result.sentence}; its waiver lapsed on {waiver.until} ({whose})"
            judged.append(dataclasses.replace(result, sentence=lapsed))
    return tuple(judged), tuple(notes)
