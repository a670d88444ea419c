"""The VLAN stage's core router: Linux forwards between VLANs, which an OVS bridge brings it.

    trunks ═ line card (OVS bridge) ─ access port of VLAN 103 ─ veth ─ `br0.103`, the gateway

A gateway on an interface that its owner made is *adopted*: it gets the addresses that the plan has,
and each of ours is named by an alternative name of the interface; the interface stays when it goes.
"""
