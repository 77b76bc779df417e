"""What a change says of the mirror decides nothing."""

from __future__ import annotations

from typing import Literal

import pytest

from mlbutler.record import Change
from mlbutler.settings import LoadedSettings, Settings, parse_settings
from mlbutler.steps.eviction import agreed_eviction

SHARED = "[data]\nmirror = '/srv/dvc-remote'\nmirror_limit = 1\n"
TEAM = "[data]\nmirror = '/var/mirror'\nmirror_limit = 9000\n"
NONE = "[project]\n"


Kind = Literal["pull-request", "branch", "local"]


def change(kind: Kind) -> Change:
    return Change(kind=kind, ci="jenkins", head="1" * 40, checkout="1" * 40)


def load(text: str, **variables: str) -> LoadedSettings:
    settings = parse_settings(text)
    return LoadedSettings(settings, {f"data.{key}": name for key, name in variables.items()})


@pytest.mark.parametrize(("own", "target", "expected"), [
    (SHARED, TEAM, (False, None)), (SHARED, NONE, (False, None)), (SHARED, None, (False, None)),
    (TEAM, TEAM, (True, 9000)), (TEAM.replace("9000", "1"), TEAM, (True, 9000)),
    (TEAM, "[data]\nmirror = '/var/mirror'\n", (True, None)),
])  # fmt: skip
@pytest.mark.parametrize("kind", ["pull-request", "branch"])
def test_on_a_ci_server_the_target_branch_s_settings_count(
    own: str, target: str | None, expected: tuple[bool, int | None], kind: Kind
) -> None:
    before: Settings | None = parse_settings(target) if target is not None else None
    assert agreed_eviction(load(own), change(kind), lambda: before) == expected


@pytest.mark.parametrize(("variables", "expected"), [
    ({"mirror": "MLBUTLER_DATA_MIRROR", "mirror_limit": "MLBUTLER_DATA_MIRROR_LIMIT"}, (True, 1)),
    ({"mirror": "MLBUTLER_DATA_MIRROR"}, (True, 9000)),
    ({"mirror_limit": "MLBUTLER_DATA_MIRROR_LIMIT"}, (False, 1)),
])  # fmt: skip
def test_what_the_agent_s_environment_says_counts(variables: dict[str, str], expected: tuple[bool, int | None]) -> None:
    assert agreed_eviction(load(SHARED, **variables), change("pull-request"), lambda: parse_settings(TEAM)) == expected


def test_on_one_s_own_machine_the_settings_count() -> None:
    assert agreed_eviction(load(SHARED), change("local"), lambda: None) == (True, 1)
