"""What an ADD makes while the server answers: a device where the last one of its labels was.

    asked ─┬─▶ the server answers ─────────────────────┬─▶ as expected ─▶ only flows are lacking
           └─▶ veth, its end down ─▶ plugged in place ─┘   else: unmade, and made anew

The agent chooses the new port's id, after which the device is named. What is expected wrongly harms
nobody: a container's end is down until the server has answered and its flows stand, so nothing is
heard or said by it.
"""

from collections.abc import Callable
from typing import Protocol

from msgspec.structs import replace

from netwright.agent.cni import made
from netwright.agent.cni.abreast import wholly
from netwright.agent.cni.asked import Asked
from netwright.agent.cni.following import Following
from netwright.agent.cni.made import Fitting
from netwright.agent.cni.records import Record
from netwright.agent.wiring import NewDevice, Plugs
from netwright.model.resources import Port, Value
from netwright.model.wire import ContainerPort

LABELS_MAX = 1000
"""Of so many selectors it is remembered which network they chose."""


STEADY = 4
"""So many equal answers in a row are trusted again, once labels were answered otherwise."""


class Draft(Value, frozen=True, kw_only=True):
    """What is expected: a port of this id in this network, its device beside that of a port there.

    `fit` has neither MAC nor addresses.
    """

    network_id: str
    beside: str
    fit: Fitting

    @property
    def port_id(self) -> str:
        return self.fit.port_id

    def is_of(self, port: Port, fit: Fitting | None) -> bool:
        """Whether what was made for the draft is right for the port."""
        if fit is None:
            return False
        made_so = (self.network_id, self.fit.device, self.fit.mtu)
        return made_so == (port.network_id, fit.device, fit.mtu)


class Answered(Value, frozen=True, kw_only=True):
    """Which network labels were answered with last, and how often since it was another one.

    Of several networks the least filled is given: what came last comes next least of all.
    """

    network_id: str
    varied: bool = False
    in_a_row: int = 1

    @property
    def is_steady(self) -> bool:
        return not self.varied or self.in_a_row >= STEADY

    def then(self, network_id: str) -> "Answered":
        if network_id == self.network_id:
            return replace(self, in_a_row=self.in_a_row + 1)
        return Answered(network_id=network_id, varied=True)


class Removing(Protocol):
    async def remove(self, device: str, mark: str | None = None) -> None: ...


class Making(Protocol):
    async def made(self) -> None: ...


class Ahead:
    """`new_id` gives ids for ports. There is one draft at a time."""

    def __init__(
        self, following: Following, veths: Removing, plugs: Plugs, new_id: Callable[[], str]
    ) -> None:
        self._following = following
        self._veths = veths
        self._plugs = plugs
        self._new_id = new_id
        self._networks: dict[str, Answered] = {}
        self._draft: Draft | None = None

    def is_awaited(self, port_id: str) -> bool:
        """Whether a device may be here whose port the server has yet to tell of."""
        return self._draft is not None and self._draft.port_id == port_id

    def draft(self, asked: Asked, claim: ContainerPort) -> Draft | None:
        """What to make ahead; `over` ends it. None when nothing is expected.

        Only where the port is made for this container alone: one that has a name may be there.
        """
        answered = self._networks.get(claim.network_labels)
        if asked.template is not None or answered is None or self._draft is not None:
            return None
        network_id = answered.network_id
        beside = self._following.wired_in(network_id) if answered.is_steady else None
        if beside is None:
            return None
        fit = made.without_addresses(self._new_id(), beside.mtu)
        self._draft = Draft(
            network_id=network_id, beside=beside.port_id, fit=made.limited(fit, asked.bandwidth)
        )
        return self._draft

    async def plug(self, draft: Draft, record: Record, pair: Making) -> None:
        """As soon as the veth is made. Raises what `made` does, and WiringError.

        What is given up midway may be there.
        """
        await pair.made()
        await wholly(self._plugs.plug(device(record, draft.fit, beside=draft.beside)))

    async def unmake(self, draft: Draft) -> None:
        """Raises WiringError, or OSError, when something of it may be left."""
        await self._plugs.unplug(draft.fit.device)
        await self._veths.remove(draft.fit.device)

    def over(self, draft: Draft | None) -> None:
        if draft is not None and self._draft is draft:
            self._draft = None

    def chose(self, claim: ContainerPort, port: Port) -> None:
        """Remember which network the labels were answered with."""
        before = self._networks.get(claim.network_labels)
        if before is None:
            if len(self._networks) >= LABELS_MAX:
                self._networks.clear()
            now = Answered(network_id=port.network_id)
        else:
            now = before.then(port.network_id)
        self._networks[claim.network_labels] = now


def device(record: Record, fit: Fitting, *, beside: str = "") -> NewDevice:
    """The host's end, as it is plugged."""
    return NewDevice(
        name=fit.device,
        port_id=fit.port_id,
        mac_address=fit.mac_address,
        mtu=fit.mtu,
        owner=f"{record.container_id}@{record.ifname}",
        is_limited=fit.received is not None,
        beside=beside,
    )
