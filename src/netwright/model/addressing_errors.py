"""What can be wrong about address scopes and subnet pools: Neutron's names."""

from netwright.model.errors import BadRequest, Conflict, NotFound


class AddressScopeNotFound(NotFound):
    pass


class AddressScopeInUse(Conflict):
    """Subnet pools are in the scope."""


class AddressScopeUpdateError(BadRequest):
    pass


class AddressScopePrefixConflict(Conflict):
    """Two pools of one scope would hold the same address."""


class NetworkAddressScopeAffinityError(BadRequest):
    """A network's subnets of one IP version would be in different scopes."""


class SubnetPoolNotFound(NotFound):
    pass


class SubnetPoolDeleteError(BadRequest):
    """Subnets have their prefixes of the pool."""


class SubnetPoolQuotaExceeded(Conflict):
    """The project would hold more of the pool than the pool's default_quota."""


class SubnetAllocationError(Conflict):
    """The pool has no such prefix free. Neutron answers 500, as if it were the server's fault."""


class MinPrefixSubnetAllocationError(BadRequest):
    pass


class MaxPrefixSubnetAllocationError(BadRequest):
    pass


class NetworkSubnetPoolAffinityError(BadRequest):
    """A network's subnets of one IP version would come from different pools."""


class EmptySubnetPoolPrefixList(BadRequest):
    pass


class PrefixVersionMismatch(BadRequest):
    """IPv4 and IPv6 prefixes in one pool."""


class IllegalSubnetPoolPrefixBounds(BadRequest):
    pass


class IllegalSubnetPoolPrefixUpdate(BadRequest):
    """Prefixes of a pool only become more."""


class IllegalSubnetPoolIpVersionAssociationToAddressScope(BadRequest):
    pass


class IllegalSubnetPoolUpdate(BadRequest):
    pass


class AvailabilityZoneNotFound(NotFound):
    """A zone that no switch of the inventory is in."""
