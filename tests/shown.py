"""What a page of the documentation says that a command prints."""

from __future__ import annotations

from fnmatch import fnmatchcase


def looks_like(output: list[str], expected: list[str]) -> bool:
    """Whether lines match where ``...`` alone stands for any lines, and within a line for any text."""
    if not expected:
        return not output
    first, *rest = expected
    if first == "...":
        return any(looks_like(output[skipped:], rest) for skipped in range(len(output) + 1))
    pattern = first.replace("[", "[[]").replace("*", "[*]").replace("?", "[?]").replace("...", "*")
    return bool(output) and fnmatchcase(output[0], pattern) and looks_like(output[1:], rest)
