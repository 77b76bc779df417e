"""Stages come in DVC's own order, and what DVC refuses is refused in its words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import networkx
import pytest
from dvc.exceptions import CyclicGraphError, DvcException
from dvc.repo import Repo
from hypothesis import given, settings
from hypothesis import strategies as st

from mlbutler.project.stage_order import _after_their_own, order_stages

numbers = st.integers(0, 7)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(numbers, numbers), max_size=14))
def test_the_order_is_that_of_networkx_and_a_cycle_is_one(edges: list[tuple[int, int]]) -> None:
    graph = networkx.DiGraph()
    graph.add_nodes_from(range(8))
    graph.add_edges_from(edges)
    before = {node: list(graph.neighbors(node)) for node in graph}
    if networkx.is_directed_acyclic_graph(graph):
        assert _after_their_own(before) == list(networkx.dfs_postorder_nodes(graph))
        return
    with pytest.raises(CyclicGraphError) as raised:
        _after_their_own({Named(node): [Named(other) for other in others] for node, others in before.items()})
    cycle = [int(number) for number in re.findall(r"\d", str(raised.value))]
    assert all(edge in edges for edge in zip(cycle, (*cycle[1:], cycle[0]), strict=True))


class Named(int):
    """A node with what DVC's error says of a stage."""

    addressing = property(str)


@pytest.mark.parametrize(("text", "wrong"), [
    ("stages: {c: {cmd: x, deps: [b], outs: [c]}, a: {cmd: x, outs: [a]}, b: {cmd: x, deps: [a/1], outs: [b]}}", False),
    ("stages: {f: {foreach: [2, 1], do: {cmd: x, outs: ['d/${item}']}}, g: {cmd: x, deps: [d], outs: [g]}}", False),
    ("stages: {a: {cmd: x, outs: [o]}, b: {cmd: x, outs: [o/p]}}", True),
    ("stages: {a: {cmd: x, outs: [o]}, b: {cmd: x, outs: [o]}}", True),
    ("stages: {a: {cmd: x, deps: [p], outs: [o]}, b: {cmd: x, deps: [o], outs: [p]}}", True),
])  # fmt: skip
def test_a_project_is_read_as_dvc_reads_it(tmp_path: Path, text: str, wrong: bool) -> None:
    Repo.init(str(tmp_path), no_scm=True).close()
    (tmp_path / "dvc.yaml").write_text(text)
    (theirs, said), (ours, why) = (order_or_error(Repo(str(tmp_path)), how) for how in (by_dvc, order_stages))
    assert (ours, bool(why)) == (theirs, wrong)
    assert sorted(re.findall(r"[\w']+", why)) == sorted(re.findall(r"[\w']+", said))  # a cycle begins anywhere


def by_dvc(index: Any) -> list[Any]:
    return list(networkx.dfs_postorder_nodes(index.graph))


def order_or_error(repo: Repo, how: Any) -> tuple[list[str], str]:
    try:
        return [stage.addressing for stage in how(repo.index)], ""
    except DvcException as error:
        return [], str(error)
