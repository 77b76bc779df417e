"""Where the numbers come from: a line for each side."""

from __future__ import annotations

from collections.abc import Sequence

from mlbutler.record import CompareResult, Origin
from mlbutler.report.links import short
from mlbutler.report.model import Line, Paragraph, Tone, code, link, plain

_FILES, _GROUPS = 3, 5


def paragraphs(compare: CompareResult) -> tuple[Paragraph, ...]:
    """Describe where the numbers here, then the target's, come from.

    Files of one origin share a line, and when there is only one origin they need no names.
    """
    sides = (("The numbers here", compare.new_origins), ("Those of the target", compare.old_origins))
    return tuple(Paragraph(_line(name, origins), Tone.MUTED) for name, origins in sides if origins)


def _line(name: str, origins: Sequence[Origin]) -> Line:
    groups: dict[tuple[str, ...], list[Origin]] = {}
    for origin in origins:
        groups.setdefault((origin.kind, origin.commit, origin.url, origin.signer), []).append(origin)
    line: Line = (plain(f"{name}: "),)
    for index, group in enumerate(list(groups.values())[:_GROUPS]):
        line = (*line, *((plain("; "),) if index else ()), *_describe(group[0]))
        if len(groups) > 1:
            line = (*line, *_files([path for origin in group for path in origin.files]))
    more = f"; and {len(groups) - _GROUPS} more" if len(groups) > _GROUPS else ""
    return (*line, plain(f"{more}."))


def _files(paths: Sequence[str]) -> Line:
    line: Line = (plain(" ("),)
    for index, path in enumerate(paths[:_FILES]):
        line = (*line, *((plain(", "),) if index else ()), code(path))
    return (*line, plain(f" and {len(paths) - _FILES:,} more)" if len(paths) > _FILES else ")"))


def _describe(origin: Origin) -> Line:
    commit = code(short(origin.commit))
    if origin.kind == "earlier build":
        build = link("an earlier build", origin.url) if origin.url else plain("an earlier build")
        head = code(short(origin.head))
        says: Line = (plain(", as the results commit "), commit, plain(" says"))
        if origin.signer:
            says = (plain(", as "), code(origin.signer), plain(" attests of "), commit)
        return plain("reproduced in "), build, plain(" of mlbutler's, of "), head, *says
    if origin.kind == "dvc.lock":
        return plain("as dvc.lock says, committed in "), commit, plain("; not run here")
    if origin.kind == "file":
        return plain("as committed in "), commit, plain("; no stage makes them")
    return (plain(_WORDS.get(origin.kind, origin.kind)),)


_WORDS = {
    "this build": "reproduced in this build",
    "run cache": "restored in this build from an earlier run of the same stage",
    "work tree": "from the work tree, not committed",
    "in no commit": "in no commit: from an unknown run",
    "not known": "from an unknown run: the clone's history does not reach that far",
}
