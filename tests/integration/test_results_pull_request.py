"""Results as a pull request, over a whole run and the forges that open one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.forge.dialects import Gitea, GitHub, GitLab
from tests.forge.fake import FakeForge, serving
from tests.forge.more_dialects import Gogs
from tests.integration.test_publish import environ
from tests.integration.world import World, params

NAME = "mlbutler/results/better"


@pytest.fixture(params=[GitHub, GitLab, Gitea, Gogs], ids=lambda dialect: dialect.__name__)
def forge(request: pytest.FixtureRequest) -> Iterator[FakeForge]:
    with serving(request.param()) as server:
        server.dialect.pulls.clear()
        yield server


def test_results_are_proposed_once_and_withdrawn_when_they_are_merged(world: World, forge: FakeForge) -> None:
    asked = {"MLBUTLER_COMMIT_AS": "pull-request"}
    head = world.branch("better", {"params.yaml": params(0.05)})
    for number in (1, 2):
        run = world.run(world.clone("origin/better"), environ(world, forge) | asked)
        assert run.code == 1, run.out + run.err
        assert f"proposed for better on {NAME}" in run.record["commit"]["reason"]
        assert world.git(world.bare, "rev-parse", "better", f"{NAME}^").split() == [head, head], number
    opened = [(pull.branch, pull.target) for pull in forge.dialect.pulls]
    (note,) = forge.dialect.on("1")
    if forge.dialect.kind == "gogs":
        assert opened == []
        assert f"open a pull request of {NAME} into better by hand" in run.record["publish"]["reason"]
    else:
        assert opened == [(NAME, "better")]
        assert "[the pull request](https://pages/" in note.body
    assert "git merge FETCH&#95;HEAD" in note.body or "git merge FETCH_HEAD" in note.body
    orphan = "mlbutler/results/merged/long/ago"
    world.git(world.bare, "update-ref", f"refs/heads/{orphan}", NAME)
    forge.dialect.add_pull(orphan, "merged/long/ago")
    world.git(world.bare, "update-ref", "refs/heads/better", NAME)  # somebody merges it
    merged = world.run(world.clone("origin/better"), environ(world, forge) | asked)
    assert merged.code == 0, merged.out + merged.err
    assert world.git(world.bare, "for-each-ref", "refs/heads/mlbutler/results") == ""
    if forge.dialect.kind != "gogs":
        assert forge.dialect.pulls == []
        assert "closed, since nothing of it is needed: pull request 2, 1" in merged.record["publish"]["reason"]
