"""Parse, dispatch, and the one error boundary.

Everything heavy is imported by the verb that needs it, so that `mlbutler --help` is quick.
"""

from __future__ import annotations

import functools
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from mlbutler import __version__
from mlbutler.errors import EXIT_BUG, EXIT_INTERRUPTED, EXIT_PASSED, EXIT_USAGE, MlbutlerError

F = TypeVar("F", bound=Callable[..., Any])

_SETTINGS = {
    "auto_envvar_prefix": "MLBUTLER",
    "help_option_names": ["-h", "--help"],
    "max_content_width": 110,
}


def _common(function: F) -> F:
    """The options that every verb takes; the verb gets `directory` and `console`."""

    @click.option("-C", "chdir", type=click.Path(path_type=Path), default=Path(), metavar="DIR",
                  show_envvar=True, help="Work in this directory.")  # fmt: skip
    @click.option("--json", is_flag=True, show_envvar=True, help="One JSON document on standard output.")
    @click.option("--quiet", is_flag=True, show_envvar=True, help="Only errors.")
    @click.option("--verbose", is_flag=True, show_envvar=True, help="Details too.")
    @functools.wraps(function)
    def wrapper(chdir: Path, json: bool, quiet: bool, verbose: bool, **options: Any) -> Any:
        from mlbutler.console import Console

        console = Console(quiet=quiet, verbose=verbose, json=json)
        return function(directory=chdir, console=console, **options)

    return wrapper  # type: ignore[return-value]


def _against(function: F) -> F:
    text = "Compare with this branch, tag or commit (default: the target branch)."
    return click.option("--against", metavar="REV", show_envvar=True, help=text)(function)


def _examples(*lines: str) -> str:
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


@click.group(context_settings=_SETTINGS, epilog=_examples("mlbutler demo", "mlbutler run", "mlbutler plan --json"))
@click.version_option(__version__, prog_name="mlbutler")
def cli() -> None:
    """Continuous machine learning for DVC projects: reproduce, compare, judge and report every pull request."""


def _verb(name: str, *examples: str, group: click.Group = cli) -> Callable[[F], click.Command]:
    """A command; with a `group`, the second word of one: `_verb("status", ..., group=store)`."""
    return group.command(name, epilog=_examples(*examples))


@_verb("demo", "mlbutler demo", "mlbutler demo /tmp/world --json")
@click.argument("target", type=click.Path(path_type=Path), default=Path("mlbutler-demo"), metavar="[DIR]")
@_common
def demo(directory: Path, console: Any, target: Path) -> int:
    """The whole story on real data, in the new folder DIR, offline."""
    from mlbutler.commands.demo import demo as command

    return int(command(directory / target, console))


@_verb("run", "mlbutler run", "mlbutler run --against main --no-publish", "mlbutler run --only plan,sync,check")
@_against
@click.option("--only", metavar="STEP,...", default="", show_envvar=True, help="Take only these steps.")
@click.option("--skip", metavar="STEP,...", default="", show_envvar=True, help="Leave these steps out.")
@click.option("--no-publish", is_flag=True, show_envvar=True, help="Tell the forge nothing.")
@_common
def run(directory: Path, console: Any, against: str | None, only: str, skip: str, no_publish: bool) -> int:
    """Every step, from tests to telling the reviewers."""
    from mlbutler.commands.run import run as command

    return command(directory, console, against=against, only=_split(only), skip=_split(skip), publish=not no_publish)


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _step(name: str, directory: Path, console: Any, **options: Any) -> int:
    from mlbutler.commands.step import step

    return step(directory, console, name, **options)


def _in_run(function: F) -> F:
    """The option of verbs that are steps; `MLBUTLER_IN_RUN` sets it for all of them."""
    text = "A step of one run whose steps are separate commands: heed the steps before it."
    return click.option("--in-run", is_flag=True, envvar="MLBUTLER_IN_RUN", show_envvar=True, help=text)(function)


@_verb("test", "mlbutler test", "mlbutler test --json")
@_in_run
@_common
def test(directory: Path, console: Any, in_run: bool) -> int:
    """Run the project's tests and count them."""
    return _step("test", directory, console, in_run=in_run)


@_verb("lint", "mlbutler lint")
@_in_run
@_common
def lint(directory: Path, console: Any, in_run: bool) -> int:
    """Run the project's linters."""
    return _step("lint", directory, console, in_run=in_run)


