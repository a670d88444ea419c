import msgspec
import pytest
from tests.unit.agent.ovs.simswitch import SimSwitch

from netwright.agent.ovs.wiring import Bond, Desired, HostWiring, PhysicalBridge
from netwright.agent.ovs.witness import uplink_states

WIRING = HostWiring((PhysicalBridge("br-bond", "physnet1", Bond(("nic0", "nic1"))),))


def switch(bfd: tuple[str, str], carrier: tuple[str, str] = ("up", "up")) -> SimSwitch:
    made = SimSwitch()
    made.converge(Desired(WIRING))
    for number in range(2):
        row = made.interface(f"nic{number}")
        made.interfaces[row.uuid] = msgspec.structs.replace(
            row,
            bfd_status={"state": bfd[number]},
            link_state=carrier[number],
            mac_in_use=f"02:00:00:00:00:0{number}",
        )
    bond = made.port("bond0")
    made.ports[bond.uuid] = msgspec.structs.replace(bond, bond_active_slave="02:00:00:00:00:01")
    return made


@pytest.mark.parametrize(
    ("bfd", "carrier", "up", "lost"),
    [
        (("up", "up"), ("up", "up"), True, False),
        (("up", "down"), ("up", "up"), True, True),
        (("up", "up"), ("down", "up"), True, True),
        (("down", "init"), ("up", "up"), False, True),
    ],
)
def test_a_path_is_verified_by_carrier_and_bfd(
    bfd: tuple[str, str], carrier: tuple[str, str], *, up: bool, lost: bool
) -> None:
    (state,) = uplink_states(WIRING, switch(bfd, carrier).rows())
    assert (state.bridge, state.port) == ("br-bond", "bond0")
    assert (state.up, state.redundancy_lost) == (up, lost)
    assert [member.active for member in state.members] == [False, True]
