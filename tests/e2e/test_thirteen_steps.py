"""Spawning an instance in thirteen steps (DESIGN), each from what was recorded while it happened.

The orchestrator is the real `openstack` command line, the switches are FRR. Each test prints its
steps with their times; none is judged: that is `python -m bench fabric_attach`'s.

A port without a host concerns no switch: of its creation the controller is told the place in the
log alone (5), and saves it (6) with whatever comes next. Where the device is plugged before the
port is bound, its host is known by then, and the fabric is made ready at once: 11 and 12 are then
before 10, never 13.
"""

import json
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.e2e import spawning
from tests.e2e.spawning import Cloud, place_of

from netwright.fabric.store import Step
from netwright.lab import faults, instances, probe
from netwright.lab.services import FABRIC_CONTROLLER
from netwright.lab.spec import MANAGEMENT_NODE
from netwright.model.resources import Transition
from netwright.model.states import AttachmentState, Event, Plane, PortState

pytestmark = pytest.mark.lab

METAL = "metal1"
PLUGGED = "network-vif-plugged completed"
CONTROLLER = f"process:{MANAGEMENT_NODE}/{FABRIC_CONTROLLER}"
_STEPS_OF_THE_CONTROLLER = ("told", "saved", "planned", "applied", "verified", "reported")


class Done(NamedTuple):
    """One of the thirteen steps: its number, what was done, who recorded it, when."""

    number: str
    what: str
    recorder: str
    at: float


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    # Short, since unix sockets are made below it; open to lldpcli, which is not root there.
    with tempfile.TemporaryDirectory(prefix="nwl-") as directory:
        root = Path(directory)
        root.chmod(0o711)
        with spawning.cloud(root, f"s{os.getpid()}") as made:
            yield made


@pytest.fixture
def breaking(cloud: Cloud) -> Iterator[list[str]]:
    """What a test halts it names here."""
    names: list[str] = []
    yield names
    for what in names:
        faults.heal(cloud.lab, what)