@_verb("plan", "mlbutler plan --verbose", "mlbutler plan train")
@click.argument("stages", nargs=-1)
@_in_run
@_common
def plan(directory: Path, console: Any, in_run: bool, stages: tuple[str, ...]) -> int:
    """Say which stages are stale and why; needs no data."""
    return _step("plan", directory, console, in_run=in_run, targets=stages)


@_verb("sync", "mlbutler sync", "mlbutler sync --all")
@click.argument("stages", nargs=-1)
@click.option("--all", "everything", is_flag=True, show_envvar=True, help="Bring every artifact.")
@_in_run
@_common
def sync(directory: Path, console: Any, in_run: bool, stages: tuple[str, ...], everything: bool) -> int:
    """Bring the data that stale stages need, and nothing else: cache, then mirror, then remote."""

    def call(work: Any) -> Any:
        from mlbutler.steps.sync import run as step

        return step(work, everything=everything)

    return _step("sync", directory, console, in_run=in_run, targets=stages, call=call)


@_verb("check", "mlbutler check", "mlbutler check lock", "mlbutler check pushed")
@click.argument("what", nargs=-1, type=click.Choice(["lock", "pushed"]))
@click.option("--anew", is_flag=True, show_envvar=True,
              help="Ask the remote for every object, whatever earlier builds were told.")  # fmt: skip
@_in_run
@_common
def check(directory: Path, console: Any, in_run: bool, what: tuple[str, ...], anew: bool) -> int:
    """Is dvc.lock up to date; is every artifact of this commit on the remote. Needs no data."""

    def call(work: Any) -> Any:
        from mlbutler.steps.check import run as step

        return step(work, what or ("lock", "pushed"), anew=anew)

    return _step("check", directory, console, in_run=in_run, call=call)


@_verb("reproduce", "mlbutler reproduce", "mlbutler reproduce train")
@click.argument("stages", nargs=-1)
@_in_run
@_common
def reproduce(directory: Path, console: Any, in_run: bool, stages: tuple[str, ...]) -> int:
    """Run the stale stages, in an environment without credentials."""
    return _step("reproduce", directory, console, in_run=in_run, targets=stages)


@_verb("push", "mlbutler push")
@_in_run
@_common
def push(directory: Path, console: Any, in_run: bool) -> int:
    """Send new outputs and the run cache to the remote and the mirror."""
    return _step("push", directory, console, in_run=in_run)


@_verb("compare", "mlbutler compare", "mlbutler compare --against v1.0", "mlbutler compare --repeats 5 --only accuracy")
@_against
@click.option("--repeats", type=click.IntRange(2, 200), metavar="N", show_envvar=True,
              help="Run the stages behind gated metrics with N seeds on both sides.")  # fmt: skip
@click.option("--only", metavar="METRIC,...", default="", show_envvar=True,
              help="With --repeats: measure these metrics, gated or not.")  # fmt: skip
@_in_run
@_common
def compare(directory: Path, console: Any, in_run: bool, against: str | None, repeats: int | None, only: str) -> int:
    """Compare metrics, params, plots, data and predictions with the target branch, and judge the gates."""
    if only and repeats is None:
        raise click.UsageError("--only needs --repeats.")

    def call(work: Any) -> Any:
        from mlbutler.steps.compare import run as step
        from mlbutler.steps.repeat import Wish

        return step(work, Wish(repeats, tuple(_split(only))) if repeats is not None else None)

    return _step("compare", directory, console, in_run=in_run, against=against, call=call)


@_verb("commit", "mlbutler commit")
@_in_run
@_common
def commit(directory: Path, console: Any, in_run: bool) -> int:
    """Commit dvc.lock and metrics onto the pull request's branch."""
    return _step("commit", directory, console, in_run=in_run)


@_verb("report", "mlbutler report", "mlbutler report --record build-7/record.json --output out")
@click.option("--record", "record", type=click.Path(path_type=Path), metavar="FILE", show_envvar=True,
              help="Render this record, anywhere, without its project.")  # fmt: skip
@click.option("--output", type=click.Path(path_type=Path), metavar="DIR", show_envvar=True,
              help="Where to write with --record (default: here).")  # fmt: skip
