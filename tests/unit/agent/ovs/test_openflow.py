"""The OpenFlow client against a scripted bridge."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import pytest
from os_ken.ofproto import ofproto_v1_4 as ofp

from netwright.agent.ovs.changes import FlowChange
from netwright.agent.ovs.errors import FlowsRefusedError, OvsUnreachableError
from netwright.agent.ovs.flows import Flow, Normal, match_on, owner_cookie
from netwright.agent.ovs.openflow import OpenFlowClient
from netwright.agent.ovs.openflow_codec import frame
from netwright.agent.ovs.openflow_wire import HEADER

FLOWS = [Flow(0, 7, match_on(in_port=n), (Normal(),), owner_cookie(f"port {n}")) for n in (1, 2, 3)]
CHANGES = [FlowChange(flow) for flow in FLOWS]
Script: TypeAlias = Callable[[int, int, bytes], bytes]
"""(message type, xid, body) → what the bridge says to it."""


def obedient(kind: int, xid: int, _body: bytes) -> bytes:
    return frame(ofp.OFPT_BARRIER_REPLY, xid) if kind == ofp.OFPT_BARRIER_REQUEST else b""


class Bridge:
    """Reads messages, answers by `script`; `greeting` is what it says first."""

    def __init__(self, script: Script = obedient, greeting: bytes | None = None) -> None:
        self.script = script
        self.greeting = frame(ofp.OFPT_HELLO, 1) if greeting is None else greeting
        self.heard: list[tuple[int, int, bytes]] = []
        self.writer: asyncio.StreamWriter | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        writer.write(self.greeting)
        try:
            while True:
                _, kind, length, xid = HEADER.unpack(await reader.readexactly(HEADER.size))
                body = await reader.readexactly(length - HEADER.size)
                self.heard.append((kind, xid, body))
                writer.write(self.script(kind, xid, body))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


@asynccontextmanager
async def connected(path: Path, bridge: Bridge) -> AsyncIterator[OpenFlowClient]:
    server = await asyncio.start_unix_server(bridge.serve, path)
    client = OpenFlowClient("br-int", path, timeout_s=0.3)
    running = asyncio.create_task(client.run())
    try:
        yield client
    finally:
        running.cancel()
        await asyncio.wait([running])
        server.close()
        if bridge.writer is not None:
            bridge.writer.close()
        await asyncio.sleep(0)


async def test_all_changes_travel_in_one_bundle_that_a_barrier_ends(tmp_path: Path) -> None:
    bridge = Bridge()
    async with connected(tmp_path / "mgmt", bridge) as client:
        await client.wait_ready(5)
        await client.apply(CHANGES)
    kinds = [kind for kind, _, _ in bridge.heard]
    adds = [ofp.OFPT_BUNDLE_ADD_MESSAGE] * 3
    control = ofp.OFPT_BUNDLE_CONTROL
    assert kinds == [ofp.OFPT_HELLO, control, *adds, control, ofp.OFPT_BARRIER_REQUEST]


async def test_the_refused_change_is_named(tmp_path: Path) -> None:
    adds = 0

    def script(kind: int, xid: int, body: bytes) -> bytes:
        nonlocal adds
        adds += kind == ofp.OFPT_BUNDLE_ADD_MESSAGE
        if kind == ofp.OFPT_BUNDLE_ADD_MESSAGE and adds == 2:
            reason = (ofp.OFPET_BAD_ACTION << 16 | ofp.OFPBAC_BAD_OUT_PORT).to_bytes(4, "big")
            return frame(ofp.OFPT_ERROR, xid, reason + body[:16])
        return obedient(kind, xid, body)

    async with connected(tmp_path / "mgmt", Bridge(script)) as client:
        await client.wait_ready(5)
        with pytest.raises(
            FlowsRefusedError, match=r"OFPBAC_BAD_OUT_PORT at \+ .*in_port=2"
        ) as caught:
            await client.apply(CHANGES)
    assert caught.value.refused == ((1, "OFPET_BAD_ACTION: OFPBAC_BAD_OUT_PORT"),)


async def test_echo_is_answered_with_its_own_data(tmp_path: Path) -> None:
    bridge = Bridge()
    async with connected(tmp_path / "mgmt", bridge) as client:
        await client.wait_ready(5)
        assert bridge.writer is not None
        bridge.writer.write(frame(ofp.OFPT_ECHO_REQUEST, 99, b"alive?"))
        await client.apply(CHANGES)
    assert (ofp.OFPT_ECHO_REPLY, 99, b"alive?") in bridge.heard


async def test_silence_ends_a_request_and_the_connection(tmp_path: Path) -> None:
    bridge = Bridge(script=lambda *_: b"")
    async with connected(tmp_path / "mgmt", bridge) as client:
        await client.wait_ready(5)
        with pytest.raises(OvsUnreachableError, match=r"br-int did not answer within 0.3 s"):
            await client.apply(CHANGES)
        bridge.script = obedient
        async with asyncio.timeout(5):
            await client.wait_ready(5)


async def test_a_hangup_ends_what_was_under_way_and_it_reconnects(tmp_path: Path) -> None:
    bridge = Bridge(script=lambda *_: b"")
    async with connected(tmp_path / "mgmt", bridge) as client:
        await client.wait_ready(5)
        pending = asyncio.create_task(client.apply(CHANGES))
        await asyncio.sleep(0)
        assert bridge.writer is not None
        bridge.writer.close()
        with pytest.raises(OvsUnreachableError, match="went during a request"):
            await pending
        bridge.script = obedient
        await client.wait_ready(5)
        await client.apply(CHANGES)


@pytest.mark.parametrize(
    "greeting",
    [HEADER.pack(4, ofp.OFPT_HELLO, 8, 1), frame(ofp.OFPT_ERROR, 1, bytes(4)), bytes(8)],
    ids=["too old", "refused", "garbage"],
)
async def test_a_bridge_that_speaks_otherwise_never_becomes_ready(
    tmp_path: Path, greeting: bytes
) -> None:
    async with connected(tmp_path / "mgmt", Bridge(greeting=greeting)) as client:
        with pytest.raises(OvsUnreachableError, match=r"does Bridge.protocols allow OpenFlow14"):
            await client.wait_ready(0.2)
        with pytest.raises(OvsUnreachableError, match="not connected"):
            await client.apply(CHANGES)
