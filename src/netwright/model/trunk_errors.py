"""What can be wrong about trunks: Neutron's names."""

from netwright.model.errors import Conflict, InvalidInput, NotFound


class TrunkNotFound(NotFound):
    pass


class ParentPortInUse(Conflict):
    """The port is in a trunk, or cannot be a trunk's parent where it is."""


class PortInUseAsTrunkParent(Conflict):
    pass


class PortInUseAsSubPort(Conflict):
    pass


class DuplicateSubPort(Conflict):
    """The trunk has a subport with this VLAN id."""


class TrunkDisabled(Conflict):
    pass


class TrunkInUse(Conflict):
    pass


class SubPortNotFound(NotFound):
    """The port is no subport of the trunk."""


class TrunkSubPortInvalid(InvalidInput):
    pass
