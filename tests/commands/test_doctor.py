"""`mlbutler doctor` on an agent: the remote, the clock, the cards, and what a fork's change may look at."""

from __future__ import annotations

import email.utils
import json
import stat
import string
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlbutler.commands.doctor import machine
from mlbutler.commands.doctor.machine import InstalledGpu, parse_gpus
from mlbutler.steps.context import RunContext
from tests.commands.doctors import Surgery, open_surgery
from tests.store.world import Remote

NOWHERE = "files/md5/01/23456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Surgery]:
    found = open_surgery(tmp_path_factory.mktemp("surgery"))
    yield found
    found.remote.close()
    found.empty.close()


@pytest.fixture
def surgery(opened: Surgery) -> Iterator[Surgery]:
    yield opened
    for remote in (opened.remote, opened.empty):
        remote.faults, remote.headers = {}, {}


def test_an_agent_that_lacks_nothing(surgery: Surgery) -> None:
    code, found = surgery.examine()
    assert code == 0
    assert found["remote"]["text"] == "'origin' answers, and holds data/raw of this commit"
    assert {name for name, row in found.items() if row["state"] == "ok"} >= {
        "git", "dvc", "project", "remote", "mirror", "links", "disk", "clock", "test", "lint", "credentials",
    }  # fmt: skip
    assert found["disk"]["facts"]["mirror"] > 0
    assert not any(row["state"] == "missing" for row in found.values())


# ------------------------------------------------------------------------------------------- remote


def test_a_remote_near_the_agents_is_asked_too_and_its_failure_is_a_note(surgery: Surgery) -> None:
    assert surgery.examine()[1]["mirror_remote"] == {
        "subject": "mirror_remote", "state": "ok", "text": "none is set", "remedy": "", "facts": {},
    }  # fmt: skip
    code, found = surgery.examine(MLBUTLER_DATA_MIRROR_REMOTE="empty")
    assert (code, found["mirror_remote"]["state"]) == (0, "note")
    assert "'empty' answers, and does not hold" in found["mirror_remote"]["text"]
    surgery.empty.faults = {"": [403]}
    code, found = surgery.examine(MLBUTLER_DATA_MIRROR_REMOTE="empty")
    assert (code, found["mirror_remote"]["state"]) == (0, "note")
    assert "'empty' gives no access" in found["mirror_remote"]["text"]


def test_on_a_ci_server_that_does_not_say_where_the_repository_is_the_rest_is_examined(surgery: Surgery) -> None:
    build = {"JENKINS_URL": "http://ci.example/", "BUILD_URL": "http://ci.example/1/", "BRANCH_NAME": "main"}
    asked = len(surgery.remote.requests)
    code, found = surgery.examine(**build)
    assert code == 1
    assert found["address"]["state"] == "missing"
    assert "MLBUTLER_GIT_URL" in found["address"]["remedy"]
    assert found["project"]["state"] == "ok"
    assert all("not looked at: see address" in found[name]["text"] for name in ("remote", "clock", "forge"))
    assert len(surgery.remote.requests) == asked


def test_a_wrong_password_is_told_from_what_is_missing(surgery: Surgery) -> None:
    code, found = surgery.examine(MLBUTLER_REMOTE_PASSWORD="wrong-but-long")
    assert code == 1
    assert found["remote"]["state"] == "missing"
    assert "'origin' gives no access" in found["remote"]["text"]
    assert "401" in found["remote"]["text"]
    assert "MLBUTLER_REMOTE_ORIGIN_PASSWORD" in found["remote"]["remedy"]


def test_no_password_at_all_names_the_variables(surgery: Surgery) -> None:
    code, found = surgery.examine(MLBUTLER_REMOTE_USER="", MLBUTLER_REMOTE_PASSWORD="")
    assert (code, found["remote"]["state"]) == (1, "missing")
    assert "MLBUTLER_REMOTE_ORIGIN_USER" in found["remote"]["remedy"]


def test_a_user_who_may_not_read_is_told_from_an_unknown_one(surgery: Surgery) -> None:
    surgery.remote.faults = {"": [403]}
    code, found = surgery.examine()
    assert (code, found["remote"]["state"]) == (1, "missing")
    assert "403" in found["remote"]["text"]
    assert "ask for access" in found["remote"]["remedy"]