@click.option("--schema", is_flag=True, show_envvar=True, help="Print the JSON Schema of report.json, and end.")
@_in_run
@_common
def report(
    directory: Path, console: Any, in_run: bool, record: Path | None, output: Path | None, schema: bool
) -> int:
    """Render the record as Markdown, HTML, JSON and JUnit."""
    if schema:
        from mlbutler.record_schema import text

        print(text(), end="")
        return EXIT_PASSED
    if record is not None:
        from mlbutler.commands.report import report as command

        return command(directory / record, directory / (output or Path()), console)
    return _step("report", directory, console, in_run=in_run)


@_verb("publish", "mlbutler publish", "mlbutler publish --command 'gh pr comment \"$MLBUTLER_CHANGE_NUMBER\" -F -'")
@click.option("--command", metavar="CMD", show_envvar=True,
              help="Hand the Markdown to this shell command instead of a forge.")  # fmt: skip
@_in_run
@_common
def publish(directory: Path, console: Any, in_run: bool, command: str | None) -> int:
    """Put the report on the pull request and set the commit's status."""

    def call(work: Any) -> Any:
        from mlbutler.steps.publish import run as step

        return step(work, command)

    return _step("publish", directory, console, in_run=in_run, call=call)


@_verb("doctor", "mlbutler doctor", "mlbutler doctor --settings", "mlbutler doctor --forge")
@click.option("--settings", "settings", is_flag=True, show_envvar=True, help="Show each setting and its source.")
@click.option("--forge", "forge", is_flag=True, show_envvar=True, help="Try the forge and the token, by writing too.")
@_common
def doctor(directory: Path, console: Any, settings: bool, forge: bool) -> int:
    """Say what is missing here, each with its remedy."""
    from mlbutler.commands.doctor import doctor as command

    return command(directory, console, settings=settings, forge=forge)


# -------------------------------------------------------------------------------------------- store


@cli.group()
def store() -> None:
    """The mirror: the directory of artifacts that an agent's builds share."""


def _mirror(function: F) -> F:
    text = "The mirror's directory (default: the setting data.mirror)."
    return click.option(
        "--mirror", type=click.Path(path_type=Path), metavar="DIR", show_envvar=True, help=text
    )(function)  # fmt: skip


@_verb("status", "mlbutler store status", "mlbutler store status --mirror /mirror --json", group=store)
@_mirror
@_common
def store_status(directory: Path, console: Any, mirror: Path | None) -> int:
    """Say what the mirror holds and who uses it."""
    from mlbutler.commands.store import status

    return status(directory, console, mirror)


@_verb("verify", "mlbutler store verify", group=store)
@_mirror
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True, show_envvar=True,
              help="Files hashed at once.")  # fmt: skip
@_common
def store_verify(directory: Path, console: Any, mirror: Path | None, jobs: int) -> int:
    """Hash every object of the mirror and remove damaged ones, which then come anew."""
    from mlbutler.commands.store import verify

    return verify(directory, console, mirror, jobs)


@_verb("prune", "mlbutler store prune --limit 200GB", "mlbutler store prune --older-than 30d --dry-run", group=store)
@_mirror
@click.option("--limit", metavar="SIZE", show_envvar=True, help="Such as 200GB (default: data.mirror_limit).")
@click.option("--older-than", metavar="TIME", show_envvar=True, help="Also what was not used for so long, such as 30d.")
@click.option("--dry-run", is_flag=True, show_envvar=True, help="Only say what would be evicted.")
@_common
def store_prune(
    directory: Path, console: Any, mirror: Path | None, limit: str | None, older_than: str | None, dry_run: bool
) -> int:
    """Evict what was used least recently, but nothing that a running build uses."""
    from mlbutler.commands.store import prune

    return prune(directory, console, mirror, limit, older_than, dry=dry_run)


# -------------------------------------------------------------------------------------------- gates


@cli.group()
def gate() -> None:
    """Gates that judge by repeated runs."""


@_verb("calibrate", "mlbutler gate calibrate", "mlbutler gate calibrate accuracy --repeats 5 --runs 40", group=gate)
@click.argument("metric", required=False)
@_against
@click.option("--repeats", type=click.IntRange(2, 200), metavar="N", show_envvar=True,
              help="Repeats of the gate (default: the gate's own, else 5).")  # fmt: skip
