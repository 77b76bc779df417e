"""The project's code under bubblewrap: what it can reach, what it cannot, and what the record says of it."""

from __future__ import annotations

import ctypes
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from mlbutler import isolation, linux
from mlbutler.isolation import Places, prefix
from mlbutler.process import run_command
from mlbutler.steps.isolated import Isolated
from tests import forked_python
from tests.integration.world import DVC_YAML, SETTINGS, TESTED, TRAIN, Run, World, began, make, params

needs_bubblewrap = pytest.mark.skipif(bool(isolation.problem()), reason=isolation.problem())

# What an attacker tries; each line of the answer is what came of it.
ATTACK = r"""
import os, pathlib, signal, socket, subprocess
def tried(name, action):
    try:
        action()
    except BaseException as error:
        print(f"{name}: refused ({type(error).__name__})")
    else:
        print(f"{name}: DONE")
places = [os.environ["MIRROR"], os.environ["OUTSIDE"], ".dvc/cache", ".git"]
for place in places:
    tried(f"write {os.path.basename(place)}", lambda: pathlib.Path(place, "planted").write_text("x"))
tried("etc", lambda: open("/etc/passwd", "r+").close())
tried("kernel", lambda: open("/proc/sys/kernel/core_pattern", "r+").close())
tried("git config", lambda: pathlib.Path(".git/config").write_text("[core]\nfsmonitor = evil\n"))
tried("dvc config", lambda: pathlib.Path(".dvc/config").write_text("x"))
pathlib.Path(".mlbutler").mkdir(exist_ok=True)
pathlib.Path(".mlbutler/record.json").write_text("forged")
pathlib.Path("/tmp/own").write_text("x")
tried("another's process", lambda: os.kill(int(os.environ["VICTIM"]), signal.SIGCONT))
tried("its environment", lambda: pathlib.Path("/proc", os.environ["VICTIM"], "environ").read_text())
tried("key", lambda: pathlib.Path(os.environ["HOME"], ".ssh/id_rsa").read_text())
tried("netrc", lambda: pathlib.Path(os.environ["HOME"], ".netrc").read_text().index("secret"))
tried("docker", lambda: os.stat(os.environ["SOCKET"]))
tried("abstract socket", lambda: socket.socket(socket.AF_UNIX).connect("\0" + os.environ["ABSTRACT"]))
own = socket.socket(socket.AF_UNIX)
own.bind("\0" + os.urandom(9).hex())
own.listen()
socket.socket(socket.AF_UNIX).connect(own.getsockname())
tried("network", lambda: socket.create_connection(("127.0.0.1", int(os.environ["PORT"])), 5))
tried("remount", lambda: subprocess.run(["mount", "-o", "remount,rw", "/"], check=True, capture_output=True))
pathlib.Path("made").write_text("in the workspace")
"""


@pytest.fixture(autouse=True)
def as_users_have_it(monkeypatch: pytest.MonkeyPatch, isolated_environment: Path) -> None:
    monkeypatch.delenv("MLBUTLER_ISOLATION_MODE")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make(tmp_path_factory.mktemp("world"))


def run_attack(world: World, branch: str, number: int, home: Path, **more: str) -> Run:
    """The run of a pull request whose tests and whose stage attack."""
    passed = ["MIRROR", "OUTSIDE", "VICTIM", "SOCKET", "PORT", "ABSTRACT"]
    environ = {"MIRROR": str(world.mirror), "OUTSIDE": str(home), "VICTIM": str(os.getpid()), "SOCKET": "/run/x.sock",
               "HOME": str(home), "PORT": more.pop("PORT", "9"), "ABSTRACT": f"mlbutler {os.getpid()}"}  # fmt: skip
    text = json.dumps(passed)
    told = "".join(f"os.environ.setdefault({name!r}, {value!r})\n" for name, value in environ.items())
    attack = f"import os\n{told}{ATTACK}"
    files = {
        "params.yaml": params(0.02 + number / 1000), "attack.py": attack, "src/train.py": attack + TRAIN,
        "mlbutler.toml": SETTINGS.replace(TESTED, "python attack.py"),
    }  # fmt: skip
    world.branch(branch, files)
    world.mirror.mkdir(exist_ok=True)
    build = {**world.jenkins(branch, number), "HOME": str(home), "MLBUTLER_REPRODUCE_PASS_ENVIRONMENT": text, **more}
    return world.run(world.clone(f"origin/{branch}"), build)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home" / ".ssh").mkdir(parents=True)
    (tmp_path / "home" / ".ssh" / "id_rsa").write_text("a key")
    (tmp_path / "home" / ".netrc").write_text("machine x login y password secret")
    return tmp_path / "home"


