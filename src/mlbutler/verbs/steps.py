"""A whole run, and each of its steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mlbutler.errors import EXIT_PASSED
from mlbutler.verbs.options import against, common, discard, every, in_run, isolate, names_of, needs, split, step, verb

_FORMATS = (
    "md", "html", "json", "junit", "sarif", "codequality", "verdict", "verdict-html", "badge", "metrics", "openmetrics",
)  # fmt: skip
_STEPS = "test, lint, plan, sync, check, reproduce, push, compare, commit, report, publish"


@verb(
    "run", "mlbutler run", "mlbutler run --against main --no-publish", "mlbutler run --only plan,sync,check",
    "mlbutler run --live",
)  # fmt: skip
@against
@click.option("--only", metavar="STEP,...", default="", show_envvar=True,
              help=f"Run only these steps, of {_STEPS}.")  # fmt: skip
@click.option("--skip", metavar="STEP,...", default="", show_envvar=True, help="Skip these steps.")
@click.option("--share", is_flag=True, show_envvar=True,
              help="Outside CI too: push the results and publish to the forge.")  # fmt: skip
@click.option("--no-publish", is_flag=True, show_envvar=True, help="Publish nothing to the forge.")
@click.option("--live", is_flag=True, show_envvar=True, help="Keep the comment up to date while the run is under way.")
@every
@discard
@isolate
@common
def run(
    directory: Path, console: Any, only: str, skip: str, no_publish: bool, live: bool, every: float, **options: Any
) -> int:
    """Run every step, from tests to publishing the report."""
    from mlbutler.commands.run import RunOptions
    from mlbutler.commands.run import run as command

    needs("--every", "--live", given=live)
    asked = RunOptions(
        only=split(only), skip=split(skip), publish=not no_publish, live=every if live else None, **options
    )
    return command(directory, console, asked)


@verb("test", "mlbutler test", "mlbutler test --json")
@isolate
@in_run
@common
def test(directory: Path, console: Any, in_run: bool, isolate: str | None) -> int:
    """Run the project's tests and count them."""
    return step("test", directory, console, pipeline=in_run, isolate=isolate)


@verb("lint", "mlbutler lint")
@isolate
@in_run
@common
def lint(directory: Path, console: Any, in_run: bool, isolate: str | None) -> int:
    """Run the project's linters."""
    return step("lint", directory, console, pipeline=in_run, isolate=isolate)


@verb("plan", "mlbutler plan --verbose", "mlbutler plan train")
@click.argument("stages", nargs=-1)
@in_run
@common
def plan(directory: Path, console: Any, in_run: bool, stages: tuple[str, ...]) -> int:
    """Say which stages are stale and why; needs no data."""
    return step("plan", directory, console, pipeline=in_run, targets=stages)


@verb("sync", "mlbutler sync", "mlbutler sync --all",
      short="Bring the data that stale stages need, and nothing else.")  # fmt: skip
@click.argument("stages", nargs=-1)
@click.option("--all", "everything", is_flag=True, show_envvar=True, help="Bring every artifact.")
@discard
@in_run
@common
def sync(directory: Path, console: Any, in_run: bool, stages: tuple[str, ...], everything: bool, discard: bool) -> int:
    """Bring the data that stale stages need, and nothing else: cache, then mirror, then remote."""

    def call(context: Any) -> Any:
        from mlbutler.steps.sync import run as step

        return step(context, everything=everything)

    return step("sync", directory, console, pipeline=in_run, targets=stages, call=call, discard=discard)


@verb("check", "mlbutler check", "mlbutler check lock", "mlbutler check pushed",
      short="Check that dvc.lock is up to date and all artifacts are pushed.")  # fmt: skip
@click.argument("what", nargs=-1, type=click.Choice(["lock", "pushed"]))
@click.option("--anew", is_flag=True, show_envvar=True,
              help="Ask the remote for every object, whatever it answered earlier builds.")  # fmt: skip
@in_run
@common
def check(directory: Path, console: Any, in_run: bool, what: tuple[str, ...], anew: bool) -> int:
    """Check that dvc.lock is up to date and every artifact is on the remote. Needs no data."""

    def call(context: Any) -> Any:
        from mlbutler.steps.check import run as step

        return step(context, what or ("lock", "pushed", "verified"), anew=anew)

    return step("check", directory, console, pipeline=in_run, call=call)


@verb("reproduce", "mlbutler reproduce", "mlbutler reproduce train")
@click.argument("stages", nargs=-1)
@click.option("--failed", metavar="STAGE,...", default="", show_envvar=True,
              help="Stages that failed on another agent, or a JSON list of them: not run again.")  # fmt: skip
@discard
@isolate
@in_run
@common
def reproduce(
    directory: Path, console: Any, in_run: bool, stages: tuple[str, ...], failed: str, discard: bool,
    isolate: str | None,
) -> int:  # fmt: skip
    """Run the stale stages, in an environment without credentials."""

    def call(context: Any) -> Any:
        from mlbutler.steps.reproduce import run as step

        return step(context, names_of(failed))

    return step(
        "reproduce", directory, console, pipeline=in_run, targets=stages, call=call, discard=discard, isolate=isolate
    )


@verb("push", "mlbutler push", short="Send new outputs to the remote and the mirror.")
@in_run
@common
def push(directory: Path, console: Any, in_run: bool) -> int:
    """Send new outputs and the run cache to the remote and the mirror."""
    return step("push", directory, console, pipeline=in_run)


