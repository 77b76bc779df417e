"""`mlbutler publish --live`: the comment while another process runs the stages."""

from __future__ import annotations

import json
import os
from pathlib import Path

from mlbutler.commands.start import begin
from mlbutler.console import Console
from mlbutler.errors import EXIT_PASSED
from mlbutler.numbers import count
from mlbutler.secrets import has_credentials
from mlbutler.steps.live import follow

_TIMEOUT = 600.0


def live(directory: Path, console: Console, every: float) -> int:
    """Follow the run in this clone until its stages have ended; return the exit code.

    Args:
        every: seconds between two versions of the comment, at least.

    Raises:
        ForgeError: the comment could never be written. SettingsError: a setting is missing.
    """
    with begin(directory, console, offline=not has_credentials(os.environ), watching=True) as context:
        if not context.trusted:
            console.line("A fork's change publishes nothing.")
            return EXIT_PASSED
        done = follow(context, every, _TIMEOUT)
        if done.problem is not None and not done.written:
            raise done.problem
        console.line(f"The comment was written {count(done.written, 'time')}.")
        if console.json:
            print(json.dumps({"written": done.written}))
    return EXIT_PASSED
