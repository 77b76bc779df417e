"""Put DVC's stages in an order in which they can run, as `dvc.repo.graph` does, without networkx.

That is a third of what DVC imports for this, and serves here for an order and a search for cycles alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def order_stages(index: Any) -> list[Any]:
    """Return the stages of a `dvc.repo.index.Index`, each after those that make what it reads.

    Raises:
        DvcException: two outputs overlap, a stage's file lies in an output, or stages wait for one another.
    """
    from dvc.exceptions import StagePathAsOutputError
    from dvc.fs import localfs

    trie = index.outs_trie  # finds outputs that overlap
    for path, stage in {stage.path: stage for stage in reversed(list(index.stages))}.items():
        if out := trie.shortest_prefix(localfs.parts(path)).get():
            raise StagePathAsOutputError(stage, str(out))
    makers: dict[tuple[str, str], list[Any]] = {}
    return _after_their_own({stage: list(dict.fromkeys(_before(stage, trie, makers))) for stage in index.stages})


def _before(stage: Any, trie: Any, makers: dict[tuple[str, str], list[Any]]) -> Iterator[Any]:
    """Yield the stages that make what a stage reads.

    Args:
        makers: of paths that were looked up already: many stages read the same.
    """
    from dvc.dependency import DatasetDependency

    if stage.is_repo_import or stage.is_db_import:
        return
    for dep in stage.deps:
        if isinstance(dep, DatasetDependency):
            continue
        place = (dep.protocol, dep.fs_path)
        if place not in makers:
            makers[place] = list(_makers(dep.fs.parts(dep.fs_path), trie))
        yield from makers[place]


def _makers(key: tuple[str, ...], trie: Any) -> Iterator[Any]:
    """Yield the stages of outputs at, above and below a path."""
    yield from (node.value.stage for node in trie.prefixes(key))
    if trie.has_subtrie(key):
        yield from (out.stage for out in trie.values(prefix=key))


def _after_their_own(before: Mapping[Any, Sequence[Any]]) -> list[Any]:
    """Return the nodes of a graph depth first, each after all that it leads to.

    Raises:
        CyclicGraphError: it leads to itself.
    """
    from dvc.exceptions import CyclicGraphError

    done: dict[Any, None] = {}
    for start in before:
        way = {start: iter(before[start])} if start not in done else {}
        while way:
            stage = next(reversed(way))
            following = next(way[stage], None)
            if following is None:
                done[stage] = None
                del way[stage]
            elif following in way:
                nodes = list(way)
                raise CyclicGraphError(nodes[nodes.index(following) :])
            elif following not in done:
                way[following] = iter(before[following])
    return list(done)
