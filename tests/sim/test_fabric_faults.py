"""The fabric comes to its plan whatever happens to switches, server and controllers on the way."""

import asyncio
import random
from collections.abc import Callable

import pytest
from msgspec.structs import replace
from tests.doubles import fabrics
from tests.doubles.fabric_world import UP, World

from netwright.fabric.changes import difference
from netwright.fabric.config import EMPTY
from netwright.fabric.plan import plan
from netwright.model.fabric import SwitchStatus
from netwright.model.resources import Attachment, Network
from netwright.model.states import AttachmentState
from netwright.model.wire import Kind

NETWORKS = tuple(fabrics.network(number) for number in range(1, 5))
LIVES = 4
ROUNDS = 15
REST_S = 200.0
"""Longer than any back-off."""

_SERVER_FAILS = 0.1


class Chaos:
    """What happens, by a seed."""

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._chance = random.Random(seed)
        self._leaves = [world[f"leaf{number}"] for number in range(1, 5)]

    async def rounds(self) -> None:
        for _ in range(ROUNDS):
            await self._change_an_attachment()
            self._disturb_a_leaf()
            await asyncio.sleep(self._chance.uniform(0, 3))
            if self._chance.random() < _SERVER_FAILS:
                await self._world.server.go_away()
                await asyncio.sleep(self._chance.uniform(0, 12))
                self._world.server.come_back()

    async def end(self) -> None:
        """All is well again; something is wanted."""
        for leaf in self._leaves:
            leaf.is_reachable, leaf.is_mute, leaf.failures = True, False, []
            leaf.isolate(isolated=False)
            leaf.silence(silent=False)
        await self._attach(NETWORKS[0], "host1")

    def attachments(self) -> dict[str, Attachment]:
        objects = self._world.server.objects.items()
        return {id_: one for (kind, id_), one in objects if kind is Kind.ATTACHMENT}

    async def _change_an_attachment(self) -> None:
        of, host = self._chance.choice(NETWORKS), f"host{self._chance.randint(1, 4)}"
        subject = f"{of.id}@{host}"
        held = self.attachments().get(subject)
        if held is None:
            await self._attach(of, host)
        elif held.state is not AttachmentState.WITHDRAWING:
            await self._world.server.withdraw(subject)

    async def _attach(self, of: Network, host: str) -> None:
        """In a new life, also while an earlier one withdraws."""
        made = fabrics.attachment(of, host, 10 + int(of.id[-1]))
        generation = int(self._world.loop.time() * 1000)
        await self._world.server.put_attachment(replace(made, generation=generation))

    def _disturb_a_leaf(self) -> None:
        leaf = self._chance.choice(self._leaves)
        match self._chance.randrange(8):
            case 0:
                leaf.reboot()
            case 1:
                leaf.is_reachable = not leaf.is_reachable
            case 2:
                leaf.failures = self._chance.choices([None, "refuse", "hang"], k=5)
            case 3:
                leaf.become(self._chance.choice(self._leaves).config)
            case 4:
                leaf.become(EMPTY)
            case 5:
                leaf.is_mute = not leaf.is_mute
            case 6:
                leaf.isolate(isolated=not leaf.is_isolated)
            case 7:
                leaf.silence(silent=not leaf.is_silent)


@pytest.mark.parametrize("seed", range(6))
def test_it_comes_to_the_plan(run: Callable[..., None], seed: int) -> None:
    async def scenario(world: World) -> None:
        await world.fill(networks=NETWORKS)
        chaos = Chaos(world, seed)
        for _ in range(LIVES):
            async with world.controller("a"), world.controller("b"):
                await chaos.rounds()
        await chaos.end()
        async with world.controller("a"):
            await asyncio.sleep(REST_S)
            attachments = chaos.attachments()
            intent = fabrics.intent(
                world.topology, networks=NETWORKS, attachments=attachments.values()
            )
            for name, config in plan(intent).switches.items():
                assert not difference(world[name].config, config), f"{name}, seed {seed}"
                assert world.server.status(name).status is SwitchStatus.IN_SYNC, f"seed {seed}"
            states = {id_: one.state for id_, one in attachments.items()}
            assert set(states.values()) == {UP}, f"{states}, seed {seed}"

    run(scenario, fabrics.topology(leaves=4, hosts=4))
