"""Measure, as `python -m bench.store`, what moving data, and finding that nothing moves, costs beside the rivals.

The rivals are DVC, cp and curl. Whole processes are timed, the interpreter's start included; rival and mlbutler take
turns in the same run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import mlbutler
from bench.measure import Failed, Took, run, run_all
from bench.project import Project, make
from bench.remote import PASSWORD, USER, NoServer, http_remote
from mlbutler.state.verified import VerifiedObjects

Command = Sequence[str | Path]

DVC = (sys.executable, "-m", "dvc")
SEED: tuple[Command, ...] = (
    (*DVC, "status", "-c", "-r", "jenkins_local"),
    (*DVC, "pull", "-q", "-r", "jenkins_local"),
    (*DVC, "status", "-c", "-r", "jenkins_local"),
    (*DVC, "status", "-c", "-r", "origin"),
    (*DVC, "pull", "-q", "-r", "origin"),
    (*DVC, "push", "-q", "-r", "jenkins_local"),
)


def _remember(folder: Path, many: int) -> None:
    """Have a mirror remember so many objects that nobody wants."""
    memory = VerifiedObjects(folder)
    memory.add_all({(f"{n:032x}", False): f"{n} {SMALL} {n + (1 << 60)}" for n in range(many)})
    memory.save()


def ours(*words: str) -> Command:
    """Return a command of mlbutler."""
    return (sys.executable, "-m", "mlbutler", *words, "--quiet")


SMALL, LARGE = 4 << 10, 64 << 20
_SETTLING = 6.0
_MANY = 1_000_000
_MOST_MEMORY, _MOST_FILES = 300 << 20, 50_000
"""Memory that is aimed at, bytes, up to so many files."""


@dataclass(frozen=True)
class Line:
    """One comparison.

    Attributes:
        case: what was done. files: number of files. rival: who else did it.
        rival_seconds, seconds: wall time. rival_processor, processor: its seconds, which a busy machine changes less.
        peak: our highest resident memory, bytes.
        target: the rival's time over ours that is aimed at; 0 where the ratio is only stated. most: seconds that it may
            take, 0 where only the ratio counts.
    """

    case: str
    files: int
    rival: str
    rival_seconds: float
    seconds: float
    rival_processor: float
    processor: float
    peak: int
    target: float
    most: float = 0.0

    @property
    def met(self) -> bool:
        """Return whether it is as fast as it should be, in as little memory."""
        quick = not self.most or self.seconds <= self.most
        return quick and self.ratio >= self.target and (self.files > _MOST_FILES or self.peak <= _MOST_MEMORY)

    @property
    def ratio(self) -> float:
        """Return how many times faster it is than the rival."""
        return self.rival_seconds / self.seconds


class Bench:
    """The cases of one project."""

    def __init__(self, project: Project, url: str, say: Callable[[str], None]) -> None:
        self.project, self.url, self.say = project, url, say
        self.lines: list[Line] = []

    def small(self) -> None:
        """Measure all cases of many small files."""
        self.nothing_stale()
        self.warm_mirror()
        self.cold("cold, HTTP", target=4.0, curl_target=0.7)
        self.check_pushed()
        self.pushed_over_https()
        self.many_remembered()

    def large(self) -> None:
        """Measure the case of few large files."""
        self.cold("cold, large files, HTTP", target=0.0, curl_target=0.8)

    def nothing_stale(self) -> None:
        """Measure a clone without data in which no stage is stale."""
        clone = self._clone("fresh")
        rival = self._run("dvc status", [(*DVC, "status")], clone)
        mine = self._run("mlbutler", [ours("plan"), ours("sync"), ours("check", "lock")], clone)
        came = [path.name for path in (clone / ".dvc" / "cache" / "files").rglob("*") if path.is_file()]
        if any(not name.endswith(".dir") for name in came):
            raise Failed(f"data came although no stage is stale: {len(came)} objects")
        self._line("nothing stale: plan + sync + check lock", "dvc status", rival, mine, 3.0, most=1.0)

    def warm_mirror(self) -> None:
        """Measure a fresh clone on an agent whose mirror holds everything; then the same once more."""
        commands: list[Command] = [ours("sync", "--all"), ours("check")]
        theirs, clone = self._clone("theirs"), self._clone("ours")
        rival = self._run("the six commands", SEED, theirs)
        # What makes a mirror warm is a build before this one: its objects were hashed, what is on the remote was asked.
        self._run("mlbutler, the build before", commands, clone)
        shutil.rmtree(clone)
        clone = self._clone("ours")
        mine = self._run("mlbutler", commands, clone)
        links = self.project.root / "links"
        copied = self._run("cp -al", [("cp", "-al", self.project.mirror, links)], self.project.root)
        shutil.rmtree(links)
        self._line("fresh clone, warm mirror: sync --all + check", "the six commands", rival, mine, 20.0)
        self._line("fresh clone, warm mirror: sync --all + check", "cp -al", copied, mine, 0.33)
        rival = self._run("the six commands", SEED, theirs)
        mine = self._run("mlbutler", commands, clone)
        self._line("everything in place: sync --all + check", "the six commands", rival, mine, 20.0)
        status = self._run("dvc status", [(*DVC, "status")], clone)
        self._line("dvc status after it", "dvc status", status, status, 0.0)

    def cold(self, case: str, target: float, curl_target: float = 0.0) -> None:
        """Measure with nothing on this machine: all comes over HTTP."""
        clone = self._clone("theirs")
        rival = self._run("dvc pull", [(*DVC, "pull", "-q")], clone)
        shutil.rmtree(clone)
        clone = self._clone("ours")
        mirror = self.project.root / "new-mirror"
        mine = self._run("mlbutler", [ours("sync", "--all")], clone, mirror=mirror)
        shutil.rmtree(clone)
        shutil.rmtree(mirror)
        clone = self._clone("ours")
        alone = self._run("mlbutler, no mirror", [ours("sync", "--all")], clone, mirror=None)
        shutil.rmtree(clone)
        curl = self._curl()
        self._line(f"{case}: sync --all, filling the mirror", "dvc pull", rival, mine, target)
        self._line(f"{case}: sync --all, no mirror", "dvc pull", rival, alone, target)
        self._line(f"{case}: sync --all, no mirror", "curl --parallel", curl, alone, curl_target)

    def _curl(self) -> Took:
        target = self.project.root / "curl"
        target.mkdir()
        self._settle()
        lines = ["parallel", "parallel-max = 32", "silent", "fail", f'user = "{USER}:{PASSWORD}"']
        top = self.project.remote / "files" / "md5"
        for path in top.glob("*/*"):
            key = path.relative_to(self.project.remote).as_posix()
            lines += [f'url = "{self.url}/{key}"', f'output = "{target}/{path.parent.name}{path.name}"']
        settings = self.project.root / "curl.conf"
        settings.write_text("\n".join(lines))
        took = self._run("curl --parallel", [("curl", "--config", settings)], self.project.root)
        shutil.rmtree(target)
        return took

    def check_pushed(self) -> None:
        """Measure whether everything is on the remote: the first time, and again."""
        clone = self._clone("ours")
        mirror = self.project.root / "other-mirror"
        # Without what other cases made the mirror remember: nothing has been asked before.
        shutil.copytree(self.project.mirror, mirror, copy_function=_link, ignore=shutil.ignore_patterns("mlbutler"))
        self._run("dvc fetch", [(*DVC, "fetch", "-q", "-r", "jenkins_local")], clone)  # `dvc status -c` needs the data
        rival = self._run("dvc status -c", [(*DVC, "status", "-c", "-r", "origin")], clone)
        first = self._run("mlbutler", [ours("check", "pushed")], clone, mirror=mirror)
        again = self._run("mlbutler, again", [ours("check", "pushed")], clone, mirror=mirror)
        self._line("check pushed, HTTP, first time", "dvc status -c", rival, first, 3.0)
        self._line("check pushed, HTTP, again", "dvc status -c", rival, again, 10.0)
        shutil.rmtree(mirror)

    def pushed_over_https(self) -> None:
        """Measure the same over HTTPS, where the server offers HTTP/2."""
        root = self.project.root / "nginx-tls"
        with http_remote(root, self.project.remote, tls=True) as url:
            clone = self._clone("ours", url, root / "certificate.pem")
            self._run("dvc fetch", [(*DVC, "fetch", "-q", "-r", "jenkins_local")], clone)
            rival = self._run("dvc status -c, HTTPS", [(*DVC, "status", "-c", "-r", "origin")], clone)
            mine = self._run("mlbutler, HTTPS", [ours("check", "pushed")], clone, mirror=None)
        self._line("check pushed, HTTPS, first time", "dvc status -c", rival, mine, 3.0)

    def many_remembered(self) -> None:
        """Measure a warm mirror that remembers many objects besides those that are wanted: up to a million."""
        many = min(200 * self.project.files, _MANY)
        mirror = self.project.root / "full-mirror"
        shutil.copytree(self.project.mirror, mirror, copy_function=_link, ignore=shutil.ignore_patterns("mlbutler"))
        sync = [ours("sync", "--all")]
        self._run("mlbutler, the build before", sync, self._clone("ours"), mirror=mirror)
        few = self._run("mlbutler", sync, self._clone("ours"), mirror=mirror)
        # In a process of its own: Linux counts what this one had at most as the peak of all that it starts.
        with ProcessPoolExecutor(1) as beside:
            beside.submit(_remember, mirror / "mlbutler", many).result()
        mine = self._run(f"mlbutler, {many:,} others remembered", sync, self._clone("ours"), mirror=mirror)
        self._line("sync --all, up to a million other objects remembered", "without them", few, mine, 0.9)
        shutil.rmtree(mirror)

    def _clone(self, name: str, url: str = "", certificate: Path | None = None) -> Path:
        clone = self.project.clone(name, url or self.url, certificate)
        # Each clone is a new one to DVC too: it remembers hashes by path.
        shutil.rmtree(self.project.root / "site", ignore_errors=True)
        self._settle()
        return clone

    def _settle(self) -> None:
        """Wait for the cost of what was removed before: ext4 spares inodes freed in the last five seconds."""
        if self.project.files > 10:
            os.sync()
            time.sleep(_SETTLING)

    _FULL = Path()

    def _run(
        self, name: str, commands: Sequence[Command], cwd: Path, *, codes: Sequence[int] = (0,),
        mirror: Path | None = _FULL,
    ) -> Took:  # fmt: skip
        environ = dict(self.project.environ) | {"MLBUTLER_DATA_LINK": "hardlink"}
        if mirror is not None:
            environ["MLBUTLER_DATA_MIRROR"] = str(self.project.mirror if mirror is self._FULL else mirror)
        if codes == (0,):
            took = run_all(commands, cwd, environ)
        else:
            took = run(commands[0], cwd, environ, codes=codes)
        self.say(f"  {name}: {took.seconds:.2f} s, processor {took.processor:.2f} s, peak {took.peak >> 20} MB")
        return took

    def _line(self, case: str, rival: str, theirs: Took, ours: Took, target: float, *, most: float = 0.0) -> None:
        self.lines.append(
            Line(
                case, self.project.files, rival, theirs.seconds, ours.seconds, theirs.processor, ours.processor,
                ours.peak, target, most,
            ),
        )  # fmt: skip


def _link(source: str, target: str) -> None:
    Path(target).hardlink_to(source)


def without_root(root: Path) -> None:
    """Go on as an ordinary user, as agents should: files of the mirror may then be shared by links.

    The user is 'nobody'; where Python itself cannot be read by it, root goes on.
    """
    if os.geteuid() != 0:
        return
    # As pip leaves them: this user could not keep what Python compiles, and each process would compile it again.
    packages = [sysconfig.get_path("purelib"), Path(mlbutler.__file__).parent]
    subprocess.run([sys.executable, "-m", "compileall", "-q", "-j", "0", *packages], check=False, capture_output=True)
    probe = [sys.executable, "-c", "import dvc, mlbutler"]
    try:
        found = subprocess.run(probe, user=_NOBODY, group=_NOBODY, extra_groups=[], cwd="/", check=False)
    except OSError:
        return
    if found.returncode == 0:
        os.chown(root, _NOBODY, _NOBODY)
        os.setgroups([])
        os.setgid(_NOBODY)
        os.setuid(_NOBODY)


_NOBODY = 65534


def table(lines: Sequence[Line]) -> str:
    """Return the comparisons as a Markdown table."""
    rows = [
        "| case | files | rival | rival, s | mlbutler, s | times faster | of the processor | aimed at | peak, MB |",
        "|" + "---|" * 9,
    ]
    for line in sorted(lines, key=lambda line: (line.case, line.files)):
        aimed = f"{line.target:g}" if line.target else ""
        aimed += f", {line.most:g} s" if line.most else ""
        met = "" if line.met else " (not met)"
        rows.append(
            f"| {line.case} | {line.files:,} | {line.rival} | {line.rival_seconds:.2f} | {line.seconds:.2f} "
            f"| {line.ratio:.2f} | {line.rival_processor / line.processor:.2f} | {aimed}{met} | {line.peak >> 20} |"
        )
    return "\n".join(rows)


@dataclass(frozen=True)
class Growth:
    """How one case grew with the number of files.

    Attributes:
        fewer, more: numbers of files. seconds, rival_seconds: how many times longer it took. peak: bytes more.
    """

    case: str
    rival: str
    fewer: int
    more: int
    seconds: float
    rival_seconds: float
    peak: int


def growth(lines: Sequence[Line]) -> list[Growth]:
    """Return each case at a number of files beside the same at the next smaller number."""
    cases: dict[tuple[str, str], list[Line]] = {}
    for line in sorted(lines, key=lambda line: line.files):
        cases.setdefault((line.case, line.rival), []).append(line)
    return [
        Growth(
            case, rival, less.files, more.files, more.seconds / less.seconds,
            more.rival_seconds / less.rival_seconds, more.peak - less.peak,
        )
        for (case, rival), found in cases.items()
        for less, more in pairwise(found)
    ]  # fmt: skip


def growth_table(found: Sequence[Growth]) -> str:
    """Return the growth as a Markdown table."""
    rows = ["| case | files | mlbutler, times | rival | rival, times | memory, MB more |", "|" + "---|" * 6]
    rows += [
        f"| {one.case} | {one.fewer:,} to {one.more:,} | {one.seconds:.1f} | {one.rival} | {one.rival_seconds:.1f} "
        f"| {one.peak / (1 << 20):.0f} |"
        for one in found
    ]
    return "\n".join(rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.store", description=__doc__)
    parser.add_argument("--files", type=int, nargs="*", default=[5_000, 50_000], help="numbers of 4 KB files")
    parser.add_argument("--large", type=int, default=20, help="number of 64 MB files; 0 leaves that case out")
    parser.add_argument("--as-root", action="store_true", help="stay root, as in many containers")
    parser.add_argument("--smoke", action="store_true", help="a few files only: does the benchmark still work?")
    parser.add_argument("--directory", type=Path, help="where to work (default: a temporary folder)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    chosen = parser.parse_args(argv)
    counts, large = ([50], 0) if chosen.smoke else (chosen.files, chosen.large)
    lines: list[Line] = []
    with ExitStack() as stack:
        root = Path(tempfile.mkdtemp(dir=chosen.directory, prefix="bench-"))
        # An ordinary user may not remove it from a folder of root's; the figures are not lost for that.
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        if not chosen.as_root:
            without_root(root)
        try:
            for files, size in [*((count, SMALL) for count in counts), *([(large, LARGE)] if large else [])]:
                print(f"{files:,} files of {size >> 10} KB", file=sys.stderr, flush=True)
                project = make(root / str(files), files, size)
                with http_remote(project.root / "nginx", project.remote) as url:
                    bench = Bench(project, url, lambda text: print(text, file=sys.stderr, flush=True))
                    bench.small() if size == SMALL else bench.large()
                lines += bench.lines
                shutil.rmtree(project.root)
        except (NoServer, Failed) as error:
            print(error, file=sys.stderr)
            return 1
    grown = growth(lines)
    print(table(lines))
    if grown:
        print(f"\n{growth_table(grown)}")
    if chosen.json:
        machine = {
            "platform": platform.platform(),
            "python": platform.python_version(),
            "cpus": os.cpu_count(),
            "root": os.geteuid() == 0,
        }
        content = {
            "machine": machine,
            "lines": [{**asdict(line), "ratio": line.ratio, "met": line.met} for line in lines],
            "growth": [asdict(one) for one in grown],
        }
        chosen.json.write_text(json.dumps(content, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
