"""Check environment variables that mlbutler reads: one that is misspelt would be ignored in silence."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import click

from mlbutler.secret_files import AS_FILE
from mlbutler.variables import ALL

_PREFIX = "MLBUTLER_"
_OF_REMOTES = ("USER", "PASSWORD", "PRIVATE_KEY_FILE", "PASSPHRASE")
_OF_ONE_REMOTE = (*_OF_REMOTES, "ACCESS_KEY_ID", "SECRET_ACCESS_KEY")
_NEAR = 0.61  # likeness of a mistyped name, as difflib measures it
_REMOTE = re.compile(rf"MLBUTLER_REMOTE_(({'|'.join(_OF_REMOTES)})|[A-Z0-9_]+_({'|'.join(_OF_ONE_REMOTE)}))")
# What mlbutler gives to commands that it starts, which may start mlbutler; the last two are the Jenkins library's.
_GIVEN = re.compile(r"MLBUTLER_(CHANGE_[A-Z_]+|REPORT_TITLE|REPORT_STATE|REPORT_SENTENCE|DVC_STAGE|TRAIN_GRACE)")


def unknown(environ: Mapping[str, str], root: click.Group) -> Iterator[tuple[str, str]]:
    """Return variables that look like mlbutler's and are none, each with one that is, '' where none is near.

    Args:
        root: the command line, whose options have variables of their own.
    """
    ours = [name for name in environ if re.fullmatch(rf"{_PREFIX}[A-Za-z0-9_]+", name)]
    ours = [name for name in ours if not any(known.fullmatch(name) for known in (_REMOTE, _GIVEN, AS_FILE))]
    if not ours:
        return
    known = {*_option_variables(root, _PREFIX), *_setting_variables(), *ALL}
    for name in sorted(set(ours) - known):
        yield name, _nearest(name, known)


def _option_variables(group: click.Group, prefix: str) -> Iterator[str]:
    for word, command in group.commands.items():
        mine = f"{prefix}{word}_".upper().replace("-", "_")
        if isinstance(command, click.Group):
            yield from _option_variables(command, mine)
        for option in command.params:
            if isinstance(option, click.Option):
                yield f"{mine}{option.name}".upper()


def _setting_variables() -> Iterator[str]:
    from mlbutler.settings.reading import variables

    yield from (name for name, _, _ in variables())


def _nearest(name: str, known: set[str]) -> str:
    import difflib

    candidates = {*known, *(f"MLBUTLER_REMOTE_{key}" for key in _OF_REMOTES)}
    if name.startswith("MLBUTLER_REMOTE_"):
        parts = name.removeprefix("MLBUTLER_REMOTE_").split("_")
        remotes = ["_".join(parts[:length]) for length in range(1, len(parts))]
        candidates |= {f"MLBUTLER_REMOTE_{remote}_{key}" for remote in remotes for key in _OF_ONE_REMOTE}
    # Without what all have in common, so that this does not make them alike.
    shown = {candidate.removeprefix(_PREFIX): candidate for candidate in sorted(candidates)}
    near = difflib.get_close_matches(name.removeprefix(_PREFIX).upper(), shown, n=1, cutoff=_NEAR)
    return shown[near[0]] if near else ""