def test_a_remote_that_hides_what_it_lacks_works_and_is_told_of(surgery: Surgery) -> None:
    """S3 answers 403 for an absent object to a key that may not list the bucket."""
    surgery.remote.faults = {NOWHERE: [403]}
    code, found = surgery.examine()
    assert (code, found["remote"]["state"]) == (0, "note")
    assert "s3:ListBucket" in found["remote"]["remedy"]


def test_a_remote_without_this_projects_data_is_no_refusal(surgery: Surgery) -> None:
    code, found = surgery.examine(MLBUTLER_DATA_REMOTE="empty")
    assert (code, found["remote"]["state"]) == (0, "note")
    assert found["remote"]["text"] == "'empty' answers, and does not hold data/raw of this commit"


def test_a_server_in_trouble_is_no_refusal(surgery: Surgery) -> None:
    surgery.remote.faults = {"": [418]}
    code, found = surgery.examine()
    assert code == 1
    assert "'origin' cannot be asked" in found["remote"]["text"]
    assert "418" in found["remote"]["text"]


def test_a_remote_that_is_down_and_nobody_else_to_ask_the_time(surgery: Surgery) -> None:
    config = surgery.root / ".dvc" / "config"
    before = config.read_text()
    config.write_text(before + "['remote \"down\"']\n    url = http://127.0.0.1:9/x\n")
    try:
        code, found = surgery.examine(MLBUTLER_DATA_REMOTE="down")
    finally:
        config.write_text(before)
    assert (code, found["remote"]["state"]) == (1, "missing")
    assert "'down' cannot be" in found["remote"]["text"]
    assert "127.0.0.1 is up" in found["remote"]["remedy"]
    assert "127.0.0.1:9 sent no time" in found["clock"]["text"]


def test_what_keeps_it_from_looking_is_told_once(surgery: Surgery) -> None:
    code, found = surgery.examine(MLBUTLER_DATA_REMOTE="nowhere")
    assert code == 1
    assert "There is no DVC remote 'nowhere'" in found["project"]["text"]
    assert [name for name, row in found.items() if row["state"] == "missing"] == ["project"]
    assert (found["remote"]["state"], found["remote"]["text"]) == ("note", "not looked at: see project")


# -------------------------------------------------------------------------------------------- clock


def tells(remote: Remote, monkeypatch: pytest.MonkeyPatch, date: Callable[[], str]) -> None:
    """The server's Date header."""
    monkeypatch.setattr(remote.server.RequestHandlerClass, "date_time_string", lambda self, timestamp=None: date())


@pytest.mark.parametrize(
    ("shift", "age", "state", "said"),
    [
        (0, 0, "ok", "agrees with the remote 'empty'"),
        (-100, 100, "ok", "agrees with"),  # an answer out of a cache
        (-120, 0, "note", "2 min ahead of the remote 'empty'"),
        (3600, 0, "missing", "1 h 0 min behind the remote 'empty'"),
        (-86400, 0, "missing", "24 h 0 min ahead of"),
    ],
)
def test_the_clock_is_compared_with_the_remotes(
    surgery: Surgery, monkeypatch: pytest.MonkeyPatch, shift: int, age: int, state: str, said: str
) -> None:
    tells(surgery.empty, monkeypatch, lambda: email.utils.formatdate(time.time() + shift, usegmt=True))
    surgery.empty.headers = {"Age": str(age)}
    code, found = surgery.examine(MLBUTLER_DATA_REMOTE="empty")
    assert (code, found["clock"]["state"]) == (int(state == "missing"), state)
    assert said in found["clock"]["text"]
    assert bool(found["clock"]["remedy"]) is (state != "ok")
    assert found["clock"]["facts"]["ahead"] == pytest.approx(-shift - age, abs=30)


def test_without_a_server_that_tells_the_time_nothing_is_claimed(
    surgery: Surgery, monkeypatch: pytest.MonkeyPatch
) -> None:
    tells(surgery.empty, monkeypatch, lambda: "soon")
    code, found = surgery.examine(MLBUTLER_DATA_REMOTE="empty")
    assert (code, found["clock"]["state"]) == (0, "note")
    assert "sent no time" in found["clock"]["text"]


