"""Running the project's own code: what is seen, what is hidden, and that nothing goes on running."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from mlbutler.errors import Interrupted, OutsideError, UsageError
from mlbutler.live_lines import LiveLines, clean
from mlbutler.process import (
    CompletedCommand,
    Grace,
    Process,
    explain_exit,
    output_redactor,
    project_environment,
    run_command,
)
from tests.late import LIMIT, time_is_up_with

QUICK = Grace(interrupt=0.4, terminate=0.4, told=0.4)


def go(
    command: str | list[str],
    cwd: Path,
    timeout: float | None = None,
    further: Mapping[str, str] | None = None,
    grace: Grace = QUICK,
) -> tuple[CompletedCommand, list[str]]:
    lines: list[str] = []
    environ = {"PATH": os.environ["PATH"], **(further or {})}
    hide = output_redactor(further or {})
    done = run_command(
        command, cwd=cwd, environ=environ, on_line=lines.append, timeout=timeout, grace=grace, redactor=hide
    )
    return done, lines


def alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def is_gone(pid: int, seconds: float = 60) -> bool:
    until = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.02)
    return not alive(pid)


def test_output_and_errors_come_merged_with_the_exit_code(tmp_path: Path) -> None:
    done, lines = go("echo one; echo two >&2; printf three; exit 4", tmp_path)
    assert lines == ["one", "two", "three"]
    assert done.exit_code == 4
    assert done.tail == ("one", "two", "three")


def test_lines_come_while_the_command_runs(tmp_path: Path) -> None:
    done = run_command(
        "echo early; while [ ! -e seen ]; do sleep 0.02; done", cwd=tmp_path, environ=dict(os.environ),
        on_line=lambda _: (tmp_path / "seen").touch(), timeout=300,
    )  # fmt: skip
    assert done.exit_code == 0


def test_only_the_last_lines_are_kept(tmp_path: Path) -> None:
    done, lines = go("seq 1 1000", tmp_path)
    assert len(lines) == 1000
    assert done.tail == tuple(str(n) for n in range(961, 1001))


def test_standard_input_is_empty(tmp_path: Path) -> None:
    done, lines = go("cat; echo end", tmp_path)
    assert (done.exit_code, lines) == (0, ["end"])


def test_bytes_that_are_no_text_and_giant_lines_are_survived(tmp_path: Path) -> None:
    program = "import sys; o=sys.stdout.buffer; o.write(b'\\xff\\xfe ok\\n' + b'x'*3_000_000 + b'\\nlast\\n')"
    done, lines = go([sys.executable, "-c", program], tmp_path)
    assert lines[0] == "\ufffd\ufffd ok"
    assert len(lines[1]) < 20_000
    assert "more characters" in lines[1]
    assert lines[2] == "last"
    assert all(len(line) <= 500 for line in done.tail)


def test_a_progress_bar_is_one_line(tmp_path: Path) -> None:
    _, lines = go(r"printf ' 1%%\r 50%%\r100%%\nnext\r\n'", tmp_path)
    assert lines == ["100%", "next"]


def test_terminal_escapes_are_taken_out() -> None:
    assert clean("\x1b[31mred\x1b[0m \x1b]0;title\x07\x1b[2Aup\x08 a\tb\u202e") == "red up a\tb"


@pytest.mark.parametrize("command", [
    "::set-output name=x::y", "  ::add-mask::x", "\x1b[0m::stop-commands::x", "a ##[command]x",
    "##vso[task.setvariable]x", "##teamcity[buildStatus]", "one\n::error::two", "\u00ad::error::x", " :\ufeff:error::x",
    "#\u200b#v\u00ads\u2060o[task.setvariable]x", "##VSO[task.complete]x",
])  # fmt: skip
def test_no_line_is_a_command_to_a_ci_server(command: str) -> None:
    text = re.sub("[\u00ad\u200b\u2060\ufeff]", "", clean(command))
    assert not any(line.lstrip().startswith("::") for line in text.splitlines())
    assert "##" not in text
    assert clean("std::vector, ## a title, a::b") == "std::vector, ## a title, a::b"


def test_an_unfinished_line_is_shown_after_a_while_and_not_twice() -> None:
    lines: list[str] = []
    splitter = LiveLines(lines.append, pending_after=0.0)
    splitter.feed(b"10%\r20%")
    splitter.show_pending()
    splitter.show_pending()
    splitter.feed("\r30% ö".encode()[:-1])
    splitter.feed("ö".encode()[-1:])
    splitter.show_pending()
    splitter.feed(b"\n\ndone\n")
    assert lines == ["20%", "30% ö", "", "done"]


def test_a_secret_at_the_end_of_a_cut_line_does_not_show_half() -> None:
    secret = "s3cr3t-value-0123456789"
    lines: list[str] = []
    splitter = LiveLines(lines.append, lambda text: text.replace(secret, "*"), limit=1000)
    splitter.feed((secret * 1000 + "\n").encode())
    assert "s3cr" not in lines[0]


def run_until_said(command: str, cwd: Path, patch: pytest.MonkeyPatch) -> tuple[CompletedCommand, list[str]]:
    """Run it with a time-out that is over as soon as it wrote a line, however long that took."""
    lines: list[str] = []

    def note_line(line: str) -> None:
        lines.append(line)
        (cwd / "said").touch()

    time_is_up_with(cwd / "said", patch)
    environ = {"PATH": os.environ["PATH"]}
    return run_command(command, cwd=cwd, environ=environ, on_line=note_line, timeout=LIMIT, grace=QUICK), lines


def test_a_timeout_ends_the_whole_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done, lines = run_until_said("sleep 100 & echo $!; wait", tmp_path, monkeypatch)
    assert done.exit_code is None
    assert is_gone(int(lines[0]))


def test_a_grandchild_that_ignores_interrupts_is_killed_although_its_parent_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stubborn = (
        "import os, signal, time\n"
        "for number in (2, 15): signal.signal(number, signal.SIG_IGN)\n"
        "print(os.getpid(), flush=True)\n"
        "time.sleep(99)\n"
    )
    tmp_path.joinpath("stubborn.py").write_text(stubborn)
    done, lines = run_until_said(f"trap 'exit 3' INT; {sys.executable} stubborn.py & wait", tmp_path, monkeypatch)
    assert done.exit_code is None
    assert is_gone(int(lines[0]))


def test_a_process_in_the_background_does_not_hold_us_and_does_not_survive(tmp_path: Path) -> None:
    started = time.monotonic()
    done, lines = go("sleep 600 & echo $!", tmp_path)
    assert done.exit_code == 0
    assert time.monotonic() - started < 500
    assert is_gone(int(lines[0]))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux' subreaper")
def test_a_daemon_that_leaves_the_group_does_not_survive(tmp_path: Path) -> None:
    daemon = (
        "import os,time\n"
        "begun, begins = os.pipe()\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        print(os.getpid(), flush=True)\n"
        "        os.write(begins, b'.')\n"
        "        n = os.open(os.devnull, os.O_RDWR); os.dup2(n, 1); os.dup2(n, 2)\n"
        "        time.sleep(99)\n"
        "    os._exit(0)\n"
        "os.read(begun, 1)\n"
    )
    _, lines = go([sys.executable, "-c", daemon], tmp_path)
    assert is_gone(int(lines[0]))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_to_us_end_the_command_first(tmp_path: Path, number: int) -> None:
    program = (
        "import sys\nfrom pathlib import Path\nfrom mlbutler.errors import Interrupted\n"
        "from mlbutler.process import run_command, Grace\n"
        "try:\n"
        "    run_command('trap \"echo told; exit 1\" INT; echo $$; while :; do sleep 0.05; done',\n"
        "        cwd=Path('.'), environ={'PATH': '/bin:/usr/bin'},\n"
        "        on_line=lambda t: print(t, flush=True), grace=Grace(100, 100))\n"
        "except Interrupted:\n"
        "    print('interrupted', flush=True); sys.exit(130)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    pid = int(child.stdout.readline())
    child.send_signal(number)
    rest = child.stdout.read()
    assert child.wait(500) == 130
    assert rest.splitlines() == ["told", "interrupted"]
    assert is_gone(pid)


def test_interrupted_is_raised_in_the_same_process(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted):
        run_command("echo begun; sleep 600", cwd=tmp_path, environ=dict(os.environ), grace=QUICK,
            on_line=lambda _: os.kill(os.getpid(), signal.SIGTERM))  # fmt: skip
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("end", ["kill -TERM $$", "kill -INT $$", "kill -HUP $$", "exit 143", "exit 130"])
def test_a_ci_server_signals_the_children_before_us(tmp_path: Path, end: str) -> None:
    if "HUP" in end and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        pytest.skip("these tests were started with nohup, which their children inherit")
    with pytest.raises(Interrupted):
        go(f"(sleep 0.4; kill -TERM {os.getpid()}) > /dev/null 2>&1 & {end}", tmp_path, grace=Grace(0.5, 0.5, told=600))


def test_a_child_that_is_ended_while_we_wait_for_our_own_signal_is_reaped(tmp_path: Path) -> None:
    """Jenkins goes from the leaves to the root, and waits for each process to be gone before it signals its parent."""
    lines: list[str] = []
    ends = (
        "import os, sys, time\nchild, we = map(int, sys.argv[1:])\nos.kill(child, 15)\n"
        "while os.path.exists(f'/proc/{child}/status'): time.sleep(0.01)\nos.kill(we, 15)"
    )
    grace = Grace(0.5, 0.5, told=600)
    with Process(
        ["sh", "-c", "echo $$; exec sleep 600"],
        cwd=tmp_path,
        environ=dict(os.environ),
        on_line=lines.append,
        grace=grace,
    ) as process:
        while not lines:
            process.pump(deadline=time.monotonic() + 0.1)
        with subprocess.Popen([sys.executable, "-c", ends, lines[0], str(os.getpid())]) as server:
            try:
                assert process.is_told_to_stop(-signal.SIGTERM)
            finally:
                server.kill()


@pytest.mark.parametrize(("end", "code"), [("kill -TERM $$", -15), ("kill -KILL $$", -9), ("exit 143", 143)])
def test_a_command_that_somebody_else_ended_has_failed(tmp_path: Path, end: str, code: int) -> None:
    done, _ = go(end, tmp_path, grace=Grace(0.5, 0.5, told=0.1))
    assert done.exit_code == code


def test_a_failing_reader_leaves_nothing_running(tmp_path: Path) -> None:
    pids: list[int] = []

    def broken(line: str) -> None:
        pids.append(int(line))
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        run_command("echo $$; sleep 50", cwd=tmp_path, environ=dict(os.environ), on_line=broken, grace=QUICK)
    assert is_gone(pids[0])


def test_what_cannot_start_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(OutsideError) as caught:
        go(["no-such-program-anywhere"], tmp_path)
    assert caught.value.remedy
    with pytest.raises(UsageError):
        go("true", tmp_path / "nowhere")


def test_credentials_do_not_reach_the_child() -> None:
    environ = {
        "PATH": "/bin",
        "LANG": "C",
        "AWS_SECRET_ACCESS_KEY": "planted-secret-1",
        "MLBUTLER_GIT_TOKEN": "planted-secret-2",
        "MLBUTLER_GIT_USERNAME": "bot",
        "MLBUTLER_CHDIR": "teams/vision",
        "INNOCENT": "prefix planted-secret-1",
        "INDEX": "https://u:planted-secret-3@host/",
        "SSH_AUTH_SOCK": "/tmp/agent",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "http.extraHeader",
        "GIT_CONFIG_VALUE_0": "AUTHORIZATION: basic cGxhbnRlZA==",
        "JENKINS_NODE_COOKIE": "abcdef-123456",
        "WANDB_API_KEY": "planted-secret-4",
    }
    child = project_environment(environ, keep=["WANDB_API_KEY"])
    kept = {"PATH", "LANG", "JENKINS_NODE_COOKIE", "WANDB_API_KEY"}
    ours = {"DVC_NO_ANALYTICS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    assert child == {name: environ[name] for name in kept} | ours


def test_harmless_git_configuration_stays() -> None:
    environ = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
    assert project_environment(environ).keys() >= environ.keys()


def test_printed_secrets_are_hidden_in_lines_and_tail(tmp_path: Path) -> None:
    secrets = {"API_TOKEN": "hunter2-hunter2", "DEPLOY_KEY_SECRET": "line-one-of-key\nline-two-of-key"}
    done, lines = go("echo the token is hunter2-hunter2; echo 'line-two-of-key'", tmp_path, further=secrets)
    assert lines == ["the token is [hidden]", "[hidden]"]
    assert done.tail == tuple(lines)


@pytest.mark.skipif(not sys.platform.startswith("linux") or os.getuid() == 0, reason="root may read everything")
def test_a_child_cannot_read_our_environment(tmp_path: Path) -> None:
    _, lines = go("cat /proc/$PPID/environ > /dev/null && echo read", tmp_path)
    assert "read" not in lines


def test_exit_codes_in_words() -> None:
    assert explain_exit(1) == "exit code 1"
    assert "command not found" in explain_exit(127)
    assert explain_exit(-9) == explain_exit(137) == "killed by SIGKILL (out of memory?)"
    assert explain_exit(None) == "timed out"
    assert explain_exit(139) == "killed by SIGSEGV"
