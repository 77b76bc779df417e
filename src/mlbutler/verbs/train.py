"""Experiments: sending them, watching them, and bringing their results back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mlbutler.experiments.choices import ENGINES, MOST_GPUS, MOST_JOBS, MOST_RETRIES, MOST_TRIALS
from mlbutler.experiments.state import State
from mlbutler.verbs.options import Aliased, cli, common, examples, needs, verb

_STATES = tuple(state.value for state in State)


class Duration(click.ParamType):  # type: ignore[type-arg]
    """A time such as ``90``, ``30m`` or ``8h``."""

    name = "time"
    forms = "90, 30m, 8h or 2d"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return it in seconds."""
        from mlbutler.settings.types import Seconds
        from mlbutler.settings.values import parse_value

        try:
            return float(parse_value(Seconds, value))
        except ValueError:
            self.fail(f"'{value}' is not a duration: write {self.forms}.", param, ctx)


class Since(Duration):
    """A time ago, such as ``10m``, or a moment in ISO format, here where it names no zone."""

    forms = f"{Duration.forms}, or a moment such as 2026-11-27T14:00"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return how many seconds ago it is."""
        import time
        from datetime import datetime

        try:
            ago = time.time() - datetime.fromisoformat(str(value).strip()).timestamp()
        except (ValueError, OverflowError):
            return super().convert(value, param, ctx)
        if ago < 0:
            self.fail(f"'{value}' has not come yet.", param, ctx)
        return ago


@cli.group(
    cls=Aliased, aliases={"ls": "list", "ps": "list", "pull": "fetch"},
    invoke_without_command=True, short_help="Send the work tree as experiments, and bring results back.",
    epilog=examples("mlbutler train", "mlbutler train -n lr -S train.rate=0.1,0.01 -j 2",
                    "mlbutler train -S other.yaml:depth=3 --target evaluate --dry-run",
                    "mlbutler train -S 'train.rate=tag(log,interval(1e-4,1))' --search accuracy:max --trials 30"),
)  # fmt: skip
@click.option("-n", "--name", metavar="NAME", show_envvar=True,
              help="The name; those of a sweep are NAME-1, NAME-2... (default: a random one).")  # fmt: skip
@click.option("-S", "--set-param", multiple=True, metavar="[FILE:]KEY=VALUE", show_envvar=True,
              help="Set a parameter, as in dvc exp run; several values are a sweep. May be repeated.")  # fmt: skip
@click.option("--search", metavar="METRIC[:max|min]", show_envvar=True,
              help="Search the ranges that -S gives for the best value of this metric.")  # fmt: skip
@click.option("--trials", type=click.IntRange(1, MOST_TRIALS), default=20, metavar="N", show_default=True,
              show_envvar=True, help="With --search: experiments, at most.")  # fmt: skip
@click.option("--target", multiple=True, metavar="STAGE", show_envvar=True,
              help="Run this stage and what it depends on (default: all). May be repeated.")  # fmt: skip
@click.option("--copy-paths", multiple=True, metavar="PATH", show_envvar=True,
              help="Send this file or folder too that Git does not track. May be repeated.")  # fmt: skip
@click.option("--on", type=click.Choice(ENGINES), show_envvar=True,
              help="Where it runs: on this machine, or on the agents of the Jenkins controller in [train] of the "
              "settings (default: there if one is set).")  # fmt: skip
@click.option("--label", metavar="LABEL", show_envvar=True,
              help="On Jenkins: the agents with this label (default: train.label).")  # fmt: skip
@click.option("--gpus", type=click.IntRange(0, MOST_GPUS), metavar="N", show_envvar=True,
              help="GPUs that each needs (default: train.gpus).")  # fmt: skip
@click.option("--retries", type=click.IntRange(0, MOST_RETRIES), default=2, metavar="N", show_default=True,
              show_envvar=True, help="Further attempts when a machine is lost, not when a program fails.")  # fmt: skip
@click.option("-j", "--jobs", type=click.IntRange(1, MOST_JOBS), metavar="N", show_envvar=True,
              help="Experiments that run at once (default: train.jobs).")  # fmt: skip
@click.option("--max-failures", type=click.IntRange(1), metavar="N", show_envvar=True,
              help="Cancel the rest once N have failed (default: train.max_failures).")  # fmt: skip
@click.option("-k", "--keep-going", is_flag=True, show_envvar=True,
              help="Run them all, however many fail, whatever train.max_failures says.")  # fmt: skip
@click.option("--time", type=Duration(), metavar="TIME", show_envvar=True,
              help="End an experiment whose stages take longer, such as 90, 30m or 8h.")  # fmt: skip
@click.option("--queue", is_flag=True, show_envvar=True, help="Send what dvc exp run --queue has queued, instead.")
@click.option("--dry-run", is_flag=True, show_envvar=True, help="Show what would be run and brought, and send nothing.")
@click.option("-y", "--yes", is_flag=True, show_envvar=True, help="Send data to the DVC remote however large it is.")
@common
@click.pass_context
def train(context: click.Context, /, directory: Path, console: Any, **options: Any) -> int:
    """Send the work tree as it is, as one experiment or a sweep, and let it run without this terminal."""
    if context.invoked_subcommand is not None:
        return 0
    from mlbutler.commands.train.submit import RequestedOptions, SubmitOptions, submit

    wanted = RequestedOptions(
        name=options["name"], params=options["set_param"], targets=options["target"], on=options["on"],
        label=options["label"], gpus=options["gpus"], retries=options["retries"], jobs=options["jobs"],
        max_failures=options["max_failures"], keep_going=options["keep_going"], time_limit=options["time"],
        search=options["search"], trials=options["trials"],
    )  # fmt: skip
    needs("--trials", "--search", given=wanted.search is not None)
    queue = options["queue"]
    if queue and (options["search"] or options["set_param"] or options["target"] or options["copy_paths"]):
        raise click.UsageError(
            "--queue sends what was queued: -S, --search, --target and --copy-paths change nothing of it."
        )
    sent = SubmitOptions(wanted, options["copy_paths"], options["dry_run"], options["yes"], queue)
    return submit(directory, console, sent)


@verb("list", "mlbutler train list", "mlbutler train list 'lr-*' --failed", "mlbutler train list --sort accuracy",
      group=train, short="Show experiments and what has become of them.")  # fmt: skip
@click.argument("names", nargs=-1)
@click.option("--state", type=click.Choice(_STATES), multiple=True, show_envvar=True,
              help="Only those in this state. May be repeated.")  # fmt: skip
@click.option("--mine", is_flag=True, show_envvar=True, help="Only those that you have sent.")
@click.option("--running", is_flag=True, show_envvar=True, help="Only those under way.")
@click.option("--failed", is_flag=True, show_envvar=True,
              help="Only those that failed, timed out or were not set up.")  # fmt: skip
@click.option("--since", type=Since(), metavar="TIME", show_envvar=True,
              help="Only those that were sent in this time, such as 90m or 2d, or since 2026-11-27T14:00.")  # fmt: skip
@click.option("--sort", metavar="KEY", default="", show_envvar=True,
              help="By name, sent, took or a metric, the best first (default: those under way first).")  # fmt: skip
@click.option("-w", "--watch", is_flag=True, show_envvar=True, help="Go on until all have ended.")
@common
def train_list(directory: Path, console: Any, names: tuple[str, ...], watch: bool, **options: Any) -> int:
    """Show the experiments and what has become of them, those under way first."""
    from mlbutler.commands.train.list_options import RUNNING, ListOptions
    from mlbutler.commands.train.listing import list_experiments
    from mlbutler.experiments.state import FAILED

    states = (*options["state"], *(RUNNING if options["running"] else ()), *(FAILED if options["failed"] else ()))
    return list_experiments(
        directory, console, ListOptions(names, states, options["since"], options["sort"], options["mine"]), watch=watch
    )


@verb("show", "mlbutler train show lr-1", group=train, short="Show one experiment.")
@click.argument("name")
@common
def train_show(directory: Path, console: Any, name: str) -> int:
    """Show all that is known of one experiment, and what to do next."""
    from mlbutler.commands.train.show import show

    return show(directory, console, name)


@verb("logs", "mlbutler train logs lr-1", "mlbutler train logs -f -n 20 lr-1",
      "mlbutler train logs --since 10m lr-1", group=train,
      short="Print what an experiment printed.")  # fmt: skip
@click.argument("name")
@click.option("-f", "--follow", is_flag=True, show_envvar=True, help="Go on until it has ended.")
@click.option("-n", "--lines", type=click.IntRange(0), metavar="N", show_envvar=True,
              help="Begin with the last N lines (default: all).")  # fmt: skip
@click.option("--since", type=Since(), metavar="TIME", show_envvar=True,
              help="Begin with what was printed in this time, such as 10m or 2h, or since 2026-11-27T14:00, to the "
              "minute.")  # fmt: skip
@common
def train_logs(
    directory: Path, console: Any, name: str, follow: bool, lines: int | None, since: float | None
) -> int:  # fmt: skip
    """Print what an experiment printed, and with -f what it goes on to print."""
    from mlbutler.commands.train.logs import LogStart, logs

    return logs(directory, console, name, follow=follow, beginning=LogStart(lines, since))


@verb("attach", "mlbutler train attach lr-1", group=train, short="Follow an experiment until its end.")
@click.argument("name")
@common
def train_attach(directory: Path, console: Any, name: str) -> int:
    """Follow what an experiment prints and what becomes of it; Ctrl-C leaves it running."""
    from mlbutler.commands.train.logs import attach

    return attach(directory, console, name)


@verb("wait", "mlbutler train wait", "mlbutler train wait lr && mlbutler train list lr", group=train,
      short="Wait until experiments have ended.")  # fmt: skip
@click.argument("names", nargs=-1)
@common
def train_wait(directory: Path, console: Any, names: tuple[str, ...]) -> int:
    """Wait until experiments have ended, and take up what nobody works at; the exit code is their result."""
    from mlbutler.commands.train.waiting import wait

    return wait(directory, console, names)


@verb("cancel", "mlbutler train cancel lr-1", "mlbutler train cancel 'lr-*' --grace 300", group=train,
      short="End experiments, and keep what they finished.")  # fmt: skip
@click.argument("names", nargs=-1)
@click.option("--all-mine", is_flag=True, show_envvar=True, help="All that you have sent and that have not ended.")
@click.option("--grace", type=click.FloatRange(0, 86_400), default=30, metavar="S", show_default=True, show_envvar=True,
              help="Seconds that the stage has to end by itself after SIGTERM.")  # fmt: skip
@click.option("--now", is_flag=True, show_envvar=True,
              help="On Jenkins: end the build at once, without asking the stage.")  # fmt: skip
@common
def train_cancel(directory: Path, console: Any, names: tuple[str, ...], all_mine: bool, grace: float, now: bool) -> int:
    """End experiments in any state; finished stages and logs are kept, and no process is left."""
    from mlbutler.commands.train.cancel import cancel

    if bool(names) == all_mine:
        raise click.UsageError("Name experiments, or give --all-mine.")
    return cancel(directory, console, names, 0.0 if now else grace, now=now)
