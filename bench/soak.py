"""Run builds one after the other on one agent, as `python -m bench.soak`, two at a time, while things fail.

Each build is a fresh clone with a stage of its own to run, against an HTTP remote and a mirror with a limit. Some are
killed, some meet a remote that fails, a mirror that is full, or an object of the mirror that is damaged. What it costs
has to stay level: open files, memory and time of a build, and what is left of it: processes, temporary files, the disk.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import psutil

from bench.project import environment, git

_STAGE = """\
stages:
  make:
    cmd: python make.py
    deps: [make.py, data]
    outs: [made.bin]
"""
_MAKE = """\
import os, pathlib, random
seed = {seed}
read = sum(len(path.read_bytes()) for path in pathlib.Path("data").iterdir())
pathlib.Path("made.bin").write_bytes(random.Random(seed).randbytes({size}) + str(read).encode())
"""
_SIZE, _FILES, _LIMIT = 1 << 20, 200, "12MB"
# What was used in the last hour is never evicted; here hours pass in a minute.
_SOON = """\
import sys
from mlbutler.store.upkeep import prune
prune.RECENT = 60.0
from mlbutler.cli import main
main(sys.argv[1:])
"""
_FAULTS = {5: "remote fails", 7: "killed", 11: "object damaged", 13: "disk full"}
"""Each n-th build meets this one."""
_SHARE_OF_FAILURES, _TOO_LONG = 0.3, 900
_LEVELS = ("seconds", "processor", "files", "memory", "processes", "temporary", "mirror")


@dataclass
class Build:
    """One build: what was done to it, how it ended, and what it cost. Bytes, seconds, counts."""

    number: int
    fault: str
    code: int = 0
    seconds: float = 0.0
    processor: float = 0.0
    files: int = 0
    memory: int = 0
    processes: int = 0
    temporary: int = 0
    mirror: int = 0
    began: float = 0.0
    ended: float = 0.0


class Remote(BaseHTTPRequestHandler):
    """A folder over HTTP, which answers some requests with 500 while it fails."""

    folder: ClassVar[Path]
    failing: ClassVar[threading.Event] = threading.Event()

    def do_GET(self) -> None:
        """Send a file."""
        path = self._file()
        if self._fails() or not path.is_file():
            self._answer(500 if self.failing.is_set() and path.is_file() else 404, b"")
        else:
            self._answer(200, path.read_bytes())

    do_HEAD = do_GET

    def do_POST(self) -> None:
        """Keep a file."""
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self._fails():
            self._answer(500, b"")
            return
        path = self._file()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_name(f"{path.name}.new").write_bytes(content)
        path.with_name(f"{path.name}.new").replace(path)
        self._answer(200, b"")

    do_PUT = do_POST

    def _file(self) -> Path:
        return self.folder / self.path.lstrip("/")

    def _fails(self) -> bool:
        return self.failing.is_set() and random.random() < _SHARE_OF_FAILURES

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Write nothing."""


