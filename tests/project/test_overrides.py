"""Overrides mean what they mean to DVC, and a parameter file is changed as DVC changes it."""

from __future__ import annotations

import pytest

from mlbutler.errors import UsageError
from mlbutler.project.overrides import apply_overrides, points, random_name

YAML = b"# rates\ntrain:\n  rate: 0.1  # the first\n  layers: [1, 2]\nname: x\n"


@pytest.mark.parametrize(
    ("params", "found", "sweep"),
    [
        ((), [{}], False),
        (("train.rate=0.2",), [{"params.yaml": ("train.rate=0.2",)}], False),
        (("a=1", "other.toml:b.c=x"), [{"params.yaml": ("a=1",), "other.toml": ("b.c=x",)}], False),
        (("a=1,2",), [{"params.yaml": ("a=1",)}, {"params.yaml": ("a=2",)}], True),
        (("a=range(1,3)",), [{"params.yaml": ("a=1",)}, {"params.yaml": ("a=2",)}], True),
        (("a=[1,2]",), [{"params.yaml": ("a=[1,2]",)}], False),
        (
            ("a=1,2", "o.json:b=choice(x,y)"),
            [{"params.yaml": (f"a={a}",), "o.json": (f"b={b}",)} for a in (1, 2) for b in ("x", "y")],
            True,
        ),
    ],
)
def test_overrides_become_points_as_in_dvc(
    params: tuple[str, ...], found: list[dict[str, tuple[str, ...]]], sweep: bool
) -> None:
    assert points(params) == (tuple(found), sweep)


@pytest.mark.parametrize("text", ["a", "a=[1", "a=glob(*)", "a=interval(0,1)", "/etc/x.yaml:a=1", "../x.yaml:a=1"])
def test_what_is_no_override_is_refused_with_the_grammar(text: str) -> None:
    with pytest.raises(UsageError) as error:
        points((text,))
    assert error.value.remedy


def test_a_sweep_of_more_than_anybody_means_is_refused() -> None:
    with pytest.raises(UsageError, match="10,000 experiments"):
        points(["a=range(0,100)", "b=range(0,100)"])


def test_comments_survive() -> None:
    changed = apply_overrides("params.yaml", YAML, ["train.rate=0.2", "+new.key=[1, 2]", "~name"]).decode()
    assert "rate: 0.2  # the first" in changed
    assert "# rates" in changed
    assert "name: x" not in changed
    assert "new:" in changed


def test_a_value_that_is_there_already_changes_no_byte() -> None:
    assert apply_overrides("params.yaml", YAML, ["train.rate=0.1"]) == YAML
    assert apply_overrides("p.json", b'{"a":1}', ["a=1"]) == b'{"a":1}'
    assert apply_overrides("p.json", b'{"a":1}', ["a=true"]) != b'{"a":1}'


@pytest.mark.parametrize(
    ("name", "content", "override"),
    [
        ("params.yaml", YAML, "train.missing=1"),
        ("params.yaml", b"a: [", "a=1"),
        ("p.json", b"{", "a=1"),
        ("p.toml", b"=", "a=1"),
    ],
)
def test_an_override_that_does_not_fit_is_refused(name: str, content: bytes, override: str) -> None:
    with pytest.raises(UsageError, match=name.replace(".", r"\.")):
        apply_overrides(name, content, [override])


def test_random_names_are_names_of_experiments() -> None:
    assert all(part.isalpha() for part in random_name().split("-"))
