"""Implement `mlbutler help`: the documentation in the terminal."""

from __future__ import annotations

import difflib
import json
import sys
from pathlib import Path

from mlbutler import pages
from mlbutler.console import Console
from mlbutler.errors import EXIT_PASSED, UsageError


def show(console: Console, topic: str | None) -> int:
    """Show a page, or which pages there are; return the exit code.

    Raises:
        UsageError: there is no such page.
    """
    files = pages.pages_by_topic()
    if topic is None:
        _show_topics(console, files)
        return EXIT_PASSED
    if topic not in files:
        near = difflib.get_close_matches(topic, files, n=1)
        remedy = f"Did you mean `mlbutler help {near[0]}`?" if near else "`mlbutler help` lists the pages."
        raise UsageError(f"There is no page '{topic}'.", remedy)
    text = files[topic].read_text(encoding="utf-8")
    if console.json:
        print(json.dumps({"topic": topic, "title": pages.title(files[topic]), "text": text}, ensure_ascii=False))
    elif sys.stdout.isatty():
        _page_through(text)
    else:
        print(text, end="")
    return EXIT_PASSED


def _show_topics(console: Console, files: dict[str, Path]) -> None:
    titles = {name: pages.title(path) for name, path in files.items()}
    if console.json:
        print(json.dumps({"topics": titles}, indent=2, ensure_ascii=False))
        return
    width = max(map(len, titles), default=0)
    for name, text in titles.items():
        print(f"  mlbutler help {name:<{width}}  {text}")
    print("\n`mlbutler VERB --help` shows a verb's options.")


def _page_through(text: str) -> None:
    from rich.console import Console as Terminal
    from rich.markdown import Markdown

    terminal = Terminal()
    with terminal.pager(styles=True, links=True):
        terminal.print(Markdown(text))
