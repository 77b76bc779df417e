"""Stages run through DVC: in order, apart from each other, and with every finished one kept."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest

from mlbutler.errors import BusyError, ProjectError
from mlbutler.record import Cause, StagePlan, StageState
from mlbutler.reproduce.runner import Runner
from tests import forked_python
from tests.late import LIMIT, time_is_up_with
from tests.reproduce.conftest import World, because_of, stale

Make = Callable[[Mapping[str, str]], World]

DAG = """
stages:
  prepare:
    cmd: cp raw.txt prepared.txt
    deps: [raw.txt]
    outs: [prepared.txt]
  train:
    cmd: >-
      {train}
    deps: [prepared.txt]
    params: [lr]
    outs: [model.txt]
    metrics: [{{metrics.json: {{cache: false}}}}]
  report:
    cmd: cat model.txt > report.txt
    deps: [model.txt]
    outs: [report.txt]
  other:
    cmd: echo other > other.txt
    outs: [other.txt]
"""
TRAIN = "cat prepared.txt params.yaml > model.txt && echo '{\"acc\": 0.5}' > metrics.json"
FILES = {"raw.txt": "data\n", "params.yaml": "lr: 0.1\n", "dvc.yaml": DAG.format(train=TRAIN)}
ALL = ("prepare", "train", "report", "other")
PARAM = Cause(kind="param", subject="params.yaml:lr", detail="0.1 -> 0.2")


def whole(*causes: Cause) -> list[StagePlan]:
    return [stale(name, *causes) for name in ALL]


def dvc_finds_nothing_to_do(world: World) -> bool:
    return forked_python.run("dvc", "status", "-q", cwd=world.root).returncode == 0


def test_a_project_that_was_never_run_is_run_as_dvc_does(world: Make) -> None:
    project = world(FILES)
    done = project.reproduce(*whole())
    assert project.outcomes(done) == dict.fromkeys(ALL, "ran")
    assert project.read("report.txt") == "data\nlr: 0.1\n"
    assert dvc_finds_nothing_to_do(project)
    assert project.headings[0] == "stage prepare (1 of 4): because it was never run"
    assert "> cp raw.txt prepared.txt" in project.lines
    assert all(run.duration > 0 and run.exit_code == 0 for run in done.runs.values())
    assert done.changed == list(ALL)


def test_a_changed_param_runs_its_stage_and_what_stands_on_it(world: Make) -> None:
    project = world(FILES)
    project.dvc("repro", "-q")
    project.commit("results")
    project.write({"params.yaml": "lr: 0.2\n"})
    plan = [
        StagePlan(name="prepare", state=StageState.UP_TO_DATE),
        stale("train", PARAM),
        stale("report", because_of("train")),
        StagePlan(name="other", state=StageState.UP_TO_DATE),
    ]
    done = project.reproduce(*plan)
    assert project.outcomes(done) == {"prepare": "unchanged", "train": "ran", "report": "ran", "other": "unchanged"}
    assert project.headings == [
        "stage train (1 of 2): because params.yaml:lr changed (0.1 -> 0.2)",
        "stage report (2 of 2): because train runs before it",
    ]
    assert dvc_finds_nothing_to_do(project)


def test_the_run_cache_restores_what_ran_before(world: Make) -> None:
    project = world(FILES)
    project.dvc("repro", "-q")
    project.write({"params.yaml": "lr: 0.2\n"})
    project.dvc("repro", "-q")
    project.write({"params.yaml": "lr: 0.1\n"})
    done = project.reproduce(stale("train", PARAM), stale("report", because_of("train")))
    assert project.outcomes(done) == {"train": "restored", "report": "restored"}
    assert project.read("report.txt") == "data\nlr: 0.1\n"
    assert done.changed == []


def test_a_stage_behind_one_that_made_the_same_again_needs_nothing(world: Make) -> None:
    project = world(FILES)
    project.dvc("repro", "-q")
    project.commit("results")
    same = "cat prepared.txt params.yaml > model.txt; echo '{\"acc\": 0.5}' > metrics.json"
    project.write({"dvc.yaml": DAG.format(train=same)})
    (project.root / "report.txt").unlink()  # a clone that holds only what the plan needs
    cause = Cause(kind="command", subject="train")
    done = project.reproduce(stale("train", cause), stale("report", because_of("train")))
    assert project.outcomes(done) == {"train": "ran", "report": "unchanged"}


def test_an_output_that_the_lock_lacks_is_made(world: Make) -> None:
    project = world(FILES)
    project.dvc("repro", "-q")
    more = project.read("dvc.yaml").replace("outs: [other.txt]", "outs: [other.txt, more.txt]")
    project.write({"dvc.yaml": more.replace("echo other > other.txt", "echo other | tee other.txt > more.txt")})
    lock = project.read("dvc.lock").replace("echo other > other.txt", "echo other | tee other.txt > more.txt")
    project.write({"dvc.lock": lock})
    done = project.reproduce(stale("other", Cause(kind="output", subject="more.txt", detail="no hash in dvc.lock")))
    assert project.outcomes(done) == {"other": "ran"}
    assert "more.txt" in project.read("dvc.lock")


def test_a_failed_stage_stops_only_what_stands_on_it_and_its_metrics_come_back(world: Make) -> None:
    project = world(FILES)
    project.dvc("repro", "-q")
    project.commit("results")
    project.write({"raw.txt": "new\n", "metrics.json": '{"acc": 0.5, "edited": "not committed"}\n'})
    broken = "echo '{}' > metrics.json; echo last words; exit 7"
    project.write({"dvc.yaml": DAG.format(train=broken).replace("echo other", "echo another")})
    done = project.reproduce(*whole(Cause(kind="command", subject="x")))
    assert project.outcomes(done) == {
        "prepare": "ran", "train": "failed", "report": "not reached", "other": "ran",
    }  # fmt: skip
    failed = done.runs["train"]
    assert failed.exit_code == 7
    assert "last words" in failed.tail
    assert "> cp raw.txt prepared.txt" not in failed.tail
    assert done.problems == ["stage 'train' failed: exit code 7"]
    assert project.read("metrics.json") == '{"acc": 0.5, "edited": "not committed"}\n'
    assert done.put_back == ["metrics.json"]
    assert not (project.root / ".mlbutler" / "aside").exists()
    project.write({"dvc.yaml": project.read("dvc.yaml").replace(broken, TRAIN)})
    assert project.outcomes(project.reproduce(stale("prepare"))) == {"prepare": "unchanged"}  # it was kept


def test_a_tracked_file_that_a_failing_command_deleted_comes_back(world: Make) -> None:
    project = world({"dvc.yaml": "stages: {a: {cmd: 'rm \"no te.txt\"; exit 1', outs: [a.txt]}}", "no te.txt": "x"})
    done = project.reproduce(stale("a"))
    assert project.read("no te.txt") == "x"
    assert done.put_back == ["no te.txt"]


def test_a_missing_dependency_is_named_before_anything_is_deleted(world: Make) -> None:
    project = world(FILES)
    project.dvc("repro", "-q")
    project.commit("results")
    (project.root / "prepared.txt").unlink()
    project.write({"params.yaml": "lr: 0.2\n"})
    done = project.reproduce(stale("train", PARAM))
    assert project.outcomes(done) == {"train": "failed"}
    assert "prepared.txt" in done.problems[0]
    assert (project.root / "model.txt").exists()


def test_a_stage_that_does_not_write_its_output_fails(world: Make) -> None:
    project = world({"dvc.yaml": "stages: {a: {cmd: 'true', outs: [a.txt]}}"})
    done = project.reproduce(stale("a"))
    assert project.outcomes(done) == {"a": "failed"}
    assert "a.txt" in done.problems[0]


def test_foreach_matrix_and_stages_in_folders_keep_dvcs_names(world: Make) -> None:
    project = world(
        {
            "dvc.yaml": "stages:\n"
            "  build:\n    foreach: [a, 'b c']\n"
            "    do: {cmd: 'echo ${item} > \"${item}.txt\"', outs: ['${item}.txt']}\n"
            "  fit:\n    matrix: {lr: [0.1, 2], m: [x]}\n"
            "    cmd: echo ${item.lr} > fit${item.lr}\n    outs: ['fit${item.lr}']\n",
            "sub dir/dvc.yaml": "stages: {stage: {cmd: pwd > here.txt, outs: [here.txt]}}",
        }
    )
    names = ["build@a", "build@b c", "fit@0.1-x", "fit@2-x", "sub dir/dvc.yaml:stage"]
    done = project.reproduce(*map(stale, names))
    assert project.outcomes(done) == dict.fromkeys(names, "ran")
    assert project.read("sub dir/here.txt").strip() == str(project.root / "sub dir")
    assert dvc_finds_nothing_to_do(project)


def test_stages_see_no_credential_and_printed_ones_are_hidden(world: Make) -> None:
    secret = "planted-secret-value"
    project = world(
        {"dvc.yaml": "stages: {a: {cmd: env > seen.txt; cat hidden; exit 1, outs: [a]}}", "hidden": f"say {secret}\n"}
    )
    done = project.reproduce(stale("a"), environ={"DEPLOY_TOKEN": secret, "AWS_SECRET_ACCESS_KEY": "another-secret"})
    seen = project.read("seen.txt")
    assert secret not in seen
    assert "another-secret" not in seen
    assert "DVC_STAGE=a" in seen
    assert "say [hidden]" in project.lines
    assert secret not in str(done) + str(project.lines)


def test_a_timeout_ends_the_stage_and_all_that_it_started(world: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    command = f"{sys.executable} stubborn.py & wait"
    project = world(
        {
            "dvc.yaml": f"stages:\n  a: {{cmd: '{command}', outs: [a], metrics: [m.json: {{cache: false}}]}}\n"
            "  b: {cmd: echo > b, deps: [a], outs: [b]}\n",
            "stubborn.py": "import os, signal, time\nfor n in (2, 15): signal.signal(n, signal.SIG_IGN)\n"
            "open('written', 'w').write(str(os.getpid()))\nos.rename('written', 'pid')\ntime.sleep(999)\n",
            "m.json": "{}",
        }
    )
    time_is_up_with(project.root / "pid", monkeypatch)
    done = project.reproduce(stale("a"), stale("b"), timeout=LIMIT)
    assert done.timed_out
    assert project.outcomes(done) == {"a": "failed", "b": "not reached"}
    assert done.problems == ["stage 'a' failed: timed out after 1 h 0 min"]
    assert project.read("m.json") == "{}"
    pid = project.read("pid")
    state = subprocess.run(["ps", "-o", "stat=", "-p", pid], capture_output=True, text=True, check=False).stdout
    assert state.strip() in ("", "Z")


def test_dvc_runs_again_where_a_stage_was_stopped_while_its_locks_were_written(
    world: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = ": > .dvc/tmp/rwlock"
    project = world(
        {
            "dvc.yaml": f"stages:\n  a: {{cmd: '{cut} && kill -9 $PPID', outs: [a]}}\n"
            f"  b: {{cmd: '{cut} && touch cut && sleep 999', outs: [b]}}\n"
            "  c: {cmd: echo > c, outs: [c]}\n"
        }
    )
    time_is_up_with(project.root / "cut", monkeypatch)
    for name, timeout in (("a", None), ("b", LIMIT)):
        assert project.outcomes(project.reproduce(stale(name), timeout=timeout)) == {name: "failed"}
        project.dvc("repro", "--force", "--single-item", "c")


EDITED = """
stages:
  train:
    cmd: >-
      cat code.txt folder/x params.yaml > model.txt; echo '{{}}' > m.json; {edit}
    deps: [code.txt, folder]
    params: [lr, nan]
    outs: [model.txt]
    metrics: [m.json: {{cache: false}}]
  after: {{cmd: cat model.txt > after.txt, deps: [model.txt], outs: [after.txt]}}
