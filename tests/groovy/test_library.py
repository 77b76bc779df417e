"""The shared library, executed: a Jenkinsfile of two lines, and a DVC graph over several agents."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from mlbutler.record import REPORTING_STEPS
from mlbutler.run_table import NAMES, run_after
from tests.groovy.jenkins import RESULTS, SECRETS, Built, build, needs_groovy, write_mlbutler
from tests.integration.world import World, make, params
from tests.store.world import PASSWORD, USER, Remote

pytestmark = needs_groovy

LIBRARY = Path(__file__).parents[2] / "jenkins-library"
CREDENTIALS = {**SECRETS, "mlbutler-dvc": {"username": USER, "password": PASSWORD}}
STAGES = """
stages:
  left: {cmd: python work.py left, deps: [work.py], params: [rate], outs: [left.txt], meta: {label: gpu}}
  right: {cmd: python work.py right, deps: [work.py], params: [rate], outs: [right.txt], meta: {label: highmem}}
  odd: {cmd: python work.py odd, deps: [work.py], params: [rate], outs: [odd.txt], meta: {label: the-controller}}
  join:
    cmd: python work.py join left.txt right.txt
    deps: [work.py, left.txt, right.txt]
    outs: [join.txt]
    metrics: [{metrics.json: {cache: false}}]
  tail: {cmd: python work.py tail odd.txt, deps: [work.py, odd.txt], params: [end], outs: [tail.txt]}
  still: {cmd: echo still > still.txt, outs: [still.txt]}
"""
WORK = """
import json, os, pathlib, sys
name, *inputs = sys.argv[1:]
rate = float(dict(line.split(": ") for line in open("params.yaml"))["rate"])
with open(os.environ["RAN"], "a") as log:
    log.write(f"{name} {os.getcwd()}\\n")
if (name, rate) == ("left", 0.13):
    sys.exit("left will not")
pathlib.Path(f"{name}.txt").write_text(f"{name} {rate} " + " ".join(pathlib.Path(path).read_text() for path in inputs))
if name == "join":
    json.dump({"accuracy": rate}, open("metrics.json", "w"))
"""
SETTINGS = """
[test]
command = "true"
[reproduce]
pass_environment = ["RAN"]
[forge]
kind = "folder"
[[gate]]
metric = "accuracy"
max_drop = 0.1
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("library")
    (directory / "store").mkdir()
    remote = Remote(directory / "store", auth="basic")
    world = World(directory, environ={"RAN": str(directory / "before.log")})
    world.git(directory, "init", "-q", "--bare", "-b", "main", str(world.bare))
    world.git(directory, "clone", "-q", str(world.bare), str(world.author))
    world.git(world.author, "checkout", "-q", "-B", "main")
    files = {"dvc.yaml": STAGES, "work.py": WORK, "params.yaml": params_of(0.5), "mlbutler.toml": SETTINGS,
             "Dockerfile": "FROM scratch\n", ".dockerignore": "# only these\n*\n!work.py\n",
             "Open": "FROM scratch\nCOPY . .\n", "Open.dockerignore": ".git\n"}  # fmt: skip
    for name, text in files.items():
        (world.author / name).write_text(text)
    world.dvc("init", "-q")
    world.dvc("remote", "add", "-q", "-d", "shared", remote.url)
    world.dvc("remote", "modify", "shared", "auth", "basic")
    world.dvc("remote", "add", "-q", "--local", "author", str(directory / "store"))
    world.dvc("repro", "-q")
    world.dvc("push", "-q", "-r", "author")
    world.git(world.author, "add", "-A")
    world.git(world.author, "commit", "-qm", "trained")
    world.git(world.author, "push", "-q", "origin", "main")
    yield world
    remote.close()


def params_of(rate: float | None) -> str:
    """Return parameters with which all stages but `still` are stale, or without a rate `tail` alone."""
    return "rate: 0.5\nend: 2\n" if rate is None else f"rate: {rate}\nend: 1\n"


