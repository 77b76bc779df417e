from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mlbutler.console import Console
from mlbutler.errors import ForgeError
from mlbutler.record import (
    Change,
    CommitResult,
    CompareResult,
    Environment,
    Outcome,
    ParamChange,
    PlotChange,
    PlotKind,
    PublishResult,
    Record,
    SyncResult,
    Verdict,
)
from mlbutler.secrets import Redactor
from mlbutler.settings import LoadedSettings, parse_settings
from mlbutler.steps import publish
from mlbutler.steps.context import RunContext, StepOptions
from mlbutler.variables import FORGE_TOKEN
from tests.forge.dialects import GitHub
from tests.forge.fake import TOKEN, Answer, FakeForge, Fault, Note, serving
from tests.forge.more_dialects import BitbucketCloud, BitbucketServer, DagsHub, Gogs

Git = Callable[..., str]
ENVIRONMENT = Environment(mlbutler="1", dvc="3", git="2", python="3.11", platform="x", host="h", cpus=2, memory=4)


@pytest.fixture
def clone(tmp_path: Path, git: Git) -> Path:
    """A clone of a bare repository whose branch `work` has two commits."""
    bare, clone = tmp_path / "bare.git", tmp_path / "clone"
    git(tmp_path, "init", "--bare", "-b", "main", str(bare))
    git(tmp_path, "clone", str(bare), str(clone))
    git(clone, "checkout", "-b", "work")
    for name in ("one", "two"):
        git(clone, "commit", "--allow-empty", "-m", name)
    git(clone, "push", "origin", "work")
    return clone


def run_context(
    clone: Path, head: str, *, kind: str = "pull-request", settings: str | None = None, **change: object
) -> RunContext:
    values: dict[str, object] = {"number": "17", "head_branch": "work", "git_remote": "origin", **change}
    compare = CompareResult(
        outcome=Outcome.PASSED, reason="", verdict=Verdict.BETTER, sentence="f1 0.8 -> 0.9 (hunter22)"
    )
    record = Record(
        change=Change(ci="jenkins", kind=kind, head=head, checkout=head, **values),  # type: ignore[arg-type]
        environment=ENVIRONMENT,
        compare=compare,
    )
    text = (
        f'[forge]\nkind = "folder"\nurl = {json.dumps(str(clone.parent / "forge"))}\n' if settings is None else settings
    )
    console = Console(quiet=True, redactor=Redactor(["hunter22"]))
    return RunContext(root=clone, loaded=LoadedSettings(parse_settings(text), {}), console=console, record=record)


def replace_name(job: RunContext, name: str) -> RunContext:
    """The run of the pipeline of this name."""
    job.record = replace(job.record, report_name=name)
    return job


def test_comment_and_status_are_set_for_the_head_without_secrets(clone: Path, git: Git) -> None:
    head = git(clone, "rev-parse", "HEAD")
    result = publish.run(run_context(clone, head))
    assert (result.outcome, result.forge) == (Outcome.PASSED, "folder")
    comment = Path(result.comment).read_text()
    assert "\n**Better**: f1 0.8 -> 0.9 " in comment
    assert comment.rstrip().endswith(f"head={head} -->")
    status = json.loads(Path(result.status).read_text())
    assert status["state"] == "success"
    assert status["description"] == "Better: f1 0.8 -> 0.9 ([hidden])"
    assert "hunter22" not in comment


@pytest.mark.parametrize(
    ("outcome", "state"), [(Outcome.FAILED, "failure"), (Outcome.ERROR, "error"), (Outcome.SKIPPED, "success")]
)
def test_the_state_follows_the_outcome_of_the_run(clone: Path, git: Git, outcome: Outcome, state: str) -> None:
    job = run_context(clone, git(clone, "rev-parse", "HEAD"))
    before = PublishResult(outcome=Outcome.ERROR, reason="the forge was down last time")
    job.record = replace(job.record, sync=SyncResult(outcome=outcome, reason="x"), publish=before)
    assert json.loads(Path(publish.run(job).status).read_text())["state"] == state


def test_an_interrupted_build_is_cancelled_and_has_no_verdict(clone: Path, git: Git) -> None:
    job = run_context(clone, git(clone, "rev-parse", "HEAD"))
    job.record = replace(job.record, sync=SyncResult(outcome=Outcome.INTERRUPTED, reason="Interrupted.", started="t"))
    result = publish.run(job)
    status = json.loads(Path(result.status).read_text())
    assert (status["state"], status["description"]) == ("canceled", "Interrupted: during sync; nothing is judged")
    comment = Path(result.comment).read_text()
    assert "\n**Interrupted**: during sync; nothing is judged" in comment
    assert not re.search(r"Better|failed|\bf1\b", comment)


