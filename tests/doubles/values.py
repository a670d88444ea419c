"""Networks, ports and bindings for tests, with what matters given and the rest plain."""

from typing import Any

from netwright.model.resources import (
    Attachment,
    Binding,
    FixedIp,
    Network,
    NetworkType,
    Port,
    Segment,
    VifType,
)
from netwright.model.states import AttachmentState, BindingState

NETWORK_ID = "net-1"


def network(network_id: str = NETWORK_ID, **fields: Any) -> Network:
    segment = Segment(
        network_type=NetworkType.VLAN, physical_network="physnet1", segmentation_id=100
    )
    defaults: dict[str, Any] = {"segment": segment, "created_at": 0.0, "updated_at": 0.0}
    return Network(id=network_id, project_id="p", **(defaults | fields))


def port(port_id: str, *bindings: Binding, **fields: Any) -> Port:
    defaults: dict[str, Any] = {
        "network_id": NETWORK_ID,
        "mac_address": "fa:16:3e:00:00:01",
        "fixed_ips": (FixedIp(subnet_id="sub-1", ip_address="10.0.0.5"),),
        "generation": max((binding.generation for binding in bindings), default=0),
        "ever_bound": bool(bindings),
        "state_since": 0.0,
        "created_at": 0.0,
        "updated_at": 0.0,
    }
    return Port(id=port_id, project_id="p", bindings=bindings, **(defaults | fields))


def binding(
    host: str = "h1",
    state: BindingState = BindingState.PREPARING,
    generation: int = 1,
    **fields: Any,
) -> Binding:
    defaults: dict[str, Any] = {"active": True, "since": 0.0, "vif_type": VifType.OVS}
    return Binding(host=host, generation=generation, state=state, **(defaults | fields))


def fabric_network(network_id: str = NETWORK_ID, vni: int = 5000, **fields: Any) -> Network:
    segment = Segment(network_type=NetworkType.VXLAN, segmentation_id=vni)
    return network(network_id, **({"segment": segment, "mtu": 1450} | fields))


def attachment(
    vlan: int | None = 2000, network_id: str = NETWORK_ID, host: str = "h1", **fields: Any
) -> Attachment:
    defaults: dict[str, Any] = {"state": AttachmentState.WANTED, "since": 0.0, "vlan": vlan}
    return Attachment(network_id=network_id, host=host, **(defaults | fields))
