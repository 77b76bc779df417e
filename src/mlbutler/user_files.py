"""Keep libraries on a CI server from any file of this user's home that the project's code can write.

Libraries for S3, Google, Azure and SSH, DVC and fsspec look for settings in the home, whatever is passed to them:
``~/.aws/config`` may name another endpoint or a program to run, ``~/.ssh/config`` a proxy, fsspec's any argument.
Tests and stages run as the same user, in this build and in those before it. So this process has no home: the variable
names a place below which nobody can make a file. What an agent's owner wants to be read is named in the environment,
or lies where this user cannot write.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mlbutler.git.out_of_reach import is_out_of_reach

EMPTY_FILE = str(Path(__file__).with_name("no_settings.ini"))
"""A file in which nothing is set, as far from the project's code as this program itself: botocore and dvc-s3 take no
device (``/dev/null``) for a file."""
_NOWHERE = "/proc/none"
"""There is no such folder, and nobody can make one."""
# Variables that name a file or folder of settings, and where libraries look without them.
_NAMED = {
    "AWS_CONFIG_FILE": ".aws/config",
    "AWS_SHARED_CREDENTIALS_FILE": ".aws/credentials",
    "BOTO_CONFIG": ".boto",
    "NETRC": ".netrc",
    "CLOUDSDK_CONFIG": ".config/gcloud",
    "AZURE_CONFIG_DIR": ".azure",
    "DVC_GLOBAL_CONFIG_DIR": ".config/dvc",
    "DVC_SYSTEM_CONFIG_DIR": "/etc/xdg/dvc",
    "FSSPEC_CONFIG_DIR": ".config/fsspec",
}
_FILES = ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "BOTO_CONFIG", "NETRC")
_HOMES = ("HOME", "XDG_CONFIG_HOME")
_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")


@contextmanager
def without_user_files(clone: Path) -> Iterator[None]:
    """Keep libraries from reading where the project's code can write, while the block runs.

    Args:
        clone: the work tree; what the environment names in there is not read either.
    """
    names = (*_NAMED, *_HOMES, "AWS_DATA_PATH", "XDG_CONFIG_DIRS")
    before = {name: os.environ.get(name) for name in names}
    _set_variables(elsewhere(os.environ, clone))
    try:
        yield
    finally:
        _set_variables(before)


def elsewhere(environ: Mapping[str, str], clone: Path) -> dict[str, str | None]:
    """Return what the variables that lead to a user's files have to be; None for not set."""
    home = Path(environ.get("HOME") or _NOWHERE)
    found: dict[str, str | None] = dict.fromkeys(_HOMES, _NOWHERE)
    for name, usual in _NAMED.items():
        value = environ.get(name, "")
        if value and not _lies_in(value, clone):
            found[name] = value
        else:
            nothing = EMPTY_FILE if name in _FILES else _NOWHERE
            found[name] = str(home / usual) if _is_out_of_reach(home / usual) else nothing
    for name in ("AWS_DATA_PATH", "XDG_CONFIG_DIRS"):
        parts = [part for part in environ.get(name, "").split(os.pathsep) if part and _is_out_of_reach(Path(part))]
        found[name] = os.pathsep.join(parts) or None
    return found


def ssh_key(environ: Mapping[str, str], named: str) -> str:
    """Return the key for a DVC remote over SSH in the user's own home, '' for none: a key starts no program.

    Args:
        named: what DVC's configuration names, '' for what SSH takes by itself.
    """
    home = environ.get("HOME", "")
    if named.startswith("~/") and home:
        return f"{home}{named[1:]}"
    if named or not home or environ.get("SSH_AUTH_SOCK"):
        return named
    return next((str(path) for name in _KEYS if (path := Path(home, ".ssh", name)).is_file()), "")


def _is_out_of_reach(path: Path) -> bool:
    """Return whether this user can write neither the file nor, for a folder, anything in it."""
    if not is_out_of_reach(path):
        return False
    return not path.is_dir() or all(map(is_out_of_reach, path.rglob("*")))


def _lies_in(path: str, clone: Path) -> bool:
    return Path(path).resolve().is_relative_to(clone.resolve())


def _set_variables(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
