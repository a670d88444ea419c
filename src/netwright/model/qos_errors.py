"""What can be wrong about quality of service: Neutron's names."""

from netwright.model.errors import Conflict, NotFound


class QosPolicyNotFound(NotFound):
    pass


class QosRuleNotFound(NotFound):
    """The policy has no rule of this type and id."""


class QosRuleTypeNotFound(NotFound):
    pass


class QosPolicyInUse(Conflict):
    """Networks or ports have the policy."""


class QoSPolicyDefaultAlreadyExists(Conflict):
    """The project has another default policy."""


class QoSRulesConflict(Conflict):
    """The policy has a rule of this type and direction already."""


class QoSRuleParameterConflict(Conflict):
    """More would be guaranteed than is allowed."""