def answers(run: Run) -> dict[str, str]:
    lines = (line for line in run.out.splitlines() if ": refused" in line or ": DONE" in line)
    return dict(line.split(": ", 1) for line in lines)


@needs_bubblewrap
def test_on_a_ci_server_the_code_reaches_the_workspace_alone(world: World, home: Path) -> None:
    with socket.socket(socket.AF_UNIX) as service:
        service.bind(f"\0mlbutler {os.getpid()}")
        service.listen()
        run = run_attack(world, "attack", 1, home)
    assert run.code == 0, run.out + run.err
    done = {name for name, answer in answers(run).items() if answer.startswith("DONE")}
    older = set() if linux.can_cut_abstract_sockets() else {"abstract socket"}
    assert done == {"write home"} | older, answers(run)  # its own, which goes
    assert len(answers(run)) == 16
    assert (run.root / "made").read_text() == "in the workspace"
    assert "forged" not in (run.root / ".mlbutler" / "record.json").read_text()
    assert not list(home.glob("planted"))
    assert not list(world.mirror.glob("planted"))
    for step in ("test", "lint", "reproduce"):
        said = "bubblewrap: read-only outside the workspace, own home, /tmp and /proc"
        assert run.record[step]["isolation"] == said + ("; abstract sockets are shared" if older else "")
    report = (run.root / ".mlbutler" / "report" / "report.html").read_text()
    assert "bubblewrap: read-only outside the workspace" in report
    assert not Path("/tmp/own").exists()


