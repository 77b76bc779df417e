"""Show in a browser what the demo made: the comments as reviewers see them, and the reports."""

from __future__ import annotations

import html
import webbrowser
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from os.path import relpath
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mlbutler.console import Console
from mlbutler.demo.story import Outcomes
from mlbutler.errors import Interrupted

_STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 54rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; display: block; overflow: auto }
td, th { border: 1px solid #8884; padding: .3rem .8rem }
img { max-width: 100%; background: #fff } li { margin: .4rem 0 }
"""
_PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    "<title>{title}</title><style>{style}</style>{body}</html>\n"
)


def write_pages(outcome: Outcomes, directory: Path) -> Path:
    """Write a page for each comment, and one that leads to all there is; return the latter."""
    rows = []
    for told in {told.comment: told for told in outcome.outcomes}.values():  # a comment is updated in place
        page = _comment_page(told.comment)
        links = [("the comment", page), ("the report", told.report)]
        shown = ", ".join(f'<a href="{quote(relpath(to, directory))}">{name}</a>' for name, to in links)
        rows.append(f"<li>{html.escape(told.name)}: {html.escape(told.verdict)}. {shown}</li>")
    rows.append(f'<li><a href="{quote(relpath(outcome.board, directory))}">all experiments</a></li>')
    body = f"<h1>The demo</h1><ul>{''.join(rows)}</ul>"
    index = directory / "index.html"
    index.write_text(_PAGE.format(title="The demo", style=_STYLE, body=body), encoding="utf-8")
    return index


def _comment_page(comment: Path) -> Path:
    """Write a comment as HTML beside its Markdown, whose pictures it shows."""
    from markdown_it import MarkdownIt

    rendered = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    body = rendered.render(comment.read_text(encoding="utf-8"))
    page = comment.with_suffix(".html")
    page.write_text(_PAGE.format(title="The comment", style=_STYLE, body=body), encoding="utf-8")
    return page


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing for each request."""


def serve(directory: Path, console: Console) -> None:
    """Serve the demo's folder to this machine alone, and open it in a browser, until Ctrl-C."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(directory))) as server:
        address = f"http://127.0.0.1:{server.server_address[1]}/"
        console.line(f"\nThe comments and reports are at {address} until you press Ctrl-C.")
        webbrowser.open(address)
        try:
            server.serve_forever()
        except (KeyboardInterrupt, Interrupted):
            console.line("Not served any more; the files stay.")
