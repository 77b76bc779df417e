from __future__ import annotations

import dataclasses
import gc
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlbutler.errors import AccessDenied, StoreError
from mlbutler.record import Outcome, PlanResult, StagePlan, StageState
from mlbutler.steps import plan, sync
from mlbutler.steps.context import RunContext
from mlbutler.store.interface import ObjectId
from mlbutler.store.upkeep import mark, uses
from tests.store.dvc_world import FILES, clone, copy_remote, dvc, point_to, status, template
from tests.store.world import PASSWORD, USER, Remote, add_object, md5, unsound

State = Callable[..., RunContext]
LOGIN = {"MLBUTLER_REMOTE_ORIGIN_USER": USER, "MLBUTLER_REMOTE_ORIGIN_PASSWORD": PASSWORD}


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[Remote]:
    """An authenticated HTTP remote that holds everything."""
    server = Remote(copy_remote(tmp_path / "remote"), auth="basic")
    yield server
    server.close()


@pytest.fixture
def root(tmp_path: Path, remote: Remote, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone without data."""
    directory = clone(tmp_path / "clone", remote.url)
    monkeypatch.chdir(directory)
    return directory


def run_plan(context: RunContext) -> RunContext:
    context.record = dataclasses.replace(context.record, plan=plan.run(context))
    return context


def fetched_paths(remote: Remote) -> list[str]:
    return [path for method, path in remote.requests if method == "GET"]


def test_nothing_stale_brings_nothing_and_opens_no_project(root: Path, remote: Remote, working_state: State) -> None:
    context = working_state(root, "", LOGIN)
    up_to_date = StagePlan(name="train", state=StageState.UP_TO_DATE)
    context.record = dataclasses.replace(
        context.record, plan=PlanResult(outcome=Outcome.PASSED, reason="", stages=(up_to_date,))
    )
    result = sync.run(context)
    assert (result.outcome, result.moved) == (Outcome.PASSED, ())
    assert "nothing to bring" in result.reason
    assert remote.requests == []
    assert "project" not in vars(context)


def test_everything_is_brought_and_dvc_agrees(root: Path, remote: Remote, working_state: State, tmp_path: Path) -> None:
    settings = f"data.mirror = '{tmp_path / 'mirror'}'"
    context = working_state(root, settings, LOGIN)
    result = sync.run(context, everything=True)
    assert result.outcome is Outcome.PASSED
    assert len(uses.read_uses(tmp_path / "mirror").running) == 2  # although there was no mirror when it began
    assert set(result.paths) == {"data", "prepared", "model.txt"}
    assert {path.relative_to(root / "data").as_posix() for path in (root / "data").rglob("*.txt")} == set(FILES)
    assert status(root) == {}
    before = len(remote.requests)
    point_to(root, "/nonexistent/x")
    assert "up to date" in dvc(root, "pull")
    assert len(remote.requests) == before
    assert not unsound(tmp_path / "mirror")
    assert PASSWORD not in "".join(p.read_text(errors="replace") for p in root.rglob("*") if p.is_file())
    point_to(root, remote.url)
    again = sync.run(working_state(root, settings, LOGIN), everything=True)
    assert [moved.place for moved in again.moved] == ["cache"]
    assert len(remote.requests) == before


def test_a_warm_mirror_spares_the_remote(root: Path, remote: Remote, working_state: State, tmp_path: Path) -> None:
    settings = f"data.mirror = '{tmp_path / 'mirror'}'"
    sync.run(working_state(root, settings, LOGIN), everything=True)
    before = len(remote.requests)
    other = clone(tmp_path / "other", remote.url)
    result = sync.run(working_state(other, settings, LOGIN), everything=True)
    assert [moved.place for moved in result.moved] == ["mirror"]
    assert len(remote.requests) == before
    assert status(other) == {}


def test_a_plan_believes_no_damaged_manifest(root: Path, remote: Remote, working_state: State, tmp_path: Path) -> None:
    settings = f"data.mirror = '{tmp_path / 'mirror'}'"
    sync.run(working_state(root, settings, LOGIN), everything=True)
    other = clone(tmp_path / "other", remote.url)
    for file in (tmp_path / "mirror").rglob("*.dir"):
        whole = file.read_bytes()
        file.unlink()
        file.write_bytes(whole.replace(b"a b.txt", b"a c.txt"))
        file.chmod(0o444)
    context = run_plan(working_state(other, settings, LOGIN))
    assert not context.record.plan.stale()  # type: ignore[union-attr]
    assert sync.run(context, everything=True).outcome is Outcome.PASSED
    assert status(other) == {}
    assert not unsound(tmp_path / "mirror")


def test_only_what_the_stale_stage_needs_is_brought(root: Path, remote: Remote, working_state: State) -> None:
    (root / "params.yaml").write_text("rate: 2\n")
    context = run_plan(working_state(root, "", LOGIN))
    result = sync.run(context)
    assert result.outcome is Outcome.PASSED
    assert result.paths == ("prepared",)
    assert (root / "prepared" / "a b.txt").read_text() == "one\n"
    assert not (root / "data").exists()
    model = ObjectId(md5((template().repo / "model.txt").read_bytes()))
    assert model.key not in fetched_paths(remote)
    assert "nothing to bring" in sync.run(run_plan(working_state(root, "", LOGIN))).reason


def test_an_output_that_was_never_pushed_but_is_rebuilt_is_not_asked_for(
    root: Path, remote: Remote, working_state: State
) -> None:
    model = ObjectId(md5((template().repo / "model.txt").read_bytes()))
    (remote.root / model.key).unlink()
    (root / "params.yaml").write_text("rate: 2\n")
    assert sync.run(run_plan(working_state(root, "", LOGIN))).outcome is Outcome.PASSED


def test_what_no_store_holds_fails_by_path_and_the_rest_is_there(
    root: Path, remote: Remote, working_state: State
) -> None:
    (remote.root / ObjectId(md5(b"two\n")).key).unlink()
    result = sync.run(working_state(root, "", LOGIN), everything=True)
    assert result.outcome is Outcome.FAILED
    assert result.missing == ("data/grüße.txt",) or result.missing == ("prepared/grüße.txt",)
    assert result.paths == ("model.txt",)
    assert (root / "model.txt").exists()
    assert "dvc push -r origin" in result.remedy


def test_wrong_password_and_no_password_are_refusals_and_leave_the_clone(
    root: Path, remote: Remote, working_state: State
) -> None:
    for environ in (LOGIN | {"MLBUTLER_REMOTE_ORIGIN_PASSWORD": "wrong-password"}, {}):
        with pytest.raises(AccessDenied, match="401") as caught:
            sync.run(working_state(root, "", environ), everything=True)
        assert caught.value.exit_code == 3
        assert "MLBUTLER_REMOTE_ORIGIN_USER" in caught.value.remedy
        assert "wrong-password" not in caught.value.message
    assert not (root / "data").exists()
    assert not list((root / ".dvc" / "cache").rglob("*.*"))


def test_a_remote_that_fails_is_an_error_of_the_outside(root: Path, remote: Remote, working_state: State) -> None:
    remote.faults[""] = [404]
    remote.faults[ObjectId(md5(b"two\n")).key] = ["wrong"]
    for name in ("one", "three", "four"):
        remote.faults[ObjectId(md5(f"{name}\n".encode())).key] = ["ok"]
    for file in remote.root.rglob("*.dir"):
        remote.faults[str(file.relative_to(remote.root))] = ["ok"]
    with pytest.raises(StoreError, match="wrong content") as caught:
        sync.run(working_state(root, "", LOGIN), everything=True)
    assert caught.value.partial is not None
    assert not (root / "data").exists()


def test_a_local_remote_with_a_truncated_object_is_not_believed(
    tmp_path: Path, working_state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = copy_remote(tmp_path / "storage")
    root = clone(tmp_path / "clone", str(storage))
    monkeypatch.chdir(root)
    model = storage / ObjectId(md5((template().repo / "model.txt").read_bytes())).key
    model.unlink()
    model.write_bytes(b"cut")
    model.chmod(0o444)
    with pytest.raises(StoreError, match="wrong content"):
        sync.run(working_state(root), everything=True)
    assert not (root / "model.txt").exists()
    assert model.read_bytes() == b"cut"


def test_the_mirror_s_run_cache_lets_a_stage_be_restored(
    root: Path, remote: Remote, working_state: State, tmp_path: Path
) -> None:
    mirror = tmp_path / "mirror"
    shutil.copytree(template().repo / ".dvc" / "cache", mirror)
    (root / "dvc.lock").write_text("schema: '2.0'\nstages: {}\n")
    context = run_plan(working_state(root, f"data.mirror = '{mirror}'", LOGIN))
    assert {stage.state for stage in context.record.plan.stages if stage.name == "train"} <= {  # type: ignore[union-attr]
        StageState.RESTORABLE,
        StageState.STALE,
    }
    assert sync.run(context).outcome is Outcome.PASSED
    assert len(list((root / ".dvc" / "cache" / "runs").rglob("*"))) > 2
    dvc(root, "repro", "-q")
    assert not (root / "ran.log").exists()
    assert fetched_paths(remote) == []


def test_a_mirror_above_its_limit_loses_what_this_build_does_not_use(
    root: Path, working_state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = tmp_path / "mirror"
    mark.mark_if_empty(mirror)
    old = add_object(mirror, b"of an old build" * 1000)
    context = working_state(root, f"data.mirror = '{mirror}'\ndata.mirror_limit = '5 KB'", LOGIN)
    later = time.time() + 10 * 86400  # nothing counts as just come
    monkeypatch.setattr("mlbutler.store.upkeep.prune.time.time", lambda: later)
    brought = sync.run(context, everything=True)
    assert brought.outcome is Outcome.PASSED
    assert not (mirror / old.key).exists()
    needed = [artifact.oid for artifact in context.project.artifacts() if artifact.cached and artifact.oid]
    assert all((mirror / oid.key).is_file() for oid in needed)
    assert uses.read_uses(mirror).running >= set(needed)
    shutil.rmtree(root / ".dvc" / "cache")
    again = sync.run(context, everything=True)
    assert {moved.place for moved in again.moved} == {"mirror"}


def test_a_forks_build_evicts_nothing(
    root: Path, working_state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = tmp_path / "mirror"
    mark.mark_if_empty(mirror)
    old = add_object(mirror, b"of an old build" * 1000)
    context = working_state(root, f"data.mirror = '{mirror}'\ndata.mirror_limit = 1", LOGIN)
    context.record = dataclasses.replace(context.record, change=dataclasses.replace(context.record.change, fork=True))
    later = time.time() + 10 * 86400
    monkeypatch.setattr("mlbutler.store.upkeep.prune.time.time", lambda: later)
    context.mirror_use.grew(10**9)
    assert (mirror / old.key).exists()


def test_a_forks_build_leaves_nothing_in_the_mirror(
    root: Path, remote: Remote, working_state: State, tmp_path: Path
) -> None:
    settings = f"data.mirror = '{tmp_path / 'mirror'}'"
    sync.run(working_state(root, settings, LOGIN), everything=True)

    def content() -> dict[str, bytes]:
        files = (path for path in (tmp_path / "mirror").rglob("*") if path.is_file())
        return {path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in files}

    before = content()
    context = working_state(clone(tmp_path / "other", remote.url), settings, LOGIN)
    context.record = dataclasses.replace(context.record, change=dataclasses.replace(context.record.change, fork=True))
    assert sync.run(context, everything=True).outcome is Outcome.PASSED
    assert status(tmp_path / "other") == {}
    del context
    gc.collect()
    assert content() == before
