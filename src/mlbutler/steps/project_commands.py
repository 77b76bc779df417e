"""Running the shell commands of ``[test]`` and ``[lint]``: live on screen, without credentials."""

from __future__ import annotations

from collections.abc import Sequence

from mlbutler.console import human_seconds
from mlbutler.process import explain_exit, output_redactor, run
from mlbutler.record import CommandRun
from mlbutler.secrets import Redactor
from mlbutler.steps.context import RunContext
from mlbutler.steps.given_variables import GivenEnvironment, given


def run_commands(
    work: RunContext, commands: Sequence[str], timeout: float | None
) -> tuple[tuple[CommandRun, ...], Redactor, GivenEnvironment]:
    """Run every command at the project's root, in order, even where an earlier one failed.

    Returns:
        the runs, the redactor for other output of the commands, and the environment that they had.

    Raises:
        Interrupted: a signal asked mlbutler to stop. OutsideError: there is no shell.
    """
    redactor = output_redactor(work.environ)
    ours = given(work)
    runs = []
    for command in commands:
        work.console.line(f"> {command}")
        done = run(
            command,
            cwd=work.root,
            environ=ours.environ,
            on_line=lambda line: work.console.raw(line + "\n"),
            timeout=timeout,
            redactor=redactor,
        )
        runs.append(
            CommandRun(
                command=redactor.hide(command),
                exit_code=done.exit_code,
                duration=done.duration,
                tail=done.tail,
            )
        )
    return tuple(runs), redactor, ours


def failure(done: CommandRun, timeout: float | None) -> str:
    """Return why a command failed, in one clause that names it."""
    first, *more = done.command.strip().splitlines() or [""]
    name = f"'{first[:80]}{' …' if more or len(first) > 80 else ''}'"
    if done.exit_code is None and timeout is not None:
        return f"{name} timed out after {human_seconds(timeout)}"
    return f"{name} failed ({explain_exit(done.exit_code)})"
