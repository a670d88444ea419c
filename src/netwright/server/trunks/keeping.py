"""What keeps ports from being deleted while they are in a trunk."""

from netwright.model.resources import Port
from netwright.model.trunk_errors import PortInUseAsSubPort, PortInUseAsTrunkParent


def require_in_no_trunk(port: Port) -> None:
    """Raises PortInUseAsTrunkParent, PortInUseAsSubPort: a port in a trunk is not deleted."""
    place = port.trunk
    if place is None:
        return
    if place.parent_id is None:
        raise PortInUseAsTrunkParent(
            f"Port {port.id} is currently a parent port for trunk {place.trunk_id}.",
            next=f"openstack network trunk delete {place.trunk_id}",
        )
    raise PortInUseAsSubPort(
        f"Port {port.id} is currently a subport for trunk {place.trunk_id}.",
        next=f"openstack network trunk unset --subport {port.id} {place.trunk_id}",
    )
