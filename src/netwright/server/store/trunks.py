"""Finds the trunks of ports that were loaded, and their other ports: who touches one sees all."""

from collections.abc import Iterable

from netwright.db.transaction import Transaction
from netwright.model.resources import Port
from netwright.model.trunks import Trunk
from netwright.server.needs import Needs
from netwright.server.store.plain import load_of
from netwright.server.world import World


def ports_of_trunks(world: World, needs: Needs) -> set[str]:
    """The ports of trunks that are named."""
    trunks = (world.of(Trunk).loaded(id_) for id_ in needs.plain.get(Trunk, ()))
    return {port_id for trunk in trunks if trunk is not None for port_id in trunk.ports}


async def load_trunks_of(tx: Transaction, world: World, ports: Iterable[Port]) -> set[str]:
    """The trunks that these ports are in; those of their ports that are not loaded."""
    ids = {port.trunk.trunk_id for port in ports if port.trunk is not None}
    if not ids:
        return set()
    await load_of(tx, world, Trunk, ids)
    trunks = (world.of(Trunk).loaded(id_) for id_ in ids)
    named = {port_id for trunk in trunks if trunk is not None for port_id in trunk.ports}
    return {port_id for port_id in named if world.ports.loaded(port_id) is None}
