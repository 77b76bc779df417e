"""What can be set of the comment on a pull request."""

from typing import Annotated, Literal

from mlbutler.settings.types import Checked, Flag, Inside, NonNegativeSeconds, SettingsSection, Strings, about

SECTIONS = (
    "metrics", "further-metrics", "gates", "repeats", "not-judged", "predictions", "code", "definitions", "remotes",
    "failures", "tests", "verified", "checks", "params", "plots", "data", "history", "results", "stages", "transfers",
    "lint", "steps", "provenance"
)  # fmt: skip
"""The report's sections by their names, in their order."""


def _check_sections(names: tuple[str, ...]) -> tuple[str, ...]:
    if unknown := [name for name in names if name not in SECTIONS]:
        raise ValueError(f"there is no section {unknown[0]!r} (there is: {', '.join(SECTIONS)})")
    return tuple(dict.fromkeys(names))


def _check_place(place: str) -> str:
    if not place.endswith(".git") and not place.startswith(("s3://", "/")):
        raise ValueError("must be a repository's address that ends in .git, s3://bucket/folder, or /a/folder")
    return place


def _check_address(url: str) -> str:
    if not url.startswith(("https://", "http://")):
        raise ValueError("must be an http or https address")
    return url


class CommentSettings(SettingsSection, frozen=True):
    """The comment on a pull request. A pull request itself cannot change these."""

    when: Annotated[
        Literal["always", "change", "failure"],
        about(
            "'always': after every run; 'change': when something differs from the target, or the run did not pass; "
            "'failure': when the run did not pass; a comment that is there is kept up to date in any case"
        ),
    ] = "always"
    behavior: Annotated[
        Literal["update", "new", "hide-and-new"],
        about(
            "'update': one comment that is updated in place; 'new': a new one for each commit; 'hide-and-new': a new "
            "one, and the earlier ones are shortened to a line"
        ),
    ] = "update"
    title: Annotated[str | None, about("heading in place of 'mlbutler' and the pipeline's name")] = None
    sections: Annotated[
        Strings,
        Checked(_check_sections),
        about("names of the sections to show, in order; if empty all that tell something"),
    ] = ()
    template: Annotated[
        Inside | None, about("path of a Jinja2 template of the whole comment, from the project's root")
    ] = None
    pictures: Annotated[
        Flag,
        about(
            "where the forge takes no pictures, push them to the pull request's report branch and show them from there"
        ),
    ] = True
    pictures_in: Annotated[
        Annotated[str, Checked(_check_place)] | None,
        about(
            "where pictures go instead, on any forge: a Git repository on the same host (its address ends in "
            ".git), a bucket (s3://bucket/folder), or a folder of this machine that a web server shows"
        ),
    ] = None
    pictures_at: Annotated[
        Annotated[str, Checked(_check_address)] | None,
        about(
            "address that shows what is in `pictures_in`; of a repository with {commit} and {path}, found out "
            "where unset"
        ),
    ] = None
    keep: Annotated[
        NonNegativeSeconds,
        about(
            "how old a report branch, or a picture in `pictures_in`, may get, such as '30d', before a run "
            "removes it; 0: forever"
        ),
    ] = 90 * 86400.0