@click.option("--runs", type=click.IntRange(4, 1000), metavar="N", show_envvar=True,
              help="Seeds to run the target with (default: four for each repeat, at least 20).")  # fmt: skip
@_common
def gate_calibrate(
    directory: Path, console: Any, metric: str | None, against: str | None, repeats: int | None, runs: int | None
) -> int:
    """Compare the target with itself: how often does the gate raise a false alarm, and what does it miss."""
    from mlbutler.commands.gate import calibrate_gates

    return calibrate_gates(directory, console, metric, against=against, repeats=repeats, runs=runs)


# ------------------------------------------------------------------------------------------ Jenkins


@_verb("init", "mlbutler init --dry-run", "mlbutler init --agent label:gpu --gate-as unstable",
       "mlbutler init --update")  # fmt: skip
@click.option("--agent", metavar="KIND", show_envvar=True,
              help="Where builds run: docker (default), label:NAME for agents of that label, kubernetes.")  # fmt: skip
@click.option("--mirror", metavar="DIR", show_envvar=True,
              help="What builds share (default: /mirror; with label:NAME the agent's setting).")  # fmt: skip
@click.option("--image", metavar="NAME", show_envvar=True, help="With kubernetes: the image that the pod runs.")
@click.option("--gate-as", type=click.Choice(["fail", "unstable"]), show_envvar=True,
              help="What a failed gate makes of the build (default: fail).")  # fmt: skip
@click.option("--requirement", metavar="SPEC", show_envvar=True,
              help="What pip installs as mlbutler in the image (default: this version).")  # fmt: skip
@click.option("--dry-run", is_flag=True, show_envvar=True, help="Show what would be written, and write nothing.")
@click.option("--update", is_flag=True, show_envvar=True, help="Keep your edits of what an earlier init wrote.")
@click.option("--yes", is_flag=True, show_envvar=True, help="Overwrite files that are there without asking.")
@_common
def init(directory: Path, console: Any, **wish: Any) -> int:
    """Write Jenkinsfile, Dockerfile and mlbutler.toml for this project."""
    from mlbutler.commands.init import init as command

    return command(directory, console, **wish)



@cli.group()
def jenkins() -> None:
    """A Jenkins controller on this machine, and checking a Jenkinsfile."""


def _home(function: F) -> F:
    text = "The server's folder (default: in ~/.local/share/mlbutler/jenkins, named after the repository)."
    return click.option(
        "--home", type=click.Path(path_type=Path), metavar="DIR", show_envvar=True, help=text
    )(function)  # fmt: skip


@_verb("up", "mlbutler jenkins up", "mlbutler jenkins up --source gitea --port 8081",
       "mlbutler jenkins up --war jenkins.war --plugins plugins/", group=jenkins)  # fmt: skip
@_home
@click.option("--name", metavar="NAME", show_envvar=True, help="Of the server and its job (default: the repository's).")
@click.option("--url", metavar="URL", show_envvar=True, help="What the job builds (default: the remote 'origin').")
@click.option("--source", metavar="KIND", show_envvar=True,
              help="git, github, gitlab, gitea, bitbucket or dagshub (default: by the host's name).")  # fmt: skip
@click.option("--server", metavar="URL", show_envvar=True, help="The forge's address (default: the repository's host).")
@click.option("--script", default="Jenkinsfile", metavar="PATH", show_envvar=True, help="The Jenkinsfile's path.")
@click.option("--bind", default="127.0.0.1", metavar="ADDRESS", show_envvar=True, help="Where to listen.")
@click.option("--port", type=click.IntRange(1, 65535), default=8080, show_default=True, show_envvar=True, help="Port.")
@click.option("--label", default="docker", metavar="LABELS", show_envvar=True, help="What the agent offers.")
@click.option("--executors", type=click.IntRange(1), default=2, show_default=True, show_envvar=True,
              help="Builds at once on the agent.")  # fmt: skip
@click.option("--war", type=click.Path(path_type=Path), metavar="FILE", show_envvar=True,
              help="Without Docker: run this jenkins.war with Java.")  # fmt: skip
@click.option("--plugins", type=click.Path(path_type=Path), metavar="DIR", show_envvar=True,
              help="With --war: a folder of .hpi or .jpi files to put in.")  # fmt: skip
