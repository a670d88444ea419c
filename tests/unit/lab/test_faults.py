"""What a fault expression means."""

import pytest

from netwright.lab import faults
from netwright.lab.errors import SpecError

NODES = ["tor1", "agg1", "host1", "rack-a", "rack-a-1"]


@pytest.mark.parametrize(
    ("what", "target"),
    [
        ("link:tor1-agg1", faults.Link("tor1", "agg1")),
        ("link:rack-a-rack-a-1", faults.Link("rack-a", "rack-a-1")),
        ("link:rack-a-1-tor1", faults.Link("rack-a-1", "tor1")),
        ("link:nobody-tor1", faults.Link("nobody", "tor1")),
        ("nic:host1/eth0", faults.Nic("host1", "eth0")),
        ("process:rack-a/ovs-vswitchd", faults.ProcessOf("rack-a", "ovs-vswitchd")),
        ("node:rack-a", faults.Whole("rack-a")),
    ],
)
def test_forms(what: str, target: faults.Target) -> None:
    assert faults.parse(what, NODES) == target


@pytest.mark.parametrize(
    "what",
    ["", "link:", "link:tor1", "nic:host1", "nic:/eth0", "process:host1/", "disk:host1/a", "node:"],
)
def test_anything_else_is_refused_with_the_forms(what: str) -> None:
    with pytest.raises(SpecError, match="link:A-B, nic:HOST/IF, process:NODE/NAME or node:SW"):
        faults.parse(what, NODES)
