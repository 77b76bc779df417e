"""The reproduce step, from the real plan of real DVC projects."""

from __future__ import annotations

import dataclasses
import functools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from mlbutler.console import Console
from mlbutler.errors import Interrupted, UsageError
from mlbutler.record import Change, Environment, Outcome, Record, ReproduceResult
from mlbutler.settings import load
from mlbutler.steps import commit as committing
from mlbutler.steps import plan as planning
from mlbutler.steps.context import RunContext, StepOptions, Trust
from mlbutler.steps.reproduce import run
from tests import forked_python
from tests.late import LIMIT, time_is_up_with

IDENTITY = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
TWO = """
stages:
  first:
    cmd: cp in.txt first.txt
    deps: [in.txt]
    outs: [first.txt]
  second:
    cmd: sh second.sh
    deps: [first.txt, second.sh]
    metrics: [m.json: {cache: false}]
"""
FILES = {"dvc.yaml": TWO, "in.txt": "1\n", "second.sh": "echo '{}' > m.json\n"}


def dvc(root: Path, *args: str) -> None:
    done = forked_python.run("dvc", *args, cwd=root)
    assert done.returncode == 0, done.stdout + done.stderr


def commit(root: Path, *messages: str) -> str:
    subprocess.run(["git", "add", "-A"], cwd=root, check=True)
    text = [part for message in messages for part in ("-m", message)]
    subprocess.run(["git", *IDENTITY, "commit", "-q", "--allow-empty", *text], cwd=root, check=True)
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@functools.cache
def empty() -> tempfile.TemporaryDirectory[str]:
    """``git init`` and ``dvc init``, once."""
    folder = tempfile.TemporaryDirectory()
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=folder.name, check=True)
    dvc(Path(folder.name), "init", "-q")
    return folder


def make(root: Path, files: Mapping[str, str]) -> Path:
    shutil.copytree(empty().name, root, symlinks=True)
    for name, text in files.items():
        (root / name).write_text(text)
    (root / ".gitignore").write_text("/.mlbutler\n")
    commit(root, "first")
    return root


def planned_context(
    root: Path, *, pipeline: bool = True, environ: Mapping[str, str] | None = None, base: str = "", **change: object
) -> RunContext:
    """A run at this root that has been through the plan step; `base` is the merge base, which Git's remote named."""
    given = {**os.environ, **(environ or {})}
    about = Change(ci="jenkins", kind="pull-request", head="0" * 40, checkout="0" * 40)
    record = Record(
        change=dataclasses.replace(about, **change),  # type: ignore[arg-type]
        environment=Environment(mlbutler="0", dvc="0", git="0", python="3", platform="x", host="h", cpus=1, memory=1),
    )
    context = RunContext(
        root, load(root, given), Console(), record, environ=given, options=StepOptions(pipeline=pipeline),
        trust=Trust(target_revisions=(base,) if base else ()),
    )  # fmt: skip
    context.record = dataclasses.replace(record, plan=planning.run(context))
    return context


def outcomes(result: ReproduceResult) -> dict[str, str]:
    return {stage.name: stage.outcome for stage in result.stages}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make(tmp_path / "repo", FILES)


