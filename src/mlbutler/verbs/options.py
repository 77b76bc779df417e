"""The root of the command line, and what its verbs share."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from mlbutler.variables import CHDIR, IN_RUN
from mlbutler.version import __version__

F = TypeVar("F", bound=Callable[..., Any])

_SETTINGS = {
    "auto_envvar_prefix": "MLBUTLER",
    "help_option_names": ["-h", "--help"],
    "max_content_width": 110,
}


def _default_directory() -> str | Path:
    """Return the directory that stands before the verb, as Git takes it; else the variable's, else this one."""
    context = click.get_current_context().parent
    while context is not None:
        if (found := context.params.get("chdir")) is not None:
            return Path(found)
        context = context.parent
    return os.environ.get(CHDIR) or Path()


def common(function: F) -> F:
    """Add the options that every verb takes; the verb gets `directory` and `console`."""

    # A default, so that the verb's own variable outweighs the one for all.
    @click.option("-C", "chdir", type=click.Path(path_type=Path), metavar="DIR",
                  default=_default_directory,
                  show_envvar=True, help=f"Work in this directory (default: {CHDIR}, else here).")  # fmt: skip
    @click.option("--json", is_flag=True, show_envvar=True, help="One JSON document on standard output.")
    @click.option("-q", "--quiet", is_flag=True, show_envvar=True, help="Only errors.")
    @click.option("-v", "--verbose", is_flag=True, show_envvar=True, help="Details too.")
    @functools.wraps(function)
    def wrapper(chdir: Path, json: bool, quiet: bool, verbose: bool, **options: Any) -> Any:
        from mlbutler.console import Console
        from mlbutler.verbs.variables import unknown

        console = Console(quiet=quiet, verbose=verbose, json=json)
        for name, nearest in unknown(os.environ, cli):
            hint = f" Did you mean {nearest}?" if nearest else ""
            console.line(f"Warning: mlbutler does not know the variable {name}.{hint}")
        with console.heartbeat(click.get_current_context().command_path):
            return function(directory=chdir, console=console, **options)

    return wrapper  # type: ignore[return-value]


def against(function: F) -> F:
    """Add the option that names what to compare with."""
    text = "Compare with this branch, tag or commit (default: the target branch)."
    return click.option("--against", metavar="REV", show_envvar=True, help=text)(function)


def discard(function: F) -> F:
    """Add the option of verbs that write into the work tree."""
    text = "Replace files that are in no store too: unsaved work is lost."
    return click.option("--discard", is_flag=True, show_envvar=True, help=text)(function)


def isolate(function: F) -> F:
    """Add the option of verbs that run the project's code."""
    text = "Keep the project's code from the rest of the machine (default: isolation.mode)."
    kind = click.Choice(["auto", "require", "off"])
    return click.option("--isolate", type=kind, show_envvar=True, help=text)(function)


def every(function: F) -> F:
    """Add the option for the time between two versions of a live comment."""
    text = "With --live: seconds between two versions of the comment, at least."
    kind = click.FloatRange(1, 86_400)
    return click.option("--every", type=kind, default=30, metavar="S", show_default=True, show_envvar=True, help=text)(
        function
    )


def examples(*lines: str) -> str:
    """Return what stands below the help of a verb: command lines that work."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


_FIRST = examples("mlbutler demo", "mlbutler run", "mlbutler plan --json")
_CODES = """\b
Exit codes:
  0 passed            1 judged and failed (test, lint, lock, artifact, gate)
  2 wrong use         3 something outside failed: a retry may help
  70 mlbutler's bug   130 interrupted"""


@click.group(context_settings=_SETTINGS, epilog=f"{_FIRST}\n\n{_CODES}")
# Without a variable: MLBUTLER_VERSION in a Dockerfile says which to install, and would turn every verb into this.
@click.version_option(__version__, prog_name="mlbutler", allow_from_autoenv=False)
@click.option("-C", "chdir", type=click.Path(path_type=Path), metavar="DIR", allow_from_autoenv=False,
              help="Work in this directory; every verb takes it too.")  # fmt: skip
def cli(chdir: Path | None) -> None:
    """Reproduce, compare, judge and report every pull request: continuous machine learning for DVC projects."""


def verb(name: str, *lines: str, group: click.Group = cli, short: str | None = None) -> Callable[[F], click.Command]:
    """Register a command; with a `group`, the second word of one: `verb("status", ..., group=store)`.

    Args:
        lines: examples of it. short: its line in the list of commands, where its docstring is too long for 80 columns.
    """
    return group.command(name, epilog=examples(*lines), short_help=short)


class Aliased(click.Group):
    """A group whose commands have further names, which no list of commands shows."""

    def __init__(self, *args: Any, aliases: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._aliases = aliases

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command of a name, under its own name: variables are of that."""
        return super().resolve_command(ctx, [self._aliases.get(args[0], args[0]), *args[1:]])


def needs(option: str, other: str, *, given: bool) -> None:
    """Refuse `option` on the command line without `other`, where it would do nothing.

    A variable may be set for every call on an agent, and is not refused.
    """
    source = click.get_current_context().get_parameter_source(option.removeprefix("--"))
    if not given and source is click.core.ParameterSource.COMMANDLINE:
        raise click.UsageError(f"{option} needs {other}.")


def split(text: str) -> list[str]:
    """Return the parts of a comma-separated list, without empty ones."""
    return [part.strip() for part in text.split(",") if part.strip()]


def names_of(text: str) -> list[str]:
    """Return names of stages from a JSON list or a comma-separated one; names of `foreach` may hold a comma.

    Raises:
        UsageError: it begins as a JSON list, which no name does, and is none of texts.
    """
    if not text.lstrip().startswith("["):
        return split(text)
    from mlbutler.errors import UsageError
    from mlbutler.parsing import Unreadable, parse_json

    try:
        found = parse_json(text)
    except Unreadable:
        found = None
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise UsageError(f"No JSON list of names: {text[:100]}", """Write it as '["train", "test"]'.""")
    return found


def step(
    name: str, directory: Path, console: Any, targets: Sequence[str] = (), call: Any = None, **options: Any
) -> int:
    """Run a step as its verb does; return the exit code.

    Args:
        targets, call: see `mlbutler.commands.step`. options: see `mlbutler.steps.context.StepOptions`.
    """
    from mlbutler.commands.step import step
    from mlbutler.steps.context import StepOptions

    return step(directory, console, name, StepOptions(**options), targets=targets, call=call)


def in_run(function: F) -> F:
    """Add the option of verbs that are steps; `MLBUTLER_IN_RUN` sets it for all of them."""
    text = "Part of a run whose steps are separate commands: follow the results of earlier steps."
    return click.option("--in-run", is_flag=True, envvar=IN_RUN, show_envvar=True, help=text)(function)
