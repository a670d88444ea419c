"""Finds what decisions about QoS policies need, and writes which networks and ports have one."""

from collections.abc import Sequence

import msgspec

from netwright.db.transaction import Transaction
from netwright.model.qos import QosPolicy
from netwright.model.resources import Network, Port
from netwright.server.needs import Needs
from netwright.server.store import schema
from netwright.server.world import World

_policy = msgspec.json.Decoder(QosPolicy).decode


async def load_policies(tx: Transaction, world: World, needs: Needs) -> None:
    """Once those are loaded that are named: projects' default ones, and what has those that go."""
    rivalled = (world.of(QosPolicy).loaded(id_) for id_ in needs.rivalled_policies)
    needs.default_policies.update(one.project_id for one in rivalled if one is not None)
    if needs.default_policies:
        sql = "SELECT body FROM qos_policy WHERE default_of = ANY($1)"
        for (body,) in await tx.rows(sql, list(needs.default_policies)):
            policy = _policy(body)
            world.of(QosPolicy).load(policy.id, policy)
    for policy_id in needs.deleted_policies:
        # One more than the batch could take it from: whether there is any is what decides.
        most = len(needs.ports) + len(needs.changed_networks) + 1
        sql = "SELECT resource_id FROM qos_user WHERE policy_id = $1 LIMIT $2"
        found = await tx.rows(sql, policy_id, most)
        world.policy_users.load(policy_id, frozenset(id_ for (id_,) in found))


async def write_policy_users(tx: Transaction, world: World) -> None:
    """Which networks and ports came to have a policy, have another, or none."""
    if not (world.ports.is_touched or world.networks.is_touched):
        return
    changes: Sequence[tuple[str, Network | Port | None, Network | Port | None]] = (
        *world.networks.changed(),
        *world.ports.changed(),
    )
    puts, gone = [], []
    for id_, before, now in changes:
        had, has = policy_of(before), policy_of(now)
        if has is not None and has != had:
            puts.append((id_, has))
        elif has is None and had is not None:
            gone.append((id_,))
    await tx.delete(schema.qos_user, gone)
    await tx.upsert(schema.qos_user, puts)


def policy_of(value: Network | Port | None) -> str | None:
    """The policy that keeps a row for it; a deleted port that still withdraws keeps none."""
    if value is None or (isinstance(value, Port) and value.is_leaving):
        return None
    return value.qos_policy_id
