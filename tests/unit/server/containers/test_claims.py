"""Who gets a container's port by its name, from where, and who does not."""

import asyncio

import pytest
from msgspec.structs import replace
from tests.unit.server.containers.scene import (
    ADMIN,
    a_network,
    begin,
    claim,
    confirm,
    end,
    fence,
    outcome,
    pod,
    stored,
    with_epoch,
)

from netwright.model.container_errors import NameHeld
from netwright.model.errors import (
    HostNotFound,
    PortBindingError,
    PortNotFound,
    StaleEpoch,
    UniqueNameConflict,
)
from netwright.model.resources import Port
from netwright.model.states import BindingState, PortState
from netwright.server.commands import CreatePorts, DeletePorts, PortDraft, UnfenceHost
from netwright.server.core import Core


def states(port: Port | None) -> dict[str, BindingState]:
    assert port is not None
    return {binding.host: binding.state for binding in port.bindings}


def but_the_lost(port: Port | None) -> Port:
    """Without what is noted of older containers, and when."""
    assert port is not None
    assert port.claim is not None
    claim = replace(port.claim, lost_by=())
    return replace(port, claim=claim, revision_number=0, updated_at=0.0)


async def test_a_kept_port_is_bound_where_it_is_claimed_next(core: Core) -> None:
    await begin(core, ["h1", "h2"])
    first = await core.commit(claim("h1", "web-0", "a", pod=pod("web-0")))
    await confirm(core, "h1")
    await core.commit(end("h1", "web-0", "a"))
    await confirm(core, "h1")
    kept = await stored(core, "web-0")
    assert kept is not None
    assert (kept.id, kept.state, kept.bindings) == (first.id, PortState.ALLOCATED, ())
    assert kept.claim is not None
    assert (kept.claim.host, kept.claim.ended_at) == ("h1", 1_000.0)
    again = await core.commit(claim("h2", "web-0", "b", pod=pod("web-0"), called="web"))
    assert (again.id, again.fixed_ips, again.mac_address) == (
        first.id,
        first.fixed_ips,
        first.mac_address,
    )
    assert (again.device_id, again.name, again.active_binding.host) == ("b", "web", "h2")
    assert (again.claim.container_id, again.claim.ended_at) == ("b", None)


async def test_a_live_port_moves_and_the_second_host_waits_for_the_first(core: Core) -> None:
    await begin(core, ["h1", "h2"])
    await core.commit(claim("h1", "web-0", "a"))
    await confirm(core, "h1")
    moved = await core.commit(claim("h2", "web-0", "b"))
    assert states(moved) == {"h1": BindingState.WITHDRAWING, "h2": BindingState.PREPARING}
    assert moved.state is PortState.MOVING
    await confirm(core, "h2")  # it wires nothing yet
    assert states(await stored(core, "web-0"))["h2"] is BindingState.PREPARING
    await confirm(core, "h1")
    await confirm(core, "h2")
    assert states(await stored(core, "web-0")) == {"h2": BindingState.UP}


async def test_the_end_of_an_older_container_changes_nothing(core: Core) -> None:
    await begin(core, ["h1", "h2"])
    await core.commit(claim("h1", "web-0", "a"))
    moved = await core.commit(claim("h2", "web-0", "b"))
    assert isinstance(await outcome(core, end("h1", "web-0")), PortNotFound)
    assert isinstance(await outcome(core, end("h1", "web-0", "z")), PortNotFound)
    assert await stored(core, "web-0") == moved
    await core.commit(end("h1", "web-0", "a"))
    assert but_the_lost(await stored(core, "web-0")) == but_the_lost(moved)
    assert isinstance(await outcome(core, end("h1", "web-0", "a")), PortNotFound)
    again = await core.commit(claim("h1", "web-0", "c"))
    await core.commit(end("h2", "web-0", "b"))
    assert but_the_lost(await stored(core, "web-0")) == but_the_lost(again)


async def test_a_container_that_lost_its_name_gets_nothing_back_while_the_newer_lives(
    core: Core,
) -> None:
    """As when its agent asks again, because the reply was lost, or its host comes back."""
    await begin(core, ["h1", "h2"])
    await core.commit(claim("h1", "web-0", "a"))
    moved = await core.commit(claim("h2", "web-0", "b", pod=pod("web-0")))
    refusal = await outcome(core, claim("h1", "web-0", "a"))
    assert isinstance(refusal, UniqueNameConflict)
    assert (
        "is of pod shop/web-0, container b, on host h2, which claimed it from container a"
        in str(refusal)
    )
    assert await stored(core, "web-0") == moved
    await core.commit(end("h1", "web-0", "a"))
    back = await core.commit(claim("h1", "web-0", "a"))  # started anew, as by podman restart
    assert back.active_binding.host == "h1"
    await core.commit(end("h1", "web-0", "a"))
    kept = await core.commit(claim("h2", "web-0", "b"))  # nobody newer has it
    assert kept.active_binding.host == "h2"


