"""Read JUnit XML, in the dialects that test runners write, into counts and failed cases.

The files come from the code under test: they may be broken, huge, or made to harm the parser.
"""

from __future__ import annotations

import glob
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from mlbutler.live_lines import clean
from mlbutler.record import FailedCase

MOST_CASES = 50
_MOST_FILES, _MOST_BYTES = 1_000, 256 * 1024 * 1024
_MESSAGE_LENGTH, _NAME_LENGTH = 500, 200
_CLOCKS_DIFFER = 2.0
_PLACE = re.compile(r"^(?P<file>[^\s:][^\n:]{0,198}\.\w+):(?P<line>[1-9]\d{0,8}):", re.MULTILINE)
_LONGEST_TEXT = 100_000
_NOT_RUN = {"notrun", "disabled", "skipped", "ignored"}


@dataclass
class Counts:
    """What the files say together.

    Attributes:
        files: number of files that were counted.
        failed: the first `MOST_CASES` cases that failed or broke.
        problems: sentences about files that could not be counted.
    """

    files: int = 0
    tests: int = 0
    failures: int = 0
    errors: int = 0
    skipped: int = 0
    failed: list[FailedCase] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def bad(self) -> int:
        """Return how many cases did not pass and were not skipped."""
        return self.failures + self.errors


def count(root: Path, patterns: Iterable[str], since: float) -> Counts:
    """Count the files below `root` that match a glob and were written since `since` (seconds of the epoch).

    An older file is somebody's earlier result (committed, perhaps) and says nothing of this run.
    """
    counts = Counts()
    old = 0
    for path in _matching(root, patterns, counts):
        try:
            info = path.stat()
        except OSError:
            continue
        if not stat.S_ISREG(info.st_mode):
            continue
        if info.st_mtime < since - _CLOCKS_DIFFER:
            old += 1
            continue
        name = clean(path.relative_to(root).as_posix())
        if info.st_size > _MOST_BYTES:
            counts.problems.append(f"{name} is larger than {_MOST_BYTES // 1024 // 1024} MB and was not counted")
            continue
        found = Counts(files=1)
        problem = _count_file(path, found)
        if problem:
            counts.problems.append(f"{name} {problem}")
        else:
            _add(counts, found)
    if old and not counts.files:
        counts.problems.append(f"{old} JUnit file{'s are' if old > 1 else ' is'} older than this run")
    return counts


def _matching(root: Path, patterns: Iterable[str], counts: Counts) -> list[Path]:
    names: dict[Path, None] = {}
    top = root.resolve()
    for pattern in patterns:
        if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
            counts.problems.append(f"the pattern {pattern!r} leads out of the project")
            continue
        # Unlike Path.glob, this keeps '**' out of .git and .dvc/cache.
        for name in sorted(glob.iglob(pattern, root_dir=root, recursive=True)):  # noqa: PTH207
            path = root / name
            if path.resolve().is_relative_to(top):  # a link may lead anywhere
                names[path] = None
    if len(names) > _MOST_FILES:
        counts.problems.append(f"only the first {_MOST_FILES} of {len(names)} JUnit files were counted")
    return list(names)[:_MOST_FILES]


def _count_file(path: Path, counts: Counts) -> str:
    """Add one file to `counts`; return what is wrong with it, '' if nothing."""
    suites: list[str] = []
    rooted = False
    try:
        for event, element in iterparse(str(path), events=("start", "end")):
            tag = _local(element)
            if event == "start":
                if not rooted and tag not in ("testsuites", "testsuite", "testcase"):
                    return "is not JUnit XML"
                rooted = True
                if tag == "testsuite":
                    suites.append(element.get("name") or "")
            elif tag == "testcase":
                _case(element, suites[-1] if suites else "", counts)
                element.clear()
            elif tag == "testsuite":
                suites.pop()
                element.clear()
    except DefusedXmlException:
        return "declares XML entities and was not read"
    except ParseError as error:
        return f"is not valid XML ({error})"
    except (OSError, ValueError, LookupError) as error:  # LookupError: an unknown encoding
        return f"could not be read ({type(error).__name__})"
    return "" if rooted else "is empty"


def _case(case: Any, suite: str, counts: Counts) -> None:
    found = {_local(child): child for child in reversed(case)}
    counts.tests += 1
    if "failure" in found:
        counts.failures += 1
    elif "error" in found:
        counts.errors += 1
    else:
        said = {(case.get("status") or "").lower(), (case.get("result") or "").lower()}
        counts.skipped += bool("skipped" in found or "disabled" in found or said & _NOT_RUN)
        return
    if len(counts.failed) < MOST_CASES:
        problem = found["failure"] if "failure" in found else found["error"]
        text = "".join(problem.itertext()).strip()
        message = problem.get("message") or text or problem.get("type") or ""
        file, line = _location(case, text)
        counts.failed.append(
            FailedCase(
                suite=_short(case.get("classname") or suite, _NAME_LENGTH),
                name=_short(case.get("name") or "", _NAME_LENGTH),
                message=_short(message, _MESSAGE_LENGTH),
                file=_short(file, _NAME_LENGTH),
                line=line,
            )
        )


def _location(case: Any, text: str) -> tuple[str, int | None]:
    """Return file and line of a failure: those that its text ends with, as pytest's does, else the case's own."""
    if (found := list(_PLACE.finditer(text[-_LONGEST_TEXT:]))) and not found[-1]["file"].startswith(("/", ".")):
        return found[-1]["file"], int(found[-1]["line"])
    line = case.get("line") or ""
    return case.get("file") or "", int(line) if re.fullmatch(r"[1-9]\d{0,8}", line) and case.get("file") else None


def _add(counts: Counts, found: Counts) -> None:
    for name in ("files", "tests", "failures", "errors", "skipped"):
        setattr(counts, name, getattr(counts, name) + getattr(found, name))
    counts.failed += found.failed[: MOST_CASES - len(counts.failed)]


def _short(text: str, limit: int) -> str:
    text = clean(text.replace("\r\n", "\n")).strip()
    return text if len(text) <= limit else text[: limit - 2] + " …"


def _local(element: Any) -> str:
    tag = element.tag
    return tag.rpartition("}")[2].lower() if isinstance(tag, str) else ""