def test_an_interrupted_build_leaves_the_comment_to_that_of_the_newer_commit(clone: Path, git: Git) -> None:
    old, new = git(clone, "rev-parse", "HEAD~1"), git(clone, "rev-parse", "HEAD")
    job = run_context(clone, old)
    job.record = replace(job.record, sync=SyncResult(outcome=Outcome.INTERRUPTED, reason="Interrupted.", started="t"))
    result = publish.run(job)  # before the newer build wrote anything
    assert f"newer commit {new[:8]}" in result.reason
    assert not list((clone.parent / "forge").rglob("comments/*"))
    assert json.loads(Path(result.status).read_text())["state"] == "canceled"


def test_a_status_is_one_line_that_nothing_in_it_reorders(clone: Path, git: Git) -> None:
    job = run_context(clone, git(clone, "rev-parse", "HEAD"))
    said = "stage train\nsuccess \u202egnihtyreve\x1b[2J" + "x" * 300
    job.record = replace(job.record, sync=SyncResult(outcome=Outcome.FAILED, reason=said))
    described = json.loads(Path(publish.run(job).status).read_text())["description"]
    assert described.isprintable()
    assert len(described) == 140
    assert described.startswith("Failed: sync: stage train\\nsuccess \\u202e")


def test_a_stale_build_keeps_the_newer_comment_but_sets_its_own_status(clone: Path, git: Git) -> None:
    old, new = git(clone, "rev-parse", "HEAD~1"), git(clone, "rev-parse", "HEAD")
    publish.run(run_context(clone, new))
    result = publish.run(run_context(clone, old))
    assert f"newer commit {new[:8]}" in result.reason
    assert f"head={new}" in Path(result.comment).read_text()
    assert Path(result.status).name == f"{old}.json"


def test_a_clone_that_never_saw_the_newer_commit_asks_the_remote(clone: Path, git: Git, tmp_path: Path) -> None:
    old = git(clone, "rev-parse", "HEAD")
    other = tmp_path / "other"
    git(tmp_path, "clone", "-b", "work", str(tmp_path / "bare.git"), str(other))
    git(other, "commit", "--allow-empty", "-m", "three")
    git(other, "push", "origin", "work")
    new = git(other, "rev-parse", "HEAD")
    publish.run(run_context(other, new))
    assert f"head={new}" in Path(publish.run(run_context(clone, old)).comment).read_text()


def test_a_force_push_to_something_else_replaces_the_comment(clone: Path, git: Git) -> None:
    publish.run(run_context(clone, git(clone, "rev-parse", "HEAD")))
    git(clone, "reset", "--hard", "HEAD~1")
    git(clone, "commit", "--allow-empty", "-m", "instead")
    git(clone, "push", "--force", "origin", "work")
    head = git(clone, "rev-parse", "HEAD")
    assert f"head={head}" in Path(publish.run(run_context(clone, head)).comment).read_text()


def test_a_build_from_before_a_force_push_leaves_the_comment_of_what_came_after(
    clone: Path, git: Git, tmp_path: Path
) -> None:
    old = git(clone, "rev-parse", "HEAD")
    other = tmp_path / "other"
    git(tmp_path, "clone", "-b", "work", str(tmp_path / "bare.git"), str(other))
    git(other, "commit", "--amend", "--allow-empty", "-m", "rebased")
    git(other, "push", "--force", "origin", "work")
    new = git(other, "rev-parse", "HEAD")
    publish.run(run_context(other, new))
    late = publish.run(run_context(clone, old))  # this clone knows nothing of it
    assert f"newer commit {new[:8]}" in late.reason
    assert f"head={new}" in Path(late.comment).read_text()
    (tmp_path / "bare.git").rename(tmp_path / "away.git")  # the remote cannot be asked: what is published is not lost
    assert publish.run(run_context(clone, old)).outcome is Outcome.PASSED


