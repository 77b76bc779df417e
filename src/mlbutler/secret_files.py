"""Read credentials that are given as files: the path in the environment tells nobody what the file holds."""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from pathlib import Path

from mlbutler.errors import UsageError
from mlbutler.variables import FORGE_TOKEN, GIT_TOKEN, JENKINS_TOKEN, SIGNING_KEY, SMTP_PASSWORD, WEBHOOK

AS_FILE = re.compile(
    rf"({FORGE_TOKEN}|{GIT_TOKEN}|{JENKINS_TOKEN}|{WEBHOOK}|{SMTP_PASSWORD}|{SIGNING_KEY}|MLBUTLER_REMOTE_(?:[A-Z0-9_]+_)?PASSWORD)_FILE"
)
"""Names of the variables that lead to a file."""
NAMED: dict[str, str] = {}
"""Variables that named a place when this process began, some of which are gone from its environment by now."""


def read_secret_files(environ: MutableMapping[str, str]) -> None:
    """Put what the file ``NAME_FILE`` holds into the variable NAME, of the credentials that mlbutler defines.

    What started this process, and who looks at it from outside, still sees the path alone.

    Raises:
        UsageError: a file cannot be read, or both variables are set.
    """
    NAMED.update({name: value for name, value in environ.items() if value.startswith("/")})
    for name in [name for name in environ if AS_FILE.fullmatch(name)]:
        path, variable = environ.pop(name), name.removesuffix("_FILE")
        if not path:
            continue
        if environ.get(variable):
            raise UsageError(f"{variable} and {name} are both set.", "Set one of them.")
        try:
            environ[variable] = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not text"
            raise UsageError(
                f"{name}: {path} cannot be read: {why}.", f"Let {name} name a file that holds it, and nothing else."
            ) from error
