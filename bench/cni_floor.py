"""What a container's ADD cannot leave out, bare: by a program that knows everything beforehand.

One after the other, each waiting for the one before, as each needs its outcome:

1. one durable commit of the rows that creating a bound port writes, by the server's own engine;
2. the veth by netlink, as the agent makes it: two interfaces with MAC and MTU, both up, an address
   of each IP version with its route; a socket in either namespace, nothing asked for twice;
3. one OVSDB transaction that plugs the device with the tag it shall have, until ovs-vswitchd has
   carried it out and numbered the device;
4. a bundle of as many flows as a port has, with its barrier.

What an ADD does beyond it: a process (the front end) and two hops of HTTP with their answers, the
files that outlive the agent, a device that hears nothing before its flows stand and so a second
transaction, and reading back what came of it all.
"""

import asyncio
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from bench.device_up import BARE_TAG, Bench, ended, flows, plugging
from bench.sqlite_alone import Replay
from netwright.agent.ovs.changes import FlowChange
from netwright.agent.ovs.openflow import OpenFlowClient
from netwright.agent.ovs.operations import cfg_number, taking_up
from netwright.lab import netns
from netwright.lab.nodes import ovs
from netwright.lab.places import Instance
from netwright.lab.state import Lab
from netwright.linux import links
from netwright.linux.netlink import Netlink

IFNAME = "eth0"
PAUSE_S = 0.1
"""Before each, as before an ADD: what server and host still do about one is not the next one's."""
_LOOPBACK = 1
WAIT_S = 20.0


class Floor(NamedTuple):
    """Seconds of one container's parts."""

    commit_s: float
    links_s: float
    rows_s: float
    flows_s: float

    @property
    def all_s(self) -> float:
        return sum(self)


async def floors(
    lab: Lab, host: str, namespaces: Sequence[str], commits: Replay, _: object = None
) -> Sequence[Floor]:
    """Each namespace gets a device and loses it again. The host's agent shall be halted."""
    rundir = ovs.run_directory(lab, host)
    return await _Bare(lab.namespace(host), rundir, commits).all(namespaces)


class _Bare(Bench):
    def __init__(self, host: str, rundir: Path, commits: Replay) -> None:
        super().__init__(rundir)
        self._openflow = OpenFlowClient("br-int", rundir / "br-int.mgmt")
        self._commits = commits
        self._host = host

    async def all(self, namespaces: Sequence[str]) -> Sequence[Floor]:
        reading = [asyncio.create_task(each.run()) for each in (self._ovsdb, self._openflow)]
        with ThreadPoolExecutor(1, initializer=lambda: netns.enter(self._host)) as there:
            try:
                await self._ovsdb.wait_synced(WAIT_S)
                await self._openflow.wait_ready(WAIT_S)
                return [await self._one(n, each, there) for n, each in enumerate(namespaces)]
            finally:
                await ended(reading)

    async def _one(self, number: int, namespace: str, there: ThreadPoolExecutor) -> Floor:
        await asyncio.sleep(PAUSE_S)
        mac = f"fa:16:3e:ff:01:{number:02x}"
        one = Instance(id=f"{os.urandom(6).hex()}-bare", mac=mac, addresses=())
        commit_s = self._commits.one()
        links_s = there.submit(_veth, self._host, namespace, one.tap, mac, number).result(WAIT_S)
        began = time.perf_counter()
        results = await self._ovsdb.transact([*plugging([one], tag=BARE_TAG), *taking_up()])
        ofport = await self._carried_out(cfg_number(results), one.tap)
        plugged = time.perf_counter()
        changes = flows(one, ofport)
        ready = time.perf_counter()
        await self._openflow.apply(changes)
        found = Floor(commit_s, links_s, plugged - began, time.perf_counter() - ready)
        await self._openflow.apply([FlowChange(each.flow, delete=True) for each in changes])
        results = await self._ovsdb.transact([*self._unplug(one), *taking_up()])
        await self._carried_out(cfg_number(results))
        there.submit(_remove, one.tap).result(WAIT_S)
        return found


def _veth(host: str, namespace: str, device: str, mac: str, number: int) -> float:
    """Runs in the host's namespace and ends there; seconds of what is between."""
    setting = Path("/proc/sys/net/ipv6/conf", IFNAME, "disable_ipv6")
    began = time.perf_counter()
    with (netns.FOLDER / namespace).open("rb") as opened, Netlink() as netlink:
        netlink.tell([links.add_veth(device, IFNAME, opened.fileno(), 1500)])
        body = netlink.get(links.get_link(device))
        assert body is not None
        netlink.tell([links.set_link(links.parse_link(body).index, device, up=True)])
    netns.enter(namespace)
    setting.write_text("0", "ascii")
    with Netlink() as netlink:
        body = netlink.get(links.get_link(IFNAME))
        assert body is not None
        index = links.parse_link(body).index
        netlink.tell(
            [
                links.set_link(_LOOPBACK, "lo", up=True),
                links.set_link(index, IFNAME, mac_address=mac),
                links.set_link(index, IFNAME, up=True),
                links.change_address(index, f"10.200.0.{number + 2}/24", IFNAME, add=True),
                links.change_address(index, f"fd00:200::{number + 2:x}/64", IFNAME, add=True),
                links.change_route("0.0.0.0/0", "10.200.0.1", add=True),
                links.change_route("::/0", "fd00:200::1", add=True),
            ]
        )
    took_s = time.perf_counter() - began
    netns.enter(host)
    return took_s


def _remove(device: str) -> None:
    with Netlink() as netlink:
        body = netlink.get(links.get_link(device))
        assert body is not None
        netlink.tell([links.delete_link(links.parse_link(body).index, device)])