"""


def cache_files(cache: Path) -> list[Path]:
    """The files of DVC's cache, objects and runs."""
    return sorted(path for path in cache.rglob("*") if path.is_file() and path.parent.name != "mlbutler")


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        ("echo new > code.txt", "code.txt"),
        ("echo 2 > folder/y", "folder"),
        ("sed -i s/0.1/0.2/ params.yaml", "params.yaml:lr"),
        ("touch code.txt folder/x; echo 'lr: 0.1' > params.yaml; echo 'nan: .nan' >> params.yaml", ""),
        ("cp code.txt c; mv c code.txt", ""),
    ],
)
def test_of_a_stage_whose_inputs_changed_while_it_ran_nothing_is_recorded(world: Make, edit: str, named: str) -> None:
    project = world(
        {
            "dvc.yaml": EDITED.format(edit="true"), "code.txt": "1\n", "folder/x": "x\n",
            "params.yaml": "lr: 0.1\nnan: .nan\n", "m.json": "committed",
        }
    )  # fmt: skip
    project.dvc("repro", "-q")
    project.commit("results")
    project.write({"dvc.yaml": EDITED.format(edit=edit), "m.json": "edited"})
    lock, cache = project.read("dvc.lock"), project.root / ".dvc" / "cache"
    kept = cache_files(cache)
    command = Cause(kind="command", subject="train")
    done = project.reproduce(stale("train", command), stale("after", because_of("train")))
    if not named:
        assert project.outcomes(done)["train"] == "ran"
        return
    assert project.outcomes(done) == {"train": "failed", "after": "not reached"}
    assert done.problems == [f"stage 'train' failed: inputs changed while it ran: {named}"]
    assert done.moved == [named]
    assert project.read("dvc.lock") == lock
    assert cache_files(cache) == kept
    assert project.read("m.json") == "edited"


