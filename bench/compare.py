"""Measure, as `python -m bench.compare`, what a comparison and its report cost beside DVC's three diffs.

How soon the page opens is measured too. Whole processes are timed, the interpreter's start included; rival and mlbutler
take turns in the same run. On a busy machine the processor's time says more than the clock.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.chromium import page_seconds
from bench.measure import Failed, run, run_all
from bench.project import environment, git

DVC = (sys.executable, "-m", "dvc")
DIFFS = tuple((*DVC, what, "diff", "main") for what in ("metrics", "params", "plots"))
OURS = tuple((sys.executable, "-m", "mlbutler", verb, "--quiet") for verb in ("compare", "report"))


@dataclass(frozen=True)
class Size:
    """How much there is to compare; `points` of each curve."""

    name: str
    metrics: int
    plots: int
    points: int
    files: int


SIZES = (Size("small", 5, 2, 50, 100), Size("large", 500, 50, 300, 5000))


@dataclass(frozen=True)
class Line:
    """One size: seconds of the three diffs, of compare and report, and of opening the page (None: no browser).

    `less`: how many times less of the processor's time compare and report take than the three diffs, the median of
    the turns.
    """

    size: str
    dvc: float
    ours: float
    less: float
    page: float | None
    page_bytes: int

    @property
    def ratio(self) -> float:
        """Return how many times faster it is than the three diffs together."""
        return self.dvc / self.ours


def make(root: Path, size: Size) -> tuple[Path, dict[str, str]]:
    """Create a project with two commits of results: `main`, and a branch that is checked out."""
    environ = environment(root)
    project = root / "project"
    project.mkdir(parents=True)
    git(project, environ, "init", "-q", "-b", "main")
    run((*DVC, "init", "-q"), project, environ)
    (project / "data").mkdir()
    for number in range(size.files):
        (project / "data" / f"{number:06}.txt").write_text(f"{number}\n")
    run((*DVC, "add", "-q", "data"), project, environ)
    per_file = max(size.metrics // 10, 1)
    metrics = [f"metrics/m{n}.json" for n in range(min(10, size.metrics))]
    plots = [f"plots/p{n}.csv" for n in range(size.plots)]
    text = f"metrics: {json.dumps(metrics)}\nplots:\n"
    text += "".join(f"  - {plot}: {{x: step, y: loss}}\n" for plot in plots)
    (project / "dvc.yaml").write_text(f"{text}params: [params.yaml]\n")
    for branch, seed in (("main", 1), ("try", 2)):
        if branch != "main":
            git(project, environ, "checkout", "-q", "-b", branch)
        chance = random.Random(seed)
        for number, path in enumerate(metrics):
            (project / path).parent.mkdir(exist_ok=True)
            values = {f"group{i % 5}.accuracy{number}_{i}": chance.random() for i in range(per_file)}
            (project / path).write_text(json.dumps(values))
        for path in plots:
            (project / path).parent.mkdir(exist_ok=True)
            rows = "".join(f"{i},{chance.random()}\n" for i in range(size.points))
            (project / path).write_text(f"step,loss\n{rows}")
        (project / "params.yaml").write_text("".join(f"p{i}: {chance.random()}\n" for i in range(100)))
        git(project, environ, "add", "-A")
        git(project, environ, "commit", "-qm", branch)
    return project, environ


def measure(root: Path, size: Size, repeats: int) -> Line:
    """Measure both, in turns; return the median of each."""
    project, environ = make(root / size.name, size)
    rival, own = [], []
    run_all(DIFFS, project, environ)  # both have looked at the project once
    run_all(OURS, project, environ)
    for _ in range(repeats):
        rival.append(run_all(DIFFS, project, environ))
        own.append(run_all(OURS, project, environ))
    page = project / ".mlbutler" / "report" / "report.html"
    less = statistics.median(theirs.processor / mine.processor for theirs, mine in zip(rival, own, strict=True))
    dvc, ours = (statistics.median(took.seconds for took in side) for side in (rival, own))
    return Line(size.name, dvc, ours, less, page_seconds(page), page.stat().st_size)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table, and the figures as JSON where asked; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--smoke", action="store_true", help="one size, once: does it run at all")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args(arguments)
    sizes, repeats = ((SIZES[0],), 1) if options.smoke else (SIZES, options.repeats)
    with tempfile.TemporaryDirectory(prefix="mlbutler-bench-") as root:
        try:
            lines = [measure(Path(root), size, repeats) for size in sizes]
        except Failed as failed:
            print(failed, file=sys.stderr)
            return 1
    print("size    three diffs  compare + report  times faster  less of the processor  page opens in  page size")
    for line in lines:
        opens = "-" if line.page is None else f"{line.page:.2f} s"
        print(f"{line.size:<7} {line.dvc:>9.2f} s {line.ours:>15.2f} s {line.ratio:>13.2f} {line.less:>22.2f} "
              f"{opens:>14} {line.page_bytes / 1e6:>7.1f} MB")  # fmt: skip
    if options.json:
        options.json.write_text(json.dumps([{**asdict(line), "ratio": line.ratio} for line in lines], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
