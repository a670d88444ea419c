"""The OVSDB client against a scripted peer: the wire of RFC 7047, and what can go wrong on it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from netwright.agent.ovs.errors import (
    OvsProtocolError,
    OvsUnreachableError,
    TransactionRefusedError,
)
from netwright.agent.ovs.framing import JsonFramer
from netwright.agent.ovs.ovsdb import OvsdbClient
from netwright.agent.ovs.replica import RowChange
from netwright.agent.ovs.rows import PortRow

UUID = "11111111-2222-3333-4444-555555555555"
EMPTY: Any = ["set", []]


def port_columns(tag: object = EMPTY, **external_ids: str) -> dict[str, Any]:
    return {
        "name": "tap1",
        "interfaces": ["uuid", UUID],
        "tag": tag,
        "trunks": EMPTY,
        "vlan_mode": EMPTY,
        "bond_mode": EMPTY,
        "lacp": EMPTY,
        "bond_active_slave": EMPTY,
        "external_ids": ["map", [list(item) for item in external_ids.items()]],
    }


class Peer:
    """Plays ovsdb-server: answers `monitor` with `snapshot`, the rest as the test scripts it."""

    def __init__(self) -> None:
        self.snapshot: dict[str, Any] = {}
        self.answers: list[dict[str, Any] | None] = []
        self.received: list[dict[str, Any]] = []
        self.heard = asyncio.Event()
        self.writer: asyncio.StreamWriter | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        framer = JsonFramer()
        while chunk := await reader.read(4096):
            for frame in framer.feed(chunk):
                message = json.loads(frame)
                self.received.append(message)
                self.heard.set()
                if message.get("method") == "monitor":
                    self.send({"id": message["id"], "result": self.snapshot, "error": None})
                elif self.answers and (answer := self.answers.pop(0)) is not None:
                    self.send({"id": message["id"], "error": None} | answer)
        writer.close()

    def send(self, message: dict[str, Any]) -> None:
        assert self.writer is not None
        self.writer.write(json.dumps(message).encode())

    def update(self, updates: dict[str, Any]) -> None:
        self.send({"id": None, "method": "update", "params": [None, updates]})


@asynccontextmanager
async def connected(
    path: Path, peer: Peer, **options: Any
) -> AsyncIterator[tuple[OvsdbClient, asyncio.Queue[tuple[RowChange, ...]]]]:
    changes: asyncio.Queue[tuple[RowChange, ...]] = asyncio.Queue()
    server = await asyncio.start_unix_server(peer.serve, path)
    client = OvsdbClient(path, on_change=changes.put_nowait, **options)
    running = asyncio.create_task(client.run())
    try:
        await client.wait_synced(5)
        yield client, changes
    finally:
        running.cancel()
        await asyncio.wait([running])
        server.close()
        if peer.writer is not None:
            peer.writer.close()
        await asyncio.sleep(0)


async def test_updates_reach_the_replica_and_the_callback(tmp_path: Path) -> None:
    peer = Peer()
    peer.snapshot = {"Port": {UUID: {"new": port_columns()}}}
    async with connected(tmp_path / "db.sock", peer) as (client, changes):
        assert client.replica.ports[UUID].tag is None
        (change,) = await changes.get()
        assert change.old is None
        peer.update({"Port": {UUID: {"old": {"tag": EMPTY}, "new": port_columns(7, a="b")}}})
        (change,) = await changes.get()
        assert client.replica.ports[UUID] == change.new
        assert client.replica.ports[UUID].tag == 7
        assert client.replica.ports[UUID].external_ids == {"a": "b"}
        peer.update({"Port": {UUID: {"old": port_columns(7)}}})
        (change,) = await changes.get()
        assert change.new is None
        assert not client.replica.ports


@pytest.mark.parametrize("cut", [0, 1, 60, -1])
async def test_updates_that_come_together_or_in_parts_are_all_heard(
    tmp_path: Path, cut: int
) -> None:
    peer = Peer()
    peer.snapshot = {"Port": {UUID: {"new": port_columns()}}}
    async with connected(tmp_path / "db.sock", peer) as (client, changes):
        await changes.get()
        assert peer.writer is not None
        before, last = (
            json.dumps(
                {"id": None, "method": "update", "params": [None, {"Port": {UUID: {"new": new}}}]}
            ).encode()
            for new in (port_columns(7, a="}{"), port_columns(8))
        )
        peer.writer.write(before + last[:cut])
        assert client.replica.ports[UUID].tag is None
        assert [tag_of(*await changes.get())] == [7]
        peer.writer.write(last[cut:] + before)
        assert [tag_of(*await changes.get()) for _ in range(2)] == [8, 7]


def tag_of(change: RowChange) -> int | None:
    assert isinstance(change.new, PortRow)
    return change.new.tag


async def test_a_reconnect_notifies_the_difference_only(tmp_path: Path) -> None:
    other = UUID.replace("1", "9")
    peer = Peer()
    peer.snapshot = {"Port": {UUID: {"new": port_columns()}, other: {"new": port_columns()}}}
    async with connected(tmp_path / "db.sock", peer) as (client, changes):
        await changes.get()
        assert peer.writer is not None
        peer.snapshot = {"Port": {other: {"new": port_columns()}}}
        peer.writer.close()
        (change,) = await asyncio.wait_for(changes.get(), 5)
        assert (change.uuid, change.new) == (UUID, None)
        assert set(client.replica.ports) == {other}


async def test_echo_is_answered(tmp_path: Path) -> None:
    peer = Peer()
    async with connected(tmp_path / "db.sock", peer):
        peer.heard.clear()
        peer.send({"id": "echo", "method": "echo", "params": ["x"]})
        await asyncio.wait_for(peer.heard.wait(), 5)
        assert peer.received[-1] == {"id": "echo", "result": ["x"], "error": None}


async def test_a_refused_operation_is_named(tmp_path: Path) -> None:
    peer = Peer()
    refusal = {"error": "constraint violation", "details": "4096 is not in 0..4095"}
    peer.answers = [{"result": [{"count": 1}, refusal, None]}]
    async with connected(tmp_path / "db.sock", peer) as (client, _):
        operations = [{"op": "mutate", "table": "Bridge"}, {"op": "update", "table": "Port"}]
        with pytest.raises(
            TransactionRefusedError, match=r"update on Port .* 4096 is not"
        ) as caught:
            await client.transact(operations)
        assert caught.value.index == 1


async def test_an_error_at_commit_is_named(tmp_path: Path) -> None:
    peer = Peer()
    peer.answers = [{"result": [{}, {"error": "referential integrity violation", "details": "d"}]}]
    async with connected(tmp_path / "db.sock", peer) as (client, _):
        with pytest.raises(TransactionRefusedError, match=r"commit .* referential integrity"):
            await client.transact([{"op": "delete", "table": "Port"}])


async def test_an_unknown_method_is_a_protocol_error(tmp_path: Path) -> None:
    peer = Peer()
    peer.answers = [{"error": "unknown database", "result": None}]
    async with connected(tmp_path / "db.sock", peer) as (client, _):
        with pytest.raises(OvsProtocolError, match="unknown database"):
            await client.transact([])


async def test_silence_and_hangup_end_a_transaction(tmp_path: Path) -> None:
    peer = Peer()
    async with connected(tmp_path / "db.sock", peer, timeout_s=0.1) as (client, _):
        with pytest.raises(OvsUnreachableError, match=r"did not answer transact within 0.1 s"):
            await client.transact([])
        pending = asyncio.create_task(client.transact([]))
        await asyncio.sleep(0)
        assert peer.writer is not None
        peer.writer.close()
        with pytest.raises(OvsUnreachableError, match="went during a request"):
            await pending


async def test_no_server_at_all(tmp_path: Path) -> None:
    client = OvsdbClient(tmp_path / "nowhere.sock")
    running = asyncio.create_task(client.run())
    with pytest.raises(OvsUnreachableError, match="is ovsdb-server running"):
        await client.wait_synced(0.1)
    with pytest.raises(OvsUnreachableError, match="not connected"):
        await client.transact([])
    running.cancel()
    await asyncio.wait([running])
