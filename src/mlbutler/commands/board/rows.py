"""Make a row of the table of each commit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mlbutler.commands.board.displayed import DisplayedCommit
from mlbutler.commitback.earlier import BUILD, REPRODUCED
from mlbutler.escape import web_address
from mlbutler.forge.address import kind_of, parse_address
from mlbutler.project.past_numbers import Numbers
from mlbutler.record import Change
from mlbutler.report import links
from mlbutler.report.board.model import BoardRow, RowKind


def rows_of(change: Change, picked: Sequence[DisplayedCommit], numbers: Mapping[str, Numbers]) -> list[BoardRow]:
    """Return a row for each commit, with the addresses of its pages.

    Args:
        change: what this clone works on. numbers: what each commit measured, by its id.
    """
    commits, pulls = _pages(change.repository)
    builds = _builds(picked)
    return [_row(one, numbers, dict(_links(one, change, commits, pulls, builds))) for one in picked]


def _row(one: DisplayedCommit, numbers: Mapping[str, Numbers], addresses: Mapping[str, str]) -> BoardRow:
    commit = one.commit
    measured = numbers.get(commit.oid, Numbers())
    parent = numbers.get(commit.parents[0]) if commit.parents and not one.experiment else None
    said = [f"{path}: {why}" for path, why in measured.problems] + [f"{path}: not here" for path, _ in measured.away]
    return BoardRow(
        kind=RowKind.EXPERIMENT if one.experiment else RowKind.PULL_REQUEST if one.pull else RowKind.COMMIT,
        name=one.experiment or commit.subject, commit=commit.oid, branch=one.branch, pull=one.pull, when=commit.when,
        author="" if one.experiment else commit.author, state="; ".join(said), metrics=measured.metrics,
        params=measured.params, baseline=one.baseline, same=parent is not None and measured.same_values(parent),
        links=addresses, curves={curve.name: curve.key for curve in measured.curves},
    )  # fmt: skip


def _builds(picked: Sequence[DisplayedCommit]) -> dict[str, str]:
    """Return for commits the build that results commits tell of: of themselves, and of what it reproduced."""
    found: dict[str, str] = {}
    for one in picked:
        told = one.commit.trailers
        build = web_address(told.get(BUILD, "").rpartition(",")[2])  # anybody can write a trailer
        if build:
            found[one.commit.oid] = build
            found.setdefault(told.get(REPRODUCED, ""), build)
    return found


def _links(
    one: DisplayedCommit, change: Change, commits: str, pulls: str, builds: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    if commits and not one.experiment:  # a forge shows no page of a commit that no branch has
        yield "commit", f"{commits}{one.commit.oid}"
    if pulls and one.pull:
        yield "pull request", f"{pulls}{one.pull}"
    build = builds.get(one.commit.oid, "")
    report = links.earlier_report_page(build)
    if change.build_url and one.commit.oid == change.checkout:
        build, report = change.build_url, links.report_page(change)
    if report:
        yield "report", report
    if build:
        yield "build", build


def _pages(repository: str) -> tuple[str, str]:
    """Return what pages of commits and of pull requests are below, '' each where the repository has no page."""
    address = parse_address(repository)
    if address is None:
        return "", ""
    page = f"{address.web}/{address.repository(address.web)}"
    return links.pages_below(page, kind_of(address.host) or "")