async def test_a_host_that_was_fenced_takes_nothing_back_when_it_returns(core: Core) -> None:
    await begin(core, ["h1", "h2"])
    await core.commit(claim("h1", "web-0", "a", keep=""))
    await confirm(core, "h1")
    await fence(core, "h1")
    moved = await core.commit(claim("h2", "web-0", "b", keep=""))
    await core.commit(UnfenceHost(caller=ADMIN, host="h1"))
    assert isinstance(await outcome(core, claim("h1", "web-0", "a", keep="")), UniqueNameConflict)
    assert await stored(core, "web-0") == moved


async def test_another_container_of_the_same_host_is_refused_until_the_first_has_ended(
    core: Core,
) -> None:
    await begin(core, ["h1"])
    await core.commit(claim("h1", "web-0", "a", pod=pod("web-0")))
    refusal = await outcome(core, claim("h1", "web-0", "b"))
    assert isinstance(refusal, UniqueNameConflict)
    assert "pod shop/web-0, container a, on host h1" in refusal.message
    assert isinstance(
        await outcome(core, claim("h1", "web-0", "b", replaces="other")), UniqueNameConflict
    )
    await core.commit(end("h1", "web-0", "a"))
    assert (await core.commit(claim("h1", "web-0", "b"))).claim.container_id == "b"


async def test_a_container_takes_over_from_one_that_the_agent_says_has_ended(core: Core) -> None:
    await begin(core, ["h1"])
    first = await core.commit(claim("h1", "web-0", "a"))
    await confirm(core, "h1")
    second = await core.commit(claim("h1", "web-0", "b", replaces="a"))
    assert (second.id, second.device_id) == (first.id, "b")
    (binding,) = second.bindings
    assert binding.generation > first.generation  # what is wired for the first is not the second's
    assert isinstance(await outcome(core, end("h1", "web-0", "a")), PortNotFound)
    await confirm(core, "h1")
    assert states(await stored(core, "web-0")) == {"h1": BindingState.UP}


async def test_asked_again_it_is_answered_as_it_is(core: Core) -> None:
    await begin(core, ["h1"])
    first = await core.commit(claim("h1", "web-0", "a"))
    assert await core.commit(claim("h1", "web-0", "a")) == first
    other = await core.commit(claim("h1", "web-0", "a", keep="2h"))
    assert (other.claim.keep, other.generation) == ("2h", first.generation)


async def test_a_container_that_ended_may_come_back_by_its_own_id(core: Core) -> None:
    """As `podman restart` does."""
    await begin(core, ["h1"])
    first = await core.commit(claim("h1", "web-0", "a"))
    await core.commit(end("h1", "web-0", "a"))
    await core.commit(end("h1", "web-0", "a"))  # once more changes nothing
    back = await core.commit(claim("h1", "web-0", "a"))
    assert (back.id, back.claim.ended_at) == (first.id, None)
    assert back.active_binding.host == "h1"


async def test_an_end_that_comes_late_ends_nothing_that_the_container_has_by_a_newer_claim(
    core: Core,
) -> None:
    """The request waited in a worker that stood still, and was asked again of another."""
    await begin(core, ["h1"])
    await core.commit(claim("h1", "web-0", "a", attempt=1))
    await core.commit(end("h1", "web-0", "a", attempt=1))
    back = await core.commit(claim("h1", "web-0", "a", attempt=2))
    assert await core.commit(claim("h1", "web-0", "a", attempt=1)) == back  # late as well
    late = await outcome(core, end("h1", "web-0", "a", attempt=1))
    assert isinstance(late, PortNotFound)
    assert await stored(core, "web-0") == back
    await core.commit(end("h1", "web-0", "a", attempt=2))
    ended = await stored(core, "web-0")
    assert ended is not None
    assert ended.active_binding is None


async def test_what_is_no_containers_is_not_to_be_had(core: Core) -> None:
    await begin(core, ["h1"])
    draft = PortDraft(id="vm", project_id="p", network_id="net", unique_name="vm")
    (vm,) = await core.commit(CreatePorts(caller=ADMIN, drafts=(draft,)))
    refusal = await outcome(core, claim("h1", "vm", "a"))
    assert isinstance(refusal, UniqueNameConflict)
    assert vm.mac_address not in refusal.message
    assert isinstance(await outcome(core, end("h1", "vm", "")), PortNotFound)
    assert await stored(core, "vm") == vm


