"""A bridge that ovs-vswitchd could not make: told with what to do, and mended by configuration."""

import msgspec
from tests.unit.agent.ovs.simswitch import SimSwitch

from netwright.agent.ovs.base_plan import base_changes
from netwright.agent.ovs.changes import SetColumns
from netwright.agent.ovs.wiring import Desired, HostWiring

WITHOUT_MODULE = HostWiring((), datapath_type="system")
USERSPACE = HostWiring((), datapath_type="netdev")


def unmade() -> SimSwitch:
    """br-int as it is after ovs-vswitchd found no kernel module: a row, and nothing behind it."""
    switch = SimSwitch()
    switch.converge(Desired(WITHOUT_MODULE, (), in_sync=True))
    local = switch.interface("br-int")
    switch.interfaces[local.uuid] = msgspec.structs.replace(local, ofport=None)
    return switch


def test_a_bridge_that_stands_is_no_problem() -> None:
    switch = SimSwitch()
    switch.converge(Desired(WITHOUT_MODULE, (), in_sync=True))
    assert base_changes(WITHOUT_MODULE, switch.rows()) == ((), ())
    # … and is never given another datapath, whatever is configured by now.
    assert base_changes(USERSPACE, switch.rows()) == ((), ())


def test_one_that_was_not_made_says_where_to_look_and_what_to_set() -> None:
    rows, (problem,) = base_changes(WITHOUT_MODULE, unmade().rows())
    assert rows == ()
    assert problem.subject == "br-int"
    assert problem.cause == (
        "ovs-vswitchd has not made the bridge with datapath_type system; its log"
        " (ovs-vswitchd.log) says why: load the kernel's openvswitch module, or set"
        " datapath_type = netdev in [agent]"
    )


def test_the_configured_datapath_is_given_to_one_that_was_not_made() -> None:
    rows = unmade().rows()
    bridge = rows.bridge("br-int")
    assert bridge is not None
    wanted = {"datapath_type": "netdev"}
    changes, _ = base_changes(USERSPACE, rows)
    assert changes == (SetColumns("Bridge", bridge.uuid, "br-int", wanted),)
