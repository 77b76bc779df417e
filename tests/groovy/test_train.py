"""The job of experiments: how a build takes one, runs it, stops it, saves it, and starts the next."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mlbutler.scaffold.detected import DetectedProject, Remote
from mlbutler.scaffold.options import ScaffoldOptions
from mlbutler.scaffold.render import render_files
from tests.groovy.jenkins import Built, build, needs_groovy
from tests.groovy.stand_in import LIBRARY

pytestmark = needs_groovy

ID, OTHER = "a" * 40, "b" * 40
CHECKOUT = (
    "git init -q . && git config user.email a@b && git config user.name a && "
    "echo ours > code && git add code && git commit -qm input && "
    "git rm -q code && git commit -qm state"
)
# For each command a file may hold the exit codes of its calls, one a line; `none` begins nothing.
PROGRAM = """#!/bin/sh
name="$(echo "$*" | tr ' ' '_')"
echo "$NODE_NAME $* ${MLBUTLER_TRAIN_ATTEMPT:+@$MLBUTLER_TRAIN_ATTEMPT}" >> "$CALLS"
test -e code || echo "not the experiment's commit" >> "$CALLS"
code=0
if [ -s "$CODES/$name" ]; then code="$(head -n 1 "$CODES/$name")"; sed -i 1d "$CODES/$name"; fi
case "$name" in
train_agent_begin)
    if [ "$code" = 0 ]; then mkdir -p .mlbutler/train; echo 3 > .mlbutler/train/attempt; fi ;;
train_agent_run)
    printf 45 > "$RUNS"
    while [ -n "$WAITS" ] && [ ! -e .mlbutler/train/stop ]; do sleep 0.05; done
    if [ -e .mlbutler/train/stop ]; then echo "stop $(cat .mlbutler/train/stop)" >> "$CALLS"; fi ;;
train_agent_next|train_agent_save*)
    if [ -e "$CODES/next" ]; then cat "$CODES/next"; fi ;;