def test_a_virtual_machine(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    host, device, scheduled_at = "host1", str(uuid.uuid4()), time.time()
    port = cloud.create(device)
    created_place = cloud.place()
    instance = cloud.plug(host, port)
    cloud.until(lambda: _any(cloud.history(port["id"]), Event.DEVICE_SEEN))
    cloud.bind(host, port["id"])
    cloud.until_active(port["id"])
    cloud.until(lambda: PLUGGED in cloud.nova.heard_of(port["id"]))

    history, controllers = cloud.history(port["id"]), _first_of_each(cloud, host)
    begun = _begun(cloud, port, scheduled_at)
    (bound,) = cloud.requests("PUT", f"/v2.0/ports/{port['id']}")
    seen, wired = _entry(history, Event.DEVICE_SEEN), _entry(history, Event.PLANE_UP)
    bind, active = _entry(history, Event.BIND), _entry(history, to=PortState.ACTIVE)
    attachment = cloud.attachment(host)
    assert attachment is not None
    steps = [
        *begun,
        Done("8", "vNIC plugged into br-int", "OVSDB", cloud.plugged_at(host, instance)),
        Done("9", "agent sees the device", "port history", seen.at),
        Done("9", "underlay up", "port history", wired.at),
        Done("10", "host_id set", "port history", bind.at),
        *_controllers(controllers, attachment.since),
        *_ended(cloud, port["id"], active),
    ]
    _show(capsys, "a virtual machine", steps)

    assert _place_saved(controllers["saved"]) >= created_place  # 5, 6: past the port's creation
    assert (wired.actor, wired.plane) == (f"agent {host}", Plane.UNDERLAY)
    assert (bound.status, bind.at <= bound.answered_at) == (200, True)
    assert bind.to_state is PortState.WIRING
    at = {step.what: step.at for step in steps}
    _assert_order(at, "reply", "vNIC plugged into br-int", "agent sees the device", "host_id set")
    _assert_order(at, "agent sees the device", "underlay up", "ACTIVE")
    _assert_order(at, "host_id set", "ACTIVE")
    assert attachment.state is AttachmentState.UP
    _assert_both_planes_before(history, active, attachment.since)


def test_bare_metal(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    """Overlay only: nothing is plugged, no agent speaks."""
    end = instances.baremetal_port(cloud.lab, METAL)
    link = {"switch_info": end.node, "port_id": end.interface}
    profile = json.dumps({"local_link_information": [link]}, separators=(",", ":"))
    device, scheduled_at = str(uuid.uuid4()), time.time()
    port = cloud.create(device, f"--vnic-type baremetal --binding-profile {profile}")
    created_place = cloud.place()
    instances.attach_baremetal(cloud.lab, METAL, None, cloud.instance(port))
    cloud.bind(METAL, port["id"])
    cloud.until_active(port["id"])

    history, controllers = cloud.history(port["id"]), _first_of_each(cloud, METAL)
    bind, active = _entry(history, Event.BIND), _entry(history, to=PortState.ACTIVE)
    steps = [
        *_begun(cloud, port, scheduled_at),
        Done("10", "host_id set", "port history", bind.at),
        *_controllers(controllers, active.at),
        *_ended(cloud, port["id"], active),
    ]
    _show(capsys, "bare metal: no 8, no 9", steps)

    assert _place_saved(controllers["saved"]) >= created_place
    at = {step.what: step.at for step in steps}
    _assert_order(at, "reply", "host_id set", "controller is told of the host", "ACTIVE")
    assert [(one.event, one.plane) for one in history] == [
        (Event.BIND, None),
        (Event.PLANE_UP, Plane.OVERLAY),
    ]
    assert (active.actor, active.plane) == ("fabric", Plane.OVERLAY)
    assert f"{end.node}/{end.interface} untagged" in controllers["applied"].detail
    told = cloud.command("port", "history", port["id"])
    assert [one["event"] for one in told] == ["bind", "plane_up"]
    directory = str(cloud.controllers_directory)
    shown = cloud.command("fabric", "history", cloud.subject(METAL), "--state-directory", directory)
    # That the attachment is up is told as any news of it, perhaps before its report was answered.
    assert list(dict.fromkeys(one["event"] for one in shown)) == list(_STEPS_OF_THE_CONTROLLER)


def test_a_dead_controller_delays_12_never_7(
    cloud: Cloud, breaking: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    host, device, scheduled_at = "host3", str(uuid.uuid4()), time.time()
    breaking.append(CONTROLLER)
    faults.fail(cloud.lab, CONTROLLER, silent=True)
    port = cloud.create(device)  # 7: it is replied to
    created_place = cloud.place()
    instance = cloud.plug(host, port)
    cloud.bind(host, port["id"])
    cloud.until(lambda: _is_wired(cloud, port["id"]))
    assert cloud.status(port["id"]) == "BUILD"
    assert "fabric" in cloud.command("port", "explain", port["id"])["text"]
    assert cloud.saved_place() < created_place  # not told, and nothing is said to be
    assert cloud.controllers_steps(host) == []
    assert PLUGGED not in cloud.nova.heard_of(port["id"])

    healed_at = time.time()
    faults.heal(cloud.lab, CONTROLLER)
    cloud.until_active(port["id"])
    assert cloud.saved_place() > created_place
    history, controllers = cloud.history(port["id"]), _first_of_each(cloud, host)
    active = _entry(history, to=PortState.ACTIVE)
    steps = [
        *_begun(cloud, port, scheduled_at),
        Done("8", "vNIC plugged into br-int", "OVSDB", cloud.plugged_at(host, instance)),
        Done("9", "underlay up", "port history", _entry(history, Event.PLANE_UP).at),
        Done("10", "host_id set", "port history", _entry(history, Event.BIND).at),
        Done("", "controller goes on", "this test", healed_at),
        *_controllers(controllers, active.at),
        *_ended(cloud, port["id"], active),
    ]
    _show(capsys, "the controller halted meanwhile", steps)
    at = {step.what: step.at for step in steps}
    _assert_order(at, "reply", "underlay up", "controller goes on", "saved")
    assert (active.actor, active.plane) == ("fabric", Plane.OVERLAY)


def test_a_halted_agent_delays_9(
    cloud: Cloud, breaking: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    host, device, scheduled_at = "host2", str(uuid.uuid4()), time.time()
    agent = f"process:{host}/agent"
    breaking.append(agent)
    faults.fail(cloud.lab, agent, silent=True)
    port = cloud.create(device)
    instance = cloud.plug(host, port)
    cloud.bind(host, port["id"])
    cloud.until(lambda: _is_up(cloud, host))  # the overlay
    assert cloud.status(port["id"]) == "BUILD"
    assert not _any(cloud.history(port["id"]), Event.DEVICE_SEEN)

    healed_at = time.time()
    faults.heal(cloud.lab, agent)
    cloud.until_active(port["id"])
    history, controllers = cloud.history(port["id"]), _first_of_each(cloud, host)
    attachment = cloud.attachment(host)
    assert attachment is not None
    active = _entry(history, to=PortState.ACTIVE)
    steps = [
        *_begun(cloud, port, scheduled_at),
        Done("8", "vNIC plugged into br-int", "OVSDB", cloud.plugged_at(host, instance)),
        Done("10", "host_id set", "port history", _entry(history, Event.BIND).at),
        *_controllers(controllers, attachment.since),
        Done("", "agent goes on", "this test", healed_at),
        Done("9", "underlay up", "port history", active.at),
        *_ended(cloud, port["id"], active),
    ]
    _show(capsys, "the agent halted meanwhile", steps)
    at = {step.what: step.at for step in steps}
    # Here the port is bound before any device was seen: 10, 11, 12 in the design's own order.
    _assert_order(at, "host_id set", "controller is told of the host", "overlay up")
    _assert_order(at, "overlay up", "agent goes on", "ACTIVE")
    assert (active.actor, active.plane) == (f"agent {host}", Plane.UNDERLAY)
    assert probe.ping(cloud.lab, instance.id, _address_of(cloud, METAL)).received > 0


def _begun(cloud: Cloud, port: dict[str, object], scheduled_at: float) -> list[Done]:
    """Steps 1 to 4, and 7."""
    kept = cloud.port(str(port["id"]))
    request = cloud.requests("POST", "/v2.0/ports")[-1]
    assert request.status == 201
    assert kept.created_at <= request.answered_at
    assert (kept.device_id, kept.device_owner) == (port["device_id"], "compute:nova")
    assert kept.mac_address == port["mac_address"]
    gateways = {one.partition("/")[0] for one in cloud.gateways}
    assert set(cloud.instance(port).gateways) == gateways
    assert len(kept.fixed_ips) == len(gateways)  # one of each family
    return [
        Done("1, 2", "scheduled", "orchestrator", scheduled_at),
        # The line is written, and so reckoned from, a little after the reply.
        Done("3", "port asked for", "server's log", min(request.asked_at, kept.created_at)),
        Done("4", "IP, MAC, gateway allocated", "port", kept.created_at),
        Done("7", "reply", "server's log", request.answered_at),
    ]


def _controllers(steps: dict[str, Step], up_at: float) -> list[Done]:
    """Steps 5, 6, 11, 12; asserts their order."""
    ats = [steps[event].at for event in _STEPS_OF_THE_CONTROLLER]
    assert ats == sorted(ats)
    return [
        Done("5, 11", "controller is told of the host", "controller", steps["told"].at),
        Done("6", "saved", "controller", steps["saved"].at),
        Done("12", "planned", "controller", steps["planned"].at),
        Done("12", "applied, read back", "controller", steps["applied"].at),
        Done("12", "verified", "controller", steps["verified"].at),
        Done("12", "overlay up", "attachment", up_at),
        Done("12", "report acknowledged", "controller", steps["reported"].at),
    ]


def _ended(cloud: Cloud, port_id: str, active: Transition) -> list[Done]:
    def told() -> str:
        return " ".join(cloud.command("port", "explain", port_id)["nova"])

    cloud.until(lambda: PLUGGED in cloud.nova.heard_of(port_id))
    cloud.until(lambda: "Nova was told network-vif-plugged" in told())
    return [Done("13", "ACTIVE", "port history", active.at)]


def _first_of_each(cloud: Cloud, host: str) -> dict[str, Step]:
    """The controller's own steps: each event's first, once the last of them is written."""
    found: dict[str, Step] = {}

    def is_whole() -> bool:
        found.clear()
        for step in cloud.controllers_steps(host):
            found.setdefault(step.event, step)
        return found.keys() >= set(_STEPS_OF_THE_CONTROLLER)

    cloud.until(is_whole)
    return found


def _place_saved(saved: Step) -> int:
    return place_of(saved.detail.rpartition("cursor ")[2])


def _any(history: Sequence[Transition], event: Event) -> bool:
    return any(one.event == event for one in history)


def _is_wired(cloud: Cloud, port_id: str) -> bool:
    """Its underlay is up in the generation of its binding."""
    history = cloud.history(port_id)
    newest = max((one.generation or 0 for one in history), default=0)
    return _any(history, Event.BIND) and any(
        one.plane is Plane.UNDERLAY and one.event == Event.PLANE_UP and one.generation == newest
        for one in history
    )


def _is_up(cloud: Cloud, host: str) -> bool:
    attachment = cloud.attachment(host)
    return attachment is not None and attachment.state is AttachmentState.UP


def _entry(
    history: Sequence[Transition], event: Event | None = None, *, to: PortState | None = None
) -> Transition:
    """The first that is so."""
    return next(one for one in history if event in {None, one.event} and to in {None, one.to_state})


def _assert_order(at: dict[str, float], *names: str) -> None:
    ats = [at[name] for name in names]
    assert ats == sorted(ats), dict(zip(names, ats, strict=True))


def _assert_both_planes_before(
    history: Sequence[Transition], active: Transition, overlay_at: float
) -> None:
    underlay_at = max(
        one.at for one in history
        if one.plane is Plane.UNDERLAY and one.generation == active.generation
    )  # fmt: skip
    assert active.at >= max(underlay_at, overlay_at)


def _address_of(cloud: Cloud, host: str) -> str:
    """The IPv4 one of the only port on a host."""
    (row,) = cloud.openstack(f"port list --host {host}")
    addresses = [str(each["ip_address"]) for each in row["Fixed IP Addresses"]]
    return next(each for each in addresses if "." in each)


def _show(capsys: pytest.CaptureFixture[str], title: str, steps: Sequence[Done]) -> None:
    """In the order of time; milliseconds since step 3."""
    zero = next(step.at for step in steps if step.number == "3")
    lines = [f"{'step':<7}{'ms':>9}  {'what':<32} recorded by"]
    for step in sorted(steps, key=lambda each: each.at):
        ms = (step.at - zero) * 1e3
        lines.append(f"{step.number:<7}{ms:>9.1f}  {step.what:<32} {step.recorder}")
    with capsys.disabled():
        sys.stdout.write("\n".join(["\n", title, *lines, ""]))
