"""The highest token stays on a switch, whoever writes last."""

import os
from collections.abc import Iterator

import pytest
from tests.lab.fabric_rig import run

from netwright.fabric.drivers.linux import tokens
from netwright.lab import netns
from netwright.linux.netlink import Netlink

pytestmark = pytest.mark.lab


@pytest.fixture
def namespace() -> Iterator[str]:
    name = f"tok-{os.getpid()}"
    netns.create([name])
    yield name
    netns.delete([name])


@pytest.fixture
def one(namespace: str) -> Iterator[Netlink]:
    with netns.run_in(namespace, Netlink) as netlink:
        yield netlink


@pytest.fixture
def other(namespace: str) -> Iterator[Netlink]:
    with netns.run_in(namespace, Netlink) as netlink:
        yield netlink


def test_a_halted_controller_that_has_looked_already_lowers_nothing(
    one: Netlink, other: Netlink
) -> None:
    assert tokens.keep(one, 5) == 5
    assert tokens.kept(one) == tokens.kept(other) == 5  # both have looked, and may write
    assert tokens.keep(other, 7) == 7
    assert tokens.keep(one, 6) == 7, "it learns that it is overtaken"
    assert tokens.kept(one) == tokens.kept(other) == 7


def test_what_is_lower_does_not_pile_up(one: Netlink, namespace: str) -> None:
    for token in (1, 2, 3, 3, 1_700_000_000_000):
        tokens.keep(one, token)
    shown = run("ip", "-details", "link", "show", "netwright", node=namespace)
    assert shown.count("altname") == 1
    assert tokens.kept(one) == 1_700_000_000_000


def test_the_token_of_an_earlier_release_counts(one: Netlink, namespace: str) -> None:
    assert tokens.kept(one) == 0
    run("ip", "link", "add", "netwright", "type", "bridge", node=namespace)
    run("ip", "link", "set", "netwright", "alias", "netwright token=17", node=namespace)
    assert tokens.kept(one) == 17
    assert tokens.keep(one, 12) == 17
    assert tokens.keep(one, 18) == 18