def test_a_killed_stage_is_a_failed_one(world: Make) -> None:
    project = world(
        {"dvc.yaml": "stages:\n  a: {cmd: 'kill -9 $$', outs: [a]}\n  z: {cmd: kill -9 $PPID; sleep 5, outs: [z]}\n"}
    )
    done = project.reproduce(stale("a"), stale("z"))
    assert project.outcomes(done) == {"a": "failed", "z": "failed"}
    assert [run.exit_code for run in done.runs.values()] == [-9, -9]
    assert all("out of memory?" in problem for problem in done.problems)


@pytest.mark.parametrize(
    "end", ["kill -TERM $$", "exit 143", "kill -TERM $PPID; sleep 9", "kill -TERM $(ps -o ppid= -p $PPID); sleep 9"]
)
def test_a_build_that_is_aborted_is_interrupted_though_its_stage_dies_first(world: Make, end: str) -> None:
    told = f"(sleep 0.5; kill -TERM {os.getpid()}) > /dev/null 2>&1 &"
    project = world(
        {
            "dvc.yaml": f"stages:\n  a: {{cmd: '{told} {end}', outs: [a], metrics: [m.json: {{cache: false}}]}}\n"
            "  b: {cmd: echo > b, outs: [b]}\n",
            "m.json": "{}",
        }
    )
    done = project.reproduce(stale("a"), stale("b"), told=600)
    assert done.interrupted
    assert project.outcomes(done) == {"a": "interrupted", "b": "not reached"}
    assert project.read("m.json") == "{}"


