"""What clients of DHCP on this host are answered, over a connection of its own to the bridge.

A port's flows hand what its client says to the agent, with the port's cookie; the answer goes out
by the very port where the question came in. So nobody is told another's data, whatever is asked.
While no agent runs nobody is answered, and nothing else happens: a lease is renewed at half its
time. A flood here does not hold up the connection by which flows are changed.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import structlog

from netwright.agent.dhcp import asked
from netwright.agent.dhcp.rates import Rates
from netwright.agent.dhcp.served import Served
from netwright.agent.ovs.openflow import OpenFlowClient
from netwright.agent.ovs.packet_in import PacketIn
from netwright.agent.ovs.pipeline import port_cookie
from netwright.agent.wiring import Endpoint

TOLD_EVERY_S = 60.0

log = structlog.get_logger(__name__)


class _Client(NamedTuple):
    port_id: str
    mac: bytes
    served: Served


class Answering:
    """`serve` says for whom; `run` answers them until it is cancelled."""

    def __init__(
        self,
        bridge: str,
        path: Path,
        *,
        rates: Rates | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bridge = OpenFlowClient(bridge, path, on_packet=self.answer)
        self._rates = rates or Rates()
        self._clock = clock
        self._clients: Mapping[int, _Client] = {}
        self._told_at: float | None = None

    async def run(self) -> None:
        await self._bridge.run()

    def serve(self, endpoints: Iterable[Endpoint]) -> None:
        """From now on these are answered, and no others."""
        self._clients = {
            port_cookie(one.port_id): _Client(one.port_id, _octets(one.mac_address), one.served)
            for one in endpoints
            if one.served is not None and one.admin_state_up
        }
        self._rates.keep({one.port_id: one for one in self._clients.values()})

    def answer(self, packet: PacketIn) -> tuple[bytes, ...]:
        """The frames for the port where the packet came in."""
        client = self._clients.get(packet.cookie)
        if client is None:
            return ()
        now = self._clock()
        if not self._rates.take(client.port_id, now):
            self._tell_of_flood(client.port_id, now)
            return ()
        try:
            found = asked.answer(client.served, client.mac, packet.frame)
        except ValueError as error:
            log.debug("dhcp.unreadable", port=client.port_id, why=str(error))
            return ()
        return () if found is None else (found,)

    def _tell_of_flood(self, port_id: str, now: float) -> None:
        """Once in a while, whoever it is."""
        if self._told_at is None or now - self._told_at >= TOLD_EVERY_S:
            self._told_at = now
            log.warning("dhcp.too_much_asked", port=port_id, unanswered=self._rates.refused)


def _octets(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))
