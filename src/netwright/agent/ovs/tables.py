"""The flow tables of the bridges as they were last read, and what changes them.

    unknown ──read all──▶ known ──applied, read back──▶ known
       ▲                    └──the connection ended, somebody flushed──▶ unknown
       └────────────────────────────────────────────────────────────────┘

What was changed is read back by its owners' cookies; remote groups' addresses, of which there may
be tens of thousands, are kept apart from all other flows (`address_sets`).
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence

from netwright.agent.ovs.actual import Actual, FlowsByCookie, Rows, by_cookie, renewed, reread
from netwright.agent.ovs.address_sets import (
    NO_ADDRESS_FLOWS,
    AddressFlow,
    AddressFlows,
    added,
    address_cookie,
    removed,
    with_found,
)
from netwright.agent.ovs.changes import AddressChange, FlowChange, FlowChanges
from netwright.agent.ovs.errors import FlowsRefusedError
from netwright.agent.ovs.flows import ADDRESS_COOKIE, ADDRESS_COOKIE_MASK, COOKIE_EXACT, Flow
from netwright.agent.ovs.meters import MeterChange, Meters
from netwright.agent.ovs.openflow import EVERYTHING, OpenFlowClient, Selection
from netwright.agent.ovs.outcome import Blame

READ_EACH_MAX = 8
"""Up to this many owners' flows are read back by their cookies, for more a bridge's whole table."""

ADDRESSES_AN_OWNER = 64
"""Reading one owner's flows by cookie costs about as much as reading so many addresses."""

BUNDLE_MAX = 1000
"""The most addresses' flows in one bundle: each is encoded while nothing else is done."""

ADDRESSES: Selection = [(ADDRESS_COOKIE, ADDRESS_COOKIE_MASK)]


class Tables:
    """What each connected bridge has; remote groups' addresses are `integration`'s alone."""

    def __init__(self, bridges: Mapping[str, OpenFlowClient], integration: str) -> None:
        self._bridges = bridges
        self._integration = integration
        self._flows: dict[str, FlowsByCookie] = {}
        self._addresses: AddressFlows = NO_ADDRESS_FLOWS
        self._meters: Meters = {}

    def unread(self) -> list[str]:
        """The bridges that are connected and not known."""
        return [
            name
            for name, client in self._bridges.items()
            if client.ready and name not in self._flows
        ]

    @property
    def known(self) -> frozenset[str]:
        return frozenset(self._flows)

    def actual(self, rows: Rows) -> Actual:
        return Actual(rows, dict(self._flows), self._addresses, self._meters)

    def forget(self, bridge: str) -> None:
        """Its flows are unknown from now on."""
        self._flows.pop(bridge, None)

    async def read(self, bridge: str) -> bool:
        """Read all that a bridge has; whether it is something else than was known."""
        addresses: list[AddressFlow] = []
        found = by_cookie(await self._bridges[bridge].read(EVERYTHING, addresses))
        before, addresses_before = self._flows.get(bridge), self._addresses
        meters_before = self._meters
        self._flows[bridge] = found if before is None else renewed(before, found)
        if bridge == self._integration:
            self._addresses = with_found(self._addresses, None, addresses)
            await self._read_meters()
        is_same = self._flows[bridge] is before and self._meters is meters_before
        return not is_same or self._addresses != addresses_before

    async def apply(self, changes: FlowChanges, blame: Blame) -> None:
        """One bundle a bridge; whoever OVS names as refused is left out of the next round."""
        for bridge, bundle in changes.items():
            if bridge not in self._flows:
                continue  # another ovs-vswitchd than the plan was made for: its ports are new
            client = self._bridges[bridge]
            selection = self._selection({change.flow.cookie for change in bundle})
            addresses: list[AddressFlow] = []
            try:
                found = await client.apply(bundle, read_back=selection, addresses=addresses)
            except FlowsRefusedError as error:
                for index, text in error.refused:
                    flow = bundle[index].flow
                    blame.flow(flow.cookie, f"{bridge}: {text} at {flow}")
                if not error.refused:
                    await _apply_each(client, bundle, blame)
                addresses.clear()
                found = await client.read(selection, addresses)
            self._remember(bridge, selection, found, addresses)

    async def change_meters(
        self, changes: Sequence[MeterChange], blame: Blame, *, add: bool
    ) -> None:
        """Put meters in place, or (not `add`) take away those that no flow leads through more."""
        chosen = [change for change in changes if (change.rate is not None) is add]
        if not chosen or self._integration not in self._flows:
            return
        for index, text in await self._bridges[self._integration].change_meters(chosen):
            blame.port(chosen[index].owner, f"{self._integration}: {text} at {chosen[index]}")
        await self._read_meters()

    async def _read_meters(self) -> None:
        found = await self._bridges[self._integration].meters()
        if found != self._meters:
            self._meters = found

    async def change_addresses(
        self, changes: Sequence[AddressChange], blame: Blame, *, add: bool, remove: bool
    ) -> None:
        """Put the addresses' flows in place, take away those that are none any more, or both."""
        if not changes or self._integration not in self._flows:
            return
        client = self._bridges[self._integration]
        keys = [change.key for change in changes]
        is_few = len(keys) <= READ_EACH_MAX
        selection = (
            [(cookie, COOKIE_EXACT) for cookie in sorted(set(map(address_cookie, keys)))]
            if is_few
            else ADDRESSES
        )
        found: list[AddressFlow] = []
        flows = _flows_of(changes, add=add, remove=remove)
        bundle = list(itertools.islice(flows, BUNDLE_MAX))
        if not bundle:
            return
        while bundle:
            following = list(itertools.islice(flows, BUNDLE_MAX))
            try:
                await client.apply(
                    bundle, read_back=() if following else selection, addresses=found
                )
            except FlowsRefusedError as error:
                blame.failures["remote groups"] = str(error)
                await client.read(selection, found)
                break
            bundle = following
        if self._integration in self._flows:
            self._addresses = with_found(self._addresses, keys if is_few else None, found)

    def _remember(
        self,
        bridge: str,
        selection: Selection,
        found: Sequence[Flow],
        addresses: Sequence[AddressFlow],
    ) -> None:
        known = self._flows.get(bridge)
        if known is None:
            return  # the connection ended; everything is read when it is back
        if selection != EVERYTHING:
            self._flows[bridge] = reread(known, {cookie for cookie, _ in selection}, found)
            return
        self._flows[bridge] = renewed(known, by_cookie(found))
        if bridge == self._integration:
            self._addresses = with_found(self._addresses, None, addresses)

    def _selection(self, cookies: set[int]) -> Selection:
        """Choose what to read back after changing these owners' flows."""
        addresses = sum(map(len, self._addresses))
        if len(cookies) > max(READ_EACH_MAX, addresses // ADDRESSES_AN_OWNER):
            return EVERYTHING
        return [(cookie, COOKIE_EXACT) for cookie in sorted(cookies)]


async def _apply_each(client: OpenFlowClient, bundle: Sequence[FlowChange], blame: Blame) -> None:
    """OVS refused without naming a flow: a bundle for each owner tells who it is."""
    for cookie in sorted({change.flow.cookie for change in bundle}):
        try:
            await client.apply([change for change in bundle if change.flow.cookie == cookie])
        except FlowsRefusedError as error:
            blame.flow(cookie, str(error))


def _flows_of(changes: Iterable[AddressChange], *, add: bool, remove: bool) -> Iterable[FlowChange]:
    for change in changes:
        if add:
            yield from added(change)
        if remove:
            yield from removed(change)
