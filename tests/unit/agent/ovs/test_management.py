"""Which `ip` commands the management address still needs."""

from netwright.agent.ovs.management import missing
from netwright.agent.ovs.wiring import Management

WANTED = Management("br-bond", "10.0.0.11/24", "10.0.0.1")


def test_a_new_bridge_gets_everything() -> None:
    links = [{"flags": ["BROADCAST"], "addr_info": []}]
    assert [" ".join(each) for each in missing(WANTED, links, [])] == [
        "link set br-bond up",
        "address replace 10.0.0.11/24 dev br-bond",
        "-4 route replace default via 10.0.0.1 dev br-bond metric 100",
    ]


def test_what_is_there_stays_untouched() -> None:
    others = [{"local": "10.0.0.11", "prefixlen": 24}, {"local": "192.0.2.1", "prefixlen": 24}]
    links = [{"flags": ["UP"], "addr_info": others}]
    assert missing(WANTED, links, [{"gateway": "10.0.0.1", "dev": "br-bond"}]) == ()


def test_an_ipv6_address_is_usable_at_once() -> None:
    links = [{"flags": ["UP"], "addr_info": []}]
    assert missing(Management("br-bond", "fd00::11/64", None), links, []) == (
        ("address", "replace", "fd00::11/64", "dev", "br-bond", "nodad"),
    )
