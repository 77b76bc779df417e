"""Entries of stages that are gone are taken out of dvc.lock, and nothing else is touched."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mlbutler.project.leftovers import take_out, without

LOCK = """schema: '2.0'
stages:
  # by hand
  old:
    cmd: "x: y"
    params:
      p.yaml:
        nan: .nan
  'an old one':
    cmd: |
      more
      than one line
  new@0.1:   {cmd: y, outs: [{path: a, md5: 0123}]}
  last:
    cmd: z
"""


@pytest.mark.parametrize("names", [["old"], ["an old one"], ["last"], ["old", "last"], ["new@0.1", "an old one"]])
def test_every_other_line_stays(names: list[str]) -> None:
    left = without(LOCK, names)
    assert left is not None
    assert set(left.splitlines()) < set(LOCK.splitlines())
    assert list(yaml.safe_load(left)["stages"]) == [s for s in yaml.safe_load(LOCK)["stages"] if s not in names]


@pytest.mark.parametrize(
    "text",
    [
        "", "stages: [", "old: {cmd: x}\n", "schema: '2.0'\nstages: {old: {cmd: x}, new: {cmd: y}}\n",
        "stages:\n  old: &a {cmd: x}\n  new: *a\n", "stages:\n  old: {cmd: x}\n", "<<<<<<< HEAD\nstages:\n  old: 1\n",
    ],
)  # fmt: skip
def test_what_cannot_be_taken_out_alone_stays(text: str, tmp_path: Path) -> None:
    assert without(text, ["old"]) is None
    (tmp_path / "dvc.lock").write_text(text)
    assert take_out(tmp_path, [("dvc.lock", "old"), ("none/dvc.lock", "old")]) == ()
    assert (tmp_path / "dvc.lock").read_text() == text


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None)
@given(st.dictionaries(WORDS, VALUES, min_size=1, max_size=5), st.data())
def test_any_lock_keeps_what_it_is_to_keep(stages: dict[str, object], data: st.DataObject) -> None:
    gone = data.draw(st.lists(st.sampled_from(sorted(stages)), unique=True, max_size=4))
    text = yaml.safe_dump({"schema": "2.0", "stages": stages}, sort_keys=False, allow_unicode=True)
    assume(set(yaml.safe_load(text)["stages"]) == set(stages))  # PyYAML reads a NEL that it wrote as a space
    left = without(text, gone)
    if left is not None:
        kept = {name: value for name, value in stages.items() if name not in gone}
        assert repr(yaml.safe_load(left)) == repr(
            yaml.safe_load(yaml.safe_dump({"schema": "2.0", "stages": kept}, sort_keys=False, allow_unicode=True))
        )