def test_a_stage_that_somebody_else_ended_has_failed(world: Make) -> None:
    project = world({"dvc.yaml": "stages:\n  a: {cmd: 'kill -TERM $$', outs: [a]}\n  b: {cmd: echo > b, outs: [b]}\n"})
    done = project.reproduce(stale("a"), stale("b"))
    assert project.outcomes(done) == {"a": "failed", "b": "ran"}
    assert done.problems == ["stage 'a' failed: killed by SIGTERM"]


def test_a_worker_that_is_killed_fails_its_stage_and_the_rest_goes_on(world: Make) -> None:
    kill = "kill -9 $(ps -o ppid= -p $PPID); sleep 3"
    project = world(
        {
            "dvc.yaml": f"stages:\n  a: {{cmd: '{kill}', outs: [m.json: {{cache: false}}]}}\n"
            "  b: {cmd: echo > b, outs: [b]}\n",
            "m.json": "{}",
        }
    )
    done = project.reproduce(stale("a"), stale("b"))
    assert project.outcomes(done) == {"a": "failed", "b": "ran"}
    assert done.runs["a"].exit_code == -9
    assert project.read("m.json") == "{}"


def test_peak_memory_is_the_commands_own(world: Make) -> None:
    project = world(
        {
            "dvc.yaml": f"stages:\n  big: {{cmd: {sys.executable} big.py > a, outs: [a]}}\n"
            "  small: {cmd: echo > b, outs: [b]}\n",
            "big.py": "x = bytearray(300_000_000)",
        }
    )
    done = project.reproduce(stale("big"), stale("small"))
    assert 300_000_000 < (done.runs["big"].peak_memory or 0) < 500_000_000
    assert done.runs["small"].peak_memory is None  # smaller than DVC itself: not known


def test_modules_of_the_projects_do_not_get_in_our_way(world: Make) -> None:
    project = world({"dvc.yaml": "stages: {a: {cmd: echo > a, outs: [a]}}", "json.py": "1/0", "dvc.py": "1/0"})
    anew = {"PYTHONHASHSEED": "0"}  # no fork can have it, so that a new interpreter imports what it finds
    assert project.outcomes(project.reproduce(stale("a"), environ=anew)) == {"a": "ran"}


