"""What is missing here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mlbutler.verbs.options import common, verb


@verb("doctor", "mlbutler doctor", "mlbutler doctor --settings", "mlbutler doctor --forge")
@click.option("--settings", "settings", is_flag=True, show_envvar=True, help="Show each setting and its source.")
@click.option("--forge", "forge", is_flag=True, show_envvar=True, help="Try the forge and the token, by writing too.")
@common
def doctor(directory: Path, console: Any, settings: bool, forge: bool) -> int:
    """Say what is missing here, each with its remedy."""
    from mlbutler.commands.doctor.run import doctor as command

    return command(directory, console, settings=settings, forge=forge)
