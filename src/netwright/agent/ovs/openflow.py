"""OpenFlow client for one bridge: its `.mgmt` unix socket, flows in atomic bundles, read-back.

    disconnected ──connect, both hellos──▶ ready ──socket closed──▶ disconnected

`run()` is the only reader. A request sends all its messages at once and ends at its barrier's
reply (flows) or its last part (read-back); errors that carry one of its xids are its own.
A connection that falls silent within a request is closed: what it left behind must be read back.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

from netwright.agent.ovs.address_sets import AddressFlow
from netwright.agent.ovs.changes import FlowChange
from netwright.agent.ovs.connection import stay_connected
from netwright.agent.ovs.errors import FlowsRefusedError, OvsProtocolError, OvsUnreachableError
from netwright.agent.ovs.flows import Flow
from netwright.agent.ovs.meter_codec import config_request, is_config, meter_mod, read_config
from netwright.agent.ovs.meters import MeterChange
from netwright.agent.ovs.openflow_codec import (
    FlowCodec,
    bundle_control,
    flow_stats_request,
    frame,
    packet_out,
    packet_sent,
)
from netwright.agent.ovs.openflow_wire import (
    HEADER,
    VERSION,
    BundleControl,
    MessageType,
    error_text,
)
from netwright.agent.ovs.packet_in import PacketIn, packets_wanted, read_packet_in
from netwright.agent.ovs.wiring import Rate

READ_BYTES = 256 * 1024

Selection: TypeAlias = Sequence[tuple[int, int]]
"""(cookie, mask) of the flows to read: those that agree with one of them."""
EVERYTHING: Selection = [(0, 0)]


class _Request:
    """What one request has received so far; `done` resolves at its last message."""

    def __init__(self, final: Sequence[int]) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.final = set(final)
        """xids whose answers are still to come; the request ends with the last of them."""
        self.flows: list[Flow] = []
        self.addresses: list[AddressFlow] | None = None
        """Where flows of remote groups' addresses go, when they are not wanted as flows."""
        self.meters: dict[int, Rate | None] = {}
        self.errors: list[tuple[int, str]] = []
        self.limit: asyncio.Timeout | None = None

    def goes_on(self, timeout_s: float) -> None:
        """A part of the answer came: a long one may take as long as it does not stop."""
        if self.limit is not None and not self.limit.expired():
            self.limit.reschedule(asyncio.get_running_loop().time() + timeout_s)

    def end(self, xid: int) -> None:
        self.final.discard(xid)
        if not self.final and not self.done.done():
            self.done.set_result(None)


