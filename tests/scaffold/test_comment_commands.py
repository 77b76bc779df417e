"""What `mlbutler init --commands` writes: who reads comments, what it may do, and what reaches the run."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest

from mlbutler.errors import UsageError
from mlbutler.jenkins.lint import lint
from mlbutler.scaffold.detected import DetectedProject, Remote
from mlbutler.scaffold.options import GITHUB, GITLAB, ScaffoldOptions
from mlbutler.scaffold.render import render_files
from tests.scaffold.test_workflow import EVIL, validate

FOUND = DetectedProject("words", remote=Remote("shared", "http"), forge="github", target="main")
ASKED = ["commit", "approved", "repeats", "sample"]


def workflows(found: DetectedProject = FOUND, **more: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
    """The workflow that reads comments, the one that runs, and all files."""
    files = render_files(found, ScaffoldOptions(ci=GITHUB, commands=True, **more))
    [commands] = [text for path, text in files.items() if path.endswith("-commands.yml")]
    [own] = [
        text for path, text in files.items() if re.search(r"workflows/mlbutler(?!.*-(commands|forks)).*yml$", path)
    ]
    return validate(commands, GITHUB), validate(own, GITHUB), files


@pytest.mark.parametrize("folder", ["", "teams/vision é", EVIL])
def test_a_comment_on_github_is_read_by_the_default_branch_and_reaches_no_shell(folder: str) -> None:
    commands, own, _ = workflows(dataclasses.replace(FOUND, folder=folder))
    assert commands["on"] == {"issue_comment": {"types": ["created"]}}
    assert commands["permissions"] == {}
    command, run = commands["jobs"]["command"], commands["jobs"]["run"]
    assert command["permissions"] == {"contents": "write", "pull-requests": "write"}
    checkout = command["steps"][0]
    assert "ref" not in checkout["with"]
    assert checkout["with"]["persist-credentials"] is False
    for step in command["steps"]:
        assert "github.event" not in str(step), "no text of an event in a step"
    assert list(command["outputs"]) == ASKED == list(run["with"])
    assert run["permissions"] == own["jobs"]["mlbutler"]["permissions"]
    assert re.fullmatch(r"\./\.github/workflows/mlbutler[\w.-]*\.yml", run["uses"])
    assert run["if"] == "needs.command.outputs.commit != ''"


def test_what_is_run_on_github_is_the_very_commit_that_was_named() -> None:
    _, own, files = workflows()
    assert list(own["on"]["workflow_call"]["inputs"]) == ASKED
    job = own["jobs"]["mlbutler"]
    assert job["steps"][0]["with"]["ref"].startswith("${{ inputs.commit || ")
    environ = {name: value for name, value in job["env"].items() if "inputs." in value}
    assert environ == {
        "MLBUTLER_APPROVED": "${{ inputs.approved }}", "MLBUTLER_COMPARE_REPEATS": "${{ inputs.repeats }}",
        "MLBUTLER_VERIFY_SAMPLE": "${{ inputs.sample }}",
    }  # fmt: skip
    assert "inputs." not in " ".join(step.get("run", "") for step in job["steps"])
    assert "github.event.issue.number" in own["concurrency"]["group"], "else it waits for runs of the default branch"
    [saved] = [step for step in job["steps"] if "cache/save" in step.get("uses", "")]
    assert "github.event_name != 'issue_comment'" in saved["if"], "the default branch's cache"
    assert not any("pull_request_target" in str(load) for load in (own["on"],))
    without = render_files(FOUND, ScaffoldOptions(ci=GITHUB))
    assert "workflow_call" not in "".join(without.values())
    assert set(files) - set(without) == {".github/workflows/mlbutler-commands.yml"}


@pytest.mark.parametrize(("forge", "number", "comment", "job"), [
    ("github", "$.issue.number", "$.comment.id", "/PR-"), ("gitea", "$.issue.number", "$.comment.id", "/PR-"),
    ("gitlab", "$.merge_request.iid", "$.object_attributes.id", "/MR-"),
    ("bitbucket", "$.pullrequest.id", "$.comment.id", "/PR-"),
])  # fmt: skip
def test_jenkins_takes_two_numbers_of_each_forge_s_webhook(forge: str, number: str, comment: str, job: str) -> None:
    files = render_files(dataclasses.replace(FOUND, forge=forge), ScaffoldOptions(commands=True))
    script = files["Jenkinsfile.commands"]
    assert [f"'{number}'" in script, f"'{comment}'" in script, job in script] == [True, True, True]
    assert lint(files["Jenkinsfile"]) == []
    assert "string(name: 'REPEATS'" in files["Jenkinsfile"]
    assert "REPEATS" not in render_files(FOUND, ScaffoldOptions())["Jenkinsfile"]


def test_where_comments_start_nothing_that_is_said() -> None:
    with pytest.raises(UsageError, match="starts no pipeline"):
        ScaffoldOptions(ci=GITLAB, commands=True)
    with pytest.raises(UsageError, match="no workflow of GitHub"):
        render_files(dataclasses.replace(FOUND, forge="gitlab"), ScaffoldOptions(ci=GITHUB, commands=True))
    with pytest.raises(UsageError, match="which forge"):
        render_files(dataclasses.replace(FOUND, forge="folder"), ScaffoldOptions(commands=True))
