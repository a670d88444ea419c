"""How far a named port may move."""

import pytest
from tests.unit.server.containers.scene import (
    ADMIN,
    a_network,
    begin,
    claim,
    confirm,
    end,
    outcome,
    stored,
    two_zones,
)

from netwright.model.container_errors import OutsideDriftDomain
from netwright.model.errors import InvalidInput
from netwright.model.resources import DriftDomain, Network, Port
from netwright.server.commands import UpdateNetwork
from netwright.server.core import Core

HOSTS = ("h1", "h2", "h3", "h4")


async def begun(core: Core, domain: DriftDomain) -> None:
    await two_zones(core)
    await begin(core, HOSTS, domain)


@pytest.mark.parametrize(
    ("domain", "inside", "outside", "places"),
    [
        ("zone", ["h2", "h3"], ["h4"], ["zone west", "host h1 in zone east"]),
        ("rack", ["h2"], ["h3", "h4"], ["rack leaf", "host h1 in rack leaf1"]),
        (("leaf1", "leaf3"), ["h2", "h3"], ["h4"], ["below leaf4", "below leaf1, leaf2"]),
        (None, ["h2", "h3", "h4"], [], []),
    ],
)
@pytest.mark.parametrize("lives", [True, False])
async def test_it_moves_within_its_domain_and_no_farther(
    core: Core,
    domain: DriftDomain,
    inside: list[str],
    outside: list[str],
    places: list[str],
    *,
    lives: bool,
) -> None:
    await begun(core, domain)
    for host in inside + outside:
        await core.commit(claim("h1", f"to-{host}", "a"))
        if not lives:
            await core.commit(end("h1", f"to-{host}", "a"))
            await confirm(core, "h1")
    for host in inside:
        port = await core.commit(claim(host, f"to-{host}", "b"))
        assert port.active_binding.host == host
    for host in outside:
        before = await stored(core, f"to-{host}")
        refusal = await outcome(core, claim(host, f"to-{host}", "b"))
        assert isinstance(refusal, OutsideDriftDomain), refusal
        assert all(place in refusal.message for place in places), refusal.message
        assert await stored(core, f"to-{host}") == before


async def test_where_it_was_last_counts_not_where_it_was_made(core: Core) -> None:
    await begun(core, "rack")
    await core.commit(claim("h1", "web-0", "a"))
    await core.commit(UpdateNetwork(caller=ADMIN, id="net", drift_domain=None))
    await core.commit(claim("h4", "web-0", "b"))
    await core.commit(end("h4", "web-0", "b"))
    await core.commit(UpdateNetwork(caller=ADMIN, id="net", drift_domain="rack"))
    assert isinstance(await outcome(core, claim("h1", "web-0", "c")), OutsideDriftDomain)
    back: Port = await core.commit(claim("h4", "web-0", "c"))
    assert back.claim is not None
    assert back.claim.host == "h4"


async def test_a_network_of_certain_leaves_makes_none_elsewhere(core: Core) -> None:
    await begun(core, ("leaf1", "leaf3"))
    refusal = await outcome(core, claim("h4", "web-0", "a"))
    assert isinstance(refusal, OutsideDriftDomain)
    assert "host h4 is below leaf4" in refusal.message
    assert await stored(core, "web-0") is None


async def test_where_one_network_keeps_elsewhere_another_that_matches_is_chosen(
    core: Core,
) -> None:
    """The emptier one is that which the host is outside of."""
    await begun(core, None)
    await a_network(core, "bare", "10.0.1.0/24", "prod", ("leaf1",))
    await core.commit(claim("h4", "h4/a/eth0", "first", keep=""))
    ports = [await core.commit(claim("h4", f"web-{n}", f"a{n}")) for n in range(6)]
    assert {port.network_id for port in ports} == {"net"}
    await core.commit(claim("h1", "web-9", "b"))


async def test_what_is_not_kept_is_bound_by_no_domain(core: Core) -> None:
    await begun(core, ("leaf1",))
    port = await core.commit(claim("h4", "h4/a/eth0", "a", keep=""))
    assert port.active_binding.host == "h4"


async def test_of_a_host_that_the_inventory_does_not_know_nothing_comes_but_to_itself(
    core: Core,
) -> None:
    await begin(core, HOSTS, "zone")
    await core.commit(claim("h1", "web-0", "a"))
    refusal = await outcome(core, claim("h2", "web-0", "b"))
    assert isinstance(refusal, OutsideDriftDomain)
    assert "no zone that the inventory knows" in refusal.message
    await core.commit(end("h1", "web-0", "a"))
    assert (await core.commit(claim("h1", "web-0", "b"))).active_binding.host == "h1"


@pytest.mark.parametrize("domain", ["zone", "rack", ("leaf9",)])
async def test_before_there_is_an_inventory_any_domain_may_be_named(
    core: Core, domain: DriftDomain
) -> None:
    await begin(core, [], domain)
    network = await core.reader.one(Network, "net")
    assert network is not None
    assert network.drift_domain == domain


async def test_what_the_inventory_does_not_know_is_refused(core: Core) -> None:
    await begun(core, None)
    change = UpdateNetwork(caller=ADMIN, id="net", drift_domain=("leaf1", "leaf9", "spine7"))
    refusal = await outcome(core, change)
    assert isinstance(refusal, InvalidInput)
    assert "no leaf leaf9, spine7; it has: leaf1, leaf2, leaf3, leaf4" in refusal.message
    with pytest.raises(InvalidInput, match="no leaf leaf9"):
        await a_network(core, "other", "10.0.1.0/24", "test", ("leaf9",))
