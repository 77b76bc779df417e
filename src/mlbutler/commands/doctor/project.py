"""Check the project: its stages, what it is compared with, what is configured, and what credentials are exposed."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from mlbutler.commands.doctor.examined import MISSING, NOTE, OK, Examined
from mlbutler.numbers import count
from mlbutler.steps.context import RunContext


def project(context: RunContext) -> Examined:
    """Say what DVC knows of the project."""
    stages = context.project.stages
    held = f"{count(len(stages.pipeline()), 'stage')}, {count(len(stages.owners), 'output')}"
    return Examined("project", OK, f"{context.root}: {held}")


def change(context: RunContext) -> Examined:
    """Say what the change is compared with."""
    change = context.record.change
    if change.base is None:
        return Examined(
            "change", NOTE, "nothing to compare with: no merge base with a target branch",
            "Set project.target, or pass --against to `mlbutler compare`.",
        )  # fmt: skip
    where = "a work tree, not on a CI server" if change.ci == "local" else f"{change.ci}, {change.kind}"
    return Examined(
        "change",
        OK,
        f"{where}, compared with {change.base[:10]} ({change.target_branch})",
    )


def test(context: RunContext) -> Examined:
    """Say which tests there are to run."""
    if not context.settings.test.command:
        return Examined("test", NOTE, "not configured", 'Set test.command, such as "pytest --junitxml=report.xml".')
    return Examined("test", OK, "; ".join(context.settings.test.command))


def lint(context: RunContext) -> Examined:
    """Say which linters there are to run."""
    if not context.settings.lint.commands:
        return Examined("lint", NOTE, "not configured", 'Set lint.commands, such as ["ruff check"].')
    return Examined("lint", OK, "; ".join(context.settings.lint.commands))


def waivers(context: RunContext) -> Examined:
    """Say which gates are waived, and which waivers have lapsed."""
    from mlbutler.errors import SettingsError
    from mlbutler.gate.waivers import FILE_NAME, parse_waivers

    try:
        found = parse_waivers((context.root / FILE_NAME).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Examined("waivers", OK, "none")
    except SettingsError as error:
        return Examined("waivers", MISSING, error.message, error.remedy)
    except (OSError, UnicodeDecodeError) as error:
        return Examined("waivers", MISSING, f"{FILE_NAME} cannot be read: {error}", "Fix or remove it.")
    lapsed = [waiver.gate for waiver in found if waiver.until < datetime.now(UTC).date()]
    if lapsed:
        return Examined("waivers", NOTE, f"lapsed: {', '.join(lapsed)}", f"Remove what lapsed from {FILE_NAME}.")
    return Examined("waivers", OK, f"{len(found)} on {', '.join(waiver.gate for waiver in found)}")


def credentials(context: RunContext) -> Examined:
    """Check that no credentials are where a stage can read them."""
    local = context.root / ".dvc" / "config.local"
    if local.is_file() and re.search(
        r"^\s*(password|secret_access_key|access_key_id)\s*=", local.read_text(), re.MULTILINE
    ):
        return Examined(
            "credentials", NOTE, ".dvc/config.local holds a credential that stages can read",
            "Pass it through the environment instead (`mlbutler help credentials`).",
        )  # fmt: skip
    return Examined("credentials", OK, "none in .dvc/config.local")


def forge(context: RunContext) -> Examined:
    """Check that a forge is found and that there is a token; nothing is asked over the network here."""
    from mlbutler.forge.opening import NoToken
    from mlbutler.steps.reviewers import connect_forge

    if not context.trusted:
        return Examined("forge", NOTE, "a fork's change publishes nothing and has no token")
    try:
        forge = connect_forge(context)
    except NoToken as error:
        named = context.settings.forge.kind or context.settings.forge.url
        return Examined("forge", MISSING if named else NOTE, error.message, error.remedy)
    if forge is None:
        return Examined("forge", NOTE, "none found: no report is published", "See `mlbutler help forges`.")
    return Examined("forge", OK, f"{forge.name}; `mlbutler doctor --forge` tries it")
