"""Draw the README's pictures: website/pictures.py [--kept]

They are drawn from the records of two builds and the experiments of `mlbutler demo`, which are kept beside them. So
`tests/test_pictures.py` can tell when what mlbutler writes today looks different. `make pictures` runs the demo first;
with `--kept` what is there is drawn again.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import msgspec
from markdown_it import MarkdownIt
from PIL import Image
from playwright.sync_api import sync_playwright
from rich.console import Console as Screen
from rich.text import Text

from mlbutler.commands.board.gather import gather
from mlbutler.commands.run import introduce, summarize
from mlbutler.commands.start import begin
from mlbutler.console import Console
from mlbutler.pipeline import STEPS, show_result
from mlbutler.record_file import read_record
from mlbutler.report import html, markdown
from mlbutler.report.board import page as board
from mlbutler.report.board.columnar import columnar
from mlbutler.report.board.model import Board
from mlbutler.report.build import build
from mlbutler.report.pictures import data_uri, of_report
from mlbutler.secrets import Redactor
from mlbutler.settings import ReportSettings
from mlbutler.steps.compare_screen import show_comparison
from mlbutler.steps.context import StepOptions
from mlbutler.steps.plan import show_plan
from mlbutler.steps.report import write_report

HERE = Path(__file__).resolve().parent / "pictures"
RECORD, WORSE = HERE / "record.json", HERE / "worse.json"
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
SHOWN = ("plan", "compare")
"""The steps of which the terminal's picture tells."""
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


def terminal(record: Path) -> list[str]:
    """Return the lines that tell the story of what `mlbutler run` prints of a record, without the project's own."""
    found = read_record(record)
    assert found is not None, record
    written = io.StringIO()
    console = Console()
    context: Any = SimpleNamespace(
        console=console, record=found, root=Path(), record_path=Path(".mlbutler", "record.json"),
        options=StepOptions(),
    )  # fmt: skip
    width = mock.patch.dict(os.environ, {"COLUMNS": "90"})
    with width, contextlib.redirect_stdout(written), contextlib.redirect_stderr(written):
        console.line("$ mlbutler run")
        introduce(context)
        for step in STEPS:
            if step.name in SHOWN:
                console.step(step.title)
                if step.name == "plan" and found.plan is not None:
                    show_plan(console, found.plan.stages)
                if step.name == "compare" and found.compare is not None:
                    show_comparison(console, found.compare, ReportSettings())
                show_result(context, step.name, getattr(found, step.name))
        summarize(context)
    return written.getvalue().splitlines()


def drawn_terminal(record: Path) -> str:
    """Return these lines as a picture."""
    screen = Screen(record=True, width=110, file=io.StringIO(), color_system="truecolor")
    for line in terminal(record):
        text = Text(line, style="bold" if line.startswith(("== ", "$ ")) else "")
        for word, style in WORDS.items():
            text.highlight_regex(rf"(?<![\w-]){re.escape(word)}(?![\w-])", style)
        screen.print(text, no_wrap=True, overflow="ellipsis")
    return screen.export_svg(title="mlbutler", unique_id="mlbutler")


def digests() -> dict[str, str]:
    """Return for each picture that Chromium draws a digest of what it is drawn from, as mlbutler writes it today."""
    record = read_record(RECORD)
    assert record is not None
    experiments = board.render(kept_board())
    texts = {
        "comment.png": STYLE + comment(RECORD),
        "report.png": without_data(html.render(record, ReportSettings())),
        "board.png": without_data(experiments) + json.dumps(columnar(kept_board())),
    }
    return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}


def without_data(page: str) -> str:
    """Return a page without what is compressed or for programs; its own scripts stay."""
    page = re.sub(r"<meta http-equiv[^>]*>", "", page)
    return re.sub(r'<script type="(text/plain|application/json)".*?</script>', "", page, flags=re.DOTALL)


def kept_board() -> Board:
    """Return the experiments that are kept."""
    return msgspec.json.decode((HERE / "board.json").read_bytes(), type=Board)


def keep(demo: Path) -> None:
    """Keep of a demo what the pictures are drawn from."""
    builds = demo / "agent" / "workspaces"
    for build_, kept in (("digits_PR-1-1", RECORD), ("digits_PR-2-1", WORSE)):
        shutil.copy(builds / build_ / ".mlbutler" / "record.json", kept)
    with begin(demo / "project", Console(quiet=True)) as context:
        found = gather(context, 1000, merged=False, fetching=False)
    (HERE / "board.json").write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1))


def main() -> None:
    """Draw all of them."""
    (HERE / "comment.md").write_text(comment(RECORD), encoding="utf-8")
    (HERE / "terminal.svg").write_text(drawn_terminal(WORSE), encoding="utf-8")
    (HERE / "drawn.json").write_text(json.dumps(digests(), indent=1) + "\n", encoding="utf-8")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "board.html")
        page.write_text(board.render(kept_board()), encoding="utf-8")
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        draw_comment(browser, RECORD, HERE / "comment.png")
        draw_report(browser, RECORD, HERE / "report.png")
        draw_board(browser, page, HERE / "board.png")
        browser.close()


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    if sys.argv[1:] != ["--kept"]:
        with tempfile.TemporaryDirectory() as scratch:
            subprocess.run([sys.executable, "-m", "mlbutler", "demo", f"{scratch}/demo"], check=True)
            keep(Path(scratch, "demo").resolve())
    main()