def test_what_is_stale_runs_and_then_nothing_is_left(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    result = run(planned_context(project))
    assert result.outcome is Outcome.PASSED
    assert outcomes(result) == {"first": "ran", "second": "ran"}
    assert result.reason == "2 stages: 2 ran"
    log = (project / result.log).read_text()
    shown = capfd.readouterr().out
    for text in (log, shown):
        assert "== stage second (2 of 2)" in text
        assert text.index("stage first") < text.index("cp in.txt first.txt") < text.index("stage second")
        assert "git add" not in text  # DVC's advice after each stage; the step `commit` says what to commit
    commit(project, "results")
    again = run(planned_context(project))
    assert again.outcome is Outcome.PASSED
    assert again.reason == "nothing to run: all 2 stages are up to date"
    assert outcomes(again) == {"first": "unchanged", "second": "unchanged"}


def test_a_build_that_is_not_meant_to_reproduce_is_skipped_with_the_reason(project: Path) -> None:
    result = run(planned_context(project, message="Tidy up [skip experiment]"))
    assert result.outcome is Outcome.SKIPPED
    assert "[skip experiment]" in result.reason
    assert not (project / "first.txt").exists()
    by_hand = run(planned_context(project, pipeline=False, message="Tidy up [skip experiment]"))
    assert by_hand.outcome is Outcome.PASSED


def test_without_a_plan_it_says_what_to_do(project: Path) -> None:
    context = planned_context(project)
    context.record = dataclasses.replace(context.record, plan=None)
    with pytest.raises(UsageError) as caught:
        run(context)
    assert "mlbutler plan" in caught.value.remedy


def test_a_failed_stage_is_a_judgement_with_the_way_to_see_more(project: Path) -> None:
    (project / "second.sh").write_text("echo '{\"kept\": 1}' > m.json\n")
    run(planned_context(project))
    commit(project, "results")
    (project / "second.sh").write_text("echo boom; exit 3\n")
    result = run(planned_context(project))
    assert result.outcome is Outcome.FAILED
    assert "stage 'second' failed: exit code 3" in result.reason
    assert "put back as it was: m.json" in result.reason
    assert "dvc repro --single-item second" in result.remedy
    assert (project / "m.json").read_text() == '{"kept": 1}\n'
    assert "boom" in result.stages[1].tail
    assert "boom" in (project / result.log).read_text()


def test_planted_secrets_are_in_no_log(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (project / "second.sh").write_text("cat planted; env; echo '{}' > m.json; exit 1\n")
    (project / "planted").write_text("planted-secret-value\n")
    result = run(planned_context(project, environ={"SOME_PASSWORD": "planted-secret-value"}))
    everything = str(result) + (project / result.log).read_text() + capfd.readouterr().out
    assert "planted-secret-value" not in everything
    assert "[hidden]" in everything


def test_a_timeout_is_a_judgement(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "second.sh").write_text("touch started; sleep 999\n")
    (project / "mlbutler.toml").write_text(f"reproduce.timeout = {LIMIT:.0f}\n")
    time_is_up_with(project / "started", monkeypatch)
    result = run(planned_context(project))
    assert result.outcome is Outcome.FAILED
    assert "timed out after 1 h 0 min" in result.reason
    assert "timeout" in result.remedy
    assert outcomes(result) == {"first": "ran", "second": "failed"}


def test_an_interruption_keeps_what_was_done_and_puts_metrics_back(project: Path) -> None:
    run(planned_context(project))
    commit(project, "results")
    (project / "in.txt").write_text("2\n")
    (project / "second.sh").write_text("touch started; sleep 999\n")
    (project / "m.json").write_text('{"edited": 1}')
    subprocess.run(["git", "add", "m.json"], cwd=project, check=True)
    context = planned_context(project)

    def interrupt() -> None:
        until = time.monotonic() + 300
        while not (project / "started").exists() and time.monotonic() < until:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=interrupt).start()
    with pytest.raises(Interrupted) as caught:
        run(context)
    partial = caught.value.partial
    assert isinstance(partial, ReproduceResult)
    assert outcomes(partial) == {"first": "ran", "second": "interrupted"}
    assert "in stage 'second'" in partial.reason
    assert (project / "m.json").read_text() == '{"edited": 1}'
    assert (project / "first.txt").read_text() == "2\n"


def test_a_stage_outlives_not_the_one_who_started_it(project: Path) -> None:
    (project / "second.sh").write_text("echo $$ > written; mv written pid; sleep 999\n")
    program = (
        "import sys; from pathlib import Path; from tests.steps.test_reproduce import planned_context, run\n"
        "run(planned_context(Path(sys.argv[1])))\n"
    )
    path = os.pathsep.join([*sys.path, str(Path(__file__).parents[2])])
    child = subprocess.Popen([sys.executable, "-c", program, str(project)], env={**os.environ, "PYTHONPATH": path})
    until = time.monotonic() + 300
    while not (project / "pid").exists() and child.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    pid = (project / "pid").read_text().strip()
    child.kill()
    child.wait()
    until = time.monotonic() + 300
    state = "?"
    while state not in ("", "Z") and time.monotonic() < until:
        state = subprocess.run(["ps", "-o", "stat=", "-p", pid], capture_output=True, text=True, check=False).stdout[:1]
        time.sleep(0.05)
    assert state in ("", "Z")


NEVER_THE_SAME = """
stages:
  dice:
    cmd: date +%s%N > dice.txt
    always_changed: true
    outs: [dice.txt]
  after:
    cmd: cp dice.txt after.txt
    deps: [dice.txt]
    outs: [after.txt]
  calm:
    cmd: echo calm > calm.txt
    always_changed: true
    outs: [calm.txt]
"""


def test_stages_that_always_change_are_named_after_our_own_commit(tmp_path: Path) -> None:
    root = make(tmp_path / "repo", {"dvc.yaml": NEVER_THE_SAME})
    first = run(planned_context(root))
    assert first.always_changes == ()
    head = commit(root, "not ours")
    assert run(planned_context(root)).always_changes == ()
    commit(root, "Reproduce", f"Mlbutler-Reproduced: {head}")
    result = run(planned_context(root))
    assert outcomes(result) == {"dice": "ran", "after": "ran", "calm": "ran"}
    assert sorted(result.always_changes) == ["after", "dice"]
    assert "not deterministic: always changes: dice, after" in result.reason


def test_a_stage_that_another_pipeline_left_stale_is_not_one_that_always_changes(tmp_path: Path) -> None:
    root = make(tmp_path / "repo", {"dvc.yaml": NEVER_THE_SAME})
    run(planned_context(root))
    head = commit(root, "not ours")
    commit(root, "Reproduce", f"Mlbutler-Reproduced: {head}\nMlbutler-Stages: dice, calm")
    result = run(planned_context(root))
    assert outcomes(result) == {"dice": "ran", "after": "ran", "calm": "ran"}
    assert result.always_changes == ("dice",)  # calm made the same again
    head = commit(root, "Reproduce", f"Mlbutler-Reproduced: {head}\nMlbutler-Stages: after")
    assert sorted(run(planned_context(root)).always_changes) == ["after", "dice"]  # or they would take turns forever


AGAIN = """
stages:
  dotted:
    cmd: cp my.yaml dotted.txt
    params: [./my.yaml: ]
    outs: [dotted.txt]
  nothing:
    cmd: cp params.yaml nothing.txt
    params: [rate]
    outs: [nothing.txt]
  late:
    cmd: cp my.yaml late.txt
    deps: [my.yaml]
    outs: [late.txt]
  rude:
    cmd: echo more >> late.txt; echo rude > rude.txt
    deps: [params.yaml]
    outs: [rude.txt]
  calm:
    cmd: date +%N > calm.txt
    deps: [my.yaml]
    params: [own]
    always_changed: true
    outs: [calm.txt]
"""


def test_a_stage_that_is_stale_again_as_soon_as_it_ran_says_why(tmp_path: Path) -> None:
    files = {"dvc.yaml": AGAIN, "my.yaml": "z: 1\n", "params.yaml": "rate: .nan\nown: 1\n"}
    context = planned_context(make(tmp_path / "repo", files), head_branch="x", git_remote="origin")
    result = run(context)
    assert (result.outcome, set(outcomes(result).values())) == (Outcome.PASSED, {"ran"})
    found = {finding.subject: (finding.problem, finding.remedy) for finding in result.stale_again}
    assert found.keys() == {"dotted", "nothing", "late"}
    assert found["dotted"][1] == "Write my.yaml instead of ./my.yaml in dvc.yaml."
    assert "NaN never equals itself" in found["nothing"][0]
    assert found["nothing"][1] == "Write null, or a text instead."
    assert found["late"][0] == "late.txt: differs from dvc.lock"
    assert "let nothing else write there" in found["late"][1]
    assert "stale again as soon as it ran: " in result.reason
    context.record = dataclasses.replace(context.record, reproduce=result)
    committed = committing.run(context)
    assert committed.outcome is Outcome.SKIPPED
    assert committed.reason.startswith("stale again as soon as it ran: ")


def test_a_pull_request_cannot_name_a_credential_for_itself(project: Path) -> None:
    base = commit(project, "base")
    (project / "mlbutler.toml").write_text("reproduce.pass_environment = ['WANDB_API_KEY']\n")
    (project / "second.sh").write_text("env > seen; echo '{}' > m.json\n")
    environ = {"WANDB_API_KEY": "planted-secret-value"}
    head = commit(project, "asks for it")
    run(planned_context(project, environ=environ, base=base))
    assert "planted-secret-value" not in (project / "seen").read_text()
    (project / "second.sh").write_text("env > seen; echo '{\"again\": 1}' > m.json\n")
    run(planned_context(project, environ=environ, base=head))
    assert "WANDB_API_KEY=planted-secret-value" in (project / "seen").read_text()
    (project / "second.sh").write_text("env > seen; echo '{\"again\": 2}' > m.json\n")
    run(planned_context(project, environ=environ, base=head, fork=True))
    assert "planted-secret-value" not in (project / "seen").read_text()