def test_a_lock_held_by_another_dvc_is_waited_for_and_then_reported(world: Make) -> None:
    project = world({"dvc.yaml": "stages: {a: {cmd: echo > a, outs: [a]}}"})
    hold = (
        "import sys, zc.lockfile\nlock = zc.lockfile.LockFile('.dvc/tmp/lock')\nprint('held', flush=True)\n"
        "sys.stdin.read()"
    )
    (project.root / ".dvc" / "tmp").mkdir(exist_ok=True)
    holder = subprocess.Popen(
        [sys.executable, "-c", hold], cwd=project.root, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    runner = project.runner(stale("a"), lock_timeout=0.0)
    with pytest.raises(BusyError) as caught:
        runner.run()
    assert caught.value.remedy
    assert project.outcomes(runner.result) == {"a": "not reached"}
    holder.communicate()
    assert project.outcomes(project.reproduce(stale("a"))) == {"a": "ran"}


@pytest.mark.parametrize("broken", ["stages: [", "stages: {a: {cmd: x, outs: [o]}, b: {cmd: y, outs: [o]}}"])
def test_a_project_that_dvc_cannot_read_is_an_error(world: Make, broken: str) -> None:
    project = world({"dvc.yaml": broken})
    with pytest.raises(ProjectError) as caught:
        project.reproduce(stale("a"))
    assert caught.value.remedy


def test_a_killed_run_gives_the_metrics_back_to_the_next(world: Make) -> None:
    project = world({"dvc.yaml": "stages: {a: {cmd: echo > a, outs: [a]}}", "m.json": "committed"})
    aside = project.root / ".mlbutler" / "aside"
    aside.mkdir(parents=True)
    aside.joinpath("0").write_text("edited")
    aside.joinpath("1").write_text("bad")
    aside.joinpath("index.json").write_text('{"0": "m.json", "1": "../escaped"}')
    (project.root / "m.json").unlink()
    project.reproduce(stale("a"))
    assert project.read("m.json") == "edited"
    assert not (project.root.parent / "escaped").exists()


def test_a_stage_that_failed_on_another_agent_is_not_run_again_nor_what_stands_on_it(world: Make) -> None:
    stages = "a: {cmd: echo a > a, outs: [a]}, b: {cmd: cp a b, deps: [a], outs: [b]}, c: {cmd: echo c > c, outs: [c]}"
    made = world({"dvc.yaml": f"stages: {{{stages}}}\n"})
    runner = made.runner(stale("a"), stale("b"), stale("c"))
    done = Runner(runner._plan, runner._here, ["a", "unknown"]).run()
    assert made.outcomes(done) == {"a": "failed", "b": "not reached", "c": "ran"}
    assert done.problems == ["stage 'a' failed on another agent"]
    assert not (made.root / "a").exists()


def test_that_the_run_cache_has_no_such_stage_is_never_the_reason() -> None:
    from dvc.exceptions import DvcException
    from dvc.stage.cache import RunCacheNotFoundError

    from mlbutler.reproduce.worker import _message

    wrapped = DvcException("failed to reproduce 'train'")
    wrapped.__cause__ = ConnectionRefusedError("cannot connect to host example.org")
    wrapped.__cause__.__context__ = RunCacheNotFoundError(SimpleNamespace(addressing="train"))
    assert _message(wrapped) == "cannot connect to host example.org"


def test_a_fault_that_is_neither_dvcs_nor_the_file_systems_is_told_by_its_kind() -> None:
    from dvc.exceptions import DvcException

    from mlbutler.reproduce.worker import _message

    fault = TypeError("cannot serialize a date")
    fault.__context__ = FileNotFoundError("no such entry")  # was dealt with before
    assert _message(fault) == "TypeError: cannot serialize a date"
    wrapped = DvcException("failed to reproduce 'train'")
    wrapped.__cause__ = fault
    assert _message(wrapped) == "failed to reproduce 'train': TypeError: cannot serialize a date"


def test_an_output_whose_name_dvc_cannot_record_fails_its_stage_with_the_cause(world: Make) -> None:
    made = world({"dvc.yaml": "stages: {a: {cmd: \"mkdir a && touch a/$(printf '\\\\377')\", outs: [a]}}\n"})
    done = made.runner(stale("a")).run()
    assert made.outcomes(done) == {"a": "failed"}
    assert "UnicodeEncodeError" in done.problems[0]
