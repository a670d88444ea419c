"""How many addresses ports hold in each subnet."""

from collections.abc import Mapping, Sequence

import msgspec

from netwright.db.transaction import Transaction
from netwright.model.resources import Subnet
from netwright.server.queries import SubnetUse

_decode = msgspec.json.Decoder(Subnet).decode


async def subnet_use(
    tx: Transaction, network_ids: Sequence[str]
) -> Mapping[str, Sequence[SubnetUse]]:
    """By network, in the order of the subnets' ids. Reads the allocations of these networks.

    An address that rests after its port is nobody's, and not counted.
    """
    bodies = await tx.rows(
        "SELECT body FROM subnet WHERE network_id = ANY($1) ORDER BY id", list(network_ids)
    )
    subnets = [_decode(body) for (body,) in bodies]
    counts = await tx.rows(
        "SELECT subnet_id, count(port_id) FROM allocation WHERE subnet_id = ANY($1) "
        "GROUP BY subnet_id",
        [subnet.id for subnet in subnets],
    )
    used = {str(subnet_id): int(number) for subnet_id, number in counts}
    found: dict[str, list[SubnetUse]] = {}
    for subnet in subnets:
        use = SubnetUse(subnet, used.get(subnet.id, 0))
        found.setdefault(subnet.network_id, []).append(use)
    return found
