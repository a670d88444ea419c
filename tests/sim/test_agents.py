"""Many agents, one server (a double), everything that can go wrong between: all converge.

Each seed is one history of faults; a failing one prints its seed and replays exactly (virtual
time, one source of randomness).
"""

import asyncio
import contextlib
import sys
from random import Random

import pytest
from msgspec.structs import replace
from tests.doubles import virtual_time
from tests.doubles.faults import BadNetwork
from tests.doubles.server import ServerDouble
from tests.doubles.values import attachment, fabric_network, network, port
from tests.doubles.wiring import Standing, WiringDouble

from netwright.agent.agent import Agent
from netwright.agent.desired import endpoint, silent
from netwright.agent.live import LIVE
from netwright.agent.placing import FabricUplink
from netwright.agent.session import Identity
from netwright.agent.wiring import Endpoint
from netwright.model.resources import NetworkType, Port, Segment
from netwright.model.states import BindingState

HOSTS = 8
PORTS = 40
STEPS = 400
UPLINK = FabricUplink(bridge="br-bond", physical_network="physnet1")
LAG_S = 60.0
"""The longest that an agent may act on an older state under these faults."""


class Site:
    """A host: its data plane, its network to the server, and the agent that runs there now."""

    def __init__(self, name: str, server: ServerDouble, random: Random) -> None:
        self.name = name
        self.lives = 0
        self.network = BadNetwork(server, random)
        self.wiring = WiringDouble(random=random, removed=self._removed)
        self._server = server
        self._random = random
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.lives += 1
        identity = Identity(
            host=self.name,
            epoch=f"{self.name}-{self.lives}",
            driver="double",
            physical_networks={"physnet1": UPLINK.bridge},
            fabric=UPLINK,
        )
        agent = Agent(identity, self.network, self.wiring, jitter=self._random.random)
        self._task = asyncio.create_task(agent.run(), name=self.name)

    async def kill(self) -> None:
        assert self._task is not None
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    def _removed(self, port_id: str, standing: Standing) -> None:
        """Law 6: what has long been wanted, and stood meanwhile, is never torn down.

        What no packet passes through is made anew, when it is activated, without a loss.
        """
        if not standing.endpoint.admin_state_up:
            return
        live_since = self._server.live_since.get((port_id, self.name))
        now = asyncio.get_running_loop().time()
        if live_since is not None and live_since < now - LAG_S:
            assert standing.made_at < live_since, f"{self.name} tore down {port_id}"


