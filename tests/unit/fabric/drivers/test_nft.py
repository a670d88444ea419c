"""A gateway's translation in nftables' words, written and read back."""

import json
from typing import Any

import pytest

from netwright.fabric.config import Nat
from netwright.fabric.drivers.frr import nft

IF = "core1.101"
NATS = (
    Nat(address="203.0.113.9", sources=True),
    Nat(address="203.0.113.9", sources=True, inside=("10.0.0.0/24", "10.1.0.9/32")),
    Nat(
        address="203.0.113.9",
        sources=False,
        floating=(("203.0.113.5", "10.0.0.7"), ("203.0.113.6", "10.0.0.5")),
        inside=("10.0.0.0/24",),
    ),
)


def listed(nat: Nat) -> list[Any]:
    """As nft lists what it was told."""
    commands = json.loads(nft.ruleset(IF, nat))["nftables"]
    assert [next(iter(each)) for each in commands[:2]] == ["add", "delete"], "what was there goes"
    return [each["add"] for each in commands[2:]]


def read(objects: list[Any]) -> Any:
    return nft.parse(json.dumps({"nftables": [{"metainfo": {}}, *objects]})).get(nft.table_of(IF))


@pytest.mark.parametrize("nat", NATS)
def test_what_is_written_is_read_back(nat: Nat) -> None:
    objects = listed(nat)
    assert read([{kind: {**body, "handle": 7} for kind, body in o.items()} for o in objects]) == nat


@pytest.mark.parametrize("nat", NATS)
def test_what_somebody_changes_is_seen(nat: Nat) -> None:
    objects = listed(nat)
    for n, each in enumerate(objects):
        if "table" not in each:
            assert read([*objects[:n], *objects[n + 1 :]]) != nat, each
    more = {"rule": {**objects[-1]["rule"], "expr": [{"accept": None}]}}
    assert read([*objects, more]) == nft.BROKEN
    assert read([*objects[:-2], objects[-1], objects[-2]]) == nft.BROKEN


def test_others_tables_and_none_at_all() -> None:
    assert nft.parse("") == {}
    other = {"table": {"family": "ip", "name": "filter"}}
    assert nft.parse(json.dumps({"nftables": [other]})) == {}
    assert len(json.loads(nft.ruleset(IF, None))["nftables"]) == 2, "it goes"
