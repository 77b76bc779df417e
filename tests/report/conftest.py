"""A record with something of everything, as a failing run of a pull request would leave it."""

from __future__ import annotations

import base64
import math
import shutil
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlbutler import record as r
from mlbutler.record import Outcome, Verdict

HEAD = "4f1c2a9be07d3c5518e6a0b1c2d3e4f5a6b7c8d9"
BASE = "9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c4d3e2f1a0b"


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    """A real Chromium; a test that asks for it skips where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as api:
        browser = api.chromium.launch(executable_path=chromium, args=["--no-sandbox"], timeout=600_000)
        yield browser
        browser.close()


class Tab:
    """One tab of the browser that stays open: a page is loaded again only where another is shown, or it was changed.

    Its page has `said`, which gathers errors and warnings, and `asked`, what it wanted from elsewhere.
    """

    def __init__(self, browser: Any, folder: Path, *, scripts: bool = True) -> None:
        self._path, self._shown = folder / "page.html", ""
        self.page = browser.new_context(java_script_enabled=scripts).new_page()
        self.page.set_default_timeout(600_000)
        self.page.add_init_script("try { localStorage.clear(); } catch { /* there is none */ }")
        self.page.said, self.page.asked = [], []
        self.page.on("pageerror", lambda error: self.page.said.append(str(error)))
        self.page.on("console", lambda said: self._hear(said.type, said.text))
        self.page.on("request", lambda request: self.page.asked.append(request.url))

    def show(
        self, text: str, *, scheme: str = "light", width: int = 1280, height: int = 720, changes: bool = False
    ) -> Any:
        """Return the page with this text.

        Args:
            changes: the test clicks in it, or it depends on the width that it is loaded with.
        """
        self._size(width, height, scheme)
        if changes or text != self._shown:
            self._path.write_text(text, encoding="utf-8")
            self._load(self._path)
        self._shown = "" if changes else text
        return self.page

    def serve(self, text: str, policy: str = "") -> Any:
        """Return the page with this text as a server sends it, with this policy about its content."""
        headers = {"Content-Type": "text/html", **({"Content-Security-Policy": policy} if policy else {})}
        self._size(1280, 720, "light")
        self.page.route("**/*", lambda route: route.fulfill(body=text, headers=headers))
        self.page.goto("http://jenkins.example/report.html")
        self.page.unroute_all(behavior="wait")
        self._shown = ""
        return self.page

    def open(self, path: Path, *, width: int, height: int) -> Any:
        """Return the page of a file, loaded now."""
        self._size(width, height, "light")
        self._load(path)
        self._shown = ""
        return self.page

    def _size(self, width: int, height: int, scheme: str) -> None:
        self.page.emulate_media(media="null", color_scheme=scheme)
        self.page.set_viewport_size({"width": width, "height": height})

    def _load(self, path: Path) -> None:
        self.page.said.clear()
        self.page.asked.clear()
        self.page.goto(path.as_uri())

    def _hear(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.page.said.append(text)


@pytest.fixture(scope="package")
def tab(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    """A tab that the tests share."""
    tab = Tab(browser, tmp_path_factory.mktemp("tab"))
    yield tab
    tab.page.context.close()


@pytest.fixture(scope="package")
def still_tab(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    """A tab in which no scripts run."""
    tab = Tab(browser, tmp_path_factory.mktemp("tab"), scripts=False)
    yield tab
    tab.page.context.close()


def axe_finds(page: Any) -> list[Any]:
    """Return what axe finds wrong in the page; that it looks at least at so many things is checked."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    if not page.evaluate("'axe' in window"):
        page.evaluate((Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8"))
    # Of what is right, each element's place in the page would be half of the work.
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    assert len(found["passes"]) > 15
    return [(item["id"], item["impact"], item["nodes"][0]["html"][:200]) for item in found["violations"]]


def png(red: int, green: int, blue: int, size: int = 48) -> str:
    """A one-coloured PNG as a data URI."""
    rows = b"".join(b"\0" + bytes((red, green, blue)) * size for _ in range(size))
    return "data:image/png;base64," + base64.b64encode(png_of(size, rows, depth=8, colour=2)).decode()


def png_of(size: int, rows: bytes, *, depth: int, colour: int) -> bytes:
    """A square PNG of these rows, each with its filter's byte before it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", size, size, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows, level=1)) + chunk(b"IEND", b"")


def _curve(rate: float, floor: float) -> tuple[tuple[r.Scalar, ...], ...]:
    return tuple((step, round(floor + 2.1 * math.exp(-step / rate), 5)) for step in range(1, 31))


def _matrix(wrong: int) -> tuple[tuple[r.Scalar, ...], ...]:
    return tuple(
        (str(row), str(column), 36 - wrong if row == column else (wrong if (row + 3) % 10 == column else 0))
        for row in range(10)
        for column in range(10)
    )


def _metrics() -> tuple[r.MetricChange, ...]:
    def metric(name: str, old: r.Scalar, new: r.Scalar, verdict: Verdict, goal: str | None = None) -> r.MetricChange:
        difference = float(new - old) if isinstance(old, int | float) and isinstance(new, int | float) else None
        relative = difference / abs(old) if difference is not None and isinstance(old, int | float) and old else None
        return r.MetricChange(
            file="metrics.json", name=name, old=old, new=new, difference=difference, relative=relative,
            goal=goal, verdict=verdict, reason="not a number" if verdict is Verdict.NOT_JUDGED else "",
        )  # fmt: skip

    return (
        metric("test.accuracy", 0.92083, 0.89444, Verdict.WORSE, "maximize"),
        metric("test.loss", 0.31122, 0.27018, Verdict.BETTER, "minimize"),
        metric("latency_ms", 12.4, 10.9, Verdict.BETTER, "minimize"),
        metric("samples", 1797, 1797, Verdict.SAME),
        metric("train.accuracy", 0.998, 0.998, Verdict.SAME, "maximize"),
        metric("epochs", 20, 30, Verdict.CHANGED),
        metric("calibration", None, 0.0421, Verdict.NEW, "minimize"),
        metric("old_score", 0.7, None, Verdict.GONE, "maximize"),
        metric("status", "ok", "tuned", Verdict.NOT_JUDGED),
        metric("macro.f1", 0.9201, 0.92011, Verdict.WITHIN_NOISE, "maximize"),
    )


def _predictions() -> r.PredictionChange:
    return r.PredictionChange(
        file="predictions.csv", verdict=Verdict.WORSE, examples=1797, only_new=53, old_right=1655, new_right=1607,
        broken=71, fixed=23, p=6.8e-7,
        flips=(r.Flip(id="7/scan 0012.png", label="7", old="7", new="1", old_score=0.98, new_score=0.03,
                      image=png(20, 20, 20, 8)),
               r.Flip(id="3/0001.png", label="3", old="3", new="8", old_score=0.91, new_score=0.2)),
        fixed_flips=(r.Flip(id="0/0004.png", label="0", old="6", new="0"),),
        slices=(r.SliceChange(column="scanner", value="B", examples=300, old_right=280, new_right=231, broken=52,
                              fixed=3, p=7e-13, adjusted=2e-12, worse=True),
                r.SliceChange(column="scanner", value="A", examples=1497, old_right=1375, new_right=1376, broken=19,
                              fixed=20, p=0.63, adjusted=1.0, worse=False)),
        scores=(r.ScoreChange(name="log_loss", old=0.31122, new=0.27018, low=-0.06, high=0.02, goal="minimize",
                              verdict=Verdict.WITHIN_NOISE, method="paired bootstrap, 1,797 examples"),),
    )  # fmt: skip


def _compare() -> r.CompareResult:
    return r.CompareResult(
        outcome=Outcome.FAILED,
        reason="1 of 3 gates failed",
        remedy="Raise test.accuracy above 0.91083, or change the gate in mlbutler.toml.",
        duration=0.4,
        old_rev=BASE,
        verdict=Verdict.WORSE,
        sentence="test.accuracy 0.92083 -> 0.89444 (-0.02639, limit -0.01)",
        metrics=_metrics(),
        params=(
            r.ParamChange(file="params.yaml", name="train.learning_rate", kind="changed", old="0.01", new="0.05",
                          stages=("train", "evaluate"), after=("publish",)),
            r.ParamChange(file="params.yaml", name="train.epochs", kind="changed", old="20", new="30",
                          stages=("train",)),
            r.ParamChange(file="params.yaml", name="augment", kind="added", new="[flip, rotate]", stages=("prepare",)),
        ),
        plots=(
            r.PlotChange(file="plots/loss.csv", title="Training loss", kind=r.PlotKind.LINEAR, changed=True,
                         x="epoch", y="loss", old=_curve(7, 0.31), new=_curve(4, 0.27), old_total=3000, new_total=3000),
            r.PlotChange(file="plots/confusion.csv", title="Confusion on the test set",
                         kind=r.PlotKind.CONFUSION, changed=True, x="actual", y="predicted",
                         old=_matrix(3), new=_matrix(4)),
            r.PlotChange(file="plots/first layer.png", title="", kind=r.PlotKind.IMAGE, changed=True,
                         old=((png(80, 130, 200),),), new=((png(200, 120, 60),),)),
            r.PlotChange(file="plots/3d.json", title="Surface", kind=r.PlotKind.UNSUPPORTED, changed=False,
                         reason="its template is the project's own"),
        ),
        data=(
            r.DataChange(path="data/images", kind="changed", old_size=52_428_800, new_size=54_525_952, old_files=1797,
                         new_files=1850, files_added=60, files_removed=7, files_changed=2,
                         examples=(("added", "7/scan 0012.png"), ("removed", "3/blurred.png"))),
            r.DataChange(path="model.pkl", kind="changed", old_size=812_345, new_size=822_001),
        ),
        code=(
            r.CodeChange(path="README.md", kind="changed"),
            r.CodeChange(path="src/train.py", kind="changed", stages=("train",)),
            r.CodeChange(path="src/layers.py", kind="changed",
                         undeclared=(("train", "imported by src/train.py"), ("evaluate", "imported by src/model.py"))),
        ),
        history=(
            r.MetricHistory(file="metrics.json", name="test.accuracy", goal="maximize", values=tuple(
                r.PastValue(f"{n + 1:040x}", f"2025-10-{n + 1:02}T09:00:00+00:00", 0.9 + n / 500) for n in range(11)
            )),
            r.MetricHistory(file="metrics.json", name="test.loss", goal="minimize", values=(
                r.PastValue("a" * 40, "2025-10-01T09:00:00+00:00", 0.4),
                r.PastValue(BASE, "2025-10-11T09:00:00+00:00", 0.31122),
            )),
        ),
        predictions=(_predictions(),),
        repeats=(
            r.RepeatResult(metric="metrics.json:macro.f1", stages=("train", "evaluate"), params=("params.yaml:seed",),
                           seeds=(7, 8, 9), old=(0.9201, 0.9222, 0.9188), new=(0.92011, 0.9201, 0.9202),
                           difference=-0.00023, low=-0.0047, high=0.0042, verdict=Verdict.WITHIN_NOISE, more=412,
                           runs=12, restored=4),
            r.RepeatResult(metric="metrics.json:test.loss", reason="here, seed 9: stage 'train' failed: exit code 1"),
        ),
        gates=(
            r.GateResult(metric="metrics.json:test.accuracy", rule="max drop 0.01", level="fail", outcome="failed",
                         sentence="test.accuracy fell by 0.02639, 0.01 is allowed", old=0.92083, new=0.89444,
                         limit=0.01),
            r.GateResult(metric="test.loss", rule="max 0.35", level="fail", outcome="passed",
                         sentence="test.loss 0.27018 is at most 0.35", limit=0.35),
            r.GateResult(metric="latency_ms", rule="max 10", level="warn", outcome="warned",
                         sentence="latency_ms 10.9 is above 10", limit=10.0),
            r.GateResult(metric="metrics.json:recall", rule="min 0.8", level="fail", outcome="not judged",
                         sentence="no such metric in this change"),
        ),
        not_judged=(("metrics.json:status", "not a number"), ("plots/3d.json", "its template is the project's own")),
    )  # fmt: skip


def _ran(outcome: Outcome = Outcome.PASSED, **values: object) -> dict[str, object]:
    return {"outcome": outcome, "started": "2025-11-23T09:14:00+00:00", "duration": 1.5, **values}


@pytest.fixture
def record() -> r.Record:
    """What `sample` makes."""
    return sample()


def sample() -> r.Record:
    """A pull request that runs, compares worse, and is stopped by a gate."""
    missing = r.Finding(check="pushed", subject="data/raw set.csv", problem="not on remote 'storage'",
                        remedy="dvc push 'data/raw set.csv'")  # fmt: skip
    return r.Record(
        change=r.Change(
            ci="jenkins", kind="pull-request", head=HEAD, checkout="0" * 39 + "1", merge=True, base=BASE,
            head_branch="feature/faster-learning", target_branch="main", number="17", title="Learn faster",
            author="Ada Lovelace", url="https://git.example.org/vision/digits/pulls/17",
            build_url="https://ci.example.org/job/digits/job/PR-17/4/", git_remote="origin",
            repository="https://git.example.org/vision/digits", message="Learn faster",
        ),
        environment=r.Environment(mlbutler="0.1.0", dvc="3.67.0", git="2.43.0", python="3.11.9",
                                  platform="Linux x86_64", host="agent-3", cpus=8, memory=33_554_432_000),
        lock_hash="c0ffee" * 10,
        test=r.TestResult(
            outcome=Outcome.PASSED, reason="41 tests passed", duration=4.2, started="2025-11-23T09:14:00+00:00",
            runs=(r.CommandRun(command="pytest -q --junitxml=junit.xml", exit_code=0, duration=4.1),),
            tests=42, failures=0, errors=0, skipped=1,
        ),
        lint=r.LintResult(outcome=Outcome.SKIPPED, reason="not configured"),
        plan=r.PlanResult(
            outcome=Outcome.PASSED, reason="2 of 4 stages are stale", duration=0.3,
            stages=(
                r.StagePlan(name="prepare", state=r.StageState.UP_TO_DATE),
                r.StagePlan(name="train", state=r.StageState.STALE, last_duration=70.0,
                            causes=(r.Cause(kind="param", subject="params.yaml:train.epochs", detail="20 -> 30"),)),
            ),
        ),
        sync=r.SyncResult(outcome=Outcome.PASSED, reason="brought 1,850 objects", duration=2.2, paths=("data/images",),
                          moved=(r.Moved(place="mirror", objects=1790, bytes=50_000_000),
                                 r.Moved(place="storage", objects=60, bytes=4_000_000))),
        check=r.CheckResult(outcome=Outcome.FAILED, reason="1 artifact is missing on the remote", duration=0.5,
                            findings=(missing,), left_out=(("metrics.json", "cache: false"),), checked=1853),
        reproduce=r.ReproduceResult(
            outcome=Outcome.PASSED, reason="2 stages ran", duration=75.0, log=".mlbutler/reproduce.log",
            stages=(
                r.StageRun(name="prepare", outcome="unchanged"),
                r.StageRun(name="train", outcome="ran", duration=71.3, peak_memory=734_003_200, exit_code=0,
                           cause="param train.epochs: 20 -> 30"),
                r.StageRun(name="evaluate", outcome="restored", duration=0.2, cause="upstream train"),
            ),
        ),
        push=r.PushResult(outcome=Outcome.PASSED, reason="pushed 4 objects", duration=0.9,
                          moved=(r.Moved(place="storage", objects=4, bytes=822_500),), run_cache="mirror"),
        compare=_compare(),
        commit=r.CommitResult(outcome=Outcome.PASSED, reason="committed", duration=0.6, commit="b" * 40, parent=HEAD,
                              branch="feature/faster-learning", files=("dvc.lock", "metrics.json")),
    )  # fmt: skip