class Agent:
    """One agent: a bare repository, a remote, a mirror, and builds of it below `root`."""

    def __init__(self, root: Path, url: str) -> None:
        self.root, self.mirror, self.temporary = root, root / "mirror", root / "tmp"
        self.environ = environment(root) | {
            "TMPDIR": str(self.temporary), "MLBUTLER_DATA_MIRROR": str(self.mirror), "SOAK": str(root),
            "MLBUTLER_DATA_MIRROR_LIMIT": _LIMIT, "JENKINS_URL": "http://127.0.0.1:9/", "BRANCH_NAME": "main",
            "JOB_NAME": "soak", "GIT_URL": str(root / "origin.git"), "MLBUTLER_REMOTE_HOSTS": "127.0.0.1",
            "MLBUTLER_REPRODUCE_WHEN": "every-commit",
        }  # fmt: skip
        self.temporary.mkdir()
        self._make(url)

    def _make(self, url: str) -> None:
        author, dvc = self.root / "author", [sys.executable, "-m", "dvc"]
        git(self.root, self.environ, "init", "-q", "--bare", "-b", "main", str(self.root / "origin.git"))
        git(self.root, self.environ, "clone", "-q", str(self.root / "origin.git"), str(author))
        git(author, self.environ, "checkout", "-q", "-b", "main")
        (author / "data").mkdir()
        for number in range(_FILES):
            (author / "data" / f"{number}.bin").write_bytes(random.Random(number).randbytes(4 << 10))
        (author / "dvc.yaml").write_text(_STAGE)
        (author / "make.py").write_text(_MAKE.format(seed=0, size=_SIZE))
        for words in (
            ["init", "-q"],
            ["add", "-q", "data"],
            ["remote", "add", "-q", "-d", "origin", url],
            ["repro", "-q"],
        ):
            subprocess.run([*dvc, *words], cwd=author, env=self.environ, check=True)
        git(author, self.environ, "add", "-A")
        git(author, self.environ, "commit", "-qm", "first")
        git(author, self.environ, "push", "-q", "origin", "main")
        shutil.copytree(author / ".dvc" / "cache" / "files", Remote.folder / "files")
        shutil.rmtree(author)

    def build(self, number: int) -> Build:
        """Run one build, and measure it and what it leaves."""
        fault = next((what for every, what in _FAULTS.items() if number % every == every - 1), "")
        build, clone = Build(number, fault), self.root / f"build-{number}"
        git(self.root, self.environ, "clone", "-q", str(self.root / "origin.git"), str(clone))
        (clone / "make.py").write_text(_MAKE.format(seed=number + 1, size=_SIZE))
        git(clone, self.environ, "commit", "-qam", f"build {number}")
        git(clone, self.environ, "push", "-q", "origin", f"HEAD:refs/heads/soak-{number}")
        mine = self.environ | {"BUILD": str(number), "BUILD_NUMBER": str(number), "BRANCH_NAME": f"soak-{number}"}
        words = [sys.executable, "-c", _SOON, "run", "--only", "plan,sync,reproduce,push", "--quiet"]
        build.began = began = time.monotonic()
        with self._with(fault), tempfile.TemporaryFile() as stderr:
            process = subprocess.Popen(words, cwd=clone, env=mine, stdout=subprocess.DEVNULL, stderr=stderr)
            until = began + (random.Random(number).uniform(1, 6) if fault == "killed" else _TOO_LONG)
            process.returncode = self._watch(process.pid, build, until)
            stderr.seek(0)
            said = stderr.read()
        build.code, build.seconds = process.returncode, time.monotonic() - began
        build.ended = time.monotonic()
        time.sleep(2.0)  # what ends with it has ended
        build.processes = len(list(self._leftover_processes(number)))
        shutil.rmtree(clone, ignore_errors=True)
        build.temporary, build.mirror = _size(self.temporary), _size(self.mirror)
        if build.code and not fault:
            print(f"build {number} ended with {build.code}: {said.decode(errors='replace')[-600:]}", file=sys.stderr)
        return build

    def _watch(self, pid: int, build: Build, until: float) -> int:
        """Measure a process and its children until it ends or is killed, and return its exit code.

        It is waited for here, since only `wait4` says what it and its children took of the processor.
        """
        process = psutil.Process(pid)
        ended, status, used = os.wait4(pid, os.WNOHANG)
        while not ended and time.monotonic() < until:
            files = memory = 0
            with contextlib.suppress(psutil.Error):
                for one in (process, *process.children(recursive=True)):
                    with contextlib.suppress(psutil.Error):
                        files, memory = files + one.num_fds(), memory + one.memory_info().rss
            build.files, build.memory = max(build.files, files), max(build.memory, memory)
            time.sleep(0.2)
            ended, status, used = os.wait4(pid, os.WNOHANG)
        if not ended:
            os.kill(pid, signal.SIGKILL)
            _, status, used = os.wait4(pid, 0)
        build.processor = used.ru_utime + used.ru_stime
        return os.waitstatus_to_exitcode(status)

    def _leftover_processes(self, number: int) -> Iterator[psutil.Process]:
        for one in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                told = one.environ()
                if told.get("SOAK") == str(self.root) and told.get("BUILD") == str(number):
                    yield one

    @contextlib.contextmanager
    def _with(self, fault: str) -> Iterator[None]:
        ballast = self.mirror / "ballast"
        if fault == "remote fails":
            Remote.failing.set()
        elif fault == "disk full":
            with contextlib.suppress(OSError), ballast.open("wb") as file:
                while True:
                    file.write(bytes(1 << 20))
                    file.flush()
        elif fault == "object damaged":
            objects = sorted((self.mirror / "files").rglob("*")) if (self.mirror / "files").is_dir() else []
            for path in [path for path in objects if path.is_file()][:3]:
                path.chmod(0o644)
                path.write_bytes(b"damaged")
        try:
            yield
        finally:
            Remote.failing.clear()
            ballast.unlink(missing_ok=True)


