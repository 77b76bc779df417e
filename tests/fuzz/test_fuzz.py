"""Some of each kind of hostile input; ``make fuzz`` tries a million."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.fuzz.mutations import CANARY, Pairs, mutated, written
from tests.fuzz.oracles import Fault, Watch, bounded, judged, require_harmless
from tests.fuzz.targets import TARGETS

SOME, FEW = 25, 4
_SLOW = {"dvc.yaml", "dvc.lock", "raw.txt.dvc", ".dvc/config", "params.yaml", ".dvcignore"}


@pytest.fixture(scope="module")
def watch(tmp_path_factory: pytest.TempPathFactory) -> Watch:
    place = tmp_path_factory.mktemp("fuzz").resolve()
    for name in ("work", CANARY):
        (place / name).mkdir()
    (place / CANARY / "secret").write_text("a secret")
    return Watch(place / "work")


@pytest.mark.parametrize("name", TARGETS)
def test_whatever_it_is_it_is_read_or_refused_with_a_remedy(
    name: str, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, target = Path(watch.folder), TARGETS[name]
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(folder / "site"))
    for number in range(FEW if name in _SLOW else SOME):
        random = Random(f"suite:{name}:{number}")
        content = mutated(random, target.seeds, target.kind)
        with watch.watching():
            judged(lambda content=content, random=random: target.read(content, folder, random))  # type: ignore[misc]


@pytest.mark.parametrize("target", ["answers of forges", "answers of Jenkins"])
@pytest.mark.parametrize("content", [
    b"null", b"0.5", b'"x"', b"[" * 100_000, b"<html>", b"\0?", b'{"jobs": 1e400}', b'{"builds": null}',
    b'{"items": [1]}',
    b'{"crumbRequestField": "\\u2066x", "crumb": "d"}', b'{"number": 1e999, "building": 1, "timestamp": "x"}',
    b'{"values": [{"version": "x"}], "next": "\\u0001://x", "isLastPage": false, "nextPageStart": 7}',
])  # fmt: skip
def test_what_a_server_once_answered_with_is_a_result_or_an_error(target: str, content: bytes, watch: Watch) -> None:
    for number in range(6):
        random = Random(number)
        judged(lambda random=random: TARGETS[target].read(content, Path(watch.folder), random))  # type: ignore[misc]


def test_an_input_may_be_nested_deeper_than_python_s_stack() -> None:
    deep: list[object] = [Pairs([("a", None), ("b", [])]), 1]
    for _ in range(5000):
        deep = [Pairs([("a", deep)])]
    assert written(deep) == '[{"a":' * 5000 + '[{"a":null,"b":[]},1]' + "}]" * 5000


def test_the_judges_find_what_they_look_for(watch: Watch) -> None:
    for text in ("\x1b[31m", "a\n::set-output name=a::b", "##vso[x]", "\u202e", "a\rb"):
        with pytest.raises(Fault):
            require_harmless(text)
    with pytest.raises(Fault, match="left its folder"), watch.watching():
        (Path(watch.folder).parent / CANARY / "secret").read_text()
    with pytest.raises(Fault, match="left its folder"), watch.watching():
        (Path(watch.folder).parent / "outside").write_text("x")
    with pytest.raises(Fault, match="KeyError"):
        judged(lambda: {"b": 1}.__delitem__("a"))
    with pytest.raises(Fault, match=r"0\.05 s of CPU"), bounded(0.05):
        while True:
            pass
