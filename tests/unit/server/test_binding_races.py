"""Bindings of one port, changed by two servers at once: one PostgreSQL, one order of changes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.doubles.postgres import Postgres
from tests.unit.server.test_shared_database import (
    ADMIN,
    REGISTRATION,
    WAIT_S,
    Cores,
    opened,
    outcome,
    port,
)
from tests.unit.server.test_shared_races import held_before_its_turn

from netwright.model.errors import (
    PortBindingAlreadyActive,
    PortBindingAlreadyExists,
    PortBindingError,
    PortBindingNotFound,
    PortNotFound,
)
from netwright.model.resources import Port
from netwright.model.states import BindingState
from netwright.server.commands import (
    ActivateBinding,
    Command,
    DeleteBinding,
    DeletePorts,
    FenceHost,
    PrepareBinding,
    RegisterHost,
)
from netwright.server.core import Core


@pytest.fixture
def url(postgres_server: Postgres) -> str:
    return postgres_server.new_database()


@asynccontextmanager
async def migrating(url: str) -> AsyncIterator[Cores]:
    """Port "a" on h1, prepared on h2 and h3."""
    async with opened(url, 2) as cores, asyncio.timeout(WAIT_S):
        for host in ("h1", "h2", "h3"):
            registered = RegisterHost(caller=ADMIN, host=host, registration=REGISTRATION)
            await cores[0].commit(registered)
        await cores[0].commit(port("a", host="h1", device_owner="compute:nova"))
        for host in ("h2", "h3"):
            await cores[0].commit(prepare(host))
        yield cores


def prepare(host: str, port_id: str = "a") -> Command:
    return PrepareBinding(caller=ADMIN, port_id=port_id, host=host)


def activate(host: str) -> Command:
    return ActivateBinding(caller=ADMIN, port_id="a", host=host)


async def raced(first: Core, late: Command, second: Core, quick: Command) -> tuple[Any, Any]:
    """What becomes of a command that is decided, and of one that is committed before it."""
    async with held_before_its_turn(first) as reached:
        waiting = asyncio.create_task(outcome(first, late))
        await reached.wait()
        before = await outcome(second, quick)
    return await waiting, before


async def stored(core: Core) -> Port:
    found = await core.reader.port("a")
    assert found is not None
    return found


async def test_two_activations_leave_one_active_and_all_the_others_silent(url: str) -> None:
    async with migrating(url) as (one, other):
        late, quick = await raced(one, activate("h2"), other, activate("h3"))
        assert isinstance(late, tuple)
        assert isinstance(quick, tuple)
        found = await stored(other)
        # The last to commit saw what the first had done: both others withdraw.
        states = {each.host: (each.state, each.active) for each in found.bindings}
        assert states == {
            "h1": (BindingState.WITHDRAWING, False),
            "h2": (BindingState.PREPARING, True),
            "h3": (BindingState.WITHDRAWING, False),
        }


async def test_of_two_activations_of_one_binding_one_is_told_so(url: str) -> None:
    async with migrating(url) as (one, other):
        late, quick = await raced(one, activate("h2"), other, activate("h2"))
        assert isinstance(quick, tuple)
        assert isinstance(late, PortBindingAlreadyActive)


async def test_activation_against_deletion(url: str) -> None:
    async with migrating(url) as (one, other):
        gone = DeleteBinding(caller=ADMIN, port_id="a", host="h2")
        late, _ = await raced(one, activate("h2"), other, gone)
        assert isinstance(late, PortBindingNotFound)
        active = (await stored(one)).active_binding
        assert active is not None
        assert active.host == "h1"
        late, _ = await raced(one, activate("h3"), other, DeletePorts(caller=ADMIN, ids=("a",)))
        assert isinstance(late, PortNotFound)
        found = await one.reader.port("a", releasing=True)
        assert found is not None
        assert [(each.host, each.state) for each in found.bindings] == [
            ("h1", BindingState.WITHDRAWING)
        ]


async def test_deletion_against_activation_withdraws_both_hosts(url: str) -> None:
    async with migrating(url) as (one, other):
        deletion = DeletePorts(caller=ADMIN, ids=("a",))
        late, quick = await raced(one, deletion, other, activate("h2"))
        assert (late, isinstance(quick, tuple)) == ((), True)
        found = await one.reader.port("a", releasing=True)
        assert found is not None
        assert {(each.host, each.state, each.prepared) for each in found.bindings} == {
            ("h1", BindingState.WITHDRAWING, None),
            ("h2", BindingState.WITHDRAWING, None),
        }


async def test_one_host_is_prepared_once_and_not_while_it_is_fenced(url: str) -> None:
    async with migrating(url) as (one, other):
        await one.commit(port("b", host="h1", device_owner="compute:nova"))
        late, quick = await raced(one, prepare("h2", "b"), other, prepare("h2", "b"))
        assert isinstance(quick, tuple)
        assert isinstance(late, PortBindingAlreadyExists)
        fence = FenceHost(caller=ADMIN, host="h3", reason="power is off")
        late, _ = await raced(one, prepare("h3", "b"), other, fence)
        assert isinstance(late, PortBindingError)
        assert "h3 is fenced" in late.message
