"""Running the shell commands of ``[test]`` and ``[lint]``: live on screen, without credentials."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from mlbutler.console import human_seconds
from mlbutler.frozen import frozen
from mlbutler.process import explain_exit, output_redactor, run_command
from mlbutler.record import CommandRun
from mlbutler.secrets import Redactor
from mlbutler.steps.context import RunContext
from mlbutler.steps.given_variables import given_environment
from mlbutler.steps.isolated import isolate_code

_MOST_BYTES = 256 * 1024 * 1024


@frozen
class CommandResults:
    """What commands did: `hint` is what to do where they missed something, '' for nothing."""

    runs: tuple[CommandRun, ...]
    redactor: Redactor
    held_back: tuple[str, ...]
    isolation: str
    hint: str = ""

    @property
    def bad(self) -> list[CommandRun]:
        """Return those that failed."""
        return [done for done in self.runs if done.exit_code != 0]


def run_commands(context: RunContext, commands: Sequence[str], timeout: float | None) -> CommandResults:
    """Run every command at the project's root, in order, even where an earlier one failed.

    XML files that isolated commands write into ``.mlbutler`` are put there afterwards.

    Raises:
        Interrupted: a signal asked mlbutler to stop. OutsideError: there is no shell, or no isolation that is required.
    """
    redactor = output_redactor(context.environ)
    ours = given_environment(context)
    runs = []
    with isolate_code(context) as here:
        for command in commands:
            context.console.line(f"> {command}")
            done = run_command(
                command,
                cwd=context.root,
                environ=ours.environ,
                on_line=lambda line: context.console.raw(line + "\n"),
                timeout=timeout,
                redactor=redactor,
                prefix=here.prefix,
            )
            runs.append(
                CommandRun(
                    command=redactor.hide(command),
                    exit_code=done.exit_code,
                    duration=done.duration,
                    tail=done.tail,
                )
            )
        if here.state is not None:
            _take_over(here.state, context.root / ".mlbutler")
    lines = [line for done in runs if done.exit_code != 0 for line in done.tail]
    hint = " ".join(filter(None, (ours.hint, here.hint(lines))))
    return CommandResults(tuple(runs), redactor, ours.held_back, here.words, hint)


def _take_over(source: Path, target: Path) -> None:
    """Copy the XML files that commands wrote; not through links, and not what is no file."""
    for file in source.glob("*.xml"):
        if file.is_symlink() or not file.is_file() or file.stat().st_size > _MOST_BYTES:
            continue
        place = target / file.name
        place.unlink(missing_ok=True)
        shutil.copy2(file, place, follow_symlinks=False)


def failure(done: CommandRun, timeout: float | None) -> str:
    """Return why a command failed, in one clause that names it."""
    first, *more = done.command.strip().splitlines() or [""]
    name = f"'{first[:80]}{' …' if more or len(first) > 80 else ''}'"
    if done.exit_code is None and timeout is not None:
        return f"{name} timed out after {human_seconds(timeout)}"
    return f"{name} failed ({explain_exit(done.exit_code)})"
