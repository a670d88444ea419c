"""Aliases that neutron-lib knows and we do not announce, and why."""

from collections.abc import Mapping

_PLANNED = "planned"
_ELSEWHERE = "not planned"

_WHY: Mapping[tuple[str, str], tuple[str, ...]] = {
    (_PLANNED, "more of gateways and floating IPs"): (
        *("subnet-external-network", "router-enable-snat", "floating-ip-router-writable"),
        *("floatingip-autodelete-internal",),
    ),
    (_PLANNED, "forwarding of single ports of a floating IP, which borders do not translate yet"): (
        *("floating-ip-port-forwarding", "floating-ip-port-forwarding-description"),
        *("floating-ip-port-forwarding-detail", "floating-ip-port-forwarding-port-ranges"),
        "expose-port-forwarding-in-fip",
    ),
    (_PLANNED, "more of QoS: of floating IPs and gateways, and other ways to ask"): (
        *("qos-fip", "qos-fip-network-policy", "qos-gateway-ip", "qos-port-network-policy"),
        *("qos-rule-type-filter", "qos-rules-alias"),
        *("port-resource-request", "port-resource-request-groups"),
    ),
    (_PLANNED, "a DNS server that is told names of ports; they are attributes so far"): (
        *("dns-integration-domain-keywords", "subnet-dns-publish-fixed-ip"),
    ),
    (_PLANNED, "subnets taken into a pool"): ("subnet_onboard",),
    (
        _PLANNED,
        "how many addresses of each network's pools are used; those of its subnets are told",
    ): ("network-ip-availability-details",),
    (_PLANNED, "hints that an instance's device is set up by"): (
        *("port-hints", "port-hint-ovs-tx-steering", "port-device-profile"),
        *("port-numa-affinity-policy", "port-numa-affinity-policy-socket"),
        *("port-hardware-offload-type", "port-trusted-vif"),
    ),
    (_PLANNED, "MACs of bare metal, which its NICs have"): ("port-mac-override",),
    (_PLANNED, "filters and defaults of security groups"): (
        "security-groups-rules-belongs-to-default-sg",
        "security-groups-default-statefulness",
    ),
    (_PLANNED, "a network per project, made when it is first asked for"): (
        *("auto-allocated-topology", "project-default-networks"),
    ),
    (_ELSEWHERE, "a network goes when its subnets and ports are gone, which clients see to"): (
        "network-cascade-delete",
    ),
    (_ELSEWHERE, "there are no L3 or DHCP agents to schedule: gateways are the fabric's leaves"): (
        *(
            "dhcp_agent_scheduler",
            "l3-agent-scheduler-ha-chassis-priority",
            "agent-resources-synced",
        ),
        *("dvr", "l3-ha", "floating-ip-distributed", "router-admin-state-down-before-update"),
        *("network_ha", "l3-port-ip-change-not-allowed", "local_ip"),
    ),
    (_ELSEWHERE, "the fabric routes by ECMP and BFD of its own"): (
        *("ecmp_routes", "enable-default-route-bfd", "enable-default-route-ecmp"),
        "external-gateway-multihoming",
    ),
    (_ELSEWHERE, "the fabric's BGP is the controller's, and is not the API's to set"): (
        *("bgp", "bgp_4byte_asn", "bgp_dragent_scheduler", "bgpvpn", "bgpvpn-routes-control"),
        *("bgpvpn-vni", "rbac-bgpvpn", "standard-attr-bgpvpn", "evpn", "ovn-bgp"),
        *("standard-attr-bgpvpn-network-association", "standard-attr-bgpvpn-port-association"),
        "standard-attr-bgpvpn-router-association",
    ),
    (_ELSEWHERE, "VLANs within VLANs, and private VLANs"): ("vlan-transparent", "qinq", "pvlan"),
    (_ELSEWHERE, "VNIs and VLANs are the configuration's (`vlan_ranges`, `vni_ranges`)"): (
        "network-segment-range",
    ),
    (_ELSEWHERE, "packets per second are not limited"): (
        *("qos-pps", "qos-pps-minimum", "qos-pps-minimum-rule-alias"),
    ),
    (_ELSEWHERE, "services that are no part of a data center's network here"): (
        *("fwaas_v2", "standard-attr-fwaas-v2", "vpnaas", "vpn-aes-ccm-gcm", "vpn-aes-ctr"),
        *("vpn-endpoint-groups", "vpn-flavors", "vpn-no-sha1-3des", "service-type", "flavors"),
        *("router-service-type", "l3-flavors", "sfc", "flow_classifier", "taas"),
        *("taas-vlan-filter", "tap-mirror", "tap-mirror-both-direction", "logging", "metering"),
        *("metering_source_and_destination_fields", "l3-conntrack-helper"),
        *("expose-l3-conntrack-helper", "l3-ndp-proxy", "l3-ext-ndp-proxy"),
    ),
}

WHY: Mapping[str, tuple[str, str]] = {
    alias: (standing, reason) for (standing, reason), aliases in _WHY.items() for alias in aliases
}
"""By alias: whether it is planned, and why it is not announced."""
