"""Read waivers: a reviewed file says which broken gate is let pass, why, on whose word, and until when."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import date

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mlbutler.errors import SettingsError
from mlbutler.parsing import Unreadable, parse_toml
from mlbutler.record import GateResult
from mlbutler.settings.problems import explained

FILE_NAME = "mlbutler-waivers.toml"


class Waiver(BaseModel):
    """One waiver."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gate: str = Field(min_length=1, description="the gate's number as reports name it, or 'number: rule' for one limit")
    reason: str = Field(min_length=1, description="why it is let pass")
    owner: str = Field(min_length=1, description="who answers for it")
    until: date = Field(description="last day on which it holds, in UTC")

    def covers(self, result: GateResult) -> bool:
        """Return whether it is about this limit."""
        name = result.metric.rpartition(":")[2]
        return self.gate in (result.metric, name, f"{result.metric}: {result.rule}", f"{name}: {result.rule}")


class _WaiverFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    waiver: tuple[Waiver, ...] = ()


def parse_waivers(text: str) -> tuple[Waiver, ...]:
    """Return the waivers in the text of a mlbutler-waivers.toml.

    Raises:
        SettingsError: it is no TOML, a key is missing or unknown, or a value does not fit.
    """
    remedy = "Each [[waiver]] needs gate, reason, owner and until = 2026-12-31 (`mlbutler help compare`)."
    try:
        return _WaiverFile.model_validate(parse_toml(text, FILE_NAME)).waiver
    except Unreadable as error:
        raise SettingsError(error.message, error.remedy) from error
    except ValidationError as error:
        said, nearest = explained(error, _WaiverFile, lambda where: FILE_NAME)
        raise SettingsError(said, nearest or remedy) from error


def apply(
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
