"""What is remembered spares work, and never makes an answer false."""

from __future__ import annotations

import functools
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlbutler.remotes.opening import address
from mlbutler.state.fingerprint import fingerprint
from mlbutler.state.presence import CHECK, KIND
from mlbutler.state.results import PLAN
from mlbutler.state.segments import FOLDER, Segment, remove_all
from mlbutler.store.interface import ObjectId
from mlbutler.store.linking import Jobs, link_all
from tests import forked_python
from tests.integration.world import Run, World, make, trained
from tests.store.world import add_object, unsound

Serve = Callable[[Path], str]


class _Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128  # with the standard five, connections made at once wait for a second


class _Quiet(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A folder as an HTTP remote; its URL."""
    servers = []

    def start(folder: Path) -> str:
        folder.mkdir(exist_ok=True)
        handler = functools.partial(_Quiet, directory=str(folder))
        server = _Server(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def served(tmp_path: Path, serve: Serve) -> World:
    """The world's remote is an HTTP server, whose answers are remembered."""
    places = World(tmp_path / "world")
    shutil.copytree(trained("", ()).remote, places.remote)
    return make(places.directory, remote=serve(places.remote))


def reason(run: Run, step: str) -> str:
    return str(run.record[step]["reason"])


# ------------------------------------------------------------------------- what the project's code could have written

LOGIN = {"MLBUTLER_REMOTE_USER": "ada", "MLBUTLER_REMOTE_PASSWORD": "correct horse battery staple"}


def lose_three(world: World) -> None:
    """Three files of a directory are on the remote no more, nor in the mirror."""
    for folder in (world.remote, world.mirror):
        files = [path for path in sorted((folder / "files").rglob("*")) if path.is_file() and path.suffix != ".dir"]
        for path in files[:3]:
            path.unlink()


@pytest.mark.parametrize("where", ["in a kept workspace", "in the mirror"])
@pytest.mark.parametrize("environ", [LOGIN, {}], ids=["with a credential", "without one"])
def test_on_a_ci_server_no_forged_memory_says_that_all_is_on_the_remote(
    served: World, where: str, environ: dict[str, str]
) -> None:
    """The project's code can write all that mlbutler writes, and has no credential."""
    served.branch("change", {"notes.md": "a change"})
    root, build = served.clone("origin/change"), served.jenkins("change")
    assert served.run(root, build, "pushed", verb="check").code == 0
    assert not list((served.mirror / "mlbutler" / FOLDER).glob("p*")), "without a credential nothing is remembered"
    assert served.run(root, build | LOGIN, "pushed", verb="check").code == 0
    for place in (root / ".mlbutler", served.mirror / "mlbutler"):
        forge(place)
    lose_three(served)
    root = served.clone("origin/change") if where == "in the mirror" else root
    run = served.run(root, build | environ, "pushed", verb="check")
    assert run.code == 1, run.out + run.err
    assert "not on the remote" in reason(run, "check")


def forge(place: Path) -> None:
    """Say what a build with a credential has said, as code can that knows the format and no secret."""
    remove_all(place, KIND)  # what was said by who has the secret is believed, and rightly
    for kind in (PLAN, CHECK):
        for file in list((place / FOLDER / kind).glob("*")):
            rows = json.loads(file.read_bytes().partition(b" ")[2])
            key = "" if kind == PLAN else artifacts_of(place.parents[1])
            file.unlink()
            for name in (file.name, ""):
                Segment(place, kind, key, name=name).replace(rows | ({"asked": time.time()} if kind == CHECK else {}))


def artifacts_of(directory: Path) -> str:
    """What tells the artifacts of the plan that one of the clones has made."""
    plans = [
        json.loads(file.read_bytes().partition(b" ")[2]) for file in directory.rglob(f".mlbutler/{FOLDER}/{PLAN}/*")
    ]
    return str(plans[0]["artifacts"])


def test_on_a_ci_server_builds_with_the_remotes_credential_believe_one_another(served: World) -> None:
    served.branch("change", {"notes.md": "a change"})
    root, build = served.clone("origin/change"), served.jenkins("change") | LOGIN
    assert served.run(root, build, "pushed", verb="check").code == 0
    assert "when last asked" in reason(served.run(root, build, "pushed", verb="check"), "check")
    fresh = served.clone("origin/change")
    assert "when last asked" in reason(served.run(fresh, build, "pushed", verb="check"), "check")
    other = served.run(root, build | {"MLBUTLER_REMOTE_PASSWORD": "a guess"}, "pushed", verb="check")
    assert "when last asked" not in reason(other, "check")


def test_on_a_ci_server_no_forged_memory_says_that_nothing_is_stale(served: World) -> None:
    served.branch("change", {"notes.md": "a change"})
    root, build = served.clone("origin/change"), served.jenkins("change") | LOGIN
    assert served.run(root, build, verb="plan").code == 0
    (root / "params.yaml").write_text("train: {rate: 0.5}\n")
    time.sleep(0.1)
    [file] = (root / ".mlbutler" / FOLDER / PLAN).iterdir()
    rows = json.loads(file.read_bytes().partition(b" ")[2])
    found = fingerprint(root, "params.yaml")
    assert found is not None
    rows["inputs"]["params.yaml"] = found.text
    Segment(root / ".mlbutler", PLAN, name=file.name).replace(rows)
    assert served.run(root, build, "lock", verb="check").code == 1
    assert {stage["state"] for stage in served.run(root, build, verb="plan").record["plan"]["stages"]} > {"stale"}


# ---------------------------------------------------------------------------------------------- pushed


def test_what_the_users_configuration_says_of_the_remote_is_looked_at(
    served: World, serve: Serve, isolated_environment: Path
) -> None:
    """The same name stands for an empty remote by now: nothing is pushed to it."""
    root = served.clone("origin/main")
    configured = Path(os.environ["DVC_GLOBAL_CONFIG_DIR"]) / "config"
    configured.parent.mkdir()
    url = served.shell(root, sys.executable, "-m", "dvc", "config", "remote.origin.url")
    (root / ".dvc" / "config").write_text("[core]\n    remote = origin\n")
    configured.write_text(f"['remote \"origin\"']\n    url = {url}\n")
    for _ in range(2):
        assert served.run(root, {}, "pushed", verb="check").code == 0
    configured.write_text(f"['remote \"origin\"']\n    url = {serve(served.directory / 'empty')}\n")
    run = served.run(root, {}, "pushed", verb="check")
    assert run.code == 1
    assert "not on the remote" in reason(run, "check")


def test_the_configuration_of_another_home_is_another(
    served: World, serve: Serve, isolated_environment: Path, tmp_path: Path
) -> None:
    root = served.clone("origin/main")
    url = served.shell(root, sys.executable, "-m", "dvc", "config", "remote.origin.url")
    (root / ".dvc" / "config").write_text("[core]\n    remote = origin\n")
    for home, where in (("a", url), ("b", serve(served.directory / "empty"))):
        (tmp_path / home).mkdir()
        (tmp_path / home / "config").write_text(f"['remote \"origin\"']\n    url = {where}\n")
    codes = [
        served.run(root, {"DVC_GLOBAL_CONFIG_DIR": str(tmp_path / home)}, "pushed", verb="check").code
        for home in ("a", "a", "b", "a")
    ]
    assert codes == [0, 0, 1, 0]


@pytest.mark.parametrize("found_out", ["by asking again", "by bringing"])
def test_once_the_remote_lacks_something_nobody_is_told_that_all_is_there(served: World, found_out: str) -> None:
    finder, other = served.clone("origin/main"), served.clone("origin/main")
    for root in (finder, other, finder, other):
        assert served.run(root, {}, "pushed", verb="check").code == 0
    shutil.rmtree(served.remote / "files")
    if found_out == "by asking again":
        assert served.run(finder, {}, "pushed", "--anew", verb="check").code == 1
    else:
        assert served.run(finder, {}, "--all", verb="sync").code == 1
    fresh = served.clone("origin/main")
    served.run(fresh, {}, verb="plan")
    for root in (finder, other, fresh):
        assert served.run(root, {}, "pushed", verb="check").code == 1


def test_where_the_mirror_cannot_be_written_this_clone_doubts_what_it_says(served: World, tmp_path: Path) -> None:
    """The mirror goes on saying that all is there: it is mounted again each time, as a read-only mount would."""
    root = served.clone("origin/main")
    assert served.run(root, {}, "pushed", verb="check").code == 0
    shutil.copytree(served.mirror, tmp_path / "kept")
    shutil.rmtree(served.remote / "files")
    assert served.run(root, {}, "pushed", "--anew", verb="check").code == 1
    shutil.rmtree(served.mirror)
    shutil.copytree(tmp_path / "kept", served.mirror)
    assert served.run(root, {}, "pushed", verb="check").code == 1


def test_a_push_that_fails_ends_what_was_remembered(served: World) -> None:
    """The server takes nothing: what it lacks it goes on lacking."""
    asked, root = served.clone("origin/main"), served.clone("origin/main")
    assert served.run(root, {}, "--all", verb="sync").code == 0
    assert served.run(asked, {}, "pushed", verb="check").code == 0
    shutil.rmtree(served.remote / "files")
    assert served.run(root, {}, verb="push").code == 3
    assert served.run(asked, {}, "pushed", verb="check").code == 1


def test_what_is_pushed_after_all_is_remembered_again(served: World) -> None:
    root = served.clone("origin/main")
    shutil.copytree(served.remote, served.directory / "kept")
    shutil.rmtree(served.remote / "files")
    assert served.run(root, {}, "pushed", verb="check").code == 1
    shutil.copytree(served.directory / "kept", served.remote, dirs_exist_ok=True)
    assert "when last asked" not in reason(served.run(root, {}, "pushed", verb="check"), "check")
    assert "when last asked" in reason(served.run(root, {}, "pushed", verb="check"), "check")


REMOTES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "another base of the same path": (
        {"base": {"url": "s3://one"}, "origin": {"url": "remote://base/dvc"}},
        {"base": {"url": "s3://two"}, "origin": {"url": "remote://base/dvc"}},
    ),
    "another server of the same bucket": (
        {"origin": {"url": "s3://data", "endpointurl": "http://one:9000"}},
        {"origin": {"url": "s3://data", "endpointurl": "http://two:9000"}},
    ),
    "another account of the same container": (
        {"origin": {"url": "azure://data", "account_name": "one"}},
        {"origin": {"url": "azure://data", "connection_string": "AccountName=two;AccountKey=planted"}},
    ),
    "another port of the same host": (
        {"origin": {"url": "ssh://host/data", "port": 22}},
        {"origin": {"url": "ssh://host/data", "port": 2222}},
    ),
}


