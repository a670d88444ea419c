"""A real server over HTTP, fabric controllers of a test's own, and switches in memory."""

import asyncio
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from tests.doubles import fabrics
from tests.doubles.fabric_server import EvpnFabric
from tests.e2e.conftest import Server

from netwright.client.api import Client
from netwright.client.networking import Collection, Networking
from netwright.fabric.controller import Controller
from netwright.fabric.store import Store
from netwright.model.states import AttachmentState, Plane
from netwright.model.topology import DriftPolicy, FabricSettings, Topology, VlanInterval
from netwright.model.wire import HostRegistration, Kind, Report, ReportBatch, ReportStatus

EPOCH = "life1"
HOST = "host1"


class Scene:
    def __init__(self, server: Server, directory: Path) -> None:
        self.server = server
        self.directory = directory
        self.topology = topology()
        self.fabric = EvpnFabric(self.topology)
        self.admin = Client(server.url, token=server.admin_token)
        self.api = Networking(self.admin)
        self.credential = ""

    async def fill(self) -> None:
        await self.admin.replace_topology(self.topology)
        self.credential = await self.admin.fabric_credential()
        registration = HostRegistration(epoch=EPOCH, driver="ovs")
        await self.admin.register_host(HOST, registration)

    async def network(self, name: str) -> str:
        network = await self.api.create(Collection.NETWORKS, {"name": name})
        subnet = {"network_id": network["id"], "ip_version": 4, "cidr": "10.8.0.0/24"}
        await self.api.create(Collection.SUBNETS, subnet)
        return str(network["id"])

    async def bound_port(self, network_id: str) -> dict[str, Any]:
        port = await self.api.create(Collection.PORTS, {"network_id": network_id})
        bound = {"binding:host_id": HOST, "device_owner": "compute:nova"}
        return await self.api.update(Collection.PORTS, port["id"], bound)

    async def say(self, port_id: str, status: ReportStatus) -> None:
        """The agent's word of the underlay, as it says it."""
        report = Report(plane=Plane.UNDERLAY, generation=1, status=status, port_id=port_id)
        await self.admin.report(ReportBatch(host=HOST, epoch=EPOCH, reports=(report,)))

    async def port_status(self, port_id: str) -> str:
        return str((await self.api.show(Collection.PORTS, port_id))["status"])

    async def attachment(self, subject: str) -> Any:
        return (await self.admin.snapshot((Kind.ATTACHMENT,))).attachments.get(subject)

    async def until(self, what: Callable[[], Any], within_s: float = 10.0) -> float:
        began = time.monotonic()
        while not await what():
            assert time.monotonic() - began < within_s, f"not within {within_s} s"
            await asyncio.sleep(0.02)
        return time.monotonic() - began

    async def until_up(self, subject: str) -> None:
        async def is_up() -> bool:
            found = await self.attachment(subject)
            return found is not None and found.state is AttachmentState.UP

        await self.until(is_up)

    @asynccontextmanager
    async def controller(
        self, name: str = "one", *, dies: bool = False
    ) -> AsyncIterator[Controller]:
        """One that ends with the block; when it `dies`, it does not give its lease back."""
        store = Store.open(self.directory / name)
        async with Client(self.server.url, token=self.credential, timeout_s=5.0) as client:
            controller = Controller(
                client,
                store,
                self.fabric.driver,
                holder=name,
                clock=time.monotonic,
                now=time.time,
                jitter=random.random,
            )
            task = asyncio.create_task(controller.run())
            try:
                yield controller
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
                if not dies:
                    await controller.stop()
                store.close()

    async def command(self, *arguments: str) -> Any:
        """`netwright fabric …` with JSON; (exit code, its answer, what it said)."""
        command = [sys.executable, "-m", "netwright", "fabric", *arguments, "--output", "json"]
        environment = {**os.environ, "NETWRIGHT_TOKEN": self.server.admin_token}
        environment |= {"NETWRIGHT_URL": self.server.url}
        process = await asyncio.create_subprocess_exec(
            *command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
        )
        out, err = await process.communicate()
        return process.returncode, json.loads(out) if out else None, err.decode()


def topology() -> Topology:
    made = fabrics.topology()
    return replace(
        made,
        switches=tuple(
            replace(one, address="local:/nowhere" if one.driver else "") for one in made.switches
        ),
        fabric=FabricSettings(vlans=(VlanInterval(first=100, last=199),), drift=DriftPolicy.ALARM),
    )