async def test_labels_that_select_another_network_are_refused_with_the_holder(core: Core) -> None:
    await begin(core, ["h1", "h2"])
    await a_network(core, "other", "10.0.1.0/24", "test")
    before = await core.commit(claim("h1", "web-0", "a", pod=pod("web-0")))
    refusal = await outcome(core, claim("h2", "web-0", "b", labels="env=test"))
    assert isinstance(refusal, UniqueNameConflict)
    assert "network net" in refusal.message
    assert "pod shop/web-0, container a, on host h1" in refusal.message
    assert await stored(core, "web-0") == before


async def test_a_host_that_cannot_serve_it_takes_nothing_away(core: Core) -> None:
    await begin(core, ["h1", "h2"])
    before = await core.commit(claim("h1", "web-0", "a"))
    await fence(core, "h2")
    refusal = await outcome(core, claim("h2", "web-0", "b"))
    assert isinstance(refusal, PortBindingError)
    assert "h2 is fenced" in refusal.message
    assert await stored(core, "web-0") == before


async def test_from_a_fenced_host_it_comes_at_once(core: Core) -> None:
    await begin(core, ["h1", "h2"])
    await core.commit(claim("h1", "web-0", "a"))
    await confirm(core, "h1")
    await fence(core, "h1")
    moved = await core.commit(claim("h2", "web-0", "b"))
    assert states(moved) == {"h2": BindingState.PREPARING}


async def test_an_older_life_of_an_agent_and_a_stranger_get_nothing(core: Core) -> None:
    await begin(core, ["h1"])
    old = with_epoch(claim("h1", "web-0", "a"), "life0")
    assert isinstance(await outcome(core, old), StaleEpoch)
    assert isinstance(await outcome(core, claim("h9", "web-0", "a")), HostNotFound)
    assert await stored(core, "web-0") is None


async def test_twenty_hosts_that_claim_one_name_at_once_have_one_holder(core: Core) -> None:
    hosts = [f"h{n}" for n in range(20)]
    await begin(core, hosts)
    ports = await asyncio.gather(*(core.commit(claim(host, "web-0", host)) for host in hosts))
    assert len({port.id for port in ports}) == 1
    port = await stored(core, "web-0")
    assert port is not None
    assert port.claim is not None
    assert port.active_binding is not None
    winner = port.active_binding.host
    assert (port.claim.container_id, port.device_id) == (winner, winner)
    assert sum(binding.active for binding in port.bindings) == 1
    late = [end(host, "web-0", host) for host in hosts if host != winner]
    again = [claim(host, "web-0", host) for host in hosts if host != winner]
    said = await asyncio.gather(*(outcome(core, each) for each in again))
    assert all(isinstance(each, UniqueNameConflict) for each in said)
    await asyncio.gather(*(core.commit(each) for each in late))
    said = await asyncio.gather(*(outcome(core, each) for each in late))
    assert all(isinstance(each, PortNotFound) for each in said)
    assert but_the_lost(await stored(core, "web-0")) == but_the_lost(port)
    for host in hosts:
        await confirm(core, host)
    await confirm(core, winner)
    assert states(await stored(core, "web-0")) == {winner: BindingState.UP}


async def test_what_is_not_kept_goes_with_its_container(core: Core) -> None:
    await begin(core, ["h1"])
    await core.commit(claim("h1", "h1/a/eth0", "a", keep=""))
    assert isinstance(await outcome(core, end("h1", "h1/a/eth0", "z")), PortNotFound)
    await core.commit(end("h1", "h1/a/eth0", "a"))
    assert await stored(core, "h1/a/eth0") is None


async def test_the_history_says_who_had_it(core: Core) -> None:
    await begin(core, ["h1", "h2"])
    port = await core.commit(claim("h1", "web-0", "a", pod=pod("web-0")))
    await core.commit(claim("h2", "web-0", "b", pod=pod("web-0b")))
    await core.commit(end("h2", "web-0", "b"))
    causes = [each.cause for each in await core.reader.history(port.id)]
    assert causes[0] == "claimed by pod shop/web-0, container a, kept for 1h when it ends"
    assert causes[1] == (
        "claimed by pod shop/web-0b, container b, kept for 1h when it ends; before it was of"
        " pod shop/web-0, container a, on host h1"
    )
    assert causes[2] == "pod shop/web-0b, container b ended; its address is kept for 1h"


