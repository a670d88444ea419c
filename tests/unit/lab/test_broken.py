"""How what is broken is named: as `fail` and `heal` take it."""

import pytest

from netwright.lab import faults, spec
from netwright.lab.broken import Fault, broken_cables
from netwright.lab.layout import Cable, End, lay_out

LAYOUT = lay_out(spec.preset("vlan"))
NODES = [node.name for node in LAYOUT.nodes]


def cable(lower: str, upper: str) -> Cable:
    (found,) = LAYOUT.cables_between(lower, upper)
    return found


def found(down: set[End], silent: set[End]) -> list[Fault]:
    return list(broken_cables(LAYOUT, down, silent))


def test_nothing_is_broken() -> None:
    assert found(set(), set()) == []
    assert found({End("host1", "bond0")}, set()) == []  # no cable's end


def test_a_machines_cable_is_its_nics() -> None:
    one = cable("host1", "tor1")
    assert found({one.upper}, set()) == [Fault("nic:host1/eth0", silent=False)]
    assert found(set(), {one.lower}) == [Fault("nic:host1/eth0", silent=True)]
    assert found({one.upper}, {one.lower}) == [Fault("nic:host1/eth0", silent=False)]


@pytest.mark.parametrize("one", LAYOUT.cables)
def test_every_fault_that_is_named_can_be_healed_by_that_name(one: Cable) -> None:
    (fault,) = found(set(), {one.upper})
    target = faults.parse(fault.what, NODES)
    if isinstance(target, faults.Link):
        assert LAYOUT.cables_between(target.one, target.other) == [one]
    else:
        assert isinstance(target, faults.Nic)
        assert LAYOUT.cable_at(target.node, target.interface) == one
