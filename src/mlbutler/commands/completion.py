"""Implement `mlbutler completion`: what a shell needs to complete verbs and options."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from mlbutler.atomic import write
from mlbutler.console import Console
from mlbutler.errors import EXIT_PASSED

SHELLS: Mapping[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
_VARIABLE = "_MLBUTLER_COMPLETE"
_PLACES = {
    "bash": ("XDG_DATA_HOME", ".local/share", "bash-completion/completions/mlbutler"),
    "zsh": ("XDG_DATA_HOME", ".local/share", "zsh/site-functions/_mlbutler"),
    "fish": ("XDG_CONFIG_HOME", ".config", "fish/completions/mlbutler.fish"),
}
"""Where a shell looks: the variable of the folder, its default in the home directory, the file below it."""


def completion(console: Console, root: click.Command, shell: str, *, install: bool) -> int:
    """Print the completion script of a shell, or install it for this user; return the exit code.

    Args:
        root: the command line.
    """
    kind = SHELLS[shell](root, {}, "mlbutler", _VARIABLE)
    script = kind.source_template % kind.source_vars()
    if not install:
        print(json.dumps({"shell": shell, "script": script}) if console.json else script)
        return EXIT_PASSED
    variable, default, name = _PLACES[shell]
    path = Path(os.environ.get(variable) or Path.home() / default, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, script.encode())
    if console.json:
        print(json.dumps({"shell": shell, "file": str(path)}))
    console.line(f"{path} is written. A new {shell} completes mlbutler.")
    if shell == "zsh":
        console.line(f"If it does not: fpath=({path.parent} $fpath) before compinit in ~/.zshrc")
    return EXIT_PASSED
