"""What can be wrong about trunks: Neutron's names."""

from netwright.model.errors import Conflict, InvalidInput, NotFound


class TrunkNotFound(NotFound):
    pass


class SubPortNotFound(NotFound):
    """The port is no subport of the trunk."""


class ParentPortInUse(Conflict):
    """The port is another trunk's parent."""


class TrunkPortInUse(Conflict):
    """The port is a subport."""


class PortInUseAsTrunkParent(Conflict):
    """The port is not deleted while it is a trunk's parent."""


class PortInUseAsSubPort(Conflict):
    """The port is not deleted while it is a trunk's subport."""


class DuplicateSubPort(Conflict):
    """The trunk has a subport with this VLAN id."""


class SubPortMtuGreaterThanTrunkPortMtu(Conflict):
    """The subport's network carries longer frames than the parent's."""


class SubPortBindingError(InvalidInput):
    """The subport's network has no VLAN id to be inherited."""


class TrunkDisabled(Conflict):
    """A trunk that is administratively down is not changed."""
