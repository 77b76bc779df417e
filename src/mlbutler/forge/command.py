"""Run the user's own command where no adapter fits: it gets the report as Markdown, the change in its environment."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from mlbutler.errors import ForgeError
from mlbutler.forge.interface import CommitStatus
from mlbutler.record import Change

_TIMEOUT = 600.0
_NAMES = ("number", "head", "base", "head_branch", "target_branch", "title", "author", "url", "build_url", "repository")


def hand_over(
    command: str,
    markdown: str,
    change: Change,
    state: CommitStatus,
    sentence: str,
    *,
    title: str,
    directory: Path,
    environ: Mapping[str, str],
    say: Callable[[str], None],
) -> None:
    """Run `command` in a shell, with `markdown` on standard input.

    Text of the pull request reaches it in variables alone (``MLBUTLER_CHANGE_TITLE`` and the like, '' where unknown): a
    command that quotes them runs none of it.

    Args:
        say: takes what the command writes.

    Raises:
        ForgeError: it cannot be started, does not end within ten minutes, or fails.
    """
    told = {f"MLBUTLER_CHANGE_{name.upper()}": str(getattr(change, name) or "") for name in _NAMES}
    told |= {
        "MLBUTLER_REPORT_TITLE": title,
        "MLBUTLER_REPORT_STATE": state.value,
        "MLBUTLER_REPORT_SENTENCE": sentence,
    }
    told = {name: value.replace("\0", "\ufffd") for name, value in told.items()}
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            input=markdown.encode("utf-8", "backslashreplace"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=directory,
            env={**environ, **told},
            timeout=_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ForgeError(f"The command did not end within {_TIMEOUT:.0f} s.", "Run it by hand to see why.") from error
    except OSError as error:
        raise ForgeError(f"The command cannot be started: {error.strerror or error}.", "Check --command.") from error
    if text := done.stdout.decode("utf-8", "replace").rstrip():
        say(text)
    if done.returncode != 0:
        raise ForgeError(
            f"The command ended with exit code {done.returncode}.", "Its output is above; run `mlbutler publish` again."
        )
