"""The own segments of networks that servers of an earlier version made or deleted meanwhile.

While servers are brought to another version one by one, those of the one before go on with tables
that they do not know (`migrations`, 0017). Whoever is started after the last of them puts it right.
"""

import msgspec
import structlog

from netwright.db.transaction import Transaction
from netwright.model.resources import Network
from netwright.model.segments import own_segment
from netwright.server.store import schema
from netwright.server.store.plain import row

_log = structlog.get_logger("netwright.server.store")
_network = msgspec.json.Decoder(Network).decode


async def complete_segments(tx: Transaction) -> None:
    """Each network has its own segment, and no other has one."""
    await tx.run(
        "DELETE FROM segment WHERE NOT EXISTS "
        "(SELECT 1 FROM network WHERE network.id = segment.network_id)"
    )
    lacking = await tx.rows(
        "SELECT body FROM network WHERE NOT EXISTS "
        "(SELECT 1 FROM segment WHERE segment.network_id = network.id)"
    )
    networks = [_network(body) for (body,) in lacking]
    found = [own_segment(one, one.created_at) for one in networks]
    sql = "SELECT segment_key, network_id FROM segment WHERE segment_key = ANY($1)"
    keys = [one.segment_key for one in found]
    taken: dict[str, str] = dict(await tx.rows(sql, keys)) if keys else {}
    for one in found:
        if holder := taken.get(one.segment_key):
            _log.warning(
                "an older server gave a network what is another's further segment",
                network=one.network_id,
                holder=holder,
                segment=one.segment_key,
                next="delete one of them",
            )
    free = [one for one in found if one.segment_key not in taken]
    await tx.insert(schema.segment, [row(schema.segment, one) for one in free])
