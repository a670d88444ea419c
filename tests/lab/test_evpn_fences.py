"""A host that nobody can reach is fenced, and its address moves on: its leaves drop what it says.

The smallest fabric that can show it: a spine, a pair of leaves, three hosts on both.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.lab.evpn import Evpn, evpn_lab, small
from tests.lab.fenced import LEAVES, bindings, dropped, heard, port_of, reaches, speak, words_of

from netwright.fabric.config import Fenced
from netwright.lab import faults, migration, netns, probe
from netwright.lab.orchestrator import eventually
from netwright.model.resources import HostState
from netwright.model.states import BindingState

pytestmark = pytest.mark.lab

CONTROL = "link:mgmt-host1"
NOBODY = "10.150.0.77"
SILENT_S = 40.0
SOON_S = 20.0


@pytest.fixture(scope="module")
def evpn(lab_root: Path) -> Iterator[Evpn]:
    with evpn_lab(lab_root, "f", small(hosts=3)) as evpn:
        evpn.create_network("red", "10.150.0.0/24", "fd00:150::/64")
        yield evpn


def test_leaves_drop_what_a_fenced_host_still_says_until_it_is_clean(evpn: Evpn) -> None:
    moved, watcher = evpn.spawn("red", moved="host1", watcher="host3")
    old = str(netns.FOLDER / evpn.lab.namespace(f"vm-{moved.instance.id[:11]}"))
    words = words_of(moved.instance.mac, NOBODY)
    leaf = evpn.leaf_in_use("host1")

    # Its control is cut, and its data plane lives: silent is not dead, and all of it is heard.
    faults.fail(evpn.lab, CONTROL, silent=True)
    assert eventually(lambda: evpn.host("host1").state is HostState.UNKNOWN, SILENT_S)
    with heard(evpn, watcher.instance.id, "eth0", words) as before:
        speak(old, watcher, NOBODY)
    assert all(before), f"the watcher hears it while it is not fenced: {before}"
    assert not any(dropped(evpn, one, "host1") for one in LEAVES)

    fenced = evpn.cli("host", "fence", "host1", "--reason", "nobody reaches it")
    assert fenced.returncode == 0, fenced.stderr
    drop = Fenced(
        port_id=moved.instance.id,
        mac_address=moved.instance.mac,
        addresses=tuple(sorted((moved.address(), moved.address(6)))),
    )
    migration.receive(evpn.lab, "host2", moved.instance.id)
    evpn.nova.bind({moved.instance.id: "host2"})
    evpn.nova.await_status([moved])
    migration.resume(evpn.lab, moved.instance.id, "host2")
    for one in LEAVES:
        assert dropped(evpn, one, "host1") == (drop,), one

    # The old host speaks on: its leaf's port hears that, and nobody behind it does.
    with (
        heard(evpn, leaf, port_of(leaf, "host1"), words) as arrived,
        heard(evpn, watcher.instance.id, "eth0", words) as after,
        probe.pinging(evpn.lab, watcher.instance.id, moved.address(), count=100) as run,
    ):
        speak(old, watcher, NOBODY)
        lost = run.finish().lost
    assert all(arrived), f"the old host speaks: {arrived}"
    assert after == [0, 0, 0]
    assert lost == 0, "the address is where it moved to, all the while"

    # It comes back, and gives up what is no longer its own; what it is told last is that it may.
    faults.heal(evpn.lab, CONTROL)
    migration.finish(evpn.lab, moved.instance.id, "host2")
    assert eventually(
        lambda: bindings(evpn, moved.instance.id) == {"host2": BindingState.UP}, SOON_S
    )
    for one in LEAVES:
        assert dropped(evpn, one, "host1") == (drop,), "clean is what an operator says"
    unfenced = evpn.cli("host", "unfence", "host1")
    assert unfenced.returncode == 0, unfenced.stderr
    evpn.await_well()
    for one in LEAVES:
        assert dropped(evpn, one, "host1") == (), one
    evpn.nova.live_migrate(moved.instance.id, "host1")
    evpn.nova.await_status([moved])
    assert eventually(
        lambda: reaches(evpn, watcher, moved.address()), SOON_S
    )  # a move costs a few pings
