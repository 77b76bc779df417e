"""Where a person opens a pull request that no API opened."""

from __future__ import annotations

import pytest

from mlbutler.forge.detect import ForgeLocation
from mlbutler.forge.new_pull_request import page


@pytest.mark.parametrize(
    ("kind", "url", "repository", "expected"),
    [
        ("github", "https://github.com", "team/digits", "https://github.com/team/digits/compare/main...a%23b?expand=1"),
        ("gitea", "https://git.example/gitea/", "team/digits", "https://git.example/gitea/team/digits/compare/main...a%23b"),
        ("gogs", "https://gogs.example", "team/digits", "https://gogs.example/team/digits/compare/main...a%23b"),
        (
            "gitlab", "https://gitlab.com", "team/sub/digits",
            "https://gitlab.com/team/sub/digits/-/merge_requests/new?"
            "merge_request%5Bsource_branch%5D=a%23b&merge_request%5Btarget_branch%5D=main",
        ),
        (
            "bitbucket", "https://bitbucket.org", "team/digits",
            "https://bitbucket.org/team/digits/pull-requests/new?source=a%23b&dest=main",
        ),
        (
            "bitbucket", "https://bb.example", "team/digits",
            "https://bb.example/projects/team/repos/digits/pull-requests?create&"
            "sourceBranch=refs%2Fheads%2Fa%23b&targetBranch=refs%2Fheads%2Fmain",
        ),
        ("folder", "/some/where", "", ""),
    ],
)  # fmt: skip
def test_the_page_is_filled_in_with_both_branches(kind: str, url: str, repository: str, expected: str) -> None:
    assert page(ForgeLocation(kind, url, repository), "a#b", "main") == expected
