from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from mlbutler.verbs.options import common


@pytest.mark.parametrize(("environ", "words", "directory"), [
    ({}, [], "."),
    ({"MLBUTLER_CHDIR": "teams/my vision é"}, [], "teams/my vision é"),
    ({"MLBUTLER_CHDIR": ""}, [], "."),
    ({"MLBUTLER_CHDIR": "all", "MLBUTLER_LOOK_CHDIR": "own"}, [], "own"),
    ({"MLBUTLER_CHDIR": "all", "MLBUTLER_LOOK_CHDIR": "own"}, ["-C", "here"], "here"),
])  # fmt: skip
def test_the_directory_comes_from_the_option_else_the_verbs_variable_else_the_one_for_all(
    environ: dict[str, str], words: list[str], directory: str
) -> None:
    seen: list[Path] = []

    @click.group()
    def group() -> None:
        pass

    @group.command("look")
    @common
    def look(directory: Path, console: object) -> None:
        seen.append(directory)

    done = CliRunner().invoke(group, ["look", *words], env=environ, auto_envvar_prefix="MLBUTLER")
    assert done.exit_code == 0, done.output
    assert seen == [Path(directory)]