def built(world: World, name: str, call: str, rate: float | None = None, commit: str = "", vanish: Sequence[str] = (),
          times: int = 1, lose: str = "", loses: int = 1, untrusted: Sequence[str] = (), foreign: bool = False,
          unclean: bool = False, verbs: Sequence[str] | None = None, **more: str) -> Built:  # fmt: skip
    """Build a branch with this rate, or a commit.

    Args:
        verbs: of mlbutler that do anything; all if None.
    """
    commit = commit or world.branch(name, {"params.yaml": params_of(rate)})
    directory = world.directory / f"jenkins-{name}"
    (directory / "bin").mkdir(parents=True)
    (directory / "Jenkinsfile").write_text(f"{call}\n")
    wrapper = directory / "bin" / "mlbutler"
    write_mlbutler(wrapper, verbs)
    if unclean:
        git = directory / "bin" / "git"
        git.write_text(f'#!/bin/sh\n[ "$1" != clean ] || exit 1\nexec {shutil.which("git")} "$@"\n')
        git.chmod(0o755)
    environ = world.run_environ(world.jenkins(name, 7, **more)) | {"RAN": str(directory / "ran.log")}
    environ |= {"PATH": f"{wrapper.parent}:{environ['PATH']}", "MLBUTLER_FORGE_URL": str(directory / "forge")}
    del environ["MLBUTLER_DATA_MIRROR"]  # agents far from each other
    checkout = f"git clone -q --no-checkout {shlex.quote(str(world.bare))} . && git checkout -q --detach {commit}"
    return build(
        directory, directory / "Jenkinsfile", checkout, environ, credentials=CREDENTIALS, libraries=[LIBRARY],
        labels=["docker", "gpu", "highmem"], vanish=vanish, times=times, lose=lose, loses=loses,
        trusted=world.author, untrusted=untrusted, foreign=foreign,
    )  # fmt: skip


def ran(world: World, name: str) -> list[str]:
    log = world.directory / f"jenkins-{name}" / "ran.log"
    return [line.split()[0] for line in log.read_text().splitlines()]


def test_the_pipeline_on_one_agent(world: World) -> None:
    mirror = world.directory / "mirror-of-one"
    call = f"mlbutlerPipeline(label: 'docker', dockerfile: 'Dockerfile', mirror: '{mirror}', remote: 'http')"
    done = built(world, "one", call, rate=0.7, BRANCH_IS_PRIMARY="true")
    assert done.result == "SUCCESS", done.log[-3000:]
    assert (done.archive / "archive" / ".mlbutler" / "report" / "experiments.html").is_file()
    assert sorted(ran(world, "one")) == ["join", "left", "odd", "right", "tail"]
    assert world.git(world.bare, "log", "-1", "--format=%an", "one") == "mlbutler"
    [described] = [event["text"] for event in done.events if event["step"] == "description"]
    assert described == (done.archive / "archive" / ".mlbutler" / "report" / "verdict.txt").read_text().strip()
    (image,) = [event["words"] for event in done.events if event["step"] == "docker inside"]
    alone = "--init --security-opt no-new-privileges --cap-drop ALL --pids-limit 4096"
    assert image == f"{alone} -e HOME=/home/butler -v {mirror}:{mirror}"
    assert (mirror / "files").is_dir()
    without = {event["script"] for event in done.events if event["step"] == "sh" and not event["bound"]}
    assert {script for script in without if script.startswith("mlbutler")} == {
        "mlbutler test", "mlbutler lint", "mlbutler reproduce", "mlbutler report",
    }  # fmt: skip
    assert not any(entry["password"] in done.log for entry in CREDENTIALS.values() if "password" in entry)


