"""Keep the full log of a reproduction beside the record; everything in it has been redacted before."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TextIO

RELATIVE = ".mlbutler/logs/reproduce.log"


class StageLog:
    """A text file that is written line by line; a disk that fills up ends the log, not the run."""

    def __init__(self, root: Path) -> None:
        self._path = root / RELATIVE
        self._file: TextIO | None = None

    def __enter__(self) -> StageLog:
        state = self._path.parent.parent
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if not state.joinpath(".gitignore").exists():
            state.joinpath(".gitignore").write_text("*\n", encoding="utf-8")
        self._file = self._path.open("w", encoding="utf-8", errors="backslashreplace")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def line(self, text: str) -> None:
        """Write one line."""
        if self._file is None:
            return
        try:
            self._file.write(text + "\n")
            self._file.flush()
        except OSError:
            self._end()

    def _end(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError:
                return