@verb("compare", "mlbutler compare", "mlbutler compare --against v1.0", "mlbutler compare --repeats 5 --only accuracy",
      short="Compare the results with the target branch, and judge the gates.")  # fmt: skip
@against
@click.option("--repeats", type=click.IntRange(2, 200), metavar="N", show_envvar=True,
              help="Run the stages behind gated metrics with N seeds on both sides.")  # fmt: skip
@click.option("--only", metavar="METRIC,...", default="", show_envvar=True,
              help="With --repeats: measure these metrics, gated or not.")  # fmt: skip
@in_run
@common
def compare(directory: Path, console: Any, in_run: bool, against: str | None, repeats: int | None, only: str) -> int:
    """Compare metrics, params, plots, data and predictions with the target branch, and judge the gates."""
    needs("--only", "--repeats", given=repeats is not None)

    def call(context: Any) -> Any:
        from mlbutler.steps.compare import run as step
        from mlbutler.steps.repeat import RepeatOptions

        return step(context, RepeatOptions(repeats, tuple(split(only))) if repeats is not None else None)

    return step("compare", directory, console, pipeline=in_run, compared_with=against or "", call=call)


@verb("commit", "mlbutler commit")
@in_run
@common
def commit(directory: Path, console: Any, in_run: bool) -> int:
    """Commit dvc.lock and metrics onto the pull request's branch."""
    return step("commit", directory, console, pipeline=in_run)


@verb(
    "report",
    "mlbutler report",
    "mlbutler report --open",
    "mlbutler report --record build-7/record.json --output out",
    short="Render the record: Markdown, HTML, JSON, JUnit, SARIF.",
)
@click.option("--record", "record", type=click.Path(path_type=Path), metavar="FILE", show_envvar=True,
              help="Render this record, anywhere, without its project.")  # fmt: skip
@click.option("--output", type=click.Path(path_type=Path), metavar="DIR", show_envvar=True,
              help="Where to write with --record (default: here).")  # fmt: skip
@click.option("--format", type=click.Choice(_FORMATS), show_envvar=True,
              help="Print this one rendering of the last run's record, or of --record, and end.")  # fmt: skip
@click.option("--schema", is_flag=True, show_envvar=True, help="Print the JSON Schema of report.json, and end.")
@click.option("--open", is_flag=True, show_envvar=True, help="Open the page in a browser.")
@click.option("--interrupted", is_flag=True, show_envvar=True,
              help="The CI server aborted this build: there is no verdict.")  # fmt: skip
@in_run
@common
def report(
    directory: Path, console: Any, in_run: bool, record: Path | None, output: Path | None, format: str | None,
    schema: bool, open: bool, interrupted: bool,
) -> int:  # fmt: skip
    """Render the record as Markdown, HTML, JSON, JUnit, SARIF and what CI servers read."""
    needs("--output", "--record", given=record is not None)
    if schema:
        from mlbutler.record_schema import text

        print(text(), end="")
        return EXIT_PASSED
    if format is not None:
        from mlbutler.commands.report import print_rendering

        return print_rendering(directory, directory / record if record is not None else None, format, console)
    if record is not None:
        from mlbutler.commands.report import report as command

        return command(directory / record, directory / (output or Path()), console, shown=open)

    def call(context: Any) -> Any:
        from mlbutler.steps.report import run as step

        result = step(context, aborted=interrupted)
        if open:
            console.open(context.root / dict(result.files)["html"])
        return result

    return step("report", directory, console, pipeline=in_run, call=call)


@verb("publish", "mlbutler publish", "mlbutler publish --command 'gh pr comment \"$MLBUTLER_CHANGE_NUMBER\" -F -'",
      short="Put the report on the pull request, set the status.")  # fmt: skip
@click.option("--command", metavar="CMD", show_envvar=True,
              help="Hand the Markdown to this shell command instead of a forge.")  # fmt: skip
@click.option("--live", is_flag=True, show_envvar=True,
              help="Keep the comment up to date while another process runs the stages.")  # fmt: skip
@every
@click.option("--bundle", type=click.Path(path_type=Path), metavar="FILE", show_envvar=True,
              help="Publish what the untrusted build of a fork's change left, as not verified.")  # fmt: skip
@click.option("--head", metavar="COMMIT", default="", show_envvar=True,
              help="With --bundle: the commit that build was of, as the CI server says.")  # fmt: skip
@click.option("--forks", metavar="JOB", show_envvar=True,
              help="On GitLab: publish what the jobs JOB of forks' merge requests left, as --bundle does.")  # fmt: skip
@in_run
@common
def publish(
    directory: Path, console: Any, in_run: bool, command: str | None, live: bool, every: float, bundle: Path | None,
    head: str, forks: str | None,
) -> int:  # fmt: skip
    """Put the report on the pull request and set the commit's status."""
    needs("--every", "--live", given=live)
    needs("--head", "--bundle", given=bundle is not None)
    if forks:
        from mlbutler.commands.publish_bundle import publish_forks

        return publish_forks(directory, console, forks)
    if bundle is not None:
        from mlbutler.commands.publish_bundle import publish_bundle

        return publish_bundle(directory, console, bundle.absolute(), head)
    if live:
        from mlbutler.commands.live import live as follow

        return follow(directory, console, every)

    def call(context: Any) -> Any:
        from mlbutler.steps.publish import run as step

        return step(context, command)

    return step("publish", directory, console, pipeline=in_run, call=call)
