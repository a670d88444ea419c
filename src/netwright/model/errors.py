"""Errors that say whose fault they are.

An error is raised where the fact is known, with a message that says who, what and why, and `next`
that says what to do. Its class says whose `fault` it is and of which `category`; the one table
`HTTP_STATUS` / `EXIT_CODE` below turns categories into HTTP statuses and CLI exit codes.
"""

from enum import StrEnum
from typing import ClassVar, Self


class Fault(StrEnum):
    """Whose fault an error is; the native API carries it as `fault`."""

    CALLER = "caller"
    SERVER = "server"
    DEVICE = "device"
    CLOUD = "cloud"


class Category(StrEnum):
    INVALID = "invalid"
    UNAUTHENTICATED = "unauthenticated"
    DENIED = "denied"
    NOT_FOUND = "not found"
    CONFLICT = "conflict"
    STALE = "stale"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


HTTP_STATUS = {
    Category.INVALID: 400,
    Category.UNAUTHENTICATED: 401,
    Category.DENIED: 403,
    Category.NOT_FOUND: 404,
    Category.CONFLICT: 409,
    Category.STALE: 412,
    Category.UNAVAILABLE: 503,
    Category.INTERNAL: 500,
}

EXIT_CODE = {
    Category.INVALID: 2,
    Category.UNAUTHENTICATED: 5,
    Category.DENIED: 5,
    Category.NOT_FOUND: 3,
    Category.CONFLICT: 1,
    Category.STALE: 1,
    Category.UNAVAILABLE: 4,
    Category.INTERNAL: 1,
}


class NetwrightError(Exception):
    """The root of every error that a user may see.

    `type` is the name that clients map (the Networking API's `NeutronError.type`): the class's name
    unless the class says otherwise. `next` is what the reader can do about it.
    """

    fault: ClassVar[Fault] = Fault.SERVER
    category: ClassVar[Category] = Category.INTERNAL
    type: ClassVar[str] = "NetwrightError"

    def __init_subclass__(cls) -> None:
        if "type" not in cls.__dict__:
            cls.type = cls.__name__

    # `next` is the field's name in the native API's error body (INTERFACES).
    def __init__(self, message: str, *, next: str = "") -> None:  # noqa: A002
        super().__init__(message)
        self.message = message
        self.next = next

    def about(self, item: str) -> Self:
        """The error, of one item among many: its message says which."""
        self.message = f"{self.message} ({item})"
        self.args = (self.message,)
        return self


class CallerError(NetwrightError):
    fault = Fault.CALLER
    category = Category.INVALID


class InvalidInput(CallerError):
    """An attribute has a value that it cannot have; the message names the attribute."""


class HTTPBadRequest(CallerError):
    """The request's form is wrong: an unknown attribute or filter, or a body that is not JSON."""


class BadRequest(CallerError):
    """What is asked for can never be so. Neutron's name, as are those of its subclasses."""


class Unauthenticated(CallerError):
    """`challenge` is what the caller is asked for (RFC 9110, section 11.6.1)."""

    category = Category.UNAUTHENTICATED
    type = "HTTPUnauthorized"
    challenge = "Bearer"


class Denied(CallerError):
    category = Category.DENIED
    type = "PolicyNotAuthorized"


class NotFound(CallerError):
    category = Category.NOT_FOUND


class NetworkNotFound(NotFound):
    pass


class SubnetNotFound(NotFound):
    pass


class PortNotFound(NotFound):
    pass


class OperationNotFound(NotFound):
    pass


class PortBindingNotFound(NotFound):
    pass


class TenantQuotaNotFound(NotFound):
    """No limits were set for the project: it has the defaults."""


class TagResourceNotFound(NotFound):
    """What tags were asked about is not there."""


class TagNotFound(NotFound):
    pass


class HostNotFound(NotFound):
    pass


class SecurityGroupNotFound(NotFound):
    pass


class SecurityGroupRuleNotFound(NotFound):
    pass


class Conflict(CallerError):
    category = Category.CONFLICT


class NetworkInUse(Conflict):
    pass


class SubnetInUse(Conflict):
    pass


class HostInUse(Conflict):
    """The host's agent is heard, bindings stand there, or its leaves alone keep it silent."""


class VlanIdInUse(Conflict):
    """Two networks asked for one VLAN of one physical network."""


class TunnelIdInUse(Conflict):
    """Two networks asked for one VNI."""


class FlatNetworkInUse(Conflict):
    """Two flat networks asked for one physical network."""


class NoNetworkAvailable(Conflict):
    """No segment is left, or configured, for a network whose maker names none."""


class NoNetworkForLabels(Conflict):
    """No network that matches has a free address; the message names them, and why each is full."""


class IpAddressAlreadyAllocated(Conflict):
    pass


class IpAddressGenerationFailure(Conflict):
    """No address is left; the message says how many rest and when the next returns."""


class IpAddressGenerationFailureNoMatchingSubnet(IpAddressGenerationFailure):
    """The network's subnets are for other owners of ports."""


class MacAddressInUse(Conflict):
    pass


class MacAddressGenerationFailure(Conflict):
    pass


class IdInUse(Conflict):
    """An id that the caller chose is another resource's."""


class UniqueNameConflict(Conflict):
    pass


class PortBindingAlreadyExists(Conflict):
    pass


class PortBindingAlreadyActive(Conflict):
    pass


class PortBindingError(Conflict):
    """The host cannot serve the port, so that no binding is prepared there.

    Neutron answers 500 here; orchestrators tell success from anything else, and it is no fault of
    the server's (docs/adr/0017).
    """


class NetworkMTUSubnetConflict(Conflict):
    """An MTU below what a subnet's IP version needs."""


class OverQuota(Conflict):
    """The project has as many as it may have; the message names the resource."""


class InvalidIpForNetwork(CallerError):
    """An address was asked for that no subnet of the network holds."""


class InvalidIpForSubnet(CallerError):
    pass


class OverlappingAllocationPools(Conflict):
    pass


class OutOfBoundsAllocationPool(CallerError):
    pass


class GatewayConflictWithAllocationPools(Conflict):
    pass


class StaleEpoch(Conflict):
    """A report or heartbeat from an agent's earlier life: a newer one has registered since."""


class LeaseHeld(Conflict):
    """The lease has another holder, whom the message names."""


class StaleRevision(CallerError):
    """If-Match named a revision that is not the resource's (RFC 9110, 13.1.1)."""

    category = Category.STALE
    type = "RevisionNumberConstraintFailed"


class Unavailable(NetwrightError):
    """The server cannot answer now and nothing was changed; trying again later is right."""

    category = Category.UNAVAILABLE


class InternalError(NetwrightError):
    """A defect of ours; the log has the trace."""

    type = "InternalServerError"


class DeviceError(NetwrightError):
    """A switch refused, timed out, or hung up halfway; the message names it and what it was asked.

    What it was changing is read back before anything else is said of it.
    """

    fault = Fault.DEVICE
    category = Category.UNAVAILABLE
