"""What the demo made, in a browser."""

from __future__ import annotations

import _thread
import threading
from pathlib import Path

import pytest

from mlbutler.console import Console
from mlbutler.demo.pages import serve
from tests.http_client import plain


def test_the_folder_is_served_until_ctrl_c(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "index.html").write_text("<h1>The demo</h1>")
    seen: list[str] = []

    def look(address: str) -> bool:
        def fetch() -> None:
            seen.append(plain().get(address).text)
            _thread.interrupt_main()

        threading.Thread(target=fetch, daemon=True).start()
        return True

    monkeypatch.setattr("webbrowser.open", look)
    serve(tmp_path, Console())
    assert seen == ["<h1>The demo</h1>"]
    shown = capsys.readouterr().out
    assert "http://127.0.0.1:" in shown
    assert "the files stay" in shown
