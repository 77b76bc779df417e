from __future__ import annotations

import io
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from mlbutler.cli import cli
from mlbutler.errors import UsageError
from mlbutler.pipeline import NAMES
from mlbutler.verbs.options import common, names_of
from tests.test_docs import VERBS


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


def test_every_verb_that_works_long_says_each_minute_that_it_still_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlbutler.console._SILENCE", 0.02)

    @click.group()
    def group() -> None:
        pass

    @group.command("look")
    @common
    def look(directory: Path, console: object) -> None:
        while "root look: still running" not in written.getvalue():
            time.sleep(0.01)

    monkeypatch.setattr("sys.stderr", written := io.StringIO())
    group.main(["look"], prog_name="root", standalone_mode=False)
    assert [name for name, one in VERBS.items() if "quiet" not in {option.name for option in one.params}] == []


@pytest.mark.parametrize(("words", "said"), [
    (["run", "--every", "5"], "--every needs --live."),
    (["publish", "--every", "5"], "--every needs --live."),
    (["compare", "--only", "accuracy"], "--only needs --repeats."),
    (["report", "--output", "out"], "--output needs --record."),
])  # fmt: skip
def test_an_option_that_would_do_nothing_is_refused(words: list[str], said: str) -> None:
    done = CliRunner().invoke(cli, words)
    assert (done.exit_code, said in done.output) == (2, True)


def test_what_an_agent_sets_for_every_call_is_not_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["run", "-C", str(tmp_path / "nowhere")], env={"MLBUTLER_RUN_EVERY": "5"})
    assert "needs --live" not in done.output
    assert "No such directory" in str(done.exception)


def test_the_lists_of_verbs_and_steps_are_whole() -> None:
    for words in ([], ["store"], ["gate"], ["jenkins"]):
        listed = CliRunner().invoke(cli, [*words, "--help"], terminal_width=80).output.partition("Commands:")[2]
        assert listed
        assert "..." not in listed
    helped = " ".join(CliRunner().invoke(cli, ["run", "--help"]).output.split())
    assert f"Run only these steps, of {', '.join(NAMES)}." in helped


def test_names_of_stages_may_hold_commas() -> None:
    assert names_of("train, test") == ["train", "test"]
    assert names_of('["train@a,b", "test"]') == ["train@a,b", "test"]
    assert names_of("[]") == names_of("") == []
    for wrong in ("[train]", "[1]", '["train"'):
        with pytest.raises(UsageError, match="No JSON list of names"):
            names_of(wrong)


@pytest.mark.parametrize(("alias", "name"), [("ls", "list"), ("ps", "list"), ("pull", "fetch")])
def test_further_names_of_a_verb_have_its_options_and_variables(alias: str, name: str) -> None:
    shown = CliRunner().invoke(cli, ["train", alias, "--help"], auto_envvar_prefix="MLBUTLER").output
    assert f"MLBUTLER_TRAIN_{name.upper()}_JSON" in shown
    assert f"Usage: cli train {name} " in shown
    assert f"  {alias} " not in CliRunner().invoke(cli, ["train", "--help"]).output
