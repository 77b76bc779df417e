"""Outside CI nothing leaves the machine unless somebody asks for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.world import World, params


def holds(*places: Path) -> dict[str, bytes]:
    """Every file of these folders."""
    return {str(path): path.read_bytes() for place in places for path in place.rglob("*") if path.is_file()}


@pytest.fixture
def laptop(world: World) -> Path:
    """A clone on a branch of one's own, with a committed change."""
    world.branch("mine", {"params.yaml": params(0.05)})
    root = world.clone("origin/mine")
    world.git(root, "checkout", "-q", "-b", "mine")
    return root


def test_a_run_on_a_laptop_sends_nothing_and_says_what_it_would_have_sent(world: World, laptop: Path) -> None:
    places = world.remote, world.bare, world.forge
    before = holds(*places)
    run = world.run(laptop, {})
    assert run.code == 0, run.out + run.err
    assert holds(*places) == before
    push, publish = run.record["push"], run.record["publish"]
    assert (push["outcome"], publish["outcome"]) == ("skipped", "skipped")
    assert push["reason"].startswith("not shared: would push 1 object (")
    assert "to remote 'origin'" in push["reason"]
    assert str(world.forge) in publish["reason"]
    assert run.record["check"]["findings"] == []
    for line in ("results: in this work tree", "next: git add", "next: mlbutler push and mlbutler publish"):
        assert line in run.out
    # by name, or with --share, the same work tree's results go out
    assert world.run(laptop, {}, verb="push").code == 0
    assert len(holds(world.remote)) > len([path for path in before if path.startswith(str(world.remote))])
    shared = world.run(laptop, {"MLBUTLER_RUN_SHARE": "true"})
    assert shared.code == 0, shared.out + shared.err
    assert shared.outcome("push") == shared.outcome("publish") == "passed"
    assert holds(world.forge)