def test_a_graph_over_several_agents_in_which_a_stage_waits_for_those_that_it_needs_alone(world: World) -> None:
    """`right` takes until `tail`, two stages behind another one, is done."""
    files = {
        "params.yaml": params_of(0.7),
        "work.py": WORK.replace("import json, os,", "import json, os, time,").replace(
            "if (name,",
            "while name == 'right' and 'tail' not in open(os.environ['RAN']).read():\n    time.sleep(0.1)\nif (name,",
        ),
    }  # fmt: skip
    call = "mlbutlerPipeline(remote: 'http', labels: ['gpu', 'highmem'])"
    done = built(world, "fan", call, commit=world.branch("fan", files), verbs=[*RESULTS, "test"])
    assert done.result == "SUCCESS", done.log[-3000:]
    assert sorted(ran(world, "fan")) == ["join", "left", "odd", "right", "tail"]  # each once, wherever it ran
    where: dict[str, tuple[str, str]] = {}
    for event in done.events:
        if event["step"] == "sh" and event["script"].startswith("mlbutler reproduce"):
            where.setdefault(event["path"].rpartition("/")[2], (event["label"], event["workspace"]))
    labels = {path: label for path, (label, _) in where.items()}
    assert labels == {"left": "gpu", "right": "highmem", "odd": "docker", "join": "docker",
                      "tail": "docker", "reproduce": "docker"}  # fmt: skip
    assert len({workspace for _, workspace in where.values()}) == 6
    commit = world.git(world.bare, "rev-parse", "fan")
    assert world.git(world.bare, "log", "-1", "--format=%an", "fan") == "mlbutler"
    assert json.loads(world.git(world.bare, "show", f"{commit}:metrics.json")) == {"accuracy": 0.7}
    record = json.loads((done.archive / "archive" / ".mlbutler" / "record.json").read_text())
    assert record["test"]["outcome"] == "passed"
    outcomes = {stage["name"]: stage["outcome"] for stage in record["reproduce"]["stages"]}
    assert outcomes == {"still": "unchanged"} | dict.fromkeys(("left", "right", "odd", "join", "tail"), "restored")


def test_a_project_in_a_folder_of_the_repository(tmp_path: Path) -> None:
    folder = "teams/computer vision, é"
    world = make(tmp_path, folder=folder, environ={"RAN": str(tmp_path / "before.log")})
    tested = SETTINGS.replace('"true"', "'mkdir -p .mlbutler; echo \"<testsuite/>\" > .mlbutler/junit.xml'")
    commit = world.branch("better", {"params.yaml": params(0.05), "mlbutler.toml": tested})
    given = f"mlbutlerPipeline(folder: '{folder}', labels: ['gpu'], name: 'gpu', safeHtml: true)"
    done = built(world, "better", given, commit=commit)
    assert done.result == "SUCCESS", done.log[-3000:]
    assert world.git(world.bare, "rev-parse", "better^") == commit
    assert (done.archive / "archive" / folder / ".mlbutler" / "record-gpu.json").is_file()
    tests = [path for path in (done.archive / "junit").rglob("*") if path.is_file()]
    assert tests == [done.archive / "junit" / folder / ".mlbutler" / "junit.xml"]  # what mlbutler judged is no test
    [described] = [event["text"] for event in done.events if event["step"] == "description"]
    assert re.match(r'<b style="color:#[0-9a-f]{6}">[\w ]+</b>: .* \(<a href="http://jenkins.example/', described)
    [comment] = (world.directory / "jenkins-better" / "forge").rglob("comments/*.md")
    assert f"### mlbutler/gpu {folder}" in comment.read_text()


