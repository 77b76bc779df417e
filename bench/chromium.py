"""Time a page in Chromium."""

from __future__ import annotations

import shutil
import statistics
import time
from pathlib import Path

DRAWN = "() => new Promise(done => requestAnimationFrame(() => setTimeout(() => done(true))))"


def page_seconds(page: Path, ready: str = DRAWN) -> float | None:
    """Return the median of five times until `ready`, a function in JavaScript, returns true; None without a browser."""
    chromium = shutil.which("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    if chromium is None:
        return None
    times = []
    with sync_playwright() as api:
        browser = api.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for _ in range(5):
            tab = browser.new_page()
            start = time.perf_counter()
            tab.goto(page.as_uri(), wait_until="load" if ready == DRAWN else "commit")
            tab.wait_for_function(ready)
            times.append(time.perf_counter() - start)
            tab.close()
        browser.close()
    return statistics.median(times)
