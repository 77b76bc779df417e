"""Measure, as `python -m bench.start`, what the start of a verb costs, and a plan of many stages.

Seconds of the processor are counted, mlbutler's children included: they say the same on a busy machine. The
commands take turns, so that the ratios hold where the machine's speed changes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.measure import Failed
from bench.project import environment, git

PYTHON, OURS, DVC = (sys.executable,), (sys.executable, "-m", "mlbutler"), (sys.executable, "-m", "dvc")
VERBS: Mapping[str, tuple[str, ...]] = {
    "python -c pass": (*PYTHON, "-c", "pass"),
    "python -c 'import click'": (*PYTHON, "-c", "import click"),
    "mlbutler --help": (*OURS, "--help"),
    "mlbutler check lock, planned before": (*OURS, "check", "lock"),
    "mlbutler sync, planned before": (*OURS, "sync"),
    "mlbutler report": (*OURS, "report"),
    "mlbutler commit": (*OURS, "commit"),
    "mlbutler compare": (*OURS, "compare", "--against", "HEAD~1"),
    "mlbutler run, nothing stale": (*OURS, "run", "--skip", "test,lint", "--no-publish"),
}
_STAGES = """\
stages:
  s:
    foreach: {names}
    do: {{cmd: "make ${{item}}", deps: [code.py], outs: ["out/${{item}}.txt"]}}
"""
_WRITTEN = """\
  s{number}: {{cmd: "make {number}", deps: [code.py], outs: ["out/{number}.txt"]}}
"""
_READER = """\
  reader{number}: {{cmd: "read {number}", deps: [data]}}
"""
READERS = 20
"""Stages that read the directory, where there is one."""


def make_new(root: Path, stages: int) -> tuple[Path, dict[str, str]]:
    """Create a project of as many stages, each written out in dvc.yaml, of which none has run."""
    return _begin(root, "stages:\n" + "".join(_WRITTEN.format(number=number) for number in range(stages)))


def _begin(root: Path, text: str, config: str = "") -> tuple[Path, dict[str, str]]:
    """Create a project with this dvc.yaml, and this configuration of DVC."""
    environ, project = environment(root), root / "project"
    project.mkdir(parents=True)
    git(project, environ, "init", "-q", "-b", "main")
    subprocess.run([*DVC, "init", "-q"], cwd=project, env=environ, check=True)
    (project / "dvc.yaml").write_text(text)
    (project / ".dvc" / "config").write_text(config)
    (project / "code.py").write_text("x")
    git(project, environ, "add", "-A")
    git(project, environ, "commit", "-qm", "stages")
    return project, environ


def make(root: Path, stages: int, files: int = 0) -> tuple[Path, dict[str, str]]:
    """Create a project of as many stages, of which none is stale, and which differs from its commit before.

    Args:
        files: in a directory that some of the stages read, and that DVC's state database knows.
    """
    readers = range(READERS if files else 0)
    text = _STAGES.format(names=list(range(stages - len(readers))))
    text += "".join(_READER.format(number=number) for number in readers)
    config = f"[core]\n    remote = r\n['remote \"r\"']\n    url = {root / 'remote'}\n"
    project, environ = _begin(root, text, config)
    (project / "out").mkdir()
    entries: dict[str, dict[str, object]] = {}
    for number in range(stages - len(readers)):
        content = f"{number}\n".encode()
        (project / "out" / f"{number}.txt").write_bytes(content)
        for store in (project / ".dvc" / "cache", root / "remote"):
            stored = store / "files" / "md5" / _md5(content)[:2] / _md5(content)[2:]
            stored.parent.mkdir(parents=True, exist_ok=True)
            stored.write_bytes(content)
        entries[f"s@{number}"] = {
            "cmd": f"make {number}",
            "deps": [{"path": "code.py", "hash": "md5", "md5": _md5(b"x"), "size": 1}],
            "outs": [{"path": f"out/{number}.txt", "hash": "md5", "md5": _md5(content), "size": len(content)}],
        }
    for number in readers:
        if not number:
            data = _directory(project / "data", files)
        entries[f"reader{number}"] = {"cmd": f"read {number}", "deps": [{"path": "data", **data}]}
    (project / "dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": entries}, indent=1))
    (project / ".gitignore").write_text("/out\n/data\n/.mlbutler\n")
    if files:
        subprocess.run([*DVC, "status", "-q"], cwd=project, env=environ, check=False)
    git(project, environ, "add", "-A")
    git(project, environ, "commit", "-qm", "results")
    return project, environ


def _directory(folder: Path, files: int) -> dict[str, object]:
    """Create a directory of as many files in a hundred folders; return its entry of dvc.lock."""
    manifest, size = [], 0
    for number in range(files):
        name, content = f"{number % 100:02}/{number:06}.txt", f"{number}\n".encode()
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
        manifest.append({"md5": _md5(content), "relpath": name})
        size += len(content)
    text = json.dumps(sorted(manifest, key=lambda entry: entry["relpath"]))
    return {"hash": "md5", "md5": f"{_md5(text.encode())}.dir", "size": size, "nfiles": files}


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def seconds(command: Sequence[str], project: Path, environ: Mapping[str, str]) -> float:
    """Return the processor's seconds that a command takes.

    Raises:
        Failed: it did not do its work.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=project, env=dict(environ), capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise Failed(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout[-1500:]}{done.stderr[-1500:]}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def starts(root: Path, repeats: int) -> dict[str, float]:
    """Return the median of each verb in a small project."""
    project, environ = make(root, 3)
    taken: dict[str, list[float]] = {name: [] for name in VERBS}
    for turn in range(repeats + 1):
        for name, command in VERBS.items():
            if "planned before" in name:
                seconds((*OURS, "plan"), project, environ)
            took = seconds(command, project, environ)
            if turn:  # in the first everything is read from the disk
                taken[name].append(took)
    return {name: statistics.median(found) for name, found in taken.items()}