async def test_a_deleted_ports_name_makes_another(core: Core) -> None:
    await begin(core, ["h1", "h2"])
    first = await core.commit(claim("h1", "web-0", "a"))
    await core.commit(DeletePorts(caller=ADMIN, ids=(first.id,)))
    second = await core.commit(claim("h2", "web-0", "b"))
    assert second.id != first.id
    assert second.fixed_ips != first.fixed_ips  # h1 has not let go of it


# -- requests that are read late


async def test_a_claim_that_is_read_late_takes_nothing_from_who_lives_by_then(core: Core) -> None:
    """It came to a worker that stood still; its agent asked anew, and the container has ended."""
    await begin(core, ["h1", "h2"])
    late = claim("h1", "web-0", "a", attempt=5, takes="")
    await core.commit(late)
    await core.commit(end("h1", "web-0", "a", attempt=5))
    await confirm(core, "h1")
    living = await core.commit(claim("h2", "web-0", "b", attempt=9, takes=""))
    refused = await outcome(core, late)
    assert isinstance(refused, NameHeld)
    assert refused.held_by == "b@h2/9"
    assert "is of container b, on host h2" in refused.message
    assert await stored(core, "web-0") == living


@pytest.mark.parametrize("keep", ["", "1h"])
async def test_nor_where_a_name_is_not_kept(core: Core, keep: str) -> None:
    """The port is another one by then."""
    await begin(core, ["h1", "h2"])
    late = claim("h1", "web-0", "a", attempt=5, takes="", keep=keep)
    await core.commit(late)
    await core.commit(end("h1", "web-0", "a", attempt=5))
    await confirm(core, "h1")
    living = await core.commit(claim("h2", "web-0", "b", attempt=9, takes="", keep=keep))
    assert isinstance(await outcome(core, late), NameHeld)
    assert await stored(core, "web-0") == living


async def test_a_claim_takes_a_name_from_whom_it_names(core: Core) -> None:
    await begin(core, ["h1", "h2", "h3"])
    await core.commit(claim("h1", "web-0", "a", attempt=5, takes=""))
    await confirm(core, "h1")
    refused = await outcome(core, claim("h2", "web-0", "b", attempt=9, takes=""))
    assert refused.held_by == "a@h1/5"
    taking = claim("h2", "web-0", "b", attempt=9, takes=refused.held_by)
    moved = await core.commit(taking)
    assert (moved.device_id, moved.active_binding.host) == ("b", "h2")
    third = await outcome(core, claim("h3", "web-0", "c", attempt=2, takes=refused.held_by))
    assert third.held_by == "b@h2/9", "the one that it named has it no more"
    await core.commit(end("h2", "web-0", "b", attempt=9))
    await core.commit(claim("h1", "web-0", "d", attempt=6, takes=""))
    late = await outcome(core, taking)
    assert isinstance(late, NameHeld), "nor does its own second copy"


async def test_what_nobody_lives_by_is_taken_from_nobody(core: Core) -> None:
    """A kept port, and one whose host was fenced."""
    await begin(core, ["h1", "h2", "h3"])
    await core.commit(claim("h1", "web-0", "a", takes=""))
    await confirm(core, "h1")
    await core.commit(end("h1", "web-0", "a"))
    await confirm(core, "h1")
    await core.commit(claim("h2", "web-0", "b", takes=""))
    await fence(core, "h2")
    third = await core.commit(claim("h3", "web-0", "c", takes=""))
    assert third.device_id == "c"


async def test_nor_from_the_container_that_it_replaced_and_that_runs_again(core: Core) -> None:
    await begin(core, ["h1"])
    await core.commit(claim("h1", "web-0", "a", attempt=1, takes=""))
    asked = claim("h1", "web-0", "b", attempt=2, replaces="a", takes="")
    assert (await outcome(core, asked)).held_by == "a@h1/1"
    replacing = claim("h1", "web-0", "b", attempt=2, replaces="a", takes="a@h1/1")
    assert (await core.commit(replacing)).device_id == "b"
    await core.commit(end("h1", "web-0", "b", attempt=2))
    living = await core.commit(claim("h1", "web-0", "a", attempt=3, takes=""))
    for late in (asked, replacing):
        assert isinstance(await outcome(core, late), NameHeld)
    assert await stored(core, "web-0") == living
    again = await core.commit(claim("h1", "web-0", "a", attempt=4, takes=""))
    assert again.device_id == "a", "its own it is answered with"
