"""What runs in a node: OVS, a switch's bridge, a router's gateways, a host's installer."""
