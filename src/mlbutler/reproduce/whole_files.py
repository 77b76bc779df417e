"""Replace dvc.lock whole: DVC writes it in place, and a kill in between leaves half of it."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
from pathlib import Path
from typing import Any

from mlbutler import atomic


def replace_dvc_files() -> None:
    """Make DVC's writer of YAML files, in this process, replace the file it writes."""
    for name in ("_common", "_yaml"):
        with contextlib.suppress(ImportError):  # a release that keeps it elsewhere writes as it always did
            module = importlib.import_module(f"dvc.utils.serialize.{name}")
            in_place = getattr(module, "_dump_data", None)
            if in_place is not None:
                module._dump_data = _atomic_dump(in_place)  # type: ignore[attr-defined]


def _atomic_dump(in_place: Any) -> Any:
    def dump(path: Any, data: Any, dumper: Any, fs: Any = None, **options: Any) -> None:
        if fs is not None and getattr(fs, "protocol", None) not in ("local", "file"):
            in_place(path, data, dumper, fs=fs, **options)
            return
        stream = io.StringIO()
        dumper(data, stream, **options)
        target = Path(os.path.realpath(path))  # a link stays a link
        mode = target.stat().st_mode & 0o7777 if target.exists() else None
        atomic.write(target, stream.getvalue().encode())
        if mode is not None:
            target.chmod(mode)

    return dump
