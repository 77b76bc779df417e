"""A run's working state for tests of what is reported."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mlbutler.console import Console
from mlbutler.record import Change, CompareResult, Environment, Outcome, Record, Verdict
from mlbutler.secrets import Redactor, secret_values
from mlbutler.settings import LoadedSettings, parse_settings
from mlbutler.steps.context import RunContext

ENVIRONMENT = Environment(mlbutler="1", dvc="3", git="2", python="3.11", platform="x", host="h", cpus=2, memory=4)
_AGREED = ("forge.kind", "forge.url", "forge.repository", "forge.api")


def run_context(
    root: Path, head: str, environ: Mapping[str, str], settings: str = "", verdict: Verdict = Verdict.BETTER,
    **change: object,
) -> RunContext:  # fmt: skip
    """A pull request's run at `head`, whose comparison has `verdict`."""
    values: dict[str, object] = {"number": "17", "head_branch": "work", "target_branch": "main", **change}
    compare = CompareResult(
        outcome=Outcome.PASSED, reason="", verdict=verdict, sentence=f"{verdict.capitalize()}: f1 0.8 -> 0.9"
    )
    made = Change(ci="jenkins", kind="pull-request", head=head, checkout=head, **values)  # type: ignore[arg-type]
    return RunContext(
        root=root,
        loaded=LoadedSettings(parse_settings(settings), dict.fromkeys(_AGREED, "MLBUTLER_FORGE_...")),
        console=Console(redactor=Redactor(secret_values(environ))),
        record=Record(change=made, environment=ENVIRONMENT, compare=compare),
        environ=environ,
    )
