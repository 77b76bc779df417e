"""Draw the README's pictures from the folder that `mlbutler demo` made: website/pictures.py DEMO

`make pictures` runs the demo and this. The comment is drawn from the record that is kept beside the pictures, so that
`tests/test_pictures.py` can tell when what mlbutler writes today looks different.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from PIL import Image
from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.text import Text

from mlbutler.record_file import read_record
from mlbutler.report import markdown
from mlbutler.report.build import build
from mlbutler.report.pictures import data_uri, of_report
from mlbutler.secrets import Redactor
from mlbutler.settings import ReportSettings
from mlbutler.steps.report import write_report

HERE = Path(__file__).resolve().parent / "pictures"
COLOURS = 160
# What GitHub's style sheet does to a comment.
STYLE = """
body { margin: 24px; font: 14px/1.5 "Noto Sans", Helvetica, Arial, sans-serif; color: #1f2328 }
.comment { border: 1px solid #d0d7de; border-radius: 6px; width: 830px }
.header { background: #f6f8fa; border-bottom: 1px solid #d0d7de; padding: 8px 16px; color: #59636e }
.text { padding: 16px } h3 { margin: 0 0 12px; font-size: 18px } a { color: #0969da; text-decoration: none }
table { border-collapse: collapse } td, th { border: 1px solid #d0d7de; padding: 6px 13px }
code { background: #eff1f3; border-radius: 6px; padding: 2px 5px; font-size: 12px } img { max-width: 100% }
details { margin: 6px 0 }
"""
TERMINAL = ("== plan", "== compare", "== summary")
WORDS = {"passed": "green", "failed": "bold red", "stale": "yellow", "skipped": "dim", "▼ worse": "red"}


def comment(record: Path) -> str:
    """Return the Markdown of a kept record, its pictures within."""
    found = read_record(record)
    assert found is not None, record
    report = build(found, ReportSettings())
    return markdown.fit(report, markdown.Limits(10**6), {file.name: data_uri(file) for file in of_report(report)})


def small(picture: bytes, path: Path) -> None:
    """Write a picture with few colours: it is kept in Git."""
    image = Image.open(io.BytesIO(picture)).convert("RGB").quantize(COLOURS)
    image.save(path, optimize=True)


def draw_comment(browser: Any, record: Path, path: Path) -> None:
    """Draw the first screen of the comment as GitHub shows it."""
    renderer = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    renderer.validateLink = lambda url: True  # type: ignore[method-assign]  # pictures are within the text
    text = renderer.render(comment(record))
    page = browser.new_page(viewport={"width": 880, "height": 980})
    frame = f'<div class="header"><b>ci-bot</b> commented</div><div class="text">{text}</div>'
    page.set_content(f'<!doctype html><meta charset=utf-8><style>{STYLE}</style><div class="comment">{frame}</div>')
    small(page.screenshot(), path)
    page.close()


def draw_report(browser: Any, record: Path, path: Path) -> None:
    """Draw the first screen of the HTML report."""
    found = read_record(record)
    assert found is not None, record
    with tempfile.TemporaryDirectory() as folder:
        files = dict(write_report(found, ReportSettings(), Path(folder), Redactor(())))
        page = browser.new_page(viewport={"width": 1280, "height": 1100})
        page.goto(Path(folder, files["html"]).as_uri())
        page.wait_for_timeout(500)
        small(page.screenshot(), path)
        page.close()


def draw_board(browser: Any, board: Path, path: Path) -> None:
    """Draw the page of experiments."""
    page = browser.new_page(viewport={"width": 1280, "height": 680})
    page.goto(board.as_uri())
    page.wait_for_timeout(1000)
    small(page.screenshot(), path)
    page.close()


def draw_terminal(log: str, path: Path) -> None:
    """Draw of what the run of the worse model printed the parts that tell its story."""
    lines = [line.removeprefix("  | ") for line in log.splitlines()]
    run = lines[next(number for number, line in enumerate(lines) if line.startswith("pull request 2 ")) :]
    shown, taken = ["$ mlbutler run", run[0], ""], False
    for line in run[1:]:
        if line.startswith(("== ", "  pull request", "Stopped")):
            taken = line.startswith(TERMINAL)
        if line.startswith("== ") and taken and shown[-1]:
            shown.append("")
        if taken and line.strip() != "|":
            shown.append(line)
    terminal = Console(record=True, width=110, file=io.StringIO())
    for line in shown:
        text = Text(line, style="bold" if line.startswith(("== ", "$ ")) else "")
        for word, style in WORDS.items():
            text.highlight_regex(rf"(?<![\w-]){re.escape(word)}(?![\w-])", style)
        terminal.print(text, no_wrap=True, overflow="ellipsis")
    terminal.save_svg(str(path), title="mlbutler", unique_id="mlbutler")


def main(demo: Path, log: str) -> None:
    """Draw all of them."""
    HERE.mkdir(exist_ok=True)
    shutil.copy(demo / "agent" / "workspaces" / "digits_PR-1-1" / ".mlbutler" / "record.json", HERE)
    (HERE / "comment.md").write_text(comment(HERE / "record.json"), encoding="utf-8")
    draw_terminal(log, HERE / "terminal.svg")
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        draw_comment(browser, HERE / "record.json", HERE / "comment.png")
        draw_report(browser, HERE / "record.json", HERE / "report.png")
        draw_board(browser, demo / "board.html", HERE / "board.png")
        browser.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "demo")
        done = subprocess.run(
            [sys.executable, "-m", "mlbutler", "demo", str(folder)], stdout=subprocess.PIPE, text=True, check=True
        )
        main(folder.resolve(), done.stdout)