class Chaos:
    """What orchestrators, machines and networks do, at random."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.server = ServerDouble([network(), fabric_network("net-2")])
        self.sites = [Site(f"h{n}", self.server, self.random) for n in range(HOSTS)]
        for site in self.sites:
            self.change_vlan(site)
        self._made = 0

    async def run(self) -> None:
        for site in self.sites:
            site.start()
        acts = (
            [self.create] * 3
            + [self.move] * 3
            + [self.migrate] * 3
            + [self.unbind, self.delete, self.change_mac, self.plug_anywhere, self.unplug]
            + [self.change_vlan]
            + [self.server.forget_log, self.lose, self.cut, self.refuse, self.break_wiring]
        )
        for _ in range(STEPS):
            act = self.random.choice([*acts, None])
            if act is None:
                await self.restart()
            else:
                act()
            await asyncio.sleep(self.random.uniform(0.0, 2.0))
            self.assert_alone()
        self.heal()
        await asyncio.sleep(200.0)
        self.assert_converged()
        for site in self.sites:
            await site.kill()

    def create(self) -> None:
        if len(self.server.ports) >= PORTS:
            return
        self._made += 1
        port_id = f"port-{self._made}"
        where = self.random.choice(["net-1", "net-2"])
        self.server.put(port(port_id, network_id=where))
        for step in self.random.sample(["plug", "bind"], k=self.random.randint(0, 2)):
            if step == "plug":
                self.site().wiring.plug(port_id)
            else:
                self.move(port_id)

    def move(self, port_id: str | None = None) -> None:
        """Bind to some host; mostly the device follows."""
        chosen = port_id or self.some_port()
        if chosen is None:
            return
        site = self.site()
        self.server.bind(chosen, site.name)
        if self.random.random() < 0.8:
            for other in self.sites:
                if other is not site:
                    other.wiring.unplug(chosen)
            site.wiring.plug(chosen)

    def migrate(self) -> None:
        """A step of a live migration, in whatever order; mostly the device is there by then."""
        if (chosen := self.some_port()) is None:
            return
        site = self.site()
        others = [b.host for b in self.server.ports[chosen].bindings if b.prepared is not None]
        known = self.random.choice(others) if others else site.name
        match self.random.choice(["prepare", "activate", "activate", "delete"]):
            case "prepare":
                self.server.prepare(chosen, site.name)
                if self.random.random() < 0.8:
                    site.wiring.plug(chosen)
            case "activate":
                self.server.activate(chosen, known)
            case _:
                self.server.delete_binding(chosen, known)

    def unbind(self) -> None:
        if chosen := self.some_port():
            self.server.bind(chosen, "")

    def delete(self) -> None:
        if chosen := self.some_port():
            self.server.delete(chosen)

    def change_mac(self) -> None:
        if chosen := self.some_port():
            mac = f"fa:16:3e:00:00:{self.random.randrange(256):02x}"
            self.server.put(replace(self.server.ports[chosen], mac_address=mac))

    def change_vlan(self, site: Site | None = None) -> None:
        """The fabric network's attachment to a host is revived, as often with another VLAN."""
        host = (site or self.site()).name
        vlan = self.random.randrange(2000, 2004)
        self.server.attach(attachment(vlan, "net-2", host))

    def plug_anywhere(self) -> None:
        if chosen := self.some_port():
            self.site().wiring.plug(chosen)

    def unplug(self) -> None:
        wiring = self.site().wiring
        if wiring.plugged:
            wiring.unplug(self.random.choice(sorted(wiring.plugged)))

    def lose(self) -> None:
        self.site().network.loss = self.random.choice([0.0, 0.05, 0.3])

    def cut(self) -> None:
        here = self.site().network
        here.is_cut = not here.is_cut

    def refuse(self) -> None:
        wiring = self.site().wiring
        if wiring.plugged and not wiring.refusing:
            wiring.refusing = {self.random.choice(sorted(wiring.plugged)): "no such queue"}
        else:
            wiring.refusing = {}

    def break_wiring(self) -> None:
        wiring = self.site().wiring
        wiring.out_of_order = "" if wiring.out_of_order else "ovs-vswitchd is gone"

    async def restart(self) -> None:
        site = self.site()
        await site.kill()
        await asyncio.sleep(self.random.uniform(0.0, 5.0))
        site.start()

    def heal(self) -> None:
        for site in self.sites:
            site.network.loss, site.network.is_cut = 0.0, False
            site.wiring.refusing, site.wiring.out_of_order = {}, ""

    def assert_alone(self) -> None:
        """Law 5: no port is answered for on two hosts."""
        answering = [
            port_id
            for site in self.sites
            for port_id, one in site.wiring.standing.items()
            if one.endpoint.admin_state_up
        ]
        assert len(answering) == len(set(answering)), answering

    def assert_converged(self) -> None:
        ports = self.server.ports
        for site in self.sites:
            bound = {p.id: p for p in ports.values() if _is_live(p, site.name)}
            wanted = {
                one.id: self.endpoint_on(one, site.name)
                for one in bound.values()
                if one.id in site.wiring.plugged
            }
            stands = {name: one.endpoint for name, one in site.wiring.standing.items()}
            assert stands == wanted, site.name
        for one in ports.values():
            for binding in one.bindings:
                here = one.id in self.site(binding.host).wiring.plugged
                without = {BindingState.PREPARING, BindingState.DOWN, BindingState.REFUSED}
                allowed = {BindingState.UP} if here else without
                assert binding.state in allowed, (one.id, binding)

    def endpoint_on(self, one: Port, host: str) -> Endpoint:
        network = self.server.networks[one.network_id]
        segment = network.segment
        if (of_fabric := self.server.attachments.get((network.id, host))) is not None:
            segment = Segment(
                network_type=NetworkType.VLAN,
                physical_network=UPLINK.physical_network,
                segmentation_id=of_fabric.vlan,
            )
        wired = endpoint(one, network, segment)
        binding = one.binding_on(host)
        return silent(wired) if binding is not None and binding.is_standby else wired

    def some_port(self) -> str | None:
        alive = [p.id for p in self.server.ports.values() if p.state != "RELEASING"]
        return self.random.choice(alive) if alive else None

    def site(self, name: str = "") -> Site:
        named = [site for site in self.sites if site.name == name]
        return named[0] if named else self.random.choice(self.sites)


def _is_live(one: Port, host: str) -> bool:
    binding = one.binding_on(host)
    return binding is not None and binding.state in LIVE


@pytest.mark.parametrize("seed", range(12))
def test_agents_converge_whatever_happened(seed: int) -> None:
    sys.stdout.write(f"seed {seed}\n")
    virtual_time.run(Chaos(seed).run())