def test_pipelines_of_one_project_tell_apart_what_they_found(clone: Path, git: Git) -> None:
    head = git(clone, "rev-parse", "HEAD")
    told = []
    for name in ("", "gpu", "cpu"):
        job = run_context(clone, head)
        told.append(publish.run(replace_name(job, name)))
    assert [Path(result.comment).name for result in told] == ["mlbutler.md", "mlbutler%2Fgpu.md", "mlbutler%2Fcpu.md"]
    assert len({result.status for result in told}) == 3
    assert Path(told[0].comment).read_text().rstrip().endswith(f"<!-- mlbutler:report:mlbutler head={head} -->")
    said = Path(told[1].comment).read_text()
    assert "### ✅ mlbutler/gpu" in said
    assert said.rstrip().endswith(f"<!-- mlbutler:report:mlbutler/gpu head={head} -->")
    assert json.loads(Path(told[2].status).read_text())["context"] == "mlbutler/cpu"


def with_results_commit(job: RunContext, commit: str) -> RunContext:
    """The run that put its results on the branch as this commit."""
    made = CommitResult(outcome=Outcome.PASSED, reason="", commit=commit, parent=job.record.change.head, branch="work")
    job.record = replace(job.record, commit=made)
    return job


def statuses(clone: Path) -> set[str]:
    return {path.stem for path in (clone.parent / "forge" / "statuses").iterdir()}


def test_the_results_commit_has_the_status_too(clone: Path, git: Git) -> None:
    head, results = git(clone, "rev-parse", "HEAD~1"), git(clone, "rev-parse", "HEAD")
    result = publish.run(with_results_commit(run_context(clone, head), results))
    assert Path(result.status).stem == head
    assert statuses(clone) == {head, results}
    said = [json.loads(path.read_text()) for path in (clone.parent / "forge" / "statuses").iterdir()]
    assert {(status["state"], status["description"]) for status in said} == {
        ("success", "Better: f1 0.8 -> 0.9 ([hidden])")
    }


@pytest.mark.parametrize("commit", ["another's", "moved", "nothing", ""])
def test_no_other_commit_is_given_the_status(clone: Path, git: Git, commit: str) -> None:
    """Though a record, which the project's code can write, says that it holds the results."""
    head, results = git(clone, "rev-parse", "HEAD~1"), git(clone, "rev-parse", "HEAD")
    if commit == "another's":  # not on what was judged
        git(clone, "commit", "--allow-empty", "-m", "three")
        git(clone, "push", "origin", "work")
        results = git(clone, "rev-parse", "HEAD")
    elif commit == "moved":  # the branch has something else by now
        git(clone, "commit", "--allow-empty", "-m", "three")
        git(clone, "push", "origin", "work")
    else:
        results = "f" * 40 if commit else ""
    publish.run(with_results_commit(run_context(clone, head), results))
    assert statuses(clone) == {head}


def test_a_fork_publishes_nothing(clone: Path, git: Git) -> None:
    result = publish.run(run_context(clone, git(clone, "rev-parse", "HEAD"), fork=True))
    assert result.outcome is Outcome.SKIPPED
    assert "fork" in result.reason
    assert not (clone.parent / "forge").exists()


def test_without_a_forge_it_says_where_the_report_is(clone: Path, git: Git) -> None:
    result = publish.run(run_context(clone, git(clone, "rev-parse", "HEAD"), settings=""))
    assert (result.outcome, result.reason) == (
        Outcome.SKIPPED,
        "no forge configured; the report is in .mlbutler/report",
    )


def test_a_branch_build_sets_a_status_alone_and_a_laptop_nothing(clone: Path, git: Git) -> None:
    head = git(clone, "rev-parse", "HEAD")
    result = publish.run(run_context(clone, head, kind="branch", number=None))
    assert result.outcome is Outcome.PASSED
    assert result.comment == ""
    assert Path(result.status).is_file()
    laptop = run_context(clone, head, kind="local", number=None)
    laptop.options = StepOptions(shares=False)
    skipped = publish.run(laptop)
    assert skipped.outcome is Outcome.SKIPPED
    assert "would publish comment and status to" in skipped.reason
    laptop.options = StepOptions(shares=True)  # somebody asked for it
    assert publish.run(laptop).outcome is Outcome.PASSED


def test_a_forge_that_cannot_be_written_is_an_error(clone: Path, git: Git) -> None:
    (clone.parent / "forge").write_text("in the way")
    with pytest.raises(ForgeError):
        publish.run(run_context(clone, git(clone, "rev-parse", "HEAD")))


