"""The work tree's configuration of DVC, read once: what is judged is what DVC then uses.

A process that the project's code left behind could otherwise write another address into ``.dvc/config`` between the
two, and the credentials would go there.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from mlbutler.errors import ProjectError
from mlbutler.parsing import Unreadable

CONFIG = ".dvc/config"
_LONGEST_NAME = 500
_LONG_SECTION = re.compile(rb"^[ \t]*\[[^\n]{%d}" % _LONGEST_NAME, re.MULTILINE)
_LONGEST_LINE = 10_000
_LONG_LINE = re.compile(rb"[^\n]{%d}" % _LONGEST_LINE)
_FILES = {"repo": CONFIG, "local": f"{CONFIG}.local"}

Texts = Mapping[str, bytes | None]
"""The content of each file by its level in DVC's words; None where there is none."""


def read_texts(root: Path) -> Texts:
    """Return the files of the project at `root` as they are now.

    Raises:
        ProjectError: one cannot be read.
    """
    return {level: _content(root / name) for level, name in _FILES.items()}


def open_config(root: Path, texts: Texts, more: Mapping[str, Any] | None = None) -> Any:
    """Return the `dvc.config.Config` that these texts make with what lies outside the project, and with `more`."""
    from dvc.config import Config

    class HeldConfig(Config):  # type: ignore[misc]
        def _load_config(self, level: str) -> Any:
            if level not in texts:
                return super()._load_config(level)
            text = texts[level]
            return {} if text is None else self.load_file(self.files[level], _Holding(text))

    return HeldConfig(str(root / ".dvc"), config=dict(more) if more else None)


def open_repo(root: Path, configuration: Any) -> Any:
    """Return the `dvc.repo.Repo` at `root` with this configuration, which it never reads again."""
    from dvc.repo import Repo

    class HeldRepo(Repo):  # type: ignore[misc]
        config = property(lambda self: configuration)

    return HeldRepo(str(root))


class _Holding:
    """Serve DVC one text as a file system, whatever path it asks for."""

    def __init__(self, text: bytes) -> None:
        self._text = text

    def open(self, path: str) -> AbstractContextManager[io.TextIOBase]:
        return io.TextIOWrapper(io.BytesIO(self._text), encoding="utf-8")


def require_quick(text: bytes, name: str = CONFIG) -> bytes:
    """Return the text, unless the library that DVC reads it with would need minutes for it.

    Raises:
        Unreadable: it would: its time grows with the square of a section's name, and of a line.
    """
    for what, longest, pattern in (
        ("the name of a section", _LONGEST_NAME, _LONG_SECTION), ("it", _LONGEST_LINE, _LONG_LINE),
    ):  # fmt: skip
        if found := pattern.search(text):
            line = text.count(b"\n", 0, found.start()) + 1
            raise Unreadable(f"not valid: line {line}: {what} has more than {longest} characters", name)
    return text


def _content(path: Path) -> bytes | None:
    try:
        return require_quick(path.read_bytes(), str(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ProjectError(
            f"{path} cannot be read: {error.strerror or error}.", "Make it a file that this user may read."
        ) from error
