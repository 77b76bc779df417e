"""A script is asked in a process of its own, without credentials, and for so long."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlbutler.renderer_process import RendererFailed, run_renderer


def _script(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "renderer.py"
    path.write_text(text)
    return path


def test_it_answers_and_sees_no_credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLBUTLER_GIT_TOKEN", "planted-token")
    script = _script(
        tmp_path, "import json, os, sys\nprint(json.dumps({'request': json.load(sys.stdin), 'seen': dict(os.environ)}))"
    )
    answer = run_renderer(script, {"text": "é"}, timeout=600, rendered="drawn")
    assert answer["request"] == {"text": "é"}
    assert "PATH" in answer["seen"]
    assert "planted-token" not in str(answer)


@pytest.mark.parametrize(
    ("text", "timeout", "why"),
    [
        ("import time\ntime.sleep(999)", 0.5, "it was not filled within 0 s"),
        ("import os\nos.abort()", 600, "it could not be filled: the program for it failed"),
        ("print('no JSON')", 600, "it could not be filled: Expecting value"),
    ],
)
def test_why_it_gave_no_answer(tmp_path: Path, text: str, timeout: float, why: str) -> None:
    with pytest.raises(RendererFailed) as failed:
        run_renderer(_script(tmp_path, text), {}, timeout=timeout, rendered="filled")
    assert str(failed.value).startswith(why)