@pytest.fixture
def dagshub() -> Iterator[FakeForge]:
    """A DagsHub that takes no comments."""
    with serving(DagsHub()) as server:
        server.faults = [Fault("GET", "/comments", answer=Answer(404), times=99)]
        yield server


def test_where_no_comment_is_taken_a_branch_shows_the_report(clone: Path, git: Git, dagshub: FakeForge) -> None:
    def run_publish(head: str, name: str = "") -> PublishResult:
        settings = f'[forge]\nkind = "dagshub"\nurl = "{dagshub.url}"\nrepository = "team/digits"\n'
        job = replace_name(run_context(clone, head, settings=settings), name)
        job.loaded = replace(job.loaded, sources={f"forge.{key}": "MLBUTLER_" for key in ("kind", "url", "repository")})
        job.environ = {**os.environ, FORGE_TOKEN: TOKEN}
        return publish.run(job)

    old, new = git(clone, "rev-parse", "HEAD~1"), git(clone, "rev-parse", "HEAD")
    result = run_publish(new)
    assert (result.outcome, result.comment) == (Outcome.PASSED, "mlbutler/report-17")
    assert "takes no comment" in result.reason
    bare = clone.parent / "bare.git"
    text = git(bare, "show", "mlbutler/report-17:mlbutler/README.md")
    assert "\n**Better**: f1 0.8 -> 0.9 " in text
    assert "hunter22" not in text
    assert f"newer commit {new[:8]} stays" in run_publish(old).reason
    assert git(bare, "rev-list", "--count", "mlbutler/report-17") == "1"
    run_publish(old, "gpu")  # nothing newer of this pipeline is there
    folders = git(bare, "ls-tree", "--name-only", "mlbutler/report-17").split()
    assert sorted(folders) == ["mlbutler", "mlbutler%2Fgpu"]
    assert git(bare, "show", "mlbutler/report-17:mlbutler/README.md") == text
    git(clone, "remote", "set-url", "origin", str(clone.parent / "away.git"))
    lost = run_publish(new)
    assert (lost.outcome, "on no branch" in lost.reason) == (Outcome.SKIPPED, True)
    assert "artifact" in lost.remedy


@pytest.fixture
def gogs() -> Iterator[FakeForge]:
    """A Gogs with an open pull request, 17, and a closed one."""
    with serving(Gogs()) as server:
        yield server


def on_gogs(job: RunContext, server: FakeForge) -> RunContext:
    """The run whose environment says that the forge is this Gogs."""
    text = f'[forge]\nkind = "gogs"\nurl = "{server.url}"\nrepository = "team/digits"\n'
    agreed = {f"forge.{key}": "MLBUTLER_" for key in ("kind", "url", "repository")}
    job.loaded, job.environ = LoadedSettings(parse_settings(text), agreed), {**os.environ, FORGE_TOKEN: TOKEN}
    return job


@pytest.mark.parametrize("branch_went_on", [False, True])
def test_gogs_has_its_pull_requests_in_git(clone: Path, git: Git, gogs: FakeForge, branch_went_on: bool) -> None:
    head, older = git(clone, "rev-parse", "HEAD"), git(clone, "rev-parse", "HEAD~1")
    git(clone, "push", "origin", "HEAD:refs/pull/17/head", "HEAD:refs/pull/16/head", "HEAD~1:refs/pull/18/head")
    result = publish.run(on_gogs(run_context(clone, older if branch_went_on else head, number=None), gogs))
    if branch_went_on:  # 18 is closed
        assert result.reason.startswith("comment set")
    assert [note.on for note in gogs.dialect.notes] == ["17"]


def test_gogs_without_a_pull_request_of_the_commit_has_no_comment(clone: Path, git: Git, gogs: FakeForge) -> None:
    git(clone, "push", "origin", "HEAD~1:refs/pull/17/head")
    result = publish.run(on_gogs(run_context(clone, git(clone, "rev-parse", "HEAD"), number=None), gogs))
    assert (result.outcome, result.reason) == (Outcome.PASSED, "no pull request to comment on")
    assert gogs.dialect.notes == []


