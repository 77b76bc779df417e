"""How the comment is to be is what the target branch says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mlbutler.console import Console
from mlbutler.record import Change, CompareResult, Environment, MetricChange, Outcome, Record, TestResult, Verdict
from mlbutler.settings import LoadedSettings, parse_settings
from mlbutler.steps.comment_settings import agreed_comment_settings, is_wanted, layout
from mlbutler.steps.context import RunContext, Trust

Git = Callable[..., str]
ENVIRONMENT = Environment(mlbutler="1", dvc="3", git="2", python="3.11", platform="x", host="h", cpus=2, memory=4)


@pytest.fixture
def clone(tmp_path: Path, git: Git) -> Path:
    """A clone whose branch `work` says of its comment what the team does not."""
    git(tmp_path, "init", "-b", "main", ".")
    (tmp_path / "mlbutler.toml").write_text('[comment]\nwhen = "change"\ntemplate = "comment.md.j2"\n')
    (tmp_path / "comment.md.j2").write_text("the team's: {{ verdict }}")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "one")
    git(tmp_path, "checkout", "-b", "work")
    (tmp_path / "mlbutler.toml").write_text(
        '[comment]\nwhen = "failure"\ntitle = "All is well"\ntemplate = "comment.md.j2"\n'
    )
    (tmp_path / "comment.md.j2").write_text("**Better**: by far")
    git(tmp_path, "commit", "-am", "two")
    return tmp_path


def context(clone: Path, git: Git, kind: str = "pull-request", sources: dict[str, str] | None = None) -> RunContext:
    head, base = git(clone, "rev-parse", "work"), git(clone, "rev-parse", "main")
    change = Change(ci="jenkins", kind=kind, head=head, checkout=head, base=base, number="17", head_branch="work",
                    target_branch="main")  # fmt: skip
    loaded = LoadedSettings(parse_settings((clone / "mlbutler.toml").read_text()), sources or {})
    return RunContext(root=clone, loaded=loaded, console=Console(quiet=True),
                      record=Record(change=change, environment=ENVIRONMENT),
                      trust=Trust(target_revisions=(base, base)))  # fmt: skip


def test_a_pull_request_cannot_say_how_it_is_told_of(clone: Path, git: Git) -> None:
    job = context(clone, git)
    assert (agreed_comment_settings(job).when, agreed_comment_settings(job).title) == ("change", None)
    assert layout(job).template == "the team's: {{ verdict }}"


def test_a_branch_and_the_agents_environment_say_it_themselves(clone: Path, git: Git) -> None:
    assert agreed_comment_settings(context(clone, git, "branch")).title == "All is well"
    said = context(clone, git, sources={"comment.when": "MLBUTLER_COMMENT_WHEN"})
    assert (agreed_comment_settings(said).when, agreed_comment_settings(said).title) == ("failure", None)


def test_a_template_that_is_on_no_target_branch_is_none(clone: Path, git: Git) -> None:
    git(clone, "checkout", "main")
    git(clone, "rm", "comment.md.j2")
    git(clone, "commit", "-m", "no template any more")
    git(clone, "checkout", "work")
    assert layout(context(clone, git)).template == ""


SAME = CompareResult(outcome=Outcome.PASSED, reason="", verdict=Verdict.SAME, sentence="Same: no metric changed.",
                     metrics=(MetricChange(file="m", name="a", old=1, new=1, verdict=Verdict.SAME),))  # fmt: skip
MOVED = replace(SAME, metrics=(MetricChange(file="m", name="a", old=1, new=2, verdict=Verdict.BETTER),))
FAILED = TestResult(outcome=Outcome.FAILED, reason="1 test failed")


@pytest.mark.parametrize(
    ("when", "compare", "test", "wanted"),
    [
        ("always", SAME, None, True),
        ("change", SAME, None, False),
        ("change", MOVED, None, True),
        ("change", SAME, FAILED, True),
        ("change", None, None, False),
        ("failure", MOVED, None, False),
        ("failure", MOVED, FAILED, True),
    ],
)
def test_when_there_is_to_be_a_comment(
    when: str, compare: CompareResult | None, test: TestResult | None, wanted: bool
) -> None:
    change = Change(ci="jenkins", kind="pull-request", head="a" * 40, checkout="a" * 40)
    record = Record(change=change, environment=ENVIRONMENT, compare=compare, test=test)
    assert is_wanted(parse_settings(f"comment.when = '{when}'").comment, record) is wanted


@pytest.mark.parametrize(
    "text", ['sections = ["metrics", "secrets"]', 'template = "../x"', 'template = "/etc/passwd"', 'when = "never"']
)
def test_settings_that_mean_nothing_are_errors(text: str) -> None:
    with pytest.raises(Exception, match=r"comment\."):
        parse_settings(f"[comment]\n{text}\n")
