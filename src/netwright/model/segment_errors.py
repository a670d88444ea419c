"""What can be wrong about segments: Neutron's names."""

from netwright.model.errors import BadRequest, Conflict, NotFound


class SegmentNotFound(NotFound):
    pass


class SegmentInUse(Conflict):
    """Subnets or bound ports are on it, or it is its network's own."""


class HostNotCompatibleWithFixedIps(Conflict):
    """A bound port is to have addresses of another segment than its host's."""


class NetworkIdsDontMatch(BadRequest):
    """The segment is another network's than the subnet."""


class SubnetsNotAllAssociatedWithSegments(BadRequest):
    """Of a network's subnets all are on segments, or none is."""


class SubnetSegmentAssociationChangeNotAllowed(BadRequest):
    """A subnet stays on its segment."""


class NoUpdateSubnetWhenMultipleSegmentsOnNetwork(BadRequest):
    """On which segment a subnet that there is already would be cannot be told."""


class FixedIpsSubnetsNotOnSameSegment(BadRequest):
    """A port's addresses are all of one segment."""
