"""Run the program: ``mlbutler``, ``python -m mlbutler``."""

from __future__ import annotations

import os
import sys


def _resolve_path(path: str) -> str:
    """Return where it leads, '' where that is relative to a working directory that is gone."""
    try:
        return os.path.realpath(path)
    except FileNotFoundError:
        return ""


def _import_nothing_of_the_project() -> None:
    """Drop the project's directories from the search path of modules.

    A module of the project's may be called like one that is imported here later, with credentials available. ``python
    -m`` looks in the working directory first, and then where ``PYTHONPATH`` says.
    """
    here = _resolve_path(os.curdir)
    ours = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))  # noqa: PTH120
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep)

    def is_theirs(entry: str) -> bool:
        place = _resolve_path(entry)
        inside = place == here or (entry in named and here != "" and place.startswith(here + os.sep))
        return inside and place != ours

    sys.path[:] = [entry for entry in sys.path if not is_theirs(entry)]


_import_nothing_of_the_project()

import atexit  # noqa: E402
import codecs  # noqa: E402
import gc  # noqa: E402
import io  # noqa: E402
from typing import Any, NoReturn  # noqa: E402

_GC_THRESHOLD = 1_500_000
_ESCAPED = "mlbutler-escaped"


class _Patient(io.FileIO):
    """A stream that ignores that its reader has gone."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            return len(data)


def _escape_unencodable(error: UnicodeError) -> tuple[str, int]:
    """Write what a stream's encoding lacks, and file names that are no text, as ``\\uXXXX``: JSON stays JSON."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2)), error.end


def _outlast_readers() -> None:
    """Let `mlbutler compare | head` work to its end: the record is whole, the exit code says what was found.

    The same holds for text that the locale's encoding cannot express.
    """
    codecs.register_error(_ESCAPED, _escape_unencodable)
    for name, number in (("stdout", 1), ("stderr", 2)):
        old = getattr(sys, name)
        if not isinstance(old, io.TextIOWrapper):
            continue
        if old.isatty():
            old.reconfigure(errors=_ESCAPED)
            continue
        raw = _Patient(number, "wb", closefd=False)
        buffer: Any = raw if isinstance(old.buffer, io.RawIOBase) else io.BufferedWriter(raw)
        new = io.TextIOWrapper(
            buffer, old.encoding, _ESCAPED, line_buffering=old.line_buffering, write_through=old.write_through
        )
        setattr(sys, name, new)


def program() -> NoReturn:
    """Run the command line in a process of its own.

    DVC's modules are hundred thousands of objects that live to the end: looking through them for garbage again and
    again while they are made, and taking them apart before the process ends, would cost more than most verbs.
    """
    gc.set_threshold(_GC_THRESHOLD, 50, 100)
    _outlast_readers()
    from mlbutler import lazy_imports
    from mlbutler.cli import main

    lazy_imports.install()

    code = 0
    try:
        main()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # closed by who started us
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    program()
