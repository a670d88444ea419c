"""One pass: what the server wants → what to wire → what came of it → what to tell.

Each pass starts from the state as it is (mirror, devices, answers) and keeps nothing from the one
before. What stands is kept until a whole snapshot came, and swept only when all of it could be
read and every network that is needed is known (law 6).
"""

import asyncio
from collections.abc import Mapping

from netwright.agent.desired import NOWHERE, Before, Desired, desired
from netwright.agent.dhcp.served import WhereServed
from netwright.agent.groups import NO_GROUPS, KnownGroups
from netwright.agent.placing import FabricUplink
from netwright.agent.reports import Statement, silenced, statements
from netwright.agent.wiring import Wired, Wiring, WiringError
from netwright.client.mirror import Mirror
from netwright.model.resources import Attachment, Network, Port, PortFence, Subnet, Value
from netwright.model.wire import Report

APPLY_S_MAX = 60.0


class Pass(Value, frozen=True, kw_only=True):
    """What a pass found, by port id: the server's ports at `cursor`, and the truth about them.

    `desired` is made of `ports`, `networks`, `subnets`, `attachments` (by network id), `known` and
    `fences` alone; the latter are the ports that this host's leaves drop.
    """

    cursor: str
    ports: dict[str, Port]
    networks: dict[str, Network]
    subnets: Mapping[str, Subnet] = {}
    attachments: dict[str, Attachment]
    known: KnownGroups
    fences: tuple[PortFence, ...] = ()
    desired: Desired
    was_swept: bool
    wired: Wired
    stated: dict[str, Statement]
    silenced: Mapping[str, Report] = {}

    @property
    def settled(self) -> bool:
        """Whether nothing stands that should not, and all that is bound here is understood."""
        return not self.wired.standing and not self.desired.waiting

    @property
    def unfinished(self) -> bool:
        """Whether the data plane may come further when it is tried again, though nothing changes.

        A device that is refused may be taken later.
        """
        outcomes = self.wired.outcomes.values()
        return bool(self.wired.standing) or any(not one.status.stands for one in outcomes)


async def reconcile(
    host: str,
    physical_networks: frozenset[str],
    mirror: Mirror,
    wiring: Wiring,
    *,
    fabric: FabricUplink | None = None,
    where_served: WhereServed = NOWHERE,
    known: KnownGroups = NO_GROUPS,
    last: Pass | None,
    moved: bool,
) -> Pass | None:
    """Make one pass; None while the mirror is incomplete. Raises WiringError.

    What `last` made of the same ports, networks and attachments is not made again. `moved` says
    whether the data plane has told of a change since. If not, and `last` left nothing undone, and
    the same is desired now, what it found still holds, and nothing is applied: that a port which
    was wired ahead is bound now costs no reading back of five hundred others.
    """
    if not mirror.complete or mirror.cursor is None:
        return None
    cursor, ports, networks = mirror.cursor, dict(mirror.ports), dict(mirror.networks)
    subnets = dict(mirror.subnets)
    attachments = {one.network_id: one for one in mirror.attachments.values() if one.host == host}
    itself = mirror.hosts.get(host)
    fences = itself.port_fences if itself is not None else ()
    before = None
    if (
        last is not None
        and (last.networks, last.subnets) == (networks, subnets)
        and last.attachments == attachments
        and _are_the_same_rules(last.known, known)
    ):
        before = Before(ports=last.ports, desired=last.desired)
    if last is not None and before is not None and (before.ports, last.fences) == (ports, fences):
        wanted = before.desired
    else:
        wanted = desired(
            host,
            physical_networks,
            ports,
            networks,
            known,
            attachments=attachments,
            fabric=fabric,
            fenced=frozenset(one.port_id for one in fences),
            subnets=subnets,
            where_served=where_served,
            before=before,
        )
    known_to_come = last.desired.arriving.keys() if last is not None else frozenset[str]()
    if coming := [each for id_, each in wanted.arriving.items() if id_ not in known_to_come]:
        await wiring.announce_ahead(coming)
    sweep = not mirror.broken and not wanted.waiting
    if last is not None and not moved and _holds(last, wanted, known, sweep=sweep):
        wired = last.wired
    else:
        wired = await _apply(host, wiring, wanted, known, sweep=sweep)
    stated = statements(host, ports, wanted, wired)
    return Pass(
        cursor=cursor,
        ports=ports,
        networks=networks,
        subnets=subnets,
        attachments=attachments,
        known=known,
        fences=fences,
        desired=wanted,
        was_swept=sweep,
        wired=wired,
        stated=dict(stated),
        silenced=silenced(fences, wanted, wired),
    )


def _are_the_same_rules(one: KnownGroups, other: KnownGroups) -> bool:
    """Whether they differ in members alone, of which `desired` is not made."""
    known, others = (one.synced, one.members_of), (other.synced, other.members_of)
    return one.groups is other.groups and known == others


def _holds(last: Pass, wanted: Desired, known: KnownGroups, *, sweep: bool) -> bool:
    is_same = (
        last.was_swept == sweep
        and last.desired.endpoints == wanted.endpoints
        and last.known.memberships is known.memberships
    )
    return is_same and not last.unfinished


async def _apply(
    host: str, wiring: Wiring, wanted: Desired, known: KnownGroups, *, sweep: bool
) -> Wired:
    try:
        async with asyncio.timeout(APPLY_S_MAX):
            return await wiring.apply(wanted.endpoints, sweep=sweep, memberships=known.memberships)
    except TimeoutError:
        raise WiringError(
            f"The data plane of host {host} took longer than {APPLY_S_MAX:g} s for one change.",
            next="Look at ovs-vswitchd's load and log on the host; the agent tries again.",
        ) from None