def test_the_clock_is_asked_for_without_the_password(surgery: Surgery) -> None:
    surgery.remote.requests, surgery.remote.received = [], []
    surgery.examine()
    (asked,) = [at for at, (_, path) in enumerate(surgery.remote.requests) if path == "/"]
    assert "Authorization" not in surgery.remote.received[asked]


# ---------------------------------------------------------------------------------------------- GPU


def card(folder: Path, script: str) -> str:
    """PATH's new first folder, with an nvidia-smi in it."""
    folder.mkdir()
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return f"{folder}:{Path('/usr/bin')}:{Path('/bin')}"


def test_cards_with_their_memory_and_driver(surgery: Surgery, tmp_path: Path) -> None:
    script = (
        '[ "$1 $2" = "--query-gpu=name,memory.total,driver_version --format=csv,noheader,nounits" ] || exit 9\n'
        'echo "NVIDIA A100-SXM4-40GB, 40960, 535.104.05"; echo "NVIDIA A100-SXM4-40GB, 40960, 535.104.05"\n'
        'env > "$0.env"'
    )
    code, found = surgery.examine(PATH=card(tmp_path / "bin", script))
    assert (code, found["gpu"]["state"]) == (0, "ok")
    text = "NVIDIA A100-SXM4-40GB (40.0 GB), NVIDIA A100-SXM4-40GB (40.0 GB), driver 535.104.05"
    assert found["gpu"]["text"] == text
    assert found["gpu"]["facts"]["cards"][1] == {
        "name": "NVIDIA A100-SXM4-40GB", "memory": 40 * 1024**3, "driver": "535.104.05",
    }  # fmt: skip
    assert surgery.environ["MLBUTLER_REMOTE_PASSWORD"] not in (tmp_path / "bin" / "nvidia-smi.env").read_text()


def test_a_driver_that_does_not_answer_its_program_is_missing(surgery: Surgery, tmp_path: Path) -> None:
    said = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."
    code, found = surgery.examine(PATH=card(tmp_path / "bin", f'echo "{said}"; exit 9'))
    assert (code, found["gpu"]["state"]) == (1, "missing")
    assert said in found["gpu"]["text"]
    assert "--gpus" in found["gpu"]["remedy"]


def test_a_driver_that_hangs_is_not_waited_for(
    surgery: Surgery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_GPU_TIMEOUT", 0.5)
    path = card(tmp_path / "bin", "exec sleep 999")
    found = machine.gpu(cast(RunContext, SimpleNamespace(environ={"PATH": path})))
    assert (found.state, found.text) == ("missing", f"{tmp_path}/bin/nvidia-smi does not answer")
    assert "Restart the machine" in found.remedy


def test_an_old_git_is_told(surgery: Surgery, tmp_path: Path) -> None:
    old = tmp_path / "git"
    old.write_text(
        '#!/bin/sh\nfor word; do [ "$word" = --version ] && echo "git version 2.20.1" && exit; done\n'
        'exec /usr/bin/git "$@"\n'
    )
    old.chmod(0o755)
    code, found = surgery.examine(PATH=f"{tmp_path}:/usr/bin:/bin")
    assert (code, found["git"]["state"], found["git"]["text"]) == (1, "missing", "2.20.1 is too old")
    assert "2.30" in found["git"]["remedy"]


def test_a_container_without_a_home_and_without_a_name_for_git(surgery: Surgery) -> None:
    code, found = surgery.examine(HOME="/", USER="", GIT_CONFIG_GLOBAL="/dev/null")
    assert code == 0
    assert not any(row["state"] == "missing" for row in found.values())


def test_a_machine_without_a_card_lacks_nothing(surgery: Surgery, tmp_path: Path) -> None:
    (tmp_path / "git").symlink_to("/usr/bin/git")
    code, found = surgery.examine(PATH=str(tmp_path))
    assert (code, found["gpu"]["state"], found["gpu"]["remedy"]) == (0, "note", "")


LETTERS = st.sampled_from(string.ascii_letters)
PRINTED = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)
DIGITS = st.text(st.characters(categories=["Nd"]), min_size=1, max_size=6)


