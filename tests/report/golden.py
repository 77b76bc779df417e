"""The comment as each forge shows it, drawn by Chromium: to be looked at, and kept.

``python -m tests.report.golden`` draws the kept pictures again; look at them before they are committed.
"""

from __future__ import annotations

import io
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from PIL import Image

from mlbutler.record import Record
from mlbutler.report import markdown
from mlbutler.report.build import build
from mlbutler.report.pictures import of_report
from mlbutler.settings import ReportSettings
from tests.report.conftest import Tab, sample

KEPT = Path(__file__).parent / "golden"
HEIGHT = 1300
COLOURS = 48
PROBE = "Verdict 0.92083 → 0.89444 (−0.02639) ▲▼ ✅❌⚠️"


@dataclass(frozen=True)
class Look:
    """How one forge shows a comment: what it understands, and what its style sheet does."""

    limits: markdown.Limits
    width: int = 780
    colours: tuple[str, str, str, str] = ("#ffffff", "#1f2328", "#0969da", "#d1d9e0")
    font: str = "14px/1.5"
    further: str = ""


_DARK = ("#0d1117", "#e6edf3", "#4493f8", "#3d444d")
LOOKS = {
    "github": Look(markdown.Limits(65_536), further="tr:nth-child(2n) td { background: #f6f8fa }"),
    "github-dark": Look(markdown.Limits(65_536), colours=_DARK, further="tr:nth-child(2n) td { background: #151b23 }"),
    "github-phone": Look(markdown.Limits(65_536), width=360, font="16px/1.5"),
    "gitlab": Look(markdown.Limits(1_000_000), width=960, colours=("#ffffff", "#333238", "#1f75cb", "#dcdcde")),
    "bitbucket": Look(markdown.Limits(32_768, html=False), 700, ("#ffffff", "#172b4d", "#0052cc", "#c1c7d0")),
    "gogs": Look(markdown.Limits(65_535, "bytes", folds=False), 700, ("#ffffff", "#333333", "#4078c0", "#dddddd")),
}


def page(look: Look, record: Record, folder: Path) -> Path:
    """Write the page with the record's comment, and its pictures beside it."""
    report = build(record, ReportSettings())
    placed = {}
    for file in of_report(report):
        (folder / file.name).write_bytes(file.content)
        placed[file.name] = file.name
    limits = look.limits
    text = markdown.fit(report, limits, placed, "" if limits.folds and limits.html else "mlbutler/report-17")
    body = MarkdownIt("commonmark", {"html": limits.html}).enable(["table", "strikethrough"]).render(text)
    back, ink, link, line = look.colours
    style = f"""body {{ margin: 16px; width: {look.width - 32}px; font: {look.font} sans-serif; background: {back};
    color: {ink} }} a {{ color: {link}; text-decoration: none }} img {{ max-width: 100% }} h3 {{ margin: 0 0 12px }}
    table {{ border-collapse: collapse; display: block; width: max-content; max-width: 100%; overflow: auto }}
    td, th {{ border: 1px solid {line}; padding: 6px 13px }} pre {{ overflow: auto }}
    code {{ background: {line}66; border-radius: 6px; padding: 2px 5px; font-size: 85% }} {look.further}"""
    path = folder / "comment.html"
    path.write_text(f"<!doctype html><meta charset=utf-8><style>{style}</style>{body}", encoding="utf-8")
    return path


def screenshot(tab: Tab, look: Look, record: Record, folder: Path) -> Image.Image:
    """Return what a reader sees of it first."""
    shown = tab.open(page(look, record, folder), width=look.width, height=HEIGHT)
    return Image.open(io.BytesIO(shown.screenshot())).convert("RGB")


def fonts(browser: Any) -> str:
    """Return what tells this machine's fonts from others: how wide a text is, and each of its letters."""
    shown = browser.new_page()
    shown.set_content('<p style="font: 14px sans-serif"><span id=a></span>')
    measured = shown.evaluate(
        "texts => texts.map((text) => { const a = document.getElementById('a'); a.textContent = text; "
        "return a.getBoundingClientRect().width; })",
        [PROBE, *dict.fromkeys(PROBE)],
    )
    shown.close()
    return " ".join(f"{width:.2f}" for width in measured)


def small(picture: Image.Image) -> bytes:
    """Return a PNG of few colours: it is kept in Git."""
    written = io.BytesIO()
    picture.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(written, "PNG", optimize=True)
    return written.getvalue()


def main() -> None:
    """Draw all that is kept."""
    from playwright.sync_api import sync_playwright

    KEPT.mkdir(exist_ok=True)
    with sync_playwright() as api, tempfile.TemporaryDirectory() as folder:
        browser = api.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"], timeout=600_000)
        tab = Tab(browser, Path(folder))
        for name, look in LOOKS.items():
            (KEPT / f"{name}.png").write_bytes(small(screenshot(tab, look, sample(), Path(folder))))
        (KEPT / "fonts.txt").write_text(f"{fonts(browser)}\n")
        browser.close()


if __name__ == "__main__":
    main()
