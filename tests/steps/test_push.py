from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlbutler.errors import AccessDenied, StoreError, UsageError
from mlbutler.record import CheckResult, Outcome, PushResult, ReproduceResult, StageRun
from mlbutler.steps import check, plan, push, sync
from mlbutler.steps.context import RunContext, StepOptions
from mlbutler.store.interface import ObjectId
from tests.store.dvc_world import clone, copy_remote, dvc, point_to, reproduced_template
from tests.store.world import PASSWORD, USER, Remote, md5, unsound

State = Callable[..., RunContext]
LOGIN = {"MLBUTLER_REMOTE_ORIGIN_USER": USER, "MLBUTLER_REMOTE_ORIGIN_PASSWORD": PASSWORD}
METRIC = ObjectId(md5(b'{"rate": 2}'))


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[Remote]:
    server = Remote(copy_remote(tmp_path / "remote"), auth="basic")
    yield server
    server.close()


@pytest.fixture
def reproduced(tmp_path: Path, remote: Remote, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A work tree whose changed param has been reproduced: a new model and a new metric."""
    return trained_tree(tmp_path, remote.url, monkeypatch)


def trained_tree(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "trained"
    shutil.copytree(reproduced_template(), root, symlinks=True)
    point_to(root, url)
    monkeypatch.chdir(root)
    return root


def new_model(root: Path) -> ObjectId:
    return ObjectId(md5((root / "model.txt").read_bytes()))


def places(result: PushResult) -> dict[str, int]:
    return {moved.place: moved.objects for moved in result.moved}


def test_new_outputs_go_to_the_remote_and_the_mirror(
    reproduced: Path, remote: Remote, working_state: State, tmp_path: Path
) -> None:
    mirror = tmp_path / "mirror"
    result = push.run(working_state(reproduced, f"data.mirror = '{mirror}'", LOGIN))
    assert result.outcome is Outcome.PASSED
    assert result.run_cache == "mirror"  # an HTTP remote can hold none
    assert places(result)["origin"] == 2  # the model, and the metrics for those who get the run cache
    assert (remote.root / new_model(reproduced).key).read_bytes() == (reproduced / "model.txt").read_bytes()
    assert (remote.root / METRIC.key).is_file()
    for needed in (new_model(reproduced), METRIC):
        assert (mirror / needed.key).is_file()
    assert not unsound(mirror)
    again = push.run(working_state(reproduced, f"data.mirror = '{mirror}'", LOGIN))
    assert (again.outcome, again.moved) == (Outcome.PASSED, ())


@pytest.mark.parametrize("mirror", [True, False])
def test_where_no_run_cache_outlives_a_failed_run_it_says_how_to_get_that(
    reproduced: Path, remote: Remote, working_state: State, tmp_path: Path, mirror: bool
) -> None:
    context = working_state(reproduced, f"data.mirror = '{tmp_path / 'mirror'}'" if mirror else "", LOGIN)
    stages = (StageRun(name="train", outcome="ran"), StageRun(name="more", outcome="failed"))
    failed = ReproduceResult(outcome=Outcome.FAILED, reason="stage 'more' failed", stages=stages)
    context.record = dataclasses.replace(context.record, reproduce=failed)
    result = push.run(context)
    kept = "only this mirror keeps" if mirror else "nothing keeps"
    assert f"{kept} which stages finished" in result.reason
    assert "data.mirror" in result.remedy
    assert "S3, SSH" in result.remedy


def test_another_build_restores_from_the_mirror_what_this_one_ran(
    reproduced: Path, remote: Remote, working_state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = f"data.mirror = '{tmp_path / 'mirror'}'"
    push.run(working_state(reproduced, settings, LOGIN))
    other = clone(tmp_path / "other", remote.url)
    monkeypatch.chdir(other)
    (other / "params.yaml").write_text("rate: 2\n")
    context = working_state(other, settings, LOGIN)
    context.record = dataclasses.replace(context.record, plan=plan.run(context))
    before = len(remote.requests)
    assert sync.run(context).outcome is Outcome.PASSED
    assert len(remote.requests) == before
    dvc(other, "repro", "-q", "--allow-missing")
    assert json.loads((other / "metrics.json").read_text()) == {"rate": 2}
    assert (other / "model.txt").read_bytes() == (reproduced / "model.txt").read_bytes()
    assert not (other / "ran.log").exists()


def test_an_agent_without_anything_restores_from_a_remote_near_it_what_another_ran(
    reproduced: Path, remote: Remote, working_state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The project's remote speaks HTTP and can hold no run cache."""
    settings, bucket = "data.mirror_remote = 'near'", tmp_path / "bucket"
    bucket.mkdir()
    dvc(reproduced, "remote", "add", "near", str(bucket))
    result = push.run(working_state(reproduced, settings, LOGIN))
    assert result.run_cache == "near"
    assert not unsound(bucket)
    for needed in (new_model(reproduced), METRIC):
        assert (bucket / needed.key).is_file()
    other = clone(tmp_path / "other", remote.url)
    dvc(other, "remote", "add", "near", str(bucket))
    monkeypatch.chdir(other)
    (other / "params.yaml").write_text("rate: 2\n")
    context = working_state(other, settings, LOGIN)
    context.record = dataclasses.replace(context.record, plan=plan.run(context))
    before = len(remote.requests)
    synced = sync.run(context)
    assert synced.outcome is Outcome.PASSED
    assert {moved.place for moved in synced.moved} <= {"near", "cache"}
    assert len(remote.requests) == before
    dvc(other, "repro", "-q", "--allow-missing")
    assert json.loads((other / "metrics.json").read_text()) == {"rate": 2}
    assert not (other / "ran.log").exists()


def test_a_remote_near_the_agents_that_fails_stops_nothing(
    reproduced: Path, remote: Remote, working_state: State, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("no directory")
    dvc(reproduced, "remote", "add", "near", str(tmp_path / "file"))
    result = push.run(working_state(reproduced, "data.mirror_remote = 'near'", LOGIN))
    assert result.outcome is Outcome.PASSED
    assert places(result)["origin"] == 2
    assert "The mirror 'near' is not used" in capsys.readouterr().out
    with pytest.raises(UsageError, match="nowhere") as caught:
        push.run(working_state(reproduced, "data.mirror_remote = 'nowhere'", LOGIN))
    assert "data.mirror_remote (MLBUTLER_DATA_MIRROR_REMOTE)" in caught.value.remedy


def test_what_is_not_to_be_pushed_stays_out_of_the_remote_near_the_agents(
    reproduced: Path, remote: Remote, working_state: State, tmp_path: Path
) -> None:
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    dvc(reproduced, "remote", "add", "near", str(bucket))
    pipeline = (reproduced / "dvc.yaml").read_text()
    assert "[model.txt]" in pipeline
    (reproduced / "dvc.yaml").write_text(pipeline.replace("[model.txt]", "[{model.txt: {push: false}}]"))
    push.run(working_state(reproduced, "data.mirror_remote = 'near'", LOGIN))
    assert not (bucket / new_model(reproduced).key).exists()
    entries = [path.read_text() for path in (bucket / "runs").rglob("*") if path.is_file()]
    assert entries
    assert not [text for text in entries if "model.txt" in text]


def test_a_remote_that_can_hold_a_run_cache_gets_it_and_dvc_uses_it(
    working_state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = copy_remote(tmp_path / "storage")
    root = trained_tree(tmp_path, str(storage), monkeypatch)
    result = push.run(working_state(root))
    assert result.run_cache == "origin"
    assert not unsound(storage)
    assert "up to date" in dvc(root, "push")
    other = clone(tmp_path / "other", str(storage))
    (other / "params.yaml").write_text("rate: 2\n")
    dvc(other, "repro", "-q", "--pull", "--allow-missing")
    assert json.loads((other / "metrics.json").read_text()) == {"rate": 2}
    assert not (other / "ran.log").exists()


def test_an_incomplete_remote_is_healed_where_dvc_push_says_up_to_date(
    reproduced: Path, remote: Remote, working_state: State
) -> None:
    push.run(working_state(reproduced, "", LOGIN))
    child = ObjectId(md5(b"two\n"))
    (remote.root / child.key).unlink()
    remote.auth = ""
    assert "up to date" in dvc(reproduced, "push")
    assert not (remote.root / child.key).exists()
    remote.auth = "basic"
    assert places(push.run(working_state(reproduced, "", LOGIN))) == {"origin": 1}
    assert (remote.root / child.key).read_bytes() == b"two\n"


def test_only_what_is_at_hand_is_sent(reproduced: Path, remote: Remote, working_state: State) -> None:
    gone = reproduced / ".dvc" / "cache" / ObjectId(md5(b"two\n")).key
    gone.unlink()
    for file in remote.root.rglob("*"):
        if file.is_file():
            file.unlink()
    result = push.run(working_state(reproduced, "", LOGIN))
    assert (remote.root / new_model(reproduced).key).is_file()
    assert not list(remote.root.rglob("*.dir"))  # their file is missing: they must not promise it
    assert result.outcome is Outcome.FAILED
    assert result.reason.startswith("neither here nor on the remote: data, prepared (")
    state = working_state(reproduced, "", LOGIN)
    state.options = StepOptions(pipeline=True)  # in a run the step `check` has reported it
    assert push.run(state).outcome is Outcome.PASSED


def test_what_is_not_here_has_to_be_there(reproduced: Path, remote: Remote, working_state: State) -> None:
    shutil.rmtree(reproduced / ".dvc" / "cache")
    state = working_state(reproduced, "", LOGIN)
    lost = [file for file in remote.root.rglob("*") if file.is_file()]
    result = push.run(state)
    assert (result.outcome, result.moved) == (Outcome.FAILED, ())  # the new model was nowhere but in the cache
    assert "model.txt" in result.reason
    for file in lost:
        file.unlink()
    assert "data" in push.run(working_state(reproduced, "data.remember = 0", LOGIN)).reason
    remote.faults[""] = [500]
    with pytest.raises(StoreError):
        push.run(working_state(reproduced, "data.remember = 0", LOGIN))


def test_a_directory_that_vanished_is_no_proof_of_anything(
    tmp_path: Path, working_state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    share = copy_remote(tmp_path / "share")
    root = trained_tree(tmp_path, str(share), monkeypatch)
    share.rename(tmp_path / "elsewhere")
    shutil.rmtree(root / ".dvc" / "cache")
    state = working_state(root)
    checked = check.run(state, ("pushed",))
    assert (checked.outcome, checked.findings) == (Outcome.NOT_KNOWN, ())
    assert "is not there" in checked.undetermined[0].problem
    for file in ("data", "prepared"):
        shutil.rmtree(root / file, ignore_errors=True)
    with pytest.raises(StoreError, match="is not there"):
        sync.run(working_state(root), everything=True)


def test_push_makes_a_directory_that_has_never_been(
    tmp_path: Path, working_state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = trained_tree(tmp_path, str(tmp_path / "new"), monkeypatch)
    assert push.run(working_state(root)).outcome is Outcome.PASSED
    assert check.run(working_state(root), ("pushed",)).outcome is Outcome.PASSED


def test_the_mirror_has_its_share_when_the_remote_refuses(
    reproduced: Path, remote: Remote, working_state: State, tmp_path: Path
) -> None:
    mirror = tmp_path / "mirror"
    with pytest.raises(AccessDenied) as caught:
        push.run(working_state(reproduced, f"data.mirror = '{mirror}'"))
    assert (mirror / new_model(reproduced).key).is_file()
    assert isinstance(caught.value.partial, PushResult)
    assert caught.value.partial.moved[0].place == "mirror"


def test_a_broken_mirror_does_not_stop_the_push(
    reproduced: Path, remote: Remote, working_state: State, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no directory")
    result = push.run(working_state(reproduced, f"data.mirror = '{tmp_path / 'file' / 'mirror'}'", LOGIN))
    assert places(result) == {"origin": 2}
    assert result.run_cache == ""


def test_a_remote_that_stores_nothing_is_an_error(reproduced: Path, remote: Remote, working_state: State) -> None:
    remote.faults[""], remote.methods = [201], ("POST",)
    with pytest.raises(StoreError, match="holds nothing"):
        push.run(working_state(reproduced, "", LOGIN))


def test_a_fork_writes_nothing(reproduced: Path, remote: Remote, working_state: State, tmp_path: Path) -> None:
    context = working_state(reproduced, f"data.mirror = '{tmp_path / 'mirror'}'", LOGIN)
    context.record = dataclasses.replace(context.record, change=dataclasses.replace(context.record.change, fork=True))
    result = push.run(context)
    assert result.outcome is Outcome.SKIPPED
    assert "fork" in result.reason
    assert remote.requests == []
    assert not (tmp_path / "mirror").exists()


def test_without_any_remote_it_is_skipped(reproduced: Path, working_state: State) -> None:
    (reproduced / ".dvc" / "config").write_text("")
    (reproduced / ".dvc" / "config.local").write_text("")
    result = push.run(working_state(reproduced))
    assert result.outcome is Outcome.SKIPPED
    assert "dvc remote add" in result.remedy


@pytest.mark.parametrize(("ran", "asked"), [("unchanged", False), ("ran", True)])
def test_nothing_is_asked_when_nothing_ran_and_all_is_known_to_be_there(
    reproduced: Path, remote: Remote, working_state: State, ran: str, asked: bool
) -> None:
    context = working_state(reproduced, "", LOGIN)
    context.record = dataclasses.replace(
        context.record,
        check=CheckResult(outcome=Outcome.PASSED, reason="", checked=9),
        reproduce=ReproduceResult(outcome=Outcome.PASSED, reason="", stages=(StageRun(name="train", outcome=ran),)),
    )
    result = push.run(context)
    assert result.outcome is Outcome.PASSED
    assert bool(remote.requests) is asked
    assert ("nothing to push" in result.reason) is not asked


def test_a_remote_that_is_down_is_told_once_and_nothing_is_claimed_of_what_is_not_here(
    reproduced: Path, remote: Remote, working_state: State, capsys: pytest.CaptureFixture[str]
) -> None:
    remote.close()
    shutil.rmtree(reproduced / ".dvc" / "cache")
    context = dataclasses.replace(working_state(reproduced, "", LOGIN), options=StepOptions(pipeline=True))
    result = check.run(context, [check.PUSHED])
    names = ", ".join(finding.subject for finding in result.undetermined)
    told = f"{''.join(capsys.readouterr())}\n{result.reason}"  # the reason is what a step says at its end
    assert (result.outcome, len(result.undetermined), told.count(names)) == (Outcome.NOT_KNOWN, 3, 1)
    sent = push.run(context)
    assert sent.reason.startswith("nothing to push: none of the project's data is here; not verified for 3 artifacts")


@pytest.mark.parametrize("mirror", [True, False])
def test_where_the_results_are_is_said_when_the_remote_does_not_take_them(
    reproduced: Path, remote: Remote, working_state: State, tmp_path: Path, mirror: bool
) -> None:
    remote.close()
    context = working_state(reproduced, f"data.mirror = '{tmp_path / 'mirror'}'" if mirror else "", LOGIN)
    stages = (StageRun(name="train", outcome="ran"),)
    context.record = dataclasses.replace(
        context.record, reproduce=ReproduceResult(outcome=Outcome.PASSED, reason="", stages=stages)
    )
    with pytest.raises(StoreError) as failed:
        push.run(context)
    assert "run again. Until then the results of train are in " in failed.value.remedy
    way = "a new build that shares it restores them and pushes" if mirror else "run mlbutler push there before it is"
    assert way in failed.value.remedy
