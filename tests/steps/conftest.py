"""What the tests of the steps share."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from mlbutler.console import Console
from mlbutler.record import Change, Environment, Record
from mlbutler.settings import LoadedSettings, parse_settings
from mlbutler.steps.context import RunContext


@pytest.fixture
def working_state() -> Callable[..., RunContext]:
    """``working_state(root, "test.command = 'true'", {"NAME": "value"})`` -> the state of a local run there."""

    def make(root: Path, settings: str = "", environ: Mapping[str, str] | None = None) -> RunContext:
        record = Record(
            change=Change(ci="local", kind="local", head="0" * 40, checkout="0" * 40),
            environment=Environment(
                mlbutler="0", dvc="0", git="0", python="3", platform="x", host="h", cpus=1, memory=1
            ),
        )
        return RunContext(
            root,
            LoadedSettings(parse_settings(settings), {}),
            Console(),
            record,
            environ={**os.environ, **(environ or {})},
        )

    return make
