"""Measure, as `python -m bench.board`, what the page of experiments costs: cold, with ten new ones, and in a browser.

The rival is `dvc exp show --json` on the same repository, with everything that it can show: `-A` (all commits). It is
measured on fewer experiments, since it needs minutes; both are whole processes, the interpreter's start included.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.chromium import page_seconds
from bench.measure import Failed, run
from bench.project import environment, git

BOARD = (sys.executable, "-m", "mlbutler", "board", "--quiet")
RIVAL = (sys.executable, "-m", "dvc", "exp", "show", "--json", "--all-commits")
COLUMNS = 50
_METRICS, _STEPS, _BRANCHES = 15, 30, 20
_NEW = 10


@dataclass(frozen=True)
class Line:
    """One size: seconds of the rival (None: not measured) and of ours, the page's bytes and seconds until it is usable.

    Attributes:
        cold: nothing is remembered. warm: ten experiments are new. rival_cold, rival_warm: DVC's, likewise.
    """

    experiments: int
    rival_cold: float | None
    rival_warm: float | None
    cold: float
    warm: float
    page_bytes: int
    usable: float | None


_DVC_YAML = """\
stages:
  train:
    cmd: python train.py
    params: [params.yaml:]
    metrics: [{metrics.json: {cache: false}}]
    plots: [{dvclive/loss.tsv: {cache: false, x: step, y: loss}}]
"""


class _History:
    """Writes commits as `git fast-import` reads them."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._mark = 0

    def commit(self, ref: str, parent: str, number: int, first: dict[str, str] | None = None) -> tuple[str, str]:
        """Return the commit's mark, and the text that makes it."""
        self._mark += 1
        files = {**(first or {}), **self._files()}
        when = 1_700_000_000 + number * 3600
        message = f"Try {number}: rate {self._chance.random():.3f}"
        parts = [
            f"commit {ref}\nmark :{self._mark}\nauthor Ada <ada@example.org> {when} +0000\n"
            f"committer Ada <ada@example.org> {when} +0000\ndata {len(message)}\n{message}\n"
        ]
        parts += [f"from {parent}\n"] if parent else []
        parts += [f"M 100644 inline {path}\ndata {len(text)}\n{text}\n" for path, text in files.items()]
        return f":{self._mark}", "".join(parts)

    def _files(self) -> dict[str, str]:
        chance = self._chance
        rate = 10 ** chance.uniform(-4, -1)
        best = 0.95 - abs(math.log10(rate) + 2.5) * 0.05 + chance.gauss(0, 0.005)
        metrics: dict[str, object] = {"accuracy": best, "loss": 1 - best, "train_seconds": chance.uniform(50, 90)}
        metrics |= {f"class{n}": {"f1": best + chance.gauss(0, 0.02)} for n in range(_METRICS - len(metrics))}
        params: dict[str, object] = {
            "rate": rate,
            "depth": chance.randint(2, 9),
            "optimizer": chance.choice(["adam", "sgd", "lion"]),
        }
        params |= {f"p{n:02}": chance.randint(0, 99) for n in range(COLUMNS - _METRICS - len(params))}
        curve = "".join(f"{n}\t{1 - best + math.exp(-n * rate * 40):.5f}\n" for n in range(_STEPS))
        return {
            "metrics.json": json.dumps(metrics), "params.yaml": json.dumps({"train": params}),
            "dvclive/loss.tsv": f"step\tloss\n{curve}",
        }  # fmt: skip


def stream(experiments: int) -> Iterator[str]:
    """Yield a history of so many commits: half on `main`, the others on branches and as DVC experiments."""
    history = _History(experiments)
    first = {"dvc.yaml": _DVC_YAML, ".dvc/config": "", ".dvcignore": "", "train.py": ""}
    main = ""
    on_branch: dict[str, str] = {}
    for number in range(experiments):
        if number % 2 == 0 or not main:
            main, text = history.commit("refs/heads/main", main, number, first if not main else None)
        elif number % 6 == 1:
            branch = f"try-{number // 6 % _BRANCHES}"
            on_branch[branch], text = history.commit(f"refs/heads/{branch}", on_branch.get(branch, main), number)
        else:
            _, text = history.commit(f"refs/bench/{number}", main, number)
        yield text


def make(root: Path, experiments: int) -> tuple[Path, dict[str, str]]:
    """Create the repository."""
    root.mkdir(parents=True)
    environ, project = environment(root), root / "project"
    git(root, environ, "init", "-q", "-b", "main", str(project))
    text = "".join(stream(experiments)).encode()
    subprocess.run(["git", "fast-import", "--quiet"], cwd=project, env=environ, input=text, check=True)
    listed = subprocess.run(
        ["git", "for-each-ref", "--format=%(refname:lstrip=2) %(objectname) %(parent)", "refs/bench"],
        cwd=project, env=environ, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    named = [line.split() for line in listed.splitlines()]
    moves = [f"create refs/exps/{base[:2]}/{base[2:]}/exp-{name} {oid}\n" for name, oid, base in named]
    moves += [f"delete refs/bench/{name}\n" for name, _, _ in named]
    orders = "".join(moves).encode()
    subprocess.run(["git", "update-ref", "--stdin"], cwd=project, env=environ, input=orders, check=True)
    git(project, environ, "checkout", "-q", "-f", "main")
    return project, environ


def add(project: Path, environ: dict[str, str], number: int) -> None:
    """Commit new results on `main`."""
    for count in range(number):
        file = project / "metrics.json"
        found = json.loads(file.read_text())
        file.write_text(json.dumps({**found, "accuracy": found["accuracy"] + 0.0001 * (count + 1)}))
        git(project, environ, "commit", "-qam", f"New {count}")


USABLE = "() => document.documentElement.dataset.ready === 'yes'"


def measure(root: Path, experiments: int, *, rival: bool) -> Line:
    """Measure one size."""
    project, environ = make(root / str(experiments), experiments)
    theirs: list[float] = []
    if rival:
        theirs.append(run(RIVAL, project, environ).seconds)
    cold = run(BOARD, project, environ).seconds
    add(project, environ, _NEW)
    warm = run(BOARD, project, environ).seconds
    if rival:
        theirs.append(run(RIVAL, project, environ).seconds)
    page = project / ".mlbutler" / "board" / "index.html"
    rival_cold, rival_warm = theirs if theirs else (None, None)
    return Line(experiments, rival_cold, rival_warm, cold, warm, page.stat().st_size, page_seconds(page, USABLE))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table, and the figures as JSON where asked; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.board", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="one small size, without DVC: does it run at all")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args(arguments)
    sizes = ((50, False),) if options.smoke else ((200, True), (5000, False))
    with tempfile.TemporaryDirectory(prefix="mlbutler-bench-") as root:
        try:
            lines = [measure(Path(root), experiments, rival=rival) for experiments, rival in sizes]
        except Failed as failed:
            print(failed, file=sys.stderr)
            return 1
    print("experiments  dvc exp show  10 new  board   10 new  page size  usable in")
    for line in lines:
        shown = [f"{seconds:.1f} s" if seconds is not None else "-" for seconds in
                 (line.rival_cold, line.rival_warm, line.cold, line.warm)]  # fmt: skip
        usable = "-" if line.usable is None else f"{line.usable:.2f} s"
        print(f"{line.experiments:>11} {shown[0]:>13} {shown[1]:>7} {shown[2]:>6} {shown[3]:>8} "
              f"{line.page_bytes / 1e6:>7.2f} MB {usable:>10}")  # fmt: skip
    if options.json:
        options.json.write_text(json.dumps([asdict(line) for line in lines], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
