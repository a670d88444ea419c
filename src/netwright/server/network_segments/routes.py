"""Routes between a network's segments: each subnet's instances reach the others by its gateway.

They stand among a subnet's `host_routes`, which DHCP tells, and follow the network's subnets. Who
has given a route to the same prefix keeps it.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from netwright.model.resources import HostRoute, Subnet
from netwright.server.world import World


def reroute(world: World, network_id: str, before: Sequence[Subnet]) -> None:
    """Bring the routes up to date; `before`: the network's subnets as they were."""
    after = world.subnets_of(network_id)
    if not any(subnet.segment_id for subnet in (*before, *after)):
        return
    earlier = {subnet.id: subnet for subnet in before}
    for subnet in list(after):
        was = set(_to_peers(earlier[subnet.id], before) if subnet.id in earlier else ())
        own = [route for route in subnet.host_routes if route not in was]
        known = {route.destination for route in own}
        more = [one for one in _to_peers(subnet, after) if one.destination not in known]
        routes = (*own, *more)
        if routes != subnet.host_routes:
            revision = subnet.revision_number + (subnet == earlier.get(subnet.id))
            changed = replace(subnet, host_routes=routes, revision_number=revision)
            world.subnets.put(subnet.id, replace(changed, updated_at=world.now))


def _to_peers(subnet: Subnet, others: Sequence[Subnet]) -> tuple[HostRoute, ...]:
    if subnet.segment_id is None or subnet.gateway_ip is None:
        return ()
    return tuple(
        HostRoute(destination=one.cidr, nexthop=subnet.gateway_ip)
        for one in others
        if one.segment_id not in {None, subnet.segment_id} and one.ip_version == subnet.ip_version
    )
