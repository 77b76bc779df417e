from __future__ import annotations

import dataclasses

import pytest

from mlbutler.record import Record
from mlbutler.report import links, markdown
from mlbutler.settings import ReportSettings as Settings

HEAD = "4f1c2a9be07d3c5518e6a0b1c2d3e4f5a6b7c8d9"


@pytest.mark.parametrize(
    ("pull_request", "page"),
    [
        ("https://github.com/team/digits/pull/17", f"https://github.com/team/digits/commit/{HEAD}"),
        ("https://github.com/team/digits/pull/17/files", f"https://github.com/team/digits/commit/{HEAD}"),
        ("https://git.example/a/b/c/-/merge_requests/3", f"https://git.example/a/b/c/-/commit/{HEAD}"),
        ("https://gitea.example/sub/team/digits/pulls/9", f"https://gitea.example/sub/team/digits/commit/{HEAD}"),
        ("https://bitbucket.org/team/digits/pull-requests/2", f"https://bitbucket.org/team/digits/commits/{HEAD}"),
        (
            "https://bb.example/projects/K/repos/s/pull-requests/2/overview",
            f"https://bb.example/projects/K/repos/s/commits/{HEAD}",
        ),
        ("https://example.org/somewhere", ""),
        ("", ""),
    ],
)
def test_a_commit_is_linked_where_the_pull_requests_page_tells_how(
    record: Record, pull_request: str, page: str
) -> None:
    change = dataclasses.replace(record.change, url=pull_request)
    assert links.commit(HEAD, change).href == page
    assert links.commit("not a commit/../x", change).href == ""


def test_the_first_screen_leads_to_commits_build_report_and_results(record: Record) -> None:
    text = markdown.render(record, Settings())
    at = "https://git.example.org/vision/digits"
    (line,) = [line for line in text.splitlines() if " against " in line and line.startswith("[<code>")]
    assert f"[<code>{record.change.head[:8]}</code>]({at}/commit/{record.change.head})" in line
    assert f"[<code>{str(record.change.base)[:8]}</code>]({at}/commit/{record.change.base}) (main)" in line
    assert "[build](https://ci.example.org/job/digits/job/PR-17/4/)" in line
    assert "[whole report](https://ci.example.org/job/digits/job/PR-17/4/mlbutler/)" in line
    assert f"results in [<code>bbbbbbbb</code>]({at}/commit/{'b' * 40}) on feature/faster-learning" in line
    assert line.endswith("to get with <code>git pull</code> and <code>dvc pull</code>")
    assert text.startswith("### ❌ mlbutler: feature/faster-learning\n\n**Worse**: ")
