"""A class that `frozen` makes is what `dataclasses.dataclass(frozen=True)` would make of it."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from mlbutler.frozen import frozen, frozen_by_name


@frozen
class Part:
    """Has a secret, which is not shown, and a callback, which does not count."""

    name: str
    secret: str = field(default="", repr=False)
    said: tuple[str, ...] = ()
    call: Callable[[], int] | None = field(default=None, compare=False)
    found: dict[str, int] = field(default_factory=dict, hash=False)


@frozen_by_name
class Base:
    reason: str
    number: int = 1


@frozen_by_name
class Result(Base):
    parts: tuple[Part, ...] = ()

    @property
    def first(self) -> str:
        return self.parts[0].name


def twin(cls: type) -> Any:
    """Return the class as the standard library makes it, by the same name."""
    own = {name: value for name, value in vars(cls).items() if name in ("__annotations__", "__qualname__")}
    fields = {f.name: field(default=f.default, default_factory=f.default_factory, repr=f.repr, compare=f.compare,
                            hash=f.hash) for f in dataclasses.fields(cls)}  # fmt: skip
    return dataclass(frozen=True)(type(cls.__name__, (), own | fields))


@pytest.mark.parametrize("values", [("a",), ("a", "s"), ("b", "s", ("x",), lambda: 1), ("a", "s", (), None, {"k": 1})])
def test_it_is_what_the_standard_library_makes(values: tuple[Any, ...]) -> None:
    ours, theirs, empty = Part(*values), twin(Part)(*values), Part("a")
    assert repr(ours) == repr(theirs)
    assert dataclasses.asdict(ours) == dataclasses.asdict(theirs)
    assert (ours == empty) == (theirs == twin(Part)("a")) or theirs != empty
    assert dataclasses.replace(ours, name="c") == Part("c", *values[1:])
    assert ours == Part(*values)
    assert ours != theirs


def test_what_does_not_count_makes_no_difference_and_a_secret_is_not_shown() -> None:
    one, other = Part("a", "hunter2", call=lambda: 1), Part("a", "hunter2", call=lambda: 2)
    assert one == other
    assert "hunter2" not in repr(one)
    assert Part("a").found is not Part("a").found


def test_fields_of_a_base_come_first_and_are_inherited() -> None:
    result = Result(reason="r", parts=(Part("a"),))
    assert list(dataclasses.asdict(result)) == ["reason", "number", "parts"]
    assert (result.number, result.first) == (1, "a")
    assert result != Base(reason="r")
    assert hash(Base(reason="r")) == hash(Base(reason="r")) != hash(Base(reason="q"))


def test_it_is_copied_and_pickled() -> None:
    result = Result(reason="r", parts=(Part("a"),))
    assert copy.deepcopy(result) == copy.copy(result) == pickle.loads(pickle.dumps(result)) == result


def test_it_cannot_be_changed() -> None:
    part: Any = Part("a")
    with pytest.raises(dataclasses.FrozenInstanceError, match="'name' of a Part"):
        part.name = "b"
    with pytest.raises(dataclasses.FrozenInstanceError, match="'name' of a Part"):
        del part.name


@pytest.mark.parametrize(("kind", "values", "named"), [
    (Part, (), {}), (Part, ("a",), {"nme": "b"}), (Part, ("a",), {"name": "b"}), (Part, tuple("abcdef"), {}),
    (Result, ("r",), {}), (Result, (), {}),
])  # fmt: skip
def test_a_field_that_is_missing_unknown_or_given_twice_is_refused(
    kind: Any, values: tuple[str, ...], named: dict[str, str]
) -> None:
    with pytest.raises(TypeError, match=r"^(Part|Result) "):
        kind(*values, **named)
