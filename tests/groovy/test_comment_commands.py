"""The job on Jenkins that reads comments: two numbers go in, and the pull request's own job is started."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mlbutler.scaffold.detected import DetectedProject, Remote
from mlbutler.scaffold.options import ScaffoldOptions
from mlbutler.scaffold.render import render_files
from tests.groovy.jenkins import Built, build, needs_groovy
from tests.groovy.stand_in import LIBRARY

pytestmark = needs_groovy

PROGRAM = """#!/bin/sh
echo "$* $MLBUTLER_ON_COMMENT_NUMBER $MLBUTLER_ON_COMMENT_COMMENT $MLBUTLER_FORGE_TOKEN" >> "$CALLS"
printf '%b' "$SAID"
"""
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def generated(agent: str) -> str:
    found = DetectedProject("x", remote=Remote("shared", "http"), forge="github")
    return render_files(found, ScaffoldOptions(agent=agent, label="docker", commands=True))["Jenkinsfile.commands"]


FORMS = {
    "label": generated("label"), "docker": generated("docker"),
    "library": "mlbutlerCommands(forge: 'gitea', dockerfile: 'Dockerfile')",
}  # fmt: skip


def commanded(directory: Path, said: str, number: str = "17", comment: str = "4711", form: str = "label") -> Built:
    """A build that a webhook started, with a `mlbutler` that says what is given."""
    (directory / "bin").mkdir(parents=True)
    script = FORMS[form]
    (directory / "Jenkinsfile").write_text(script)
    (directory / "bin" / "mlbutler").write_text(PROGRAM)
    (directory / "bin" / "mlbutler").chmod(0o755)
    (directory / "calls").touch()
    environ = {"PATH": f"{directory}/bin{os.pathsep}{os.environ['PATH']}", "HOME": str(directory), "SAID": said,
               "CALLS": str(directory / "calls"), "JOB_NAME": "team/words-commands", "NUMBER": number,
               "COMMENT": comment, "GIT_URL": "https://git.example.org/project.git"}  # fmt: skip
    done = build(
        directory, directory / "Jenkinsfile", "git init -q .", environ, params={"PROJECT": ""}, libraries=[LIBRARY]
    )
    assert done.result == "SUCCESS" or done.result == "NOT_BUILT", done.log[-3000:]
    return done


def started(done: Built) -> list[Mapping[str, Any]]:
    return [event for event in done.events if event["step"] == "build"]


@pytest.mark.parametrize("form", sorted(FORMS))
def test_what_was_asked_for_starts_the_pull_request_s_own_job(tmp_path: Path, form: str) -> None:
    said = f"number=17\\ncommit={COMMIT}\\napproved={COMMIT} ada\\nrepeats=5\\n"
    [event] = started(commanded(tmp_path / "build", said, form=form))
    assert (event["job"], event["wait"]) == ("/team/words/PR-17", False)
    assert event["parameters"] == {"REPEATS": "5", "SAMPLE": ""}
    assert (tmp_path / "build" / "calls").read_text() == "on-comment --quiet 17 4711 forge-secret-44d0\n"


@pytest.mark.parametrize("said", ["", "nothing to do\\n", "number=17/../../x\\n", "number=$(id)\\n", "=17\\n"])
def test_without_an_answer_nothing_is_started(tmp_path: Path, said: str) -> None:
    assert started(commanded(tmp_path / "build", said)) == []


@pytest.mark.parametrize(("number", "comment", "form"), [
    ("", "", "library"), ("17; id", "1", "label"), ("17", "x", "library"), ("17\\n18", "1", "label"),
])  # fmt: skip
def test_another_webhook_asks_nobody(tmp_path: Path, number: str, comment: str, form: str) -> None:
    done = commanded(tmp_path / "build", f"number=17\\ncommit={COMMIT}\\n", number, comment, form)
    assert done.result == "NOT_BUILT"
    assert (tmp_path / "build" / "calls").read_text() == ""


def test_the_library_s_pipeline_takes_what_was_asked_for(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "mlbutler"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "$* $MLBUTLER_COMPARE_REPEATS:$MLBUTLER_VERIFY_SAMPLE" >> "$CALLS"\n')
    program.chmod(0o755)
    (tmp_path / "Jenkinsfile").write_text("mlbutlerPipeline(commands: true)")
    environ = {"PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path), "CHANGE_ID": "7",
               "CALLS": str(tmp_path / "calls"), "JOB_NAME": "words/PR-7"}  # fmt: skip
    done = build(tmp_path, tmp_path / "Jenkinsfile", "git init -q .", environ, libraries=[LIBRARY],
                 params={"REPEATS": "5", "SAMPLE": "100%"})  # fmt: skip
    given = next(event["given"] for event in done.events if event["step"] == "properties")
    assert "parameters [REPEATS, SAMPLE]" in given
    assert "compare 5:100%" in (tmp_path / "calls").read_text().splitlines(), done.log[-2000:]
