"""Hold back from the project's own code, on a CI server, every variable that is not known to be harmless."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from mlbutler.allowed_variables import is_harmless
from mlbutler.secrets import has_userinfo, is_secret_name, secret_values, without_git_credentials

# Numbers, versions and times, which are no credentials and stand everywhere.
_PLAIN = re.compile(r"[0-9.:,+\-TZ ]*")
# It stands in every path and comment of a report; a bot's user name may well be that, or a part of it.
_OUR_NAME = "mlbutler"


def in_ci(environ: Mapping[str, str]) -> bool:
    """Return whether this is the environment of a CI server's build."""
    from mlbutler.ci import read_server

    return read_server(environ).ci != "local"


def harmless_environment(environ: Mapping[str, str], keep: Iterable[str] = ()) -> dict[str, str]:
    """Return what the project's own code is given of the environment on a CI server: what it needs, and `keep`."""
    kept, known = set(keep), secret_values(environ)

    def is_given(name: str, value: str) -> bool:
        named = is_harmless(name) and not is_secret_name(name)
        return named and not (any(secret in value for secret in known) or has_userinfo(value))

    return without_git_credentials({n: v for n, v in environ.items() if n in kept or is_given(n, v)})


def held_back_names(environ: Mapping[str, str], keep: Iterable[str] = ()) -> tuple[str, ...]:
    """Return names of the variables that the project's own code is not given; none on a laptop.

    mlbutler's own settings are not among them: nothing of the project misses these.

    Args:
        keep: names that stay whatever they hold.
    """
    if not in_ci(environ):
        return ()
    given = harmless_environment(environ, keep)
    return tuple(sorted(name for name in environ if name not in given and not is_setting(name)))


def values_to_hide(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the values of what looks like a credential, and on a CI server of all that is held back.

    A value that a harmless variable holds too stays readable, such as a branch's name that a job's variable repeats.
    """
    known = (name for name in environ if is_harmless(name) or is_setting(name))
    open_ones = [environ[name] for name in known if not (is_secret_name(name) or has_userinfo(environ[name]))]
    held = {environ[name].strip() for name in held_back_names(environ)}
    kept = {
        value
        for value in held
        if not (_PLAIN.fullmatch(value) or any(value in text for text in (*open_ones, _OUR_NAME)))
    }
    return secret_values(environ, kept)


def is_setting(name: str) -> bool:
    """Return whether it is the name of a setting of mlbutler's that holds no credential."""
    return name.startswith("MLBUTLER_") and not is_secret_name(name)