@given(st.lists(st.builds(
    InstalledGpu, name=st.builds("{}{}{}".format, LETTERS, PRINTED, LETTERS | st.sampled_from(string.digits)),
    memory=st.none() | st.integers(0, 10**6).map(lambda mib: mib * 1024**2),
    driver=st.lists(DIGITS, min_size=2, max_size=5).map(".".join),
), max_size=4))  # fmt: skip
def test_whatever_cards_are_called(cards: list[InstalledGpu]) -> None:
    lines = [f"{c.name}, {'[N/A]' if c.memory is None else c.memory // 1024**2}, {c.driver}" for c in cards]
    assert parse_gpus("\n".join(lines)) == cards


@given(st.text())
def test_other_text_is_no_card_and_no_error(text: str) -> None:
    for found in parse_gpus(text):
        assert found.name


# --------------------------------------------------------------------------------------------- fork


def test_a_forks_change_is_asked_of_without_leaving_a_trace(surgery: Surgery, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    before = mirror.stat().st_mtime_ns
    environ = surgery.world.jenkins("main", CHANGE_FORK="theirs/words")
    code, found = surgery.examine(**environ, MLBUTLER_DATA_MIRROR=str(mirror))
    assert (found["mirror"]["state"], found["links"]["state"]) == ("note", "note")
    assert "writes nothing" in found["mirror"]["text"]
    assert mirror.stat().st_mtime_ns == before
    assert (code, found["remote"]["state"]) == (0, "note")
    assert "given no credentials" in found["remote"]["text"]


def test_without_json_each_line_says_what_to_do(surgery: Surgery) -> None:
    wrong = surgery.environ | {"MLBUTLER_REMOTE_PASSWORD": "wrong-but-long"}
    run = surgery.world.run(surgery.root, wrong, verb="doctor")
    lines = run.out.splitlines()
    (at,) = [number for number, line in enumerate(lines) if line.startswith("MISSING  remote: ")]
    assert "401" in lines[at]
    assert lines[at + 1].startswith("         The credentials are wrong")
    assert at == 0  # what is wrong stands first, what is fine in one line at the end
    assert not any(line.startswith("ok  ") for line in lines[:-1])
    assert lines[-1].startswith("ok       git, dvc, project,")
    assert run.code == 1


# ---------------------------------------------------------------------------------------- a remote on S3


def test_s3_is_read_and_its_endpoint_tells_the_time(surgery: Surgery) -> None:
    import httpx
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    httpx.put(f"http://{host}:{port}/bucket", timeout=600)
    world = surgery.world
    world.dvc("remote", "add", "-q", "s3", "s3://bucket/prefix")
    world.dvc("remote", "modify", "-q", "s3", "endpointurl", f"http://{host}:{port}")
    keys = {"AWS_ACCESS_KEY_ID": "some-key", "AWS_SECRET_ACCESS_KEY": "some-secret-key"}
    told = surgery.environ | keys | {"AWS_DEFAULT_REGION": "eu-west-1", "MLBUTLER_DATA_REMOTE": "s3"}
    try:
        before = world.run(world.author, told, "--json", verb="doctor")
        push = world.run(world.author, told, verb="push")
        after = world.run(world.author, told, "--json", verb="doctor")
    finally:
        server.stop()
        world.git(world.author, "checkout", "-q", ".dvc/config")
    assert push.code == 0, push.out + push.err
    said = [{row["subject"]: row for row in json.loads(run.out)["examined"]} for run in (before, after)]
    assert [found["remote"]["state"] for found in said] == ["note", "ok"]
    assert "does not hold data/raw" in said[0]["remote"]["text"]
    assert said[1]["clock"]["text"] == "agrees with the remote 's3'"
    assert "some-secret-key" not in before.out + before.err + after.out + after.err


def test_a_local_remote_whose_directory_is_gone_does_not_answer(surgery: Surgery, tmp_path: Path) -> None:
    local = surgery.root / ".dvc" / "config.local"
    local.write_text(f"['remote \"disk\"']\n    url = {tmp_path / 'unmounted'}\n")
    try:
        code, found = surgery.examine(MLBUTLER_DATA_REMOTE="disk")
    finally:
        local.unlink()
    assert (code, found["remote"]["state"]) == (1, "missing")
    assert f"The directory of the store 'disk' is not there: {tmp_path / 'unmounted'}" in found["remote"]["text"]