def test_one_stage_that_fails_is_told_of_and_keeps_only_those_that_need_it_from_running(world: World) -> None:
    done = built(world, "partly", "mlbutlerPipeline(remote: 'http', labels: ['gpu'])", rate=0.13,
                 verbs=[*RESULTS, "compare", *REPORTING_STEPS])  # fmt: skip
    assert done.result == "FAILURE"
    assert sorted(ran(world, "partly")) == ["left", "odd", "right", "tail"]  # `left` not a second time
    record = json.loads((done.archive / "archive" / ".mlbutler" / "record.json").read_text())
    stages = {stage["name"]: stage["outcome"] for stage in record["reproduce"]["stages"]}
    assert stages == {"still": "unchanged", "left": "failed", "join": "not reached"} | dict.fromkeys(
        ("right", "odd", "tail"), "restored"
    )
    assert record["compare"]["outcome"] != "skipped"
    assert record["commit"]["reason"] == "not run: reproduce failed"
    assert "join is not run: it needs left" in done.log
    pushed = [event["path"] for event in done.events if event["step"] == "sh" and event["script"] == "mlbutler push"]
    assert sorted(path.rpartition("/")[2] for path in pushed) == ["odd", "push", "right", "tail"]
    assert done.commands()[-2:] == ["mlbutler report", "mlbutler publish"]
    [status] = (world.directory / "jenkins-partly" / "forge" / "statuses").iterdir()
    found = json.loads(status.read_text())
    assert found["state"] == "failure"
    assert found["description"].startswith("Failed: reproduce: stage 'left' failed on another agent")


def test_the_library_takes_what_the_table_of_the_run_lets_follow(world: World) -> None:
    """A failed test: the steps that need it do nothing, the others are taken, the build is red."""
    files = {"params.yaml": params_of(0.72), "mlbutler.toml": SETTINGS.replace('"true"', '"false"')}
    done = built(world, "untested", "mlbutlerPipeline(remote: 'http', labels: ['gpu'])",
                 commit=world.branch("untested", files))  # fmt: skip
    assert done.result == "FAILURE"
    record = json.loads((done.archive / "archive" / ".mlbutler" / "record.json").read_text())
    skipped = {name for name in NAMES if record[name] and record[name]["reason"] == "not run: test failed"}
    assert skipped == set(NAMES) - set(run_after("test")) - {"test"}
    assert not (world.directory / "jenkins-untested" / "ran.log").exists()


LOST = "{cmd: cp nowhere.txt lost.txt, deps: [nowhere.txt], outs: [lost.txt]}"


def test_what_a_plan_says_of_one_stage_keeps_no_other_from_its_agent(world: World) -> None:
    right = STAGES.splitlines()[3]
    files = {"dvc.yaml": f"stages:\n{right}\n  lost: {LOST}\n", "params.yaml": params_of(0.74)}
    name = "partly-planned"
    done = built(world, name, "mlbutlerPipeline(remote: 'http', labels: ['highmem'])",
                 commit=world.branch(name, files), verbs=RESULTS)  # fmt: skip
    assert done.result == "FAILURE"
    assert done.event("mlbutler plan")["code"] == 1
    on = [event["label"] for event in done.events if event["step"] == "sh" and event["path"] == "right"]
    assert (ran(world, name), set(on)) == (["right"], {"highmem"})
    record = json.loads((done.archive / "archive" / ".mlbutler" / "record.json").read_text())
    assert {stage["name"]: stage["outcome"] for stage in record["reproduce"]["stages"]}["right"] == "restored"
    assert (record["plan"]["outcome"], record["reproduce"]["outcome"]) == ("failed", "failed")
    assert record["commit"]["outcome"] == "skipped"
    assert world.git(world.bare, "rev-parse", name) == world.git(world.author, "rev-parse", name)


def test_the_library_has_every_step_of_the_table_in_its_order() -> None:
    text = (LIBRARY / "vars" / "mlbutlerPipeline.groovy").read_text()
    assert set(re.findall(r"'mlbutler (\w+)'", text)) == set(NAMES)
    stages = [name for name in re.findall(r"stage\('(\w+)'\)", text) if name not in ("plan", *REPORTING_STEPS)]
    assert stages == [name for name in NAMES if name not in ("plan", "test", "lint", *REPORTING_STEPS)]
    assert len(re.findall(r"stage\('\w+'\) \{ failLater \{", text)) == len(stages)


