"""What is wrong with a value: given, allowed, nearest, in people's words."""

from enum import StrEnum
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta, UnsetType

from netwright.model.wording import Misfit, misfit


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


Place = Annotated[str, Meta(pattern="^.+:[0-9]+$", description="HOST:PORT", examples=["a:1"])]


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    colour: Colour | UnsetType | None = None
    size: Annotated[int, Meta(ge=1, le=9)] = 1


class Outer(msgspec.Struct, forbid_unknown_fields=True):
    place: Place = "a:1"
    open: bool = True
    name: Annotated[str, Meta(min_length=1, max_length=3)] | None = None
    inner: tuple[Inner, ...] = ()
    by_name: dict[str, Inner] = {}
    nothing: Annotated[tuple[str, ...], Meta(max_length=0, description="an empty list")] = ()


def found(document: Any) -> Misfit:
    with pytest.raises(msgspec.ValidationError) as raised:
        msgspec.json.decode(msgspec.json.encode(document), type=Outer)
    return misfit(raised.value, Outer, document)


@pytest.mark.parametrize(
    ("document", "path", "reason"),
    [
        ({"place": "a"}, "place", "it is 'a', but must be HOST:PORT, such as a:1"),
        ({"open": 3}, "open", "it is 3, but must be true or false, not a whole number"),
        ({"open": [3]}, "open", "it must be true or false, not a list"),
        ({"name": ""}, "name", "it must not be empty"),
        ({"name": "abcd"}, "name", "it is 'abcd', but must have at most 3 characters"),
        ({"name": "a" * 999}, "name", "it must have at most 3 characters"),
        ({"name": 1}, "name", "it is 1, but must be text or null, not a whole number"),
        ({"nothing": ["x"]}, "nothing", "it must be an empty list"),
        (
            {"inner": [{}, {"colour": "gren"}]},
            "inner[1].colour",
            "it is 'gren', but must be one of red, green (nearest: green)",
        ),
        (
            {"inner": [{"colour": "0"}]},
            "inner[0].colour",
            "it is '0', but must be one of red, green",
        ),
        ({"inner": [{"size": 10}]}, "inner[0].size", "it is 10, but must be at most 9"),
        ({"by_name": {"x": {"size": 0}}}, "by_name[...].size", "it must be at least 1"),
        ([], "", "it must be an object, not a list"),
    ],
)
def test_it_reads_as_plain_words(document: Any, path: str, reason: str) -> None:
    assert found(document)[:2] == (reason, path)


def test_a_key_that_is_not_known_is_named_with_the_nearest() -> None:
    assert found({"inner": [{"color": "red"}]}) == Misfit(
        "there is no color (nearest: colour)", "inner[0]", unknown="color", nearest="colour"
    )
    assert found({"zzz": 1}) == Misfit("there is no zzz", "", unknown="zzz")


def test_a_key_that_is_missing_is_named() -> None:
    class Needs(msgspec.Struct):
        size: int

    with pytest.raises(msgspec.ValidationError) as raised:
        msgspec.convert({}, Needs)
    assert misfit(raised.value, Needs) == Misfit("size is missing", "", missing="size")
