"""How an element of a switch is called in a message. Pure."""

from netwright.fabric.changes import Change
from netwright.fabric.config import Interface, Route, Segment, VlanGateway, Vrf


def element_words(change: Change) -> str:
    """The verb, the element, and the network, VPC or interface that it is for."""
    element = change.before if change.after is None else change.after
    match element:
        case Vrf(name=name, router_id=router):
            words = f"VRF {name} (router {router})"
        case Segment(vni=vni, network_id=network):
            words = f"VNI {vni} (network {network})"
        case Interface(name=name):
            words = f"interface {name}"
        case VlanGateway(interface=name, network_id=network):
            words = f"gateway {name} (network {network})"
        case Route(destination=destination):
            words = f"route to {destination}"
        case _:
            words = "nothing"
    return f"{change.verb} {words}"
