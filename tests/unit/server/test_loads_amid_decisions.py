"""What is loaded amid a batch's decisions does not change what those before were decided on."""

import asyncio
from typing import Any

import pytest
from tests.doubles.postgres import Postgres
from tests.unit.server.test_shared_database import ADMIN, WAIT_S, network, opened, port, subnet

from netwright.model.resources import Port
from netwright.server import batch
from netwright.server.commands import AddressWish, CreatePorts, PortDraft, UpdateNetwork
from netwright.server.core import Core
from netwright.server.missing import load_missing
from netwright.server.ports.network_choice import NeedsChoice
from netwright.server.queries import Query
from netwright.server.store.checking import check


def labelled(port_id: str) -> CreatePorts:
    draft = PortDraft(id=port_id, project_id="p", network_id="", network_labels="a=b")
    return CreatePorts(caller=ADMIN, drafts=(draft,))


async def networks_to_choose(core: Core) -> None:
    """Each is preferred to the next; the first two have one address each."""
    for n, cidr in enumerate(("10.1.0.0/30", "10.2.0.0/30", "10.3.0.0/24")):
        await core.commit(network(f"l{n}", 200 + n))
        await core.commit(subnet(f"sub-l{n}", f"l{n}", cidr))
        await core.commit(UpdateNetwork(caller=ADMIN, id=f"l{n}", labels={"a": "b"}))


async def test_an_address_that_another_takes_meanwhile_stays_the_others(
    postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres_server.new_database()
    async with opened(url, 2) as (a, b), asyncio.timeout(WAIT_S):
        await networks_to_choose(a)
        await a.commit(labelled("counted"))
        full = PortDraft(id="full", project_id="p", network_id="l1")
        await b.commit(CreatePorts(caller=ADMIN, drafts=(full,)))
        taken: list[str] = []

        async def late(*given: Any) -> None:
            _, _, world, _, missing, _ = given
            first = world.ports.get("first")
            if isinstance(missing, NeedsChoice) and first is not None and not taken:
                taken.append(first.fixed_ips[0].ip_address)
                await b.commit(port("others", fixed_ips=(AddressWish(ip_address=taken[0]),)))
            await load_missing(*given)

        monkeypatch.setattr(batch, "load_missing", late)
        commands = (port("zero"), port("first"), labelled("two"))
        await asyncio.gather(*map(a.commit, commands))
        assert taken, "nothing was loaded amid the decisions"
        found = {each.id: each for each in await a.reader.many(Port, Query())}
        assert found["two"].network_id == "l2"
        assert found["others"].fixed_ips[0].ip_address == taken[0]
        assert found["first"].fixed_ips[0].ip_address != taken[0]
        assert (await check(url)).wrong == []
