"""Names with numbers: the lowest that no living container has."""

import asyncio
from typing import Any

from tests.doubles.clock import Clock
from tests.unit.server.containers.scene import (
    ADMIN,
    begin,
    claim,
    confirm,
    end,
    fence,
    outcome,
    pod,
    stored,
    two_zones,
    upkeep,
)

from netwright.model.container_errors import NoSlotFree
from netwright.model.resources import Port
from netwright.server.commands import CreatePorts, PortDraft
from netwright.server.containers.commands import ClaimPort
from netwright.server.core import Core
from netwright.server.queries import Query

WEB = "blue/shop/web/{slot}"


def slot(host: str, container: str, slots: int = 3, **more: Any) -> ClaimPort:
    return claim(host, WEB, container, slots=slots, **more)


def number(port: Port) -> int:
    assert port.unique_name is not None
    return int(port.unique_name.rpartition("/")[2])


async def test_the_lowest_that_no_living_container_has(core: Core) -> None:
    await begin(core, ["h1", "h2"])
    ports = [await core.commit(slot("h1", container)) for container in "abc"]
    assert [number(port) for port in ports] == [0, 1, 2]
    await core.commit(end("h1", str(ports[2].unique_name), "c"))
    await core.commit(end("h1", str(ports[1].unique_name), "b"))
    again = await core.commit(slot("h2", "d"))
    assert (number(again), again.id, again.fixed_ips) == (1, ports[1].id, ports[1].fixed_ips)
    assert again.device_id == "d"


async def test_asked_again_a_container_gets_its_own(core: Core) -> None:
    await begin(core, ["h1"])
    first = await core.commit(slot("h1", "a"))
    second = await core.commit(slot("h1", "b"))
    await core.commit(end("h1", str(first.unique_name), "a"))
    assert await core.commit(slot("h1", "b")) == second
    twice = await asyncio.gather(core.commit(slot("h1", "c")), core.commit(slot("h1", "c")))
    assert [number(port) for port in twice] == [0, 0]
    await core.commit(end("h1", str(second.unique_name), "b"))
    assert number(await core.commit(slot("h1", "b"))) == 1


async def test_it_takes_over_the_slot_of_the_container_that_it_replaces(core: Core) -> None:
    await begin(core, ["h1", "h2"])
    await core.commit(slot("h1", "a"))
    second = await core.commit(slot("h1", "b"))
    again = await core.commit(slot("h1", "c", replaces="b"))
    assert (again.id, again.device_id) == (second.id, "c")
    assert number(await core.commit(slot("h2", "d", replaces="a"))) == 2  # another host's word


async def test_all_taken_it_is_refused_with_some_holders_and_the_count(core: Core) -> None:
    await begin(core, ["h1", "h2"])
    for n in range(8):
        await core.commit(slot("h1", f"c{n}", slots=8, pod=pod(f"web-{n}")))
    refusal = await outcome(core, slot("h2", "late", slots=8))
    assert isinstance(refusal, NoSlotFree)
    assert "Each of the 8 slots of 'blue/shop/web/{slot}' is taken" in refusal.message
    assert "0: pod shop/web-0, container c0, on host h1" in refusal.message
    assert "and 3 more" in refusal.message


async def test_a_fenced_hosts_slots_are_free_a_silent_ones_are_not(core: Core) -> None:
    await begin(core, ["h1", "h2"])
    first = await core.commit(slot("h1", "a", slots=1))
    await confirm(core, "h1")
    assert isinstance(await outcome(core, slot("h2", "b", slots=1)), NoSlotFree)
    await fence(core, "h1")
    again = await core.commit(slot("h2", "b", slots=1))
    assert (again.id, again.active_binding.host) == (first.id, "h2")


async def test_a_number_that_is_no_containers_is_passed_over(core: Core) -> None:
    await begin(core, ["h1"])
    draft = PortDraft(
        id="vm", project_id="p", network_id="net", unique_name=WEB.replace("{slot}", "0")
    )
    await core.commit(CreatePorts(caller=ADMIN, drafts=(draft,)))
    assert number(await core.commit(slot("h1", "a"))) == 1


async def test_a_kept_one_beyond_its_domain_is_passed_over(core: Core) -> None:
    await begin(core, ["h1", "h2", "h3", "h4"], "zone")
    await two_zones(core)
    east = await core.commit(slot("h1", "a", slots=2))
    await core.commit(end("h1", str(east.unique_name), "a"))
    assert number(await core.commit(slot("h4", "b", slots=2))) == 1
    refusal = await outcome(core, slot("h4", "c", slots=2))
    assert isinstance(refusal, NoSlotFree)
    assert "host h4 is in zone west, and the port was last on host h1 in zone east" in str(refusal)
    assert number(await core.commit(slot("h3", "d", slots=2))) == 0


async def test_however_many_kept_ones_are_beyond_its_domain(core: Core) -> None:
    """They are loaded many at once, not one by one."""
    await begin(core, ["h1", "h2", "h3", "h4"], "zone")
    await two_zones(core)
    east = [await core.commit(slot("h1", f"a{n}", slots=40)) for n in range(40)]
    for port in east:
        await core.commit(end("h1", str(port.unique_name), port.device_id))
    assert number(await core.commit(slot("h4", "b", slots=41))) == 40
    assert isinstance(await outcome(core, slot("h4", "c", slots=41)), NoSlotFree)


async def test_what_ends_in_one_batch_with_claims_is_theirs(core: Core) -> None:
    await begin(core, ["h1", "h2"])
    held = [await core.commit(slot("h1", f"a{n}", slots=4)) for n in range(4)]
    ends = [core.commit(end("h1", str(port.unique_name), port.device_id)) for port in held]
    claims = [core.commit(slot("h2", f"b{n}", slots=4)) for n in range(4)]
    *_, a, b, c, d = await asyncio.gather(*ends, *claims)
    assert sorted(number(port) for port in (a, b, c, d)) == [0, 1, 2, 3]


async def test_a_hundred_at_once_get_a_hundred(core: Core) -> None:
    await begin(core, ["h1", "h2"])
    claims = (slot(f"h{1 + n % 2}", f"c{n}", slots=100) for n in range(100))
    ports = await asyncio.gather(*(core.commit(each) for each in claims))
    assert sorted(number(port) for port in ports) == list(range(100))
    assert len({port.fixed_ips for port in ports}) == 100


async def test_what_is_not_kept_leaves_a_number_to_be_made_anew(core: Core, clock: Clock) -> None:
    await begin(core, ["h1"])
    first = await core.commit(slot("h1", "a", keep=""))
    await core.commit(end("h1", str(first.unique_name), "a"))
    second = await core.commit(slot("h1", "b", keep="90s"))
    assert (number(second), second.id == first.id) == (0, False)
    await core.commit(end("h1", str(second.unique_name), "b"))
    clock.now += 91.0
    await upkeep(core, clock)
    assert await stored(core, str(second.unique_name)) is None
    assert len(await core.reader.many(Port, Query())) == 0