esac
[ "$code" = none ] && exit 0
exit "$code"
"""


def generated(agent: str = "label") -> str:
    found = DetectedProject("x", remote=Remote("shared", "http"), forge="github")
    options = ScaffoldOptions(agent=agent, label="docker", train=True)
    return render_files(found, options)["Jenkinsfile.train"].replace("{ ['docker'] }", "{ ['docker', 'gpu'] }")


FORMS = {"library": "mlbutlerTrain(remote: 'http', labels: ['gpu'])", "generated": generated()}
IN_IMAGES = {
    "library": "mlbutlerTrain(remote: 'http', dockerfile: 'Dockerfile', dockerArgs: '--gpus all')",
    "generated": generated("docker"),
}


@dataclass(frozen=True)
class Done:
    """What became of the build; `calls`: the agent and the words of each call of mlbutler, in order."""

    built: Built
    calls: list[str]

    @property
    def started(self) -> list[Mapping[str, Any]]:
        """The parameters of the builds that it started."""
        return [event["parameters"] for event in self.built.events if event["step"] == "build"]

    def words(self) -> list[str]:
        return [call.partition(" train agent ")[2] for call in self.calls if " train agent " in call]


def train(
    directory: Path, script: str, codes: Mapping[str, str] | None = None, waits: bool = False, **more: Any
) -> Done:
    """Run a build; `codes`: exit codes by verb."""
    (directory / "bin").mkdir(parents=True)
    (directory / "codes").mkdir()
    for name, text in (codes or {}).items():
        name = name if name == "next" else f"train_agent_{name}"
        (directory / "codes" / name).write_text("\n".join(text.split(";")) + "\n")
    (directory / "Jenkinsfile.train").write_text(script)
    program = directory / "bin" / "mlbutler"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    calls = directory / "calls.log"
    calls.touch()
    environ = {
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}", "HOME": str(directory), "CALLS": str(calls),
        "CODES": str(directory / "codes"), "RUNS": str(directory / "runs"), "WAITS": "yes" if waits else "",
        "GIT_URL": "https://git.example.org/project.git", "JOB_NAME": "folder/train",
    }  # fmt: skip
    more.setdefault("params", {"EXPERIMENT": ID, "LABEL": ""})
    done = build(directory, directory / "Jenkinsfile.train", CHECKOUT, environ, libraries=[LIBRARY], **more)
    return Done(done, calls.read_text().splitlines())


@pytest.fixture(params=sorted(FORMS))
def script(request: pytest.FixtureRequest) -> str:
    return FORMS[request.param]


def test_an_experiment_is_begun_run_and_saved_and_the_next_is_started(tmp_path: Path, script: str) -> None:
    done = train(tmp_path / "build", script, {"next": f"{OTHER};{'c' * 40} gpu;{'d' * 40} elsewhere;nonsense $(x)"})
    assert done.built.result == "SUCCESS", done.built.log[-3000:]
    assert done.words() == ["begin ", "run @3", "save @3"]
    assert done.started == [{"EXPERIMENT": OTHER, "LABEL": ""}, {"EXPERIMENT": "c" * 40, "LABEL": "gpu"}]
    bound = {event["script"]: event["bound"] for event in done.built.events if event["step"] == "sh"}
    assert bound["mlbutler train agent run"] == []
    for name in ("begin", "save"):
        (found,) = [given for script, given in bound.items() if f"mlbutler train agent {name}" in script]
        assert found == ["mlbutler-git", "mlbutler-dvc"]
    assert "not the experiment's commit" not in done.calls


@pytest.mark.parametrize(
    ("codes", "result", "words"),
    [
        ({"begin": "none"}, "NOT_BUILT", ["begin ", "next "]),
        ({"begin": "1"}, "FAILURE", ["begin ", "next "]),
        ({"begin": "2"}, "FAILURE", ["begin ", "next "]),
        ({"save": "1"}, "FAILURE", ["begin ", "run @3", "save @3"]),
        ({"save": "130"}, "ABORTED", ["begin ", "run @3", "save @3"]),
        ({"save": "70"}, "FAILURE", ["begin ", "run @3", "save @3", "next "]),
        ({"run": "137"}, "SUCCESS", ["begin ", "run @3", "save @3"]),
    ],
)  # fmt: skip
def test_what_the_commands_say_is_the_build_s_result(
    tmp_path: Path, script: str, codes: dict[str, str], result: str, words: list[str]
) -> None:
    done = train(tmp_path / "build", script, codes)
    assert (done.built.result, done.words()) == (result, words), done.built.log[-3000:]


def test_a_failure_goes_to_another_agent_as_long_as_there_is_one(tmp_path: Path, script: str) -> None:
    agents = {"docker": ["one", "two"]}
    done = train(tmp_path / "build", script, {"begin": "3;0", "save": "3;0"}, agents=agents)
    assert done.built.result == "SUCCESS", done.built.log[-3000:]
    assert [call.split()[0] for call in done.calls if "begin" in call] == ["one", "two", "one"]
    alone = train(tmp_path / "alone", script, {"begin": "3;3;0"}, agents={"docker": ["one"]})
    assert alone.built.result == "SUCCESS", alone.built.log[-3000:]
    assert [call.split()[0] for call in alone.calls if "begin" in call] == ["one", "one", "one"]


@pytest.mark.parametrize("stage", ["begin", "run", "save"])
def test_an_agent_that_is_lost_is_replaced_by_another(tmp_path: Path, script: str, stage: str) -> None:
    done = train(tmp_path / "build", script, agents={"docker": ["one", "two"]}, lose=stage)
    assert done.built.result == "SUCCESS", done.built.log[-3000:]
    assert [call for call in done.calls if call.startswith("two")] == [
        "two train agent begin ", "two train agent run @3", "two train agent save @3",
    ]  # fmt: skip
    assert "one train agent save @3" not in done.calls


@pytest.mark.parametrize("stage", ["begin", "run", "save"])
def test_a_silent_agent_is_replaced_by_another(tmp_path: Path, script: str, stage: str) -> None:
    done = train(tmp_path / "build", script, agents={"docker": ["one", "two"]}, silent=stage, dies=True)
    assert done.built.result == "SUCCESS", done.built.log[-3000:]
    assert done.calls[-1] == "two train agent save @3"


def test_who_presses_the_input_asks_the_experiment_to_end(tmp_path: Path, script: str) -> None:
    done = train(tmp_path / "build", script, {"save": "130"}, waits=True, pressed=tmp_path / "build" / "runs")
    assert done.built.result == "ABORTED", done.built.log[-3000:]
    assert "stop 45" in done.calls
    assert done.words() == ["begin ", "run @3", "save @3"]
    assert [event["id"] for event in done.built.events if event["step"] == "input"] == ["Stop"]


@pytest.mark.parametrize("passes", [False, True], ids=["it is killed", "it ends with 0 all the same"])
def test_an_abort_saves_what_there_is(tmp_path: Path, script: str, passes: bool) -> None:
    aborted = {"abort": "run", "aborted_by": tmp_path / "build" / "runs", "abort_passes": passes}
    done = train(tmp_path / "build", script, {"next": OTHER}, waits=True, **aborted)
    assert done.built.result == "ABORTED", done.built.log[-3000:]
    assert done.words() == ["begin ", "run @3", "save --aborted @3"]
    assert done.started == [{"EXPERIMENT": OTHER, "LABEL": ""}]


@pytest.mark.parametrize("stage", ["begin", "save"])
def test_an_abort_elsewhere_is_told_too(tmp_path: Path, script: str, stage: str) -> None:
    done = train(tmp_path / "build", script, abort=stage, aborted_by=tmp_path)
    assert done.built.result == "ABORTED", done.built.log[-3000:]
    assert done.words()[-1] == ("save --aborted " if stage == "begin" else "save --aborted @3")


@pytest.mark.parametrize("params", [
    {"EXPERIMENT": "a; touch x"}, {"EXPERIMENT": ID + "\n"}, {"EXPERIMENT": ID.upper()}, {"EXPERIMENT": "$(id)"},
    {"EXPERIMENT": ID, "LABEL": "elsewhere"}, {"EXPERIMENT": ID, "LABEL": "docker || built-in"},
])  # fmt: skip
def test_a_hostile_parameter_ends_the_build_before_any_agent_is_asked(
    tmp_path: Path, script: str, params: dict[str, str]
) -> None:
    done = train(tmp_path / "build", script, params={"LABEL": "", **params})
    assert done.built.result == "FAILURE"
    assert [event for event in done.built.events if event["step"] == "sh"] == []


def test_the_first_build_of_a_job_gives_it_its_parameters(tmp_path: Path, script: str) -> None:
    done = train(tmp_path / "build", script, params={})
    assert (done.built.result, done.calls) == ("NOT_BUILT", [])
    assert any("EXPERIMENT" in str(event) for event in done.built.events if event["step"] == "properties")


@pytest.mark.parametrize("form", sorted(IN_IMAGES))
def test_an_experiment_runs_in_the_image_of_its_own_dockerfile(tmp_path: Path, form: str) -> None:
    done = train(tmp_path / "build", IN_IMAGES[form])
    assert done.built.result == "SUCCESS", done.built.log[-3000:]
    steps = [event["step"] for event in done.built.events]
    built, inside = steps.index("docker build"), steps.index("docker inside")
    scripts = [event.get("script") for event in done.built.events]
    assert scripts.index("git checkout --quiet --detach HEAD^") < built < inside
    assert inside < scripts.index("mlbutler train agent begin")
    words = done.built.events[inside]["words"]
    assert "-v /mirror:/mirror" in words
    assert "no-new-privileges" in words
    assert "CHANGE_FORK" not in words
