"""What can be wrong about sharing: Neutron's names."""

from netwright.model.errors import Conflict, NotFound


class RbacPolicyNotFound(NotFound):
    pass


class RbacPolicyInUse(Conflict):
    """Others use what the policy lets them use."""


class DuplicateRbacPolicy(Conflict):
    """The resource is shared so already."""


class InvalidSharedSetting(Conflict):
    """A network is to be shared no more, and others have ports in it."""