def test_the_stages_alone_for_a_pipeline_of_ones_own(world: World) -> None:
    call = """node('docker') {
    checkout scm
    mlbutlerStages([:], [[name: 'still', state: 'unchanged', label: 'gpu', after: []]])
}"""
    assert built(world, "alone", call, rate=0.71).result == "SUCCESS"


def test_images_of_two_jobs_have_two_tags_and_a_fork_cannot_write_the_mirror(world: World) -> None:
    call = "mlbutlerPipeline(dockerfile: 'Dockerfile', mirror: '/srv/m', dockerArgs: '--shm-size 8g', remote: 'http')"
    tags: list[str] = []
    for job, fork in (("words/feature%2Fx", "theirs/x"), ("words/feature-x", "")):
        done = built(world, f"image{len(tags)}", call, verbs=(), JOB_NAME=job, CHANGE_FORK=fork)
        (image,) = [event for event in done.events if event["step"] == "docker inside"]
        assert image["words"].endswith("/srv/m:/srv/m:ro" if fork else "/srv/m:/srv/m")
        tags += [event["tag"] for event in done.events if event["step"] == "docker build"]
    assert len(set(tags)) == 2
    assert all(re.fullmatch(r"mlbutler-[0-9a-f]{40}", tag) for tag in tags)
    options = image["words"].partition(" -e ")[0]
    assert options == "--init --security-opt no-new-privileges --cap-drop ALL --pids-limit 4096 --shm-size 8g"


def test_a_fork_s_image_is_made_of_what_the_target_branch_has(world: World) -> None:
    call = "mlbutlerPipeline(dockerfile: 'Dockerfile', remote: 'http')"
    for name in ("Dockerfile", "work.py"):  # work.py is what its .dockerignore lets in
        done = built(world, f"their-{name}", call, verbs=(), CHANGE_FORK="theirs/x", untrusted=[name])
        assert done.result == "FAILURE"
        assert f"‘{name}’ has been modified in an untrusted revision" in done.log
        assert not any(event["step"] == "docker build" for event in done.events)
    ours = built(world, "our-image", call, verbs=(), untrusted=["Dockerfile"])
    assert ours.result == "SUCCESS", ours.log[-3000:]
    assert not any(event["step"] == "readTrusted" for event in ours.events)


def test_a_fork_s_image_is_made_of_single_files_alone(world: World) -> None:
    call = "mlbutlerPipeline(dockerfile: 'Open', remote: 'http')"
    done = built(world, "open", call, verbs=(), CHANGE_FORK="theirs/x")
    assert done.result == "FAILURE"
    assert "Open.dockerignore lacks a line '*'" in done.log
    assert not any(event["step"] == "docker build" for event in done.events)


def test_a_workspace_that_cannot_be_cleaned_ends_the_build_and_is_no_abort(world: World) -> None:
    done = built(world, "unclean", "mlbutlerPipeline(remote: 'http')", unclean=True)
    assert done.result == "FAILURE", done.log[-3000:]
    assert done.commands() == ["mlbutler report", "mlbutler publish"]
    [status] = (world.directory / "jenkins-unclean" / "forge" / "statuses").iterdir()
    found = json.loads(status.read_text())
    assert (found["state"], found["description"]) == ("error", "Stopped: plan did not begin")


def test_a_workspace_that_cannot_be_removed_ends_no_build(world: World) -> None:
    done = built(world, "foreign", "mlbutlerPipeline(remote: 'http')", verbs=(), foreign=True)
    assert done.result == "SUCCESS", done.log[-3000:]
    assert "files of another user" in done.log


def test_a_gate_may_make_it_unstable(world: World) -> None:
    done = built(
        world, "worse", "mlbutlerPipeline(remote: 'http', gateAs: 'unstable')", rate=0.2, verbs=[*RESULTS, "compare"]
    )
    assert done.result == "UNSTABLE", done.log[-3000:]
    assert world.git(world.bare, "log", "-1", "--format=%an", "worse") == "mlbutler"


