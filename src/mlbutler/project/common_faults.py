"""Faults of DVC's own files that are common, and what fixes each."""

from __future__ import annotations

import re
from typing import Any

from mlbutler.parsing import Unreadable, parse_yaml

_CONFLICT = re.compile(r"^(?:<{7} |>{7} )", re.MULTILINE)
_LOCK = "dvc.lock"
_LARGEST = 1 << 20


def common_fault(repo: Any, path: str) -> tuple[str, str] | None:
    """Return what is wrong with one of DVC's files, and its remedy, where the fault is a common one."""
    try:
        with repo.fs.open(path, mode="r", encoding="utf-8") as file:
            text = file.read(_LARGEST)
        if _CONFLICT.search(text):
            return "it holds conflict markers of Git", f"Settle the merge in {path}: keep one side, then dvc repro."
        content = parse_yaml(text) if path.endswith(_LOCK) else None
        if isinstance(content, dict) and content and "schema" not in content:
            remedy = f"In {path} write `schema: '2.0'` and `stages:`, and indent all else below that."
            return "it has the format of DVC 1", remedy
    except (OSError, ValueError, Unreadable):
        pass
    return None
