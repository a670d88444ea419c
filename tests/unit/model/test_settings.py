"""Flag > environment > file > default; what is wrong is named with its place."""

from collections.abc import Mapping
from typing import Annotated

import pytest
from msgspec import Meta

from netwright.model.settings import (
    InvalidConfiguration,
    Settings,
    from_document,
    from_environment,
    from_flags,
    resolve,
)


class Shop(Settings, frozen=True, kw_only=True):
    listen: str = "127.0.0.1:1"
    workers: Annotated[int, Meta(ge=1, le=8)] = 1
    open: bool = True
    names: tuple[str, ...] = ()
    bridges: Mapping[str, str] = {}
    note: str | None = None


def test_defaults_without_any_layer() -> None:
    assert resolve(Shop) == Shop()


def test_a_flag_wins_over_environment_over_file() -> None:
    file = from_document("server", {"server": {"listen": "f:1", "workers": 2, "note": "f"}}, "x")
    environment = from_environment("server", {"NETWRIGHT_SERVER_LISTEN": "e:1", "OTHER": "x"})
    settings = resolve(Shop, from_flags({"workers": 3, "listen": None}), [*environment], file)
    assert settings == Shop(listen="e:1", workers=3, note="f")


def test_text_becomes_the_type_of_its_key() -> None:
    environment = {
        "NETWRIGHT_SERVER_WORKERS": "4",
        "NETWRIGHT_SERVER_OPEN": "false",
        "NETWRIGHT_SERVER_NAMES": "a, b",
        "NETWRIGHT_SERVER_BRIDGES": "physnet1=br-bond,physnet2=br-two",
    }
    settings = resolve(Shop, from_environment("server", environment))
    assert settings == Shop(
        workers=4,
        open=False,
        names=("a", "b"),
        bridges={"physnet1": "br-bond", "physnet2": "br-two"},
    )


def test_a_repeated_flag_makes_a_map() -> None:
    assert resolve(Shop, from_flags({"bridges": ["p=b", "q=c"]})).bridges == {"p": "b", "q": "c"}
    assert resolve(Shop, from_flags({"bridges": []})) == Shop()


def test_a_file_does_not_turn_text_into_numbers() -> None:
    with pytest.raises(
        InvalidConfiguration, match=r"\[server\] open in x is 1, but must be true or false"
    ):
        resolve(Shop, from_document("server", {"server": {"open": 1}}, "x"))


@pytest.mark.parametrize(
    ("layer", "where", "near"),
    [
        (from_flags({"lissten": "x"}), "--lissten", "listen"),
        (
            from_environment("server", {"NETWRIGHT_SERVER_WORKER": "1"}),
            "environment variable NETWRIGHT_SERVER_WORKER",
            "workers",
        ),
        (
            from_document("server", {"server": {"notes": "x"}}, "/n.toml"),
            "[server] notes in /n.toml",
            "note",
        ),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_known(
    layer: object, where: str, near: str
) -> None:
    with pytest.raises(InvalidConfiguration) as raised:
        resolve(Shop, layer)  # type: ignore[arg-type]
    assert raised.value.message.startswith(f"{where} is no setting")
    assert f"Did you mean {near}?" in raised.value.next


def test_an_unknown_table_is_named_with_the_nearest_known() -> None:
    with pytest.raises(InvalidConfiguration, match=r"\[servre\] in x") as raised:
        from_document("server", {"servre": {}}, "x")
    assert "Did you mean server?" in raised.value.next


def test_other_tables_are_not_ours_to_judge() -> None:
    assert from_document("server", {"agent": {"anything": 1}}, "x") == []


@pytest.mark.parametrize("value", ["0", "nine", "9", ""])
def test_a_bad_value_is_named_with_its_place(value: str) -> None:
    with pytest.raises(InvalidConfiguration, match=r"NETWRIGHT_SERVER_WORKERS (is|must be)"):
        resolve(Shop, from_environment("server", {"NETWRIGHT_SERVER_WORKERS": value}))


def test_a_bad_value_is_an_error_even_where_another_layer_wins() -> None:
    with pytest.raises(InvalidConfiguration, match="in x is 99"):
        resolve(
            Shop,
            from_flags({"workers": 1}),
            from_document("server", {"server": {"workers": 99}}, "x"),
        )


def test_a_map_entry_without_equals_is_named() -> None:
    with pytest.raises(InvalidConfiguration, match="--bridges has 'physnet1'"):
        resolve(Shop, from_flags({"bridges": ["physnet1"]}))


def test_a_bad_value_inside_another_is_named_with_its_path() -> None:
    class Inner(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
        size: Annotated[int, Meta(ge=1)] = 1

    class Outer(Settings, frozen=True, kw_only=True):
        inner: Inner | None = None

    def message(inner: Mapping[str, object]) -> str:
        with pytest.raises(InvalidConfiguration) as raised:
            resolve(Outer, from_document("server", {"server": {"inner": inner}}, "x"))
        return raised.value.message

    assert message({"size": 0}) == "[server] inner in x, size is 0, but must be at least 1."
    assert message({"sise": 1}) == "[server] inner in x: there is no sise (nearest: size)."
