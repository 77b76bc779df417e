"""Show a notification on the desktop of the person who watches, where there is one."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Mapping

_TIMEOUT = 5.0
_SCRIPT = "on run argv\ndisplay notification (item 2 of argv) with title (item 1 of argv)\nend run"


def notify(title: str, text: str, environ: Mapping[str, str]) -> bool:
    """Show it; return whether there was a desktop to show it on. What goes wrong with that is no error."""
    command = _command(title, text, environ)
    if command is None:
        return False
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(command, env=dict(environ), capture_output=True, timeout=_TIMEOUT, check=False)
        return done.returncode == 0
    return False


def _command(title: str, text: str, environ: Mapping[str, str]) -> list[str] | None:
    """Return the command that shows it; texts are arguments, and never a part of a script."""
    path = environ.get("PATH")
    if sys.platform == "darwin" and (program := shutil.which("osascript", path=path)):
        return [program, "-e", _SCRIPT, title, text]
    if (environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")) and (
        program := shutil.which("notify-send", path=path)
    ):
        return [program, "--app-name=mlbutler", "--", title, text]
    return None
