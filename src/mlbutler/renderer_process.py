"""Renderers: scripts of ours that fill in and draw what a pull request brings, in a process without credentials."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class RendererFailed(Exception):
    """Why a renderer gave no answer, as a clause about what it was given: "it was not drawn within 60 s"."""


def run_renderer(script: Path, request: Mapping[str, object], *, timeout: float, rendered: str) -> dict[str, Any]:
    """Return a renderer's answer to a request; both are JSON objects, on standard input and output.

    Args:
        script: a file of Python, which sees no module of the project's.
        request: what it reads.
        timeout: seconds after which it is killed.
        rendered: what it does, as a participle: "drawn".

    Raises:
        RendererFailed: it did not answer.
    """
    try:
        process = subprocess.run(
            [sys.executable, "-I", str(script)], input=json.dumps(request), capture_output=True, text=True,
            timeout=timeout, check=False, env={"PATH": os.defpath, "LANG": "C.UTF-8"},
        )  # fmt: skip
        answer: dict[str, Any] = json.loads(process.stdout) if process.returncode == 0 else {}
    except subprocess.TimeoutExpired as error:
        raise RendererFailed(f"it was not {rendered} within {timeout:.0f} s") from error
    except (OSError, ValueError) as error:
        raise RendererFailed(f"it could not be {rendered}: {error}") from error
    if process.returncode != 0:
        raise RendererFailed(f"it could not be {rendered}: the program for it failed")
    return answer