@click.option("--java", default="java", metavar="PATH", show_envvar=True, help="With --war: the Java to use.")
@click.option("--timeout", type=click.FloatRange(min=1), default=600, metavar="SECONDS", show_envvar=True,
              help="How long to wait for an answer (default: 600).")  # fmt: skip
@_common
def jenkins_up(directory: Path, console: Any, label: str, timeout: float, **wish: Any) -> int:
    """Start a controller with an agent and a job for this repository, and wait until they answer."""
    from mlbutler.commands.jenkins import Wish, up

    return up(directory, console, Wish(labels=label, **wish), timeout=timeout)


@_verb("down", "mlbutler jenkins down", "mlbutler jenkins down --all", group=jenkins)
@_home
@click.option("--all", "everything", is_flag=True, show_envvar=True, help="Remove builds, workspaces and mirror too.")
@_common
def jenkins_down(directory: Path, console: Any, home: Path | None, everything: bool) -> int:
    """Stop the controller and its agent; their data stay unless told otherwise."""
    from mlbutler.commands.jenkins import down

    return down(directory, console, home, everything=everything)


@_verb("status", "mlbutler jenkins status", "mlbutler jenkins status --json", group=jenkins)
@_home
@_common
def jenkins_status(directory: Path, console: Any, home: Path | None) -> int:
    """Say whether controller and agent answer."""
    from mlbutler.commands.jenkins import status

    return status(directory, console, home)


@_verb("validate", "mlbutler jenkins validate", "mlbutler jenkins validate ci/Jenkinsfile --url https://jenkins.example.org/",
       group=jenkins)  # fmt: skip
@click.argument("file", type=click.Path(path_type=Path), default=Path("Jenkinsfile"))
@click.option("--url", metavar="URL", show_envvar=True, help="Ask this controller's own validator too.")
@_common
def jenkins_validate(directory: Path, console: Any, file: Path, url: str | None) -> int:
    """Check a Jenkinsfile, offline or with a controller's own validator."""
    from mlbutler.commands.jenkins import validate

    return validate(directory, console, file, url)


# ------------------------------------------------------------------------------------- the boundary


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line; exits with the code of `mlbutler.errors`."""
    arguments = sys.argv[1:] if arguments is None else arguments
    signal.signal(signal.SIGTERM, _interrupt)
    as_json = "--json" in arguments
    try:
        code = cli.main(arguments, prog_name="mlbutler", standalone_mode=False)
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except click.ClickException as error:
        error.show()
        code = EXIT_USAGE
    except (KeyboardInterrupt, click.Abort):
        code = _told("Interrupted.", "What was finished is kept; run it again to go on.", EXIT_INTERRUPTED, as_json)
    except MlbutlerError as error:
        code = _told(error.message, error.remedy, error.exit_code, as_json)
    except BrokenPipeError:
        code = EXIT_PASSED
    except Exception as error:
        code = _bug(error, as_json)
    sys.exit(code if isinstance(code, int) else EXIT_PASSED)


def _interrupt(signum: int, frame: object) -> NoReturn:
    """An aborted build sends SIGTERM; it is treated as Ctrl-C."""
    raise KeyboardInterrupt


def _told(message: str, remedy: str, code: int, as_json: bool) -> int:
    import os

    from mlbutler.secrets import Redactor, secret_values

    redactor = Redactor(secret_values(os.environ))
    message, remedy = redactor.hide(message), redactor.hide(remedy)
    print(f"error: {message}" + (f"\n  {remedy}" if remedy else ""), file=sys.stderr)
    if as_json:
        print(json.dumps({"error": message, "remedy": remedy, "exit_code": code}, ensure_ascii=False))
    return code


def _bug(error: Exception, as_json: bool) -> int:
    import os
    import tempfile
    import traceback

    from mlbutler.secrets import Redactor, secret_values

    text = Redactor(secret_values(os.environ)).hide("".join(traceback.format_exception(error)))
    with tempfile.NamedTemporaryFile("w", prefix="mlbutler-", suffix=".log", delete=False, encoding="utf-8") as log:
        log.write(f"mlbutler {__version__}, Python {sys.version}\n{text}")
    message = f"A bug of mlbutler: {type(error).__name__}: {error}"
    return _told(message, f"Please report it with {log.name}.", EXIT_BUG, as_json)