def plans(
    root: Path, stages: Sequence[int], repeats: int, files: int = 0, *, new: bool = False
) -> dict[int, tuple[float, float]]:
    """Return the medians of a first plan and of `dvc status` for each number of stages."""
    found = {}
    for number in stages:
        project, environ = make_new(root / str(number), number) if new else make(root / str(number), number, files)
        quiet = () if new else ("-q",)  # with which it fails where a stage is stale
        ours, theirs = [], []
        for _ in range(repeats):
            shutil.rmtree(project / ".mlbutler", ignore_errors=True)
            ours.append(seconds((*OURS, "plan"), project, environ))
            theirs.append(seconds((*DVC, "status", *quiet), project, environ))
        found[number] = statistics.median(ours), statistics.median(theirs)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print two tables; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.start", description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--stages", type=int, nargs="*", default=[500, 2000])
    parser.add_argument("--files", type=int, default=100_000, help="in a directory that 20 of the most stages read")
    parser.add_argument("--smoke", action="store_true", help="each once: does it run at all")
    options = parser.parse_args(arguments)
    stages, repeats, files = options.stages, options.repeats, options.files
    if options.smoke:
        stages, repeats, files = [30], 1, 300
    with tempfile.TemporaryDirectory(prefix="mlbutler-bench-") as root:
        try:
            taken, planned = starts(Path(root) / "small", repeats), plans(Path(root), stages, repeats)
            new = plans(Path(root) / "new", stages, repeats, new=True)
            reading = plans(Path(root) / "reading", [max(stages)], repeats, files)
        except Failed as failed:
            print(failed, file=sys.stderr)
            return 1
    least = taken["python -c pass"]
    for name, took in taken.items():
        print(f"{name:<38} {took:>7.3f} s {took / least:>6.1f} times python")
    for read, table in (
        ("", planned),
        (", none of which has run", new),
        (f", {READERS} of them reading {files:,} files", reading),
    ):
        for number, (ours, theirs) in table.items():
            times = f"{ours:.2f} s, dvc status {theirs:.2f} s: {theirs / ours:.1f} times faster"
            print(f"plan of {number:,} stages{read}: {times}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
