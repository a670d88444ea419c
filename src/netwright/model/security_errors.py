"""What can be wrong with security groups and rules, by the Networking API's own type names."""

from netwright.model.errors import BadRequest, CallerError, Conflict, InvalidInput, NotFound


class SecurityGroupInUse(Conflict):
    """Ports are in the group."""


class AddressGroupNotFound(NotFound):
    pass


class AddressGroupInUse(Conflict):
    """Rules name the group."""


class AddressesNotFound(NotFound):
    pass


class AddressesAlreadyExist(BadRequest):
    pass


class SecurityGroupCannotRemoveDefault(Conflict):
    pass


class SecurityGroupCannotUpdateDefault(Conflict):
    pass


class SecurityGroupDefaultAlreadyExists(Conflict):
    """The name `default` is the project's default group's."""


class SecurityGroupRuleExists(Conflict):
    pass


class DuplicateSecurityGroupRuleInPost(Conflict):
    pass


class DefaultSecurityGroupRuleNotFound(NotFound):
    pass


class DefaultSecurityGroupRuleExists(Conflict):
    pass


class SecurityGroupNotSingleGroupRules(CallerError):
    pass


class SecurityGroupRulesNotSingleTenant(CallerError):
    pass


class SecurityGroupRuleInvalidProtocol(CallerError):
    pass


class SecurityGroupRuleInvalidEtherType(CallerError):
    pass


class SecurityGroupEthertypeConflictWithProtocol(CallerError):
    pass


class SecurityGroupRuleParameterConflict(CallerError):
    """The prefix is of another IP version than the rule's ethertype."""


class SecurityGroupRemoteGroupAndRemoteIpPrefix(CallerError):
    pass


class SecurityGroupProtocolRequiredWithPorts(CallerError):
    pass


class SecurityGroupInvalidProtocolForPort(CallerError):
    """A protocol without ports was given some."""


class SecurityGroupInvalidPortRange(CallerError):
    pass


class SecurityGroupInvalidPortValue(CallerError):
    pass


class SecurityGroupInvalidIcmpValue(CallerError):
    pass


class SecurityGroupMissingIcmpType(CallerError):
    pass


class InvalidCIDR(CallerError):
    pass


class PortSecurityPortHasSecurityGroup(Conflict):
    """Port security cannot be switched off while the port is in groups."""


class PortSecurityAndIPRequiredForSecurityGroups(CallerError):
    """A port without port security cannot be in groups."""


class AddressPairAndPortSecurityRequired(Conflict):
    pass


class DuplicateAddressPairInRequest(InvalidInput):
    pass
