"""The demo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mlbutler.verbs.options import common, verb


@verb("demo", "mlbutler demo", "mlbutler demo --serve", "mlbutler demo /tmp/world --json")
@click.argument("target", type=click.Path(path_type=Path), default=Path("mlbutler-demo"), metavar="[DIR]")
@click.option("--serve", is_flag=True, show_envvar=True,
              help="Open the comments and reports in a browser afterwards, until Ctrl-C.")  # fmt: skip
@common
def demo(directory: Path, console: Any, target: Path, serve: bool) -> int:
    """Show the whole story on real data in the new folder DIR."""
    from mlbutler.commands.demo import demo as command

    return int(command(directory / target, console, shown=serve))
