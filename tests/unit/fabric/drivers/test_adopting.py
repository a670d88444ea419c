"""A core's interface that its owner made: what was on it before us is there after us (law 7)."""

from collections.abc import Iterable
from typing import Any

import pytest
from msgspec.structs import replace

from netwright.fabric.changes import Change, Verb
from netwright.fabric.config import VlanGateway
from netwright.fabric.drivers.core import driver, reading
from netwright.fabric.drivers.core.reading import Core
from netwright.linux import links
from netwright.linux.links import Link

OWN, SECOND, NEW = "10.1.0.1/24", "10.1.0.9/24", "2001:db8::1/64"
GATEWAY = VlanGateway(
    interface="vlan101", physical_network="physnet1", vlan=101, network_id="n", addresses=()
)


class Router:
    """A core with one interface, changed by what a session tells its kernel."""

    def __init__(self) -> None:
        link = Link(index=7, name="vlan101", is_up=True)
        self.core = Core(
            links={7: link}, addresses={7: (OWN, SECOND)}, routes=frozenset(), ports={}
        )

    def tell(self, requests: Iterable[Any]) -> None:
        for what, value, add in requests:
            link, held = self.core.links[7], set(self.core.addresses[7])
            names = set(link.alternative_names)
            changed = held if what == "address" else names
            (changed.add if add else changed.remove)(value)
            link = replace(link, alternative_names=tuple(sorted(names)))
            self.core = replace(self.core, links={7: link}, addresses={7: tuple(sorted(held))})


@pytest.fixture
def router(monkeypatch: pytest.MonkeyPatch) -> Router:
    monkeypatch.setattr(
        links,
        "change_address",
        lambda _index, address, _name, *, add: ("address", address, add),
    )
    monkeypatch.setattr(
        links, "change_alternative_name", lambda _index, name, *, add: ("name", name, add)
    )
    return Router()


def session(router: Router, monkeypatch: pytest.MonkeyPatch) -> driver._Session:
    found = driver._Session.__new__(driver._Session)
    monkeypatch.setattr(found, "_netlink", router, raising=False)
    monkeypatch.setattr(found, "observe", lambda: router.core)
    return found


def test_the_owners_addresses_stay(router: Router, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also the one that is wanted, too: nobody of ours has made it."""
    core = session(router, monkeypatch)
    both = replace(GATEWAY, addresses=(OWN, NEW))
    core.carry_out(Change(verb=Verb.ADD, after=both))
    assert reading.config(router.core).gateways == {"vlan101": both}
    less = replace(GATEWAY, addresses=(OWN,))
    core.carry_out(Change(verb=Verb.REPLACE, before=both, after=less))
    assert reading.config(router.core).gateways == {"vlan101": less}
    assert router.core.addresses[7] == (OWN, SECOND)
    core.carry_out(Change(verb=Verb.REMOVE, before=less))
    assert reading.config(router.core).gateways == {}
    assert router.core.addresses[7] == (OWN, SECOND)
    assert router.core.links[7].alternative_names == ()


def test_what_the_owner_has_taken_away_is_ours_from_then_on(
    router: Router, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = session(router, monkeypatch)
    wanted = replace(GATEWAY, addresses=(OWN,))
    core.carry_out(Change(verb=Verb.ADD, after=wanted))
    router.tell([("address", OWN, False)])
    assert reading.config(router.core).gateways == {"vlan101": GATEWAY}
    core.carry_out(Change(verb=Verb.REPLACE, before=GATEWAY, after=wanted))
    assert reading.config(router.core).gateways == {"vlan101": wanted}
    core.carry_out(Change(verb=Verb.REMOVE, before=wanted))
    assert router.core.addresses[7] == (SECOND,)