def test_an_agent_that_comes_back_without_the_process_runs_it_once_more(world: World) -> None:
    call = "mlbutlerPipeline(remote: 'http', gateAs: 'unstable')"
    done = built(world, "gone", call, vanish=["reproduce", "compare"], verbs=RESULTS)
    assert done.result == "SUCCESS", done.log[-3000:]
    assert done.log.count("the agent is back, and the process is gone") == 2
    for stage in ("reproduce", "compare"):
        assert done.commands(f"mlbutler {stage}") == [f"mlbutler {stage}"]  # the other never ended
    assert len({event["workspace"] for event in done.events if event["step"] == "sh"}) == 1  # the same agent
    assert world.git(world.bare, "log", "-1", "--format=%an", "gone") == "mlbutler"


def test_a_lost_agent_is_replaced_and_marks_nothing_failed(world: World) -> None:
    done = built(world, "lost", "mlbutlerPipeline(remote: 'http')", lose="reproduce", verbs=RESULTS)
    assert done.result == "SUCCESS", done.log[-3000:]
    ran_on = {event["script"]: event["workspace"] for event in done.events if event["step"] == "sh"}
    assert ran_on["mlbutler report"] == ran_on["mlbutler reproduce"] == "workspace-2"
    assert world.git(world.bare, "log", "-1", "--format=%an", "lost") == "mlbutler"


@pytest.mark.parametrize(("lose", "labels", "verbs", "said"), [
    ("reproduce", "[]", REPORTING_STEPS, "Stopped: plan did not begin"),
    # The agent that planned handed its record over.
    ("sync", "['gpu']", ["plan", "test", "lint", *REPORTING_STEPS], "Stopped: sync did not begin"),
])  # fmt: skip
def test_two_lost_agents_are_told_of_from_a_third(
    world: World, lose: str, labels: str, verbs: Sequence[str], said: str
) -> None:
    call = f"mlbutlerPipeline(remote: 'http', labels: {labels})"
    done = built(world, f"twice-{lose}", call, lose=lose, loses=2, verbs=verbs)
    assert done.result == "FAILURE", done.log[-3000:]
    [status] = (world.directory / f"jenkins-twice-{lose}" / "forge" / "statuses").glob("*.json")
    found = json.loads(status.read_text())
    assert (found["state"], found["description"]) == ("error", said)


def test_a_process_that_is_gone_a_second_time_fails_the_build(world: World) -> None:
    call = "mlbutlerPipeline(remote: 'http')"
    done = built(world, "gone-twice", call, vanish=["reproduce"], times=2, verbs=RESULTS)
    assert done.result == "FAILURE"
    assert done.log.count("the agent is back, and the process is gone") == 2
    assert world.git(world.bare, "log", "-1", "--format=%an", "gone-twice") != "mlbutler"


def test_a_fork_binds_the_forge_s_token_to_ask_for_an_approval_and_nothing_else(world: World) -> None:
    done = built(world, "fork", "mlbutlerPipeline(remote: 'http')", verbs=(), CHANGE_FORK="theirs/x")
    (asking,) = [event for event in done.events if event["step"] == "sh" and event["bound"] != []]
    assert "mlbutler approve --check" in asking["script"]
    assert asking["bound"] == ["mlbutler-forge"]


@pytest.mark.parametrize(("call", "said"), [
    ("mlbutlerPipeline(lable: 'x')", r"unknown settings \[lable\]"),
    ("mlbutlerPipeline(remote: 'ftp')", "there is no remote 'ftp'"),
])  # fmt: skip
def test_wrong_settings_are_errors(world: World, call: str, said: str) -> None:
    done = built(world, re.sub(r"\W", "", said), call, verbs=())
    assert done.result == "FAILURE"
    assert re.search(said, done.log)