@pytest.mark.parametrize("case", REMOTES)
def test_remotes_in_different_places_are_told_apart(case: str) -> None:
    one, two = (address({"remote": remotes}, "origin", {}) for remotes in REMOTES[case])
    assert one
    assert two
    assert one != two
    assert "planted" not in two


def test_the_endpoint_may_come_from_the_environment() -> None:
    settings = {"remote": {"origin": {"url": "s3://data"}}}
    found = {
        address(settings, "origin", {"AWS_ENDPOINT_URL": url} if url else {}) for url in ("", "http://a", "http://b")
    }
    assert len(found) == 3


# ------------------------------------------------------------------------------------------------ plan


def test_what_is_edited_while_a_plan_is_made_is_seen_by_the_next(world: World) -> None:
    root = world.clone("origin/main")
    time.sleep(0.1)
    editing = ("tests.integration.edited_meanwhile", "src/train.py")
    forked_python.run(*editing, cwd=root, env=world.run_environ({})).check_returncode()
    run = world.run(root, {}, "lock", verb="check")
    assert run.code == 1
    assert reason(run, "check") == "stale in dvc.lock: train"


# ------------------------------------------------------------------------------------------- hash memory


def torn(line: str) -> str:
    return line[: len(line) // 2]


@pytest.mark.parametrize("change", [torn, lambda line: line + "\0\0\0", lambda line: line.split(" ")[0] + " 12"])
def test_torn_lines_of_the_mirrors_memory_are_passed_over(world: World, change: Callable[[str], str]) -> None:
    assert world.run(world.clone("origin/main"), {}, "--all", verb="sync").code == 0
    for file in (world.mirror / "mlbutler" / FOLDER / "verified").iterdir():
        if file.is_file():
            file.write_text("\n".join(map(change, file.read_text().split("\n"))))
    root = world.clone("origin/main")
    run = world.run(root, {}, "--all", verb="sync")
    assert run.code == 0, run.err
    assert unsound(root / ".dvc" / "cache") == []


# ------------------------------------------------------------------------------------- a second process


def jobs(tmp_path: Path, count: int) -> tuple[Jobs, list[ObjectId]]:
    """Links to make; every tenth object has been replaced since it was seen."""
    source, target = tmp_path / "mirror", tmp_path / "cache"
    found = []
    for number in range(count):
        oid = add_object(source, b"%d" % number)
        file = source / oid.key
        status = file.stat()
        if number % 10 == 0:
            file.unlink()
            add_object(source, b"%d" % number)
            os.utime(file, ns=(1, 1))
        found.append((oid, "", f"{status.st_ino} {status.st_size} {status.st_mtime_ns}"))
        (target / "files" / "md5" / oid.md5[:2]).mkdir(parents=True, exist_ok=True)
    return Jobs.of(source, target / "files" / "md5", found), [oid for oid, _, _ in found]


FEW = 400
"""Links for which a process is started here."""
PROGRAMS = {
    "the real one": 'exec "{python}" "$@"',
    "a banner first": 'echo "welcome to this environment"; exec "{python}" "$@"',
    "another program": "cat > /dev/null; head -c 100000 /dev/zero | tr '\\0' '\\1'",
    "one that fails": "exit 3",
    "one that says nothing": "cat > /dev/null",
    "one that stops halfway": '"{python}" "$@" | head -c 100',
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_whatever_the_second_process_says_what_counts_as_linked_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    script = tmp_path / "python"
    script.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{PROGRAMS[program].format(python=sys.executable)}\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    monkeypatch.setattr("mlbutler.store.linking.cores", lambda: 2)
    monkeypatch.setattr("mlbutler.store.linking.MANY", FEW)
    todo, oids = jobs(tmp_path, FEW)
    done = link_all(todo, lambda _: None)
    assert len(done) == len(oids)
    mirror, cache = tmp_path / "mirror", tmp_path / "cache"
    claimed = [oid for oid, one in zip(oids, done, strict=True) if one]
    assert all((cache / oid.key).samefile(mirror / oid.key) for oid in claimed)
    assert not any(number % 10 == 0 and one for number, one in enumerate(done))
    assert len(claimed) == FEW * 9 // 10 or program != "the real one"


ADOPTING = """
import ctypes, os, subprocess, sys
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # process 1 of a container that takes care of no orphan
subprocess.run([sys.executable, "-m", "mlbutler", *sys.argv[1:]], capture_output=True)
left = []
for name in filter(str.isdigit, os.listdir("/proc")):
    try:
        fields = open(f"/proc/{name}/stat").read().rpartition(")")[2].split()
    except OSError:
        continue
    if int(fields[1]) == os.getpid():
        left.append(name)
print(len(left))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks /proc")
@pytest.mark.parametrize("words", [("sync", "--all"), ("plan", "no-such-stage"), ("sync", "--all", "broken")])
def test_no_process_is_left_whether_it_was_asked_or_not(world: World, words: tuple[str, ...]) -> None:
    root = world.clone("origin/main")
    for _ in range(2):
        assert world.run(root, {}, "--all", verb="sync").code == 0
    if words[-1] == "broken":
        (root / "mlbutler.toml").write_text("broken = [")
        words = words[:-1]
    done = subprocess.run(
        [sys.executable, "-c", ADOPTING, *words], cwd=root, env=world.run_environ({}), capture_output=True, text=True,
        check=True, timeout=1800,
    )  # fmt: skip
    assert done.stdout.strip() == "0"


def test_what_one_is_told_in_json_stays_one_document(world: World) -> None:
    root = world.clone("origin/main")
    for _ in range(3):
        run = world.run(root, {}, "--all", "--json", verb="sync")
        assert json.loads(run.out)["exit_code"] == 0
