"""Run the command line as a program: parse, dispatch, and the one error boundary.

Everything heavy is imported by the verb that needs it, so that `mlbutler --help` is quick.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
from typing import NoReturn

import click

from mlbutler.errors import EXIT_BUG, EXIT_INTERRUPTED, EXIT_OUTSIDE, EXIT_PASSED, EXIT_USAGE, MlbutlerError
from mlbutler.secret_files import read_secret_files
from mlbutler.verbs import (
    board,
    comments,
    demo,
    doctor,
    gates,
    history,
    init,
    jenkins,
    pages,
    steps,
    store,
    train,
    train_agent,
    train_results,
    verify,
)
from mlbutler.verbs.options import cli
from mlbutler.version import __version__

_SPACE, _RIGHTS = "Free some space and run it again.", "Give this user the right to it and run it again."
_DISK = "Look after the disk and run it again."
_READ_ONLY = "The file system is mounted read-only: mount it for writing, or work elsewhere, and run it again."
_MACHINE = {
    errno.ENOSPC: _SPACE, errno.EDQUOT: _SPACE, errno.EACCES: _RIGHTS, errno.EPERM: _RIGHTS, errno.EROFS: _READ_ONLY,
    errno.EIO: _DISK, errno.ESTALE: _DISK,
}  # fmt: skip
_NAMES = (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR)
"""A file is not what its name is used for; the names are the project's."""
_YES = ("1", "true", "t", "yes", "y", "on")  # as click reads them

__all__ = [
    "board",
    "cli",
    "comments",
    "demo",
    "doctor",
    "gates",
    "history",
    "init",
    "jenkins",
    "main",
    "pages",
    "steps",
    "store",
    "train",
    "train_agent",
    "train_results",
    "verify",
]


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line; exit with the code of `mlbutler.errors`."""
    arguments = sys.argv[1:] if arguments is None else arguments
    signal.signal(signal.SIGTERM, _interrupt)
    as_json = _wants_json(arguments)
    try:
        read_secret_files(os.environ)
        code = cli.main(arguments, prog_name="mlbutler", standalone_mode=False)
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except click.ClickException as error:
        error.show()
        code = EXIT_USAGE
        if as_json:
            command = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "mlbutler"
            _document(error.format_message(), f"Try '{command} --help'.", code)
    except (KeyboardInterrupt, click.Abort):
        code = _report_interrupt(as_json)
    except MlbutlerError as error:
        code = _print_error(error.message, error.remedy, error.exit_code, as_json)
    except OSError as error:
        code = _machine(error, as_json)
    except Exception as error:
        code = _report_interrupt(as_json) if _hides_interrupt(error) else _bug(error, as_json)
    sys.exit(code if isinstance(code, int) else EXIT_PASSED)


def _interrupt(signum: int, frame: object) -> NoReturn:
    """Treat SIGTERM, which an aborted build sends, as Ctrl-C."""
    raise KeyboardInterrupt


def _report_interrupt(as_json: bool) -> int:
    how = "What was finished is kept; run it again to go on."
    return _print_error("Interrupted.", how, EXIT_INTERRUPTED, as_json)


def _hides_interrupt(error: BaseException | None) -> bool:
    """Return whether a library, or Python 3.11 while it makes a class, put another error in place of Ctrl-C."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__
    return error is not None


def _print_error(message: str, remedy: str, code: int, as_json: bool) -> int:
    from mlbutler.held_back import values_to_hide
    from mlbutler.secrets import Redactor

    redactor = Redactor(values_to_hide(os.environ))
    message, remedy = redactor.hide(message), redactor.hide(remedy)
    print(error_lines(message, remedy), file=sys.stderr)
    if as_json:
        _document(message, remedy, code)
    return code


def error_lines(message: str, remedy: str) -> str:
    """Return an error as a person reads it; names and texts of others in it steer no terminal and no CI server."""
    from mlbutler.live_lines import clean

    return clean(f"error: {message}" + (f"\n  {remedy}" if remedy else ""))


def _document(message: str, remedy: str, code: int) -> None:
    print(json.dumps({"error": message, "remedy": remedy, "exit_code": code}, ensure_ascii=False))


def _wants_json(arguments: list[str]) -> bool:
    """Return whether JSON is asked for, also where the command line is wrong or cannot be read to its end."""
    import os

    words = [word for before, word in zip(("", *arguments), arguments, strict=False) if "-C" not in (before, word)]
    verbs = ("_".join(words[:length]) for length in (1, 2))
    said = (os.environ.get(f"MLBUTLER_{verb}_JSON".upper().replace("-", "_"), "") for verb in verbs)
    return "--json" in arguments or any(text.strip().lower() in _YES for text in said)


def _machine(error: OSError, as_json: bool) -> int:
    """Return the error for a file that the machine did not let us read or write: that is no bug of ours."""
    if error.errno == errno.ENOENT and _is_nowhere():
        how = "Change to a directory that exists, or pass -C DIR."
        return _print_error("The working directory does not exist any more.", how, EXIT_USAGE, as_json)
    remedy = _MACHINE.get(error.errno or 0)
    code = EXIT_OUTSIDE
    if remedy is None and error.errno in _NAMES:
        remedy, code = "Look at what the project names by this path, and fix it.", EXIT_USAGE
    if remedy is None:
        return _bug(error, as_json)
    where = f" {error.filename}" if error.filename else ""
    return _print_error(f"{error.strerror}:{where or ' a file could not be written'}.", remedy, code, as_json)


def _is_nowhere() -> bool:
    import os

    try:
        os.getcwd()  # noqa: PTH109 - the same, without more that could fail
    except FileNotFoundError:
        return True
    return False


def _bug(error: Exception, as_json: bool) -> int:
    import os
    import tempfile
    import traceback

    from mlbutler.held_back import values_to_hide
    from mlbutler.secrets import Redactor

    text = Redactor(values_to_hide(os.environ)).hide("".join(traceback.format_exception(error)))
    text = f"mlbutler {__version__}, Python {sys.version}\n{text}"
    try:
        with tempfile.NamedTemporaryFile("wb", prefix="mlbutler-", suffix=".log", delete=False) as log:
            log.write(text.encode("utf-8", "backslashreplace"))
        where = log.name
    except OSError:
        print(text, file=sys.stderr)
        where = "what stands above"
    message = f"A bug of mlbutler: {type(error).__name__}: {error}"
    return _print_error(message, f"Please report it with {where}.", EXIT_BUG, as_json)