class OpenFlowClient:
    """One connection to a bridge, kept up for as long as `run()` runs.

    `on_ready` is called from `run()` with True when the connection works, False when it went.
    With `on_packet` the bridge hands us what its flows have for the agent; what that returns goes
    out by the port where the packet came in.
    """

    def __init__(
        self,
        bridge: str,
        path: Path,
        *,
        on_ready: Callable[[bool], None] = lambda _ready: None,
        on_packet: Callable[[PacketIn], Iterable[bytes]] | None = None,
        timeout_s: float = 5.0,
    ) -> None:
        self.bridge = bridge
        self.path = path
        self._on_ready = on_ready
        self._on_packet = on_packet
        self._timeout_s = timeout_s
        self._codec = FlowCodec()
        self._xids = itertools.count(1)
        self._requests: dict[int, _Request] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._ready = asyncio.Event()

    @property
    def ready(self) -> bool:
        return self._ready.is_set()

    async def run(self) -> None:
        """Stay connected until cancelled."""
        await stay_connected(self.path, self._session, self._close)

    async def wait_ready(self, timeout_s: float) -> None:
        """Return once flows can be sent. Raises OvsUnreachableError after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._ready.wait()
        except TimeoutError:
            raise OvsUnreachableError(
                f"no OpenFlow 1.4 connection to bridge {self.bridge} at {self.path} within"
                f" {timeout_s} s: is ovs-vswitchd running, does Bridge.protocols allow OpenFlow14?"
            ) from None

    async def apply(
        self,
        changes: Sequence[FlowChange],
        *,
        read_back: Selection = (),
        addresses: list[AddressFlow] | None = None,
    ) -> list[Flow]:
        """Apply all changes as one atomic bundle: no packet sees half of them.

        Returns the flows of `read_back` as they stand afterwards, in the same exchange; those of
        remote groups' addresses are added to `addresses` instead, if it is given. Raises
        FlowsRefusedError, naming the changes at fault (nothing was applied), or
        OvsUnreachableError (unknown: read back).
        """
        if not changes:
            return await self.read(read_back, addresses)
        bundle_id = next(self._xids)
        xids = [next(self._xids) for _ in range(len(changes) + 3)]
        opening, *adding, committing, barrier = xids
        reading = [next(self._xids) for _ in read_back]
        request = _Request([barrier, *reading])
        request.addresses = addresses
        messages = [bundle_control(opening, bundle_id, BundleControl.OPEN)]
        messages += [
            self._codec.bundle_add(xid, bundle_id, change)
            for xid, change in zip(adding, changes, strict=True)
        ]
        messages.append(bundle_control(committing, bundle_id, BundleControl.COMMIT))
        messages.append(frame(MessageType.BARRIER_REQUEST, barrier))
        messages += self._reads(reading, read_back)
        await self._exchange(request, [*xids, *reading], messages)
        if request.errors:
            refused = tuple((xid - adding[0], text) for xid, text in request.errors)
            culprits = tuple((i, text) for i, text in refused if 0 <= i < len(changes))
            reasons = [f"{text} at {changes[i]}" for i, text in culprits]
            reason = "; ".join(reasons) or request.errors[0][1]
            raise FlowsRefusedError(self.bridge, culprits, reason)
        return request.flows

    async def read(
        self, selection: Selection, addresses: list[AddressFlow] | None = None
    ) -> list[Flow]:
        """Read back all flows of a selection, as `apply` does.

        Raises OvsUnreachableError, OvsProtocolError.
        """
        if not selection:
            return []
        xids = [next(self._xids) for _ in selection]
        request = _Request(xids)
        request.addresses = addresses
        await self._exchange(request, xids, self._reads(xids, selection))
        if request.errors:
            raise OvsProtocolError(f"bridge {self.bridge}, read-back: {request.errors[0][1]}")
        return request.flows

    async def change_meters(self, changes: Sequence[MeterChange]) -> list[tuple[int, str]]:
        """Make, change and delete meters; (index, why) of each change that is refused.

        Raises OvsUnreachableError (unknown: read back).
        """
        xids = [next(self._xids) for _ in changes]
        barrier = next(self._xids)
        messages = [
            frame(MessageType.METER_MOD, xid, meter_mod(change))
            for xid, change in zip(xids, changes, strict=True)
        ]
        messages.append(frame(MessageType.BARRIER_REQUEST, barrier))
        request = _Request([barrier])
        await self._exchange(request, [*xids, barrier], messages)
        return [(xids.index(xid), text) for xid, text in request.errors if xid in xids]

    async def meters(self) -> dict[int, Rate | None]:
        """All meters of the bridge; none where OVS knows of none.

        Raises OvsUnreachableError, OvsProtocolError.
        """
        xid = next(self._xids)
        request = _Request([xid])
        await self._exchange(
            request, [xid], [frame(MessageType.MULTIPART_REQUEST, xid, config_request())]
        )
        return request.meters

    async def inject(self, frames: Iterable[tuple[int, bytes]]) -> None:
        """Send Ethernet frames through the flows as if they came in by a port, (ofport, frame).

        Nothing tells what became of them. Raises OvsUnreachableError.
        """
        if self._writer is None or not self.ready:
            raise OvsUnreachableError(f"not connected to bridge {self.bridge} at {self.path}")
        self._writer.write(b"".join(packet_out(next(self._xids), *each) for each in frames))

    async def send(self, frames: Iterable[tuple[int, bytes]]) -> None:
        """Send Ethernet frames out by a port, past the flows: (ofport, frame).

        Nothing tells what became of them. Raises OvsUnreachableError.
        """
        if self._writer is None or not self.ready:
            raise OvsUnreachableError(f"not connected to bridge {self.bridge} at {self.path}")
        self._writer.write(b"".join(packet_sent(next(self._xids), *each) for each in frames))

    async def echo(self) -> None:
        """Raise OvsUnreachableError unless ovs-vswitchd answers in time."""
        xid = next(self._xids)
        await self._exchange(_Request([xid]), [xid], [frame(MessageType.ECHO_REQUEST, xid)])

    def _reads(self, xids: Sequence[int], selection: Selection) -> list[bytes]:
        return [
            flow_stats_request(xid, cookie, mask)
            for xid, (cookie, mask) in zip(xids, selection, strict=True)
        ]

    async def _exchange(
        self, request: _Request, xids: Sequence[int], messages: Sequence[bytes]
    ) -> None:
        if self._writer is None or not self.ready:
            raise OvsUnreachableError(f"not connected to bridge {self.bridge} at {self.path}")
        self._requests.update(dict.fromkeys(xids, request))
        self._writer.write(b"".join(messages))
        try:
            async with asyncio.timeout(self._timeout_s) as request.limit:
                await request.done
        except TimeoutError:
            self._writer.close()
            raise OvsUnreachableError(
                f"bridge {self.bridge} did not answer within {self._timeout_s} s"
            ) from None
        finally:
            for xid in xids:
                self._requests.pop(xid, None)

    async def _session(self) -> None:
        reader, self._writer = await asyncio.open_unix_connection(str(self.path), limit=READ_BYTES)
        self._writer.write(frame(MessageType.HELLO, next(self._xids)))
        buffer = bytearray()
        while chunk := await self._read(reader):
            buffer += chunk
            at = 0
            while len(buffer) - at >= HEADER.size:
                version, kind, length, xid = HEADER.unpack_from(buffer, at)
                if length < HEADER.size:
                    raise OvsProtocolError(f"{self.path}: an OpenFlow message of {length} bytes")
                if len(buffer) - at < length:
                    break
                self._receive(version, kind, xid, bytes(buffer[at + HEADER.size : at + length]))
                at += length
            del buffer[:at]
        raise OvsUnreachableError(f"ovs-vswitchd closed {self.path}")

    async def _read(self, reader: asyncio.StreamReader) -> bytes:
        """Read a chunk: the hello must come in time, later silence is normal."""
        if self.ready:
            return await reader.read(READ_BYTES)
        try:
            async with asyncio.timeout(self._timeout_s):
                return await reader.read(READ_BYTES)
        except TimeoutError:
            raise OvsUnreachableError(f"no hello from {self.path}") from None

    def _receive(self, version: int, kind: int, xid: int, body: bytes) -> None:
        if kind == MessageType.HELLO:
            self._greet(version)
        elif kind == MessageType.ECHO_REQUEST:
            assert self._writer is not None
            self._writer.write(frame(MessageType.ECHO_REPLY, xid, body))
        elif kind == MessageType.PACKET_IN:
            self._hear(body)
        elif (request := self._requests.get(xid)) is not None:
            self._answer(request, kind, xid, body)
        elif kind == MessageType.ERROR:  # to no request of ours: to our hello
            raise OvsProtocolError(f"bridge {self.bridge} refuses OpenFlow 1.4: {error_text(body)}")

    def _greet(self, version: int) -> None:
        if version < VERSION:
            raise OvsProtocolError(
                f"bridge {self.bridge} speaks OpenFlow wire version {version} at most; set"
                " Bridge.protocols to contain OpenFlow14"
            )
        if self._on_packet is not None:
            assert self._writer is not None
            self._writer.write(packets_wanted(next(self._xids)))
        self._ready.set()
        self._on_ready(True)  # noqa: FBT003 - the callback's one argument

    def _hear(self, body: bytes) -> None:
        if self._on_packet is None or self._writer is None:
            return
        packet = read_packet_in(body)
        for frame_ in self._on_packet(packet):
            self._writer.write(packet_sent(next(self._xids), packet.ofport, frame_))

    def _answer(self, request: _Request, kind: int, xid: int, body: bytes) -> None:
        if kind == MessageType.ERROR:
            request.errors.append((xid, error_text(body)))
            request.end(xid)
        elif kind == MessageType.MULTIPART_REPLY and is_config(body):
            meters, more = read_config(body)
            request.meters |= meters
            if not more:
                request.end(xid)
        elif kind == MessageType.MULTIPART_REPLY:
            flows, more = self._codec.flow_stats(body, request.addresses)
            request.flows += flows
            request.goes_on(self._timeout_s)
            if not more:
                request.end(xid)
        elif kind in (MessageType.BARRIER_REPLY, MessageType.ECHO_REPLY):
            request.end(xid)

    def _close(self) -> bool:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        for request in self._requests.values():
            if not request.done.done():
                request.done.set_exception(
                    OvsUnreachableError(f"bridge {self.bridge} went during a request")
                )
        self._requests.clear()
        if not self.ready:
            return False
        self._ready.clear()
        self._on_ready(False)  # noqa: FBT003 - the callback's one argument
        return True