def _size(folder: Path) -> int:
    total = 0
    for at, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(Path(at, name)).st_size
    return total


def slope(values: Sequence[float]) -> float:
    """Return by how much a value changes from one build to the next, by least squares."""
    middle, mean = (len(values) - 1) / 2, sum(values) / len(values)
    square = sum((index - middle) ** 2 for index in range(len(values)))
    return sum((index - middle) * (value - mean) for index, value in enumerate(values)) / square if square else 0.0


@contextlib.contextmanager
def _small_disk(mirror: Path) -> Iterator[bool]:
    """Put the mirror on a disk of 32 MB; False where this user may not mount one."""
    mirror.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(mirror)], capture_output=True)
    try:
        yield done.returncode == 0
    finally:
        if done.returncode == 0:
            subprocess.run(["umount", "-l", str(mirror)], check=False)


def main() -> int:
    """Run the builds and print a table; return 1 where one failed without a fault, or left something."""
    parser = argparse.ArgumentParser(prog="bench.soak", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--builds", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no build after so many")
    parser.add_argument("--json", type=Path, help="write what was measured there")
    asked = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="mlbutler-soak-")).resolve()
    Remote.folder = root / "remote"
    Remote.folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Remote)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with _small_disk(root / "mirror") as small:
            if not small:
                _FAULTS.pop(13)
                print("No disk of 32 MB can be mounted here: none gets full.", file=sys.stderr)
            agent = Agent(root, f"http://127.0.0.1:{server.server_address[1]}")
            builds = _two_at_a_time(agent, asked.builds, time.monotonic() + 60 * asked.minutes)
    finally:
        server.shutdown()
        shutil.rmtree(root, ignore_errors=True)
    if asked.json:
        asked.json.write_text(json.dumps([asdict(build) for build in builds], indent=1))
    return _print(builds)


def _two_at_a_time(agent: Agent, builds: int, until: float) -> list[Build]:
    with ThreadPoolExecutor(2) as pool:
        done = pool.map(lambda number: agent.build(number) if time.monotonic() < until else None, range(builds))
        return [build for build in done if build is not None]


def _print(builds: Sequence[Build]) -> int:
    faults = [build for build in builds if build.fault]
    for build in builds:
        if not build.fault and any(build.began < one.ended and one.began < build.ended for one in faults):
            build.fault = "beside one"
    ends = Counter((build.fault or "no fault", build.code) for build in builds)
    for (fault, code), times in sorted(ends.items()):
        print(f"{fault}: {times} ended with {code}")
    plain = [build for build in builds if not build.fault]
    quarter = max(len(plain) // 4, 1)
    print(f"{'of builds without a fault':28} {'first quarter':>14} {'last quarter':>14} {'change a build':>15}")
    for name in _LEVELS:
        values = [float(getattr(build, name)) for build in plain]
        first, last = sum(values[:quarter]) / quarter, sum(values[-quarter:]) / quarter
        print(f"{name:28} {first:14,.1f} {last:14,.1f} {slope(values):15,.2f}")
    print(f"processes left by any build: {sum(build.processes for build in builds)}")
    return int(any(build.code for build in plain) or any(build.processes for build in builds))


if __name__ == "__main__":
    sys.exit(main())