@pytest.mark.parametrize("pushed", [True, False])
def test_where_nothing_folds_the_comment_is_short_and_a_branch_has_the_rest(
    clone: Path, git: Git, gogs: FakeForge, pushed: bool
) -> None:
    job = on_gogs(run_context(clone, git(clone, "rev-parse", "HEAD")), gogs)
    params = (ParamChange(file="params.yaml", name="lr", kind="changed", stages=("train",), old="1", new="2"),)
    assert job.record.compare is not None
    job.record = replace(job.record, compare=replace(job.record.compare, params=params))
    if not pushed:
        git(clone, "remote", "set-url", "origin", str(clone.parent / "away.git"))
    assert publish.run(job).outcome is Outcome.PASSED
    (note,) = gogs.dialect.notes
    assert "<details" not in note.body
    assert ("**Parameters**" in note.body) is not pushed
    assert ("On the branch <code>mlbutler/report-17</code>: parameters" in note.body) is pushed
    if pushed:
        text = git(clone.parent / "bare.git", "show", "mlbutler/report-17:mlbutler/README.md")
        assert "**Parameters**" in text
        assert "<details" not in text


# --------------------------------------------------------------------------------------- pictures by their address


@pytest.fixture(params=[GitHub, BitbucketCloud, BitbucketServer, DagsHub])
def unfurnished(request: pytest.FixtureRequest) -> Iterator[FakeForge]:
    """A forge that takes no pictures."""
    with serving(request.param()) as server:
        yield server


def with_curve(job: RunContext) -> RunContext:
    """The run with a plot that changed."""
    curve = PlotChange(file="loss.csv", title="Loss", kind=PlotKind.LINEAR, changed=True, x="epoch", y="loss",
                       old=((1, 2.0), (2, 1.5)), new=((1, 2.0), (2, 1.1)))  # fmt: skip
    assert job.record.compare is not None
    job.record = replace(job.record, compare=replace(job.record.compare, plots=(curve,)))
    return job


def at_forge(job: RunContext, server: FakeForge, more: str = "") -> RunContext:
    """The run whose environment says that the forge is this one."""
    dialect = server.dialect
    text = f'[forge]\nkind = "{dialect.kind}"\nurl = "{server.url}"\nrepository = "{dialect.repository}"\n{more}'
    if dialect.api:
        text = text.replace("[forge]\n", f'[forge]\napi = "{dialect.base}"\n')
    agreed = {f"forge.{key}": "MLBUTLER_" for key in ("kind", "url", "repository", "api")}
    job.loaded, job.environ = LoadedSettings(parse_settings(text), agreed), {**os.environ, FORGE_TOKEN: TOKEN}
    return job


def pictures_of(note: Note) -> list[str]:
    return re.findall(r"!\[[^\]]*\]\(([^)]+)\)", note.body)


def test_where_no_picture_is_taken_the_comment_shows_those_of_the_report_branch(
    clone: Path, git: Git, unfurnished: FakeForge
) -> None:
    head, bare = git(clone, "rev-parse", "HEAD"), clone.parent / "bare.git"
    publish.run(at_forge(with_curve(run_context(clone, head)), unfurnished))
    (note,) = unfurnished.dialect.on("17")
    (address,) = pictures_of(note)
    commit = git(bare, "rev-parse", "mlbutler/report-17")
    assert commit in address
    assert "/raw/" in address
    (path,) = re.findall(r"mlbutler/plot-[0-9a-f]{20}\.svg", address)
    assert "<svg" in git(bare, "show", f"{commit}:{path}")
    publish.run(at_forge(with_curve(run_context(clone, head)), unfurnished))
    assert git(bare, "rev-parse", "mlbutler/report-17") == commit  # the same report is pushed once
    (note,) = unfurnished.dialect.on("17")
    assert pictures_of(note) == [address]


@pytest.mark.parametrize("why", ["refused", "asked for none"])
def test_a_comment_without_its_pictures_is_a_comment(clone: Path, git: Git, why: str) -> None:
    server = FakeForge(GitHub())
    if why == "refused":
        git(clone, "remote", "set-url", "origin", str(clone.parent / "away.git"))
    more = "[comment]\npictures = false\n" if why == "asked for none" else ""
    job = at_forge(with_curve(run_context(clone, git(clone, "rev-parse", "HEAD"))), server, more)
    job.loaded = replace(job.loaded, sources={**job.loaded.sources, "comment.pictures": "MLBUTLER_COMMENT_PICTURES"})
    assert publish.run(job).outcome is Outcome.PASSED
    (note,) = server.dialect.on("17")
    assert pictures_of(note) == []
    assert "Pictures are not shown here." in note.body
    server.shutdown()
    server.server_close()
