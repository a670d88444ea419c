"""Pod sandboxes of containerd, asked for as a kubelet does, on two hosts of one lab.

Each test ends what it made.
"""

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.lab.cni_runtime import Runtime, containers_ports, is_empty
from tests.lab.cri import DEFAULT, Containerd, Sandbox, conflist, run_as_ctr
from tests.lab.cri_wire import CallError

from netwright.client.networking import Collection, Networking
from netwright.lab import down, faults, netns, spec, start, up
from netwright.lab.nodes.host import cni_socket_path
from netwright.lab.orchestrator import Orchestrator, eventually

pytestmark = pytest.mark.lab

NETWORK, LABELS, SELECTOR = "blue", {"app": "pods"}, "app=pods"
SOON_S = 60.0

Runtimes = tuple[Containerd, Containerd]


@pytest.fixture(scope="module")
def nova(lab_root: Path) -> Iterator[Orchestrator]:
    """The preset `vlan`, with server and agents; network blue is labelled for containers."""
    name = "cri"
    try:
        lab = up.bring_up(spec.preset("vlan"), name, root=lab_root)
        orchestrator = start.start(lab)
        orchestrator.create_networks()
        network = str(orchestrator.network(NETWORK)["id"])
        labels = {"labels": LABELS}
        orchestrator.ask(
            lambda client: Networking(client).update(Collection.NETWORKS, network, labels)
        )
        yield orchestrator
    finally:
        down.take_down(name, lab_root)


@pytest.fixture(scope="module")
def runtimes(nova: Orchestrator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtimes]:
    with ExitStack() as stack:

        def made(host: str) -> Containerd:
            networks = {DEFAULT: conflist(nova.lab, host, SELECTOR)}
            one = Containerd(nova.lab, host, tmp_path_factory.mktemp(host), networks)
            stack.callback(one.end)
            return one

        yield made("host1"), made("host2")


def reaches(one: Containerd, container: str, address: str) -> bool:
    """Soon: ADD answers when its own host is wired."""
    ping = ("/bin/ping", "-c", "1", "-W", "2", address)
    return eventually(lambda: " 0% packet loss" in one.exec(container, *ping), SOON_S)


def ends(one: Containerd, sandbox: Sandbox) -> bool:
    """As a kubelet ends it; containerd has nothing left of any sandbox then."""
    one.stop(sandbox)
    one.stop(sandbox)
    one.remove(sandbox)
    return not one.sandboxes() and not any(one.namespaces.iterdir())


def test_pods_of_two_hosts_reach_each_other_and_leave_nothing(
    nova: Orchestrator, runtimes: Runtimes
) -> None:
    near, far = runtimes
    a, b = near.run("a"), far.run("b")
    container = near.container(a)
    for address in far.addresses(b):
        assert reaches(near, container, address)
    found = {(port["name"], port["device_id"]) for port in containers_ports(nova)}
    assert found == {("default/a", a.id), ("default/b", b.id)}  # of K8S_POD_* in CNI_ARGS
    assert ends(near, a)
    assert ends(far, b)
    assert eventually(lambda: is_empty(nova, "host1", "host2"), SOON_S)


def test_sandboxes_outlive_containerd_and_end_by_its_next_life(
    nova: Orchestrator, runtimes: Runtimes
) -> None:
    near, far = runtimes
    a, b = near.run("a"), far.run("b")
    container, address = near.container(a), far.addresses(b)[0]
    before = near.addresses(a)
    near.kill()
    assert len(containers_ports(nova)) == 2
    near.restart()
    assert near.addresses(a) == before
    assert reaches(near, container, address)
    assert ends(near, a)
    assert ends(far, b)
    assert eventually(lambda: is_empty(nova, "host1", "host2"), SOON_S)


def is_asked(one: Containerd) -> bool:
    """Its plugin runs: not yet loopback's, or no more."""
    pids = netns.processes_in([one.lab.namespace(one.host)])
    return any(runs(pid, one.plugins / "netwright") for pid in pids)


def runs(pid: int, program: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/exe").readlink() == program
    except OSError:  # it ended
        return False


def test_what_containerd_began_when_it_was_killed_ends_by_its_next_life(
    nova: Orchestrator, runtimes: Runtimes
) -> None:
    near, _ = runtimes
    with ThreadPoolExecutor(1) as pool:
        faults.fail(nova.lab, "process:host1/agent", silent=True)
        try:
            running = pool.submit(near.run, "a")
            assert eventually(lambda: is_asked(near), SOON_S)
            near.kill()
        finally:
            faults.heal(nova.lab, "process:host1/agent")
        with pytest.raises(CallError):
            running.result()
    near.restart()
    (left,) = near.sandboxes()
    assert ends(near, Sandbox(left, {}))
    assert eventually(lambda: is_empty(nova, "host1"), SOON_S)
    assert ends(near, near.run("a"))


def test_a_sandbox_fails_with_the_reason_while_the_agent_is_away(
    nova: Orchestrator, runtimes: Runtimes
) -> None:
    near, _ = runtimes
    socket = cni_socket_path(nova.lab, near.host)
    faults.fail(nova.lab, "process:host1/agent")
    try:
        with pytest.raises(CallError, match=f"the agent cannot be reached at {socket}"):
            near.run("a")
    finally:
        faults.heal(nova.lab, "process:host1/agent")
    served = Runtime(nova.lab, near.host, near.plugins / "netwright", SELECTOR)
    assert eventually(lambda: served.run("STATUS").code == 0, SOON_S)
    for left in near.sandboxes():  # newer ones keep it until its network could be ended
        near.call("RemovePodSandbox", pod_sandbox_id=left)
    a = near.run("a")
    (port,) = containers_ports(nova)
    assert port["device_id"] == a.id
    assert ends(near, a)
    assert eventually(lambda: is_empty(nova, "host1"), SOON_S)


def test_a_sandbox_whose_namespace_went_first_is_ended(
    nova: Orchestrator, runtimes: Runtimes
) -> None:
    near, _ = runtimes
    a = near.run("a")
    (namespace,) = near.namespaces.iterdir()
    subprocess.run(["umount", namespace], check=True, timeout=30)
    namespace.unlink()
    assert ends(near, a)  # CNI_NETNS is empty
    assert eventually(lambda: is_empty(nova, "host1"), SOON_S)


def test_a_container_of_ctr_ends_without_a_namespace_named(
    nova: Orchestrator, runtimes: Runtimes
) -> None:
    """Its network is ended when its process was: CNI_NETNS is empty."""
    near, _ = runtimes
    gateway = "10.101.0.1"
    said = run_as_ctr(near, f"{nova.lab.name}-one", "/bin/ping", "-c", "3", gateway)
    assert " 0% packet loss" in said
    assert eventually(lambda: is_empty(nova, "host1"), SOON_S)