@needs_bubblewrap
def test_the_code_of_a_fork_has_no_network(world: World, home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        ours = run_attack(world, "network", 2, home, PORT=port)
        assert answers(ours)["network"].startswith("DONE")
        run = run_attack(world, "network", 2, home, PORT=port, CHANGE_FORK="mallory")
    assert answers(run)["network"].startswith("refused"), run.out + run.err
    assert run.record["test"]["isolation"].endswith(", no network")


def test_without_it_the_record_says_so_and_the_code_runs(world: World, home: Path) -> None:
    command = f"echo x > {home / 'planted'}"
    settings = SETTINGS.replace(TESTED, command)
    environ = {"MLBUTLER_RUN_ISOLATE": "off", "MLBUTLER_RUN_ONLY": "test"}
    world.branch("without", {"mlbutler.toml": settings})
    run = world.run(world.clone("origin/without"), world.jenkins("without", 3) | environ)
    assert (run.code, run.record["test"]["isolation"]) == (0, "off"), run.out + run.err
    assert (home / "planted").exists()


def test_where_it_is_required_and_does_not_work_nothing_of_the_project_runs(world: World, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    broken = programs / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: no permissions' >&2\nexit 1\n")
    broken.chmod(0o755)
    world.branch("required", {"params.yaml": params(0.05)})
    path = f"{programs}{os.pathsep}{world.base_environ()['PATH']}"
    environ = {**world.jenkins("required", 4), "PATH": path}
    run = world.run(world.clone("origin/required"), environ, "--isolate", "require", "--only", "test")
    assert run.code == 3, run.out + run.err
    assert "cannot be isolated: bubblewrap does not work here: bwrap: no permissions" in run.record["test"]["reason"]
    assert "42" not in run.out.splitlines()
    auto = world.run(world.clone("origin/required"), environ, "--only", "test")
    assert auto.code == 0
    assert "42" in auto.out.splitlines()
    assert auto.record["test"]["isolation"] == "none: bubblewrap does not work here: bwrap: no permissions"
    doctor = world.run(world.clone("origin/required"), environ, "--json", verb="doctor")
    assert "bwrap: no permissions" in next(one["text"] for one in json.loads(doctor.out)["examined"]
                                           if one["subject"] == "isolation")  # fmt: skip


@needs_bubblewrap
def test_a_pull_request_cannot_turn_it_off(world: World) -> None:
    settings = SETTINGS + '[isolation]\nmode = "off"\nwritable = ["/"]\n'
    run = world.change("turned-off", {"mlbutler.toml": settings}, "--only", "test,lint", number=5)
    assert run.code == 0, run.out + run.err
    assert run.record["test"]["isolation"].startswith("bubblewrap")


def test_where_it_is_required_no_command_of_a_build_can_do_without(world: World) -> None:
    world.branch("lowered", {"notes.md": "x"})
    clone, required = world.clone("origin/lowered"), {"MLBUTLER_ISOLATION_MODE": "require"}
    run = world.run(clone, {**world.jenkins("lowered", 24), **required}, "--isolate", "off", "--only", "test")
    assert run.code == 2
    assert "--isolate off: isolation.mode is 'require'" in run.record["test"]["reason"]
    assert "42" not in run.out.splitlines()
    assert world.run(clone, required, "--isolate", "off", "--only", "test").code == 0  # on a laptop


def test_on_a_laptop_it_is_off_unless_asked_for(world: World) -> None:
    world.branch("laptop", {"notes.md": "x"})
    run = world.run(world.clone("origin/laptop"), {}, "--only", "test")
    assert run.record["test"]["isolation"] == "none: not on a CI server"


@needs_bubblewrap
def test_junit_files_of_isolated_tests_are_counted(world: World) -> None:
    suite = '<testsuite name="s"><testcase name="a"/></testsuite>'
    write = f"open('.mlbutler/junit.xml', 'w').write('{suite}')"
    settings = SETTINGS.replace(f'"{TESTED}"', '"python write.py"\njunit = ".mlbutler/junit.xml"')
    run = world.change("junit", {"mlbutler.toml": settings, "write.py": write}, "--only", "test", number=6)
    assert run.code == 0, run.out + run.err
    assert run.record["test"]["tests"] == 1


@needs_bubblewrap
def test_a_stage_that_writes_elsewhere_is_told_what_to_set(world: World, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    files = {"src/train.py": f"open({str(elsewhere / 'x')!r}, 'w')\n{TRAIN}", "params.yaml": params(0.06)}
    run = world.change("elsewhere", files, number=7)
    assert run.code == 1
    assert "belongs in isolation.writable" in run.record["reproduce"]["remedy"]
    environ = {**world.jenkins("elsewhere", 7), "MLBUTLER_ISOLATION_WRITABLE": str(elsewhere)}
    assert world.run(world.clone("origin/elsewhere"), environ).code == 0


def processes_with(word: str) -> list[Path]:
    """Return the command lines of the machine that name a word."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended meanwhile, or is another user's
            found += [path] if word.encode() in path.read_bytes() else []
    return found


@needs_bubblewrap
def test_what_a_stage_leaves_running_ends_with_it(world: World, tmp_path: Path) -> None:
    duration = f"98765.{os.getpid():07}"  # no other run of the tests has it
    leaving = f"import subprocess\nsubprocess.Popen(['sleep', '{duration}'], start_new_session=True)\n{TRAIN}"
    run = world.change("leaving", {"src/train.py": leaving, "params.yaml": params(0.07)}, number=8)
    assert run.code == 0, run.out + run.err
    until = time.monotonic() + 300  # the machine may end later what was killed
    while (left := processes_with(duration)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not left


@needs_bubblewrap
def test_an_aborted_stage_has_its_time_to_end(world: World) -> None:
    saving = """
import os, pathlib, signal, sys, time
def save(number, frame):
    pathlib.Path("saved").write_text("a checkpoint")
    sys.exit(1)
signal.signal(signal.SIGINT, save)
pathlib.Path("begun").touch()
until = time.monotonic() + 600
while time.monotonic() < until:
    time.sleep(0.05)
"""
    world.branch("aborted", {"src/train.py": saving})
    root = world.clone("origin/aborted")
    process = forked_python.Popen(
        [sys.executable, "-m", "mlbutler", "run"], cwd=root, env=world.run_environ(world.jenkins("aborted", 10)),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert began(root, process), process.communicate()[0]
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate()
    assert process.returncode == 130, out
    assert (root / "saved").read_text() == "a checkpoint"


@needs_bubblewrap
def test_stages_that_are_verified_are_isolated_too(world: World) -> None:
    run = world.run(world.clone("origin/main"), {}, "--isolate", "require", "--json", verb="verify")
    assert run.code == 0, run.out + run.err
    assert {one["state"] for one in json.loads(run.out)["stages"]} == {"identical"}
    outside = f"open({str(world.directory / 'planted')!r}, 'w').write('x')\n{TRAIN}"
    world.branch("outside", {"src/train.py": outside})
    world.dvc("repro", "-q")
    world.dvc("push", "-q")
    world.git(world.author, "commit", "-qam", "trained")
    world.git(world.author, "push", "-q", "origin", "outside")
    (world.directory / "planted").unlink()
    root = world.clone("origin/outside")
    world.run(root, {}, "--isolate", "require", "--stage", "train", verb="verify")
    assert not (world.directory / "planted").exists()
    assert world.run(root, {}, "--isolate", "off", "--stage", "train", verb="verify").code == 0
    assert (world.directory / "planted").exists()


@needs_bubblewrap
def test_a_list_of_commands_and_a_folder_of_its_own(world: World) -> None:
    definition = DVC_YAML.replace("cmd: python src/train.py", "wdir: .\n    cmd: [python src/train.py, 'ls > /tmp/x']")
    run = world.change("several", {"dvc.yaml": definition, "params.yaml": params(0.08)}, number=9)
    assert run.code == 0, run.out + run.err


@needs_bubblewrap
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root has files of others")
def test_root_may_work_on_files_of_other_users_in_the_workspace(tmp_path: Path) -> None:
    workspace, own = tmp_path / "workspace", tmp_path / "own"
    for folder in (workspace, own):
        folder.mkdir()
    (workspace / "theirs").write_text("x")
    shutil.chown(workspace / "theirs", 1234, 1234)
    (workspace / "theirs").chmod(0o600)
    said: list[str] = []
    done = run_command("echo y >> theirs && cat theirs", cwd=workspace, environ=dict(os.environ), on_line=said.append,
               prefix=prefix(Places(workspace), own))  # fmt: skip
    assert (done.exit_code, said) == (0, ["x", "y"]) or said == ["xy"]


def run_of(world: World, branch: str, number: int, script: str, **more: str) -> Run:
    """The run of a pull request whose tests are this script of Python."""
    settings = SETTINGS.replace(TESTED, "python attack.py")
    world.branch(branch, {"attack.py": script, "mlbutler.toml": settings})
    clone = world.clone(f"origin/{branch}")
    return world.run(clone, {**world.jenkins(branch, number), **more}, "--only", "test")


@pytest.mark.parametrize(("line", "said"), [
    ("FileNotFoundError: [Errno 2] No such file or directory: '/home/ci/datasets/a.csv'",
     "needs of yours (/home/ci/datasets/a.csv) belongs in isolation.readable"),
    ("cat: /home/ci/a.csv: No such file or directory", "(/home/ci/a.csv) belongs in isolation.readable"),
    ("cat: /tmp/of-another-stage: No such file or directory", "(/tmp/of-another-stage) belongs in isolation.writable"),
    ("OSError: [Errno 30] Read-only file system: '/data/out.csv'", "(/data/out.csv) belongs in isolation.writable"),
    ("sh: 1: cannot create /data/x: Read-only file system", "(/data/x) belongs in isolation.writable"),
    ("mkdir: cannot create directory ‘/data/x’: Read-only file system", "(/data/x) belongs in isolation.writable"),
    ("LocalEntryNotFoundError: Cannot find an appropriate cached snapshot folder for the specified revision",
     "such as ~/.cache/huggingface, belongs in isolation.readable of the target branch's mlbutler.toml."),
    ("couldn't find them in the cached files.", "belongs in isolation.readable"),
    ("No such file or directory: 'data/a.csv'", ""),
    ("/home/ci/workspace/job/data/a.csv: No such file or directory", ""),
    ("/data/tmp/x: No such file or directory", ""),
])  # fmt: skip
def test_what_fails_for_lack_of_a_place_is_told_which_setting_takes_it(line: str, said: str) -> None:
    here = Isolated(
        "bubblewrap", ("bwrap",), homes=(Path("/home"),), workspace=Path("/home/ci/workspace/job"),
        where=" of the target branch's mlbutler.toml",
    )  # fmt: skip
    assert (said in here.hint([line, "exit status 1"])) if said else (here.hint([line]) == "")


# A folder that is no mount could go with all that is mounted in it, and another come in its place.
REPLACE = """
import os, pathlib
for name, made in ((".dvc", ".dvc/config"), (".mlbutler", ".mlbutler/record.json"), (".git", ".git/config")):
    try:
        os.rename(name, f"{name}.old")
        pathlib.Path(name).mkdir()
        pathlib.Path(made).write_text("planted")
    except OSError as error:
        print(f"{name}: refused")
for path in (".dvc/config.local", ".dvc/planted", ".dvc/tmp/planted", ".mlbutler/planted"):
    try:
        pathlib.Path(path).write_text("planted")
    except OSError:
        print(f"{path}: refused")
os.symlink("/somewhere", ".dvc/tmp/lock") if not os.path.lexists(".dvc/tmp/lock") else None
pathlib.Path("made").write_text("x")
"""


@needs_bubblewrap
def test_the_folders_of_dvc_git_and_mlbutler_can_be_neither_replaced_nor_added_to(world: World) -> None:
    run = run_of(world, "replaced", 20, REPLACE)
    assert run.code == 0, run.out + run.err
    assert (run.root / "made").exists()
    for name in (".dvc", ".git", ".mlbutler"):
        assert f"{name}: refused" in run.out
        assert "planted" not in "".join(path.name for path in (run.root / name).rglob("*"))
    assert not (run.root / ".dvc" / "config.local").exists()
    assert not (run.root / ".dvc" / "tmp" / "lock").is_symlink()
    assert "planted" not in (run.root / ".dvc" / "config").read_text()


@needs_bubblewrap
def test_a_folder_above_what_is_covered_cannot_be_replaced(tmp_path: Path) -> None:
    workspace, own, state = tmp_path / "workspace", tmp_path / "own", tmp_path / "state"
    for folder in (workspace / "team" / "project" / ".mlbutler", workspace / ".git", own, state):
        folder.mkdir(parents=True)
    command = "mv team gone && mkdir -p team/project/.mlbutler && echo forged > team/project/.mlbutler/record.json"
    places = Places(workspace, read_only=(workspace / ".git",))
    made = prefix(places, own, {workspace / "team" / "project" / ".mlbutler": state})
    done = run_command(command, cwd=workspace, environ=dict(os.environ), on_line=lambda line: None, prefix=made)
    assert done.exit_code != 0
    assert not (workspace / "team" / "project" / ".mlbutler" / "record.json").exists()


# DVC itself is not isolated: what it reads for the code, the code has.
READERS = """
  link: {{cmd: ln -s {netrc} stolen.txt, outs: [stolen.txt]}}
  below: {{cmd: mkdir folder && ln -s {netrc} folder/x, outs: [folder]}}
  plain: {{cmd: mkdir own && echo 1 > own/a && ln -s a own/b && ln -s /usr/bin/env own/env, outs: [own]}}
  value: {{cmd: echo 1 > value.txt, params: [{{{values}: [token]}}], outs: [value.txt]}}
"""


@needs_bubblewrap
def test_dvc_reads_nothing_for_the_code_that_the_code_may_not_read(world: World, home: Path) -> None:
    values, token = home / "values.yaml", "planted-8b1f"
    values.write_text(f"token: {token}\n")
    (home / ".netrc").write_text(f"machine x login y password {token}")
    world.branch("readers", {"dvc.yaml": DVC_YAML + READERS.format(netrc=home / ".netrc", values=values)})
    build = {**world.jenkins("readers", 11), "HOME": str(home)}
    run = world.run(world.clone("origin/readers"), build, "--only", "plan,reproduce,push,compare,report")
    ended = {stage["name"]: stage["outcome"] for stage in run.record["reproduce"]["stages"]}
    assert ended | {"link": "failed", "below": "failed", "plain": "ran", "value": "not reached"} == ended, run.err
    assert "stolen.txt is a link to what the stage's code may not read" in run.record["reproduce"]["reason"]
    assert "is outside of what the project's code may read" in json.dumps(run.record["plan"])
    world.branch("filled", {"dvc.yaml": f"vars: [{values}]\nstages: {{s: {{cmd: 'echo ${{token}}', outs: [x]}}}}"})
    filled = world.run(world.clone("origin/filled"), build, "--only", "plan,report")
    assert filled.record["plan"]["outcome"] == "error"
    assert "isolation.readable" in filled.record["plan"]["remedy"]
    said, roots = run.out + run.err + filled.out + filled.err, [run.root, filled.root]
    (home / ".netrc").write_text(f"machine: x: {token}\n")  # no YAML, of which an error shows a line
    for name in ("dvc.lock", "data/raw.dvc", ".dvc/config"):
        roots.append(world.clone("origin/readers"))
        (roots[-1] / name).unlink()
        (roots[-1] / name).symlink_to(home / ".netrc")
        linked = world.run(roots[-1], build, "--only", "plan,report")
        assert "is outside of what the project's code may read" in linked.record["plan"]["reason"], linked.err
        said += linked.out + linked.err
    assert token not in said
    for place in (*roots, world.remote, world.mirror):
        for file in place.rglob("*"):
            assert file.is_symlink() or not file.is_file() or token.encode() not in file.read_bytes(), file


def test_of_the_folders_above_a_path_the_nearest_says_whether_it_is_seen() -> None:
    cache = Path("/home/ci/.cache/hf")
    seen = isolation.VisiblePaths.of(Places(Path("/home/ci/ws"), homes=(Path("/home"),), readable=(cache,)))
    told = {path: seen.sees(Path(path)) for path in (
        "/home/ci/ws/data", "/home/ci/.netrc", "/home/ci/wsx", "/home/ci/.cache/hf/model", "/home/ci/.cache/hf/token",
        "/tmp/x", "/proc/1/environ", "/data/x", "/usr/bin/env",
    )}  # fmt: skip
    assert [path for path, sees in told.items() if sees] == [
        "/home/ci/ws/data", "/home/ci/.cache/hf/model", "/data/x", "/usr/bin/env",
    ]  # fmt: skip


@needs_bubblewrap
def test_a_model_in_a_cache_of_the_user_s_is_found_where_programs_look_for_it(tmp_path: Path) -> None:
    workspace, own, models = tmp_path / "workspace", tmp_path / "own", tmp_path / "home" / ".cache" / "models"
    for folder in (workspace, own, models):
        folder.mkdir(parents=True)
    (models / "a").write_text("weights")
    places = Places(workspace, homes=(tmp_path / "home",), home=tmp_path / "home", readable=(models,))
    command = 'cat "${XDG_CACHE_HOME:-$HOME/.cache}/models/a" && mkdir "$XDG_CACHE_HOME/other"'
    environ, lines = {**os.environ, "HOME": str(tmp_path / "home")}, list[str]()
    done = run_command(command, cwd=workspace, environ=environ, on_line=lines.append, prefix=prefix(places, own))
    assert (done.exit_code, lines) == (0, ["weights"])
    assert not (models.parent / "other").exists()


@needs_bubblewrap
def test_a_socket_that_has_gone_since_stops_no_command(tmp_path: Path) -> None:
    there, gone = tmp_path / "there", tmp_path / "gone"
    there.write_text("seen")
    options = (
        "bwrap",
        "--ro-bind",
        "/",
        "/",
        *(word for path in (gone, there) for word in ("--ro-bind", os.devnull, str(path))),
    )
    lines = list[str]()
    done = run_command(
        f"test -s {there} || echo ran", cwd=tmp_path, environ=os.environ, on_line=lines.append, prefix=(*options, "--")
    )
    assert (done.exit_code, lines) == (0, ["ran"])


@needs_bubblewrap
def test_files_of_credentials_that_the_environment_names_are_not_seen(world: World, tmp_path: Path) -> None:
    names = ("MLBUTLER_GIT_PRIVATE_KEY_FILE", "MLBUTLER_FORGE_TOKEN_FILE", "GOOGLE_APPLICATION_CREDENTIALS", "OF_OURS")
    files = {name: tmp_path / "keys" / name.lower() for name in names}
    (tmp_path / "keys").mkdir()
    for file in files.values():
        file.write_text("planted-secret")
        file.chmod(0o600)
    script = f"""
import glob
for path in glob.glob({str(tmp_path / "keys" / "*")!r}):
    try:
        print(path, open(path).read())
    except OSError:
        print(path, "refused")
"""
    seen = {"MLBUTLER_ISOLATION_WRITABLE": str(tmp_path / "keys")}  # it is below /tmp
    run = run_of(world, "keys", 21, script, **seen, **{name: str(file) for name, file in files.items()})
    assert run.code == 0, run.out + run.err
    for file in files.values():
        assert f"{file} refused" in run.out
    assert "planted-secret" not in run.out
    named = {name: str(file) for name, file in files.items() if name == "OF_OURS"}
    given = {"MLBUTLER_REPRODUCE_PASS_ENVIRONMENT": '["OF_OURS"]', **seen, **named}
    run = run_of(world, "given", 22, script, **given)
    assert f"{files['OF_OURS']} refused" not in run.out, "what it may have it may read"


@needs_bubblewrap
def test_credentials_that_jobs_leave_in_and_beside_the_workspace_are_not_seen(world: World) -> None:
    script = """
import glob, os
beside = glob.glob(os.path.dirname(os.getcwd()) + "/*@tmp/**", recursive=True)
print("keys:", [path for path in beside if os.path.isfile(path)])
for path in (".git/config", ".git/credentials", ".git/modules/data/config", ".dvc/config.local"):
    print(path, "of", os.path.getsize(path) > 9, open(path).read().count("planted"))
os.system("git config remote.origin.url")
"""
    settings = SETTINGS.replace(TESTED, "python attack.py")
    world.branch("beside", {"attack.py": script, "mlbutler.toml": settings})
    clone = world.clone("origin/beside")
    world.git(clone, "config", "remote.origin.url", "https://planted@git.example/x.git")
    (clone / ".git" / "credentials").write_text("https://user:planted@git.example/\n")
    (clone / ".git" / "modules" / "data").mkdir(parents=True)
    shutil.copy(clone / ".git" / "config", clone / ".git" / "modules" / "data")
    (clone / ".dvc" / "config.local").write_text("['remote \"origin\"']\n    password = planted\n")
    for other in (clone.name, "another"):
        key = clone.with_name(f"{other}@tmp") / "secretFiles" / "key"
        key.parent.mkdir(parents=True)
        key.write_text("planted")
    seen = {"MLBUTLER_ISOLATION_WRITABLE": str(clone.parent)}  # it is below /tmp
    run = world.run(clone, {**world.jenkins("beside", 23), **seen}, "--only", "test")
    assert run.code == 0, run.out + run.err
    assert "keys: []" in run.out
    assert [line for line in run.out.splitlines() if " of True " in line] == [
        ".git/config of True 0", ".git/credentials of True 0", ".git/modules/data/config of True 0",
        ".dvc/config.local of True 0",
    ]  # fmt: skip
    assert "https://git.example/x.git" in run.out


@needs_bubblewrap
def test_dvc_takes_no_output_that_is_a_link_to_them() -> None:
    config = Path("/work/job/.git/config")
    visible = isolation.VisiblePaths.of(Places(workspace=config.parents[1], redacted=(config,)))
    assert not visible.sees(config)
    assert visible.sees(config.with_name("HEAD"))


READS_KEYS = """
import ctypes
libc = ctypes.CDLL(None)
print("keys:", [ring for ring in (-3, -4) if libc.syscall({number}, 10, ring, b"user", {name}, 0) > 0])
"""


@needs_bubblewrap
def test_keys_of_the_session_are_not_reached(tmp_path: Path) -> None:
    libc, number = ctypes.CDLL(None), linux._KEYCTL.get(os.uname().machine)
    name = f"mlbutler-planted-{os.getpid()}".encode()  # other runs of the tests have the same keyring
    key = libc.syscall(248, b"user", name, b"x", 1, -3) if os.uname().machine == "x86_64" else -1
    if number is None or key < 0:
        pytest.skip("no keyrings here")
    (tmp_path / "own").mkdir()
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "attack.py").write_text(READS_KEYS.format(number=number, name=name))
    command = f"{shlex.quote(sys.executable)} -I attack.py"
    try:
        for options, found in (((), "keys: [-3]"), (prefix(Places(tmp_path / "job"), tmp_path / "own"), "keys: []")):
            lines = list[str]()
            run_command(command, cwd=tmp_path / "job", environ=os.environ, on_line=lines.append, prefix=options)
            assert lines == [found]
    finally:
        libc.syscall(number, 3, key)  # revoked
