"""What can be wrong about routers: Neutron's names."""

from netwright.model.errors import BadRequest, Conflict, InvalidInput, NotFound


class RouterNotFound(NotFound):
    pass


class RouterInUse(Conflict):
    """The router has interfaces."""


class RouterInterfaceNotFound(NotFound):
    """The port is no interface of the router."""


class RouterInterfaceNotFoundForSubnet(NotFound):
    """The router has no interface in the subnet."""


class RouterInterfaceInUseByRoute(Conflict):
    """A static route leads over the interface."""


class InvalidRoutes(InvalidInput):
    """A next hop is in no subnet of the router, or is the router itself."""


class RoutesExhausted(BadRequest):
    pass


class SubnetMismatchForPort(BadRequest):
    """The port to be removed has no address in the subnet that is named beside it."""


class PortInUse(Conflict):
    """The port is another device's."""


class PortBound(Conflict):
    """The port is bound to a host, and a router's interface is on none."""


class ServicePortInUse(Conflict):
    """The port is a router's interface: it is removed from the router, not deleted."""


class UnsupportedPortDeviceOwner(Conflict):
    """What is asked of the port cannot be done to a router's interface."""


class GatewayIpInUse(Conflict):
    """A router's interface has the gateway's address, which therefore stays."""


class RouterInterfaceInUseByFloatingIP(Conflict):
    """A floating IP leads to a port over the interface."""


class RouterExternalGatewayInUseByFloatingIp(Conflict):
    """A floating IP comes in by the gateway."""


class ExternalNetworkInUse(Conflict):
    """Gateways and floating IPs are in the network, which therefore stays external."""


class FloatingIPNotFound(NotFound):
    pass


class ExternalGatewayForFloatingIPNotFound(NotFound):
    """No router leads from the port's subnet to the floating IP's network."""


class FloatingIPPortAlreadyAssociated(Conflict):
    """The port's address has a floating IP of that network already."""


class ExternalIpAddressExhausted(BadRequest):
    """The external network has no address of IPv4 to give."""
