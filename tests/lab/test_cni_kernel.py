"""Containers' veths in real namespaces, without Open vSwitch: made, read back, removed."""

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from netwright.agent.cni.asked import Bandwidth
from netwright.agent.cni.kernel import Kernel
from netwright.agent.cni.made import Address, Fitting, Way, limited
from netwright.agent.cni.namespaces import NamespaceGoneError, NamespaceUnfitError
from netwright.agent.cni.pairs import InterfaceExistsError
from netwright.lab import netns, processes
from netwright.linux.netlink import RefusedError

pytestmark = pytest.mark.lab

DEVICE = f"nwct{os.getpid() % 10**8}"
FIT = Fitting(
    port_id="p",
    device=DEVICE,
    mac_address="fa:16:3e:00:00:01",
    mtu=1400,
    addresses=(
        Address(address="10.9.0.5/24", gateway="10.9.0.1"),
        Address(address="fd00:9::5/64", gateway="fd00:9::1"),
    ),
    ways=(
        Way(destination="0.0.0.0/0", nexthop="10.9.0.1"),
        Way(destination="192.0.2.0/24", nexthop="10.9.0.9"),
        Way(destination="::/0", nexthop="fd00:9::1"),
    ),
)
KERNEL = Kernel(checksums=False)


@pytest.fixture
def container() -> Iterator[str]:
    """A namespace as a runtime may make it: without IPv6."""
    name = f"nwct-{os.getpid()}"
    netns.create([name])
    netns.run_in(name, _turn_ipv6_off)
    yield name
    netns.delete([name])
    asyncio.run(KERNEL.remove(DEVICE))


def _turn_ipv6_off() -> None:
    for which in ("all", "default"):
        Path(f"/proc/sys/net/ipv6/conf/{which}/disable_ipv6").write_text("1")


def path(name: str) -> str:
    return str(netns.FOLDER / name)


def inside(name: str, *argv: str) -> Any:
    return json.loads(processes.run(name, ["ip", "-json", *argv]))


MARK = "netwright container c"


async def make(name: str, fit: Fitting = FIT, ifname: str = "eth0") -> str:
    async with KERNEL.pair(fit, path(name), ifname, MARK) as pair:
        await pair.made()
        pair.furnish(fit)
        return await pair.furnished()


def is_here() -> bool:
    return Path("/sys/class/net", DEVICE).exists()


async def test_an_interface_has_all_that_it_is_to_have(container: str) -> None:
    await make(container)
    (link,) = inside(container, "address", "show", "dev", "eth0")
    assert (link["address"], link["mtu"]) == (FIT.mac_address, 1400)
    found = {f"{one['local']}/{one['prefixlen']}": one for one in link["addr_info"]}
    assert {one.address for one in FIT.addresses} <= found.keys()
    assert not found["fd00:9::5/64"].get("tentative")  # usable at once
    features = processes.run(container, ["ethtool", "-k", "eth0"])
    assert "tx-checksum-ip-generic: off" in features
    (host,) = json.loads(await _here("ip", "-json", "-details", "address", "show", DEVICE))
    assert Path("/sys/class/net", DEVICE, "ifalias").read_text().strip() == MARK
    assert host["mtu"] == 1400
    assert host["addr_info"] == []  # it only forwards: the kernel says nothing there
    assert {"UP", "LOWER_UP", "PROMISC"} <= set(host["flags"])
    (own,) = inside(container, "-details", "link", "show", "dev", "eth0")
    queues = [one[which] for one in (host, own) for which in ("num_tx_queues", "num_rx_queues")]
    assert queues == [1, 1, 1, 1]  # of more the kernel takes the rest away, and waits for RCU
    (loopback,) = inside(container, "link", "show", "dev", "lo")
    assert "UP" in loopback["flags"]
    seen = await KERNEL.read(path(container), "eth0")
    assert seen is not None
    assert (seen.mac_address, seen.mtu, seen.is_up) == (FIT.mac_address, 1400, True)
    assert seen.addresses == {one.address for one in FIT.addresses}
    assert seen.ways == set(FIT.ways)


async def test_what_is_sent_and_received_is_limited_at_the_two_ends(container: str) -> None:
    asked = Bandwidth(ingress_rate=8_000_000, egress_rate=40_000_000_000, egress_burst=16_000_000)
    await make(container, limited(FIT, asked))
    (sent,) = json.loads(processes.run(container, ["tc", "-json", "qdisc", "show", "dev", "eth0"]))
    assert (sent["kind"], sent["options"]["rate"]) == ("tbf", 5_000_000_000)  # bytes
    assert sent["options"]["burst"] == pytest.approx(2_000_000, rel=0.01)
    (received,) = json.loads(await _here("tc", "-json", "qdisc", "show", "dev", DEVICE))
    assert (received["kind"], received["options"]["rate"]) == ("tbf", 1_000_000)


async def _here(*argv: str) -> bytes:
    process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    return out


async def test_removal_takes_both_ends_and_may_be_repeated(container: str) -> None:
    await make(container)
    await KERNEL.remove(DEVICE)
    assert not is_here()
    assert await KERNEL.read(path(container), "eth0") is None
    await KERNEL.remove(DEVICE)


async def test_an_interface_that_is_there_is_left_alone(container: str) -> None:
    processes.run(container, ["ip", "link", "add", "eth0", "type", "veth", "peer", "name", "x"])
    with pytest.raises(InterfaceExistsError):
        await make(container)
    assert not is_here()
    names = {one["ifname"] for one in inside(container, "link")}
    assert {"eth0", "x"} <= names


async def test_what_is_no_namespace_is_said(container: str, tmp_path: Path) -> None:
    with pytest.raises(NamespaceGoneError):
        await make("nwct-nowhere")
    with pytest.raises(NamespaceGoneError):
        await KERNEL.read(path("nwct-nowhere"), "eth0")
    fifo, file = tmp_path / "fifo", tmp_path / "file"
    os.mkfifo(fifo)
    file.write_text("")
    for each in (fifo, file, Path("/proc/self/ns/uts")):
        with pytest.raises(NamespaceUnfitError, match="is no network namespace"):
            await make(str(each))
    with pytest.raises(NamespaceUnfitError, match="is the host's own"):
        await make("/proc/self/ns/net")
    assert not is_here()


def _namespaces() -> set[Path]:
    """Of this process's threads."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            found.add(task.joinpath("ns/net").readlink())
    return found


async def test_no_thread_stays_in_a_containers_namespace(container: str) -> None:
    own = {Path("/proc/self/ns/net").readlink()}
    await asyncio.gather(make(container), KERNEL.read(path(container), "lo"))
    async with asyncio.timeout(5):
        while _namespaces() != own:  # noqa: ASYNC110 - a thread that has answered yet ends
            await asyncio.sleep(0.01)


async def test_a_route_that_cannot_be_is_told_and_removal_clears_it(container: str) -> None:
    away = Way(destination="198.51.100.0/24", nexthop="10.99.0.1")  # no neighbour
    fit = replace(FIT, ways=(away,))
    with pytest.raises(RefusedError, match=r"198\.51\.100\.0/24"):
        await make(container, fit)
    await KERNEL.remove(DEVICE)
    assert not is_here()


async def test_a_namespace_is_told_from_the_next_one_at_its_path(
    container: str, tmp_path: Path
) -> None:
    made = await make(container)
    assert made
    assert await KERNEL.namespace(path(container)) == made
    netns.delete([container])
    assert await KERNEL.namespace(path(container)) == ""
    netns.create([container])  # the kernel may give it the same inode
    assert await KERNEL.namespace(path(container)) not in {"", made}
    (tmp_path / "file").write_text("")  # as an unmounted one leaves it
    assert await KERNEL.namespace(str(tmp_path / "file")) == ""


@pytest.mark.parametrize("again", [True, False])
async def test_what_is_no_more_at_its_path_is_not_furnished(container: str, *, again: bool) -> None:
    async with KERNEL.pair(FIT, path(container), "eth0", MARK) as pair:
        await pair.made()
        netns.delete([container])
        if again:
            netns.create([container])
        pair.furnish(FIT)
        with pytest.raises(NamespaceGoneError, match="another one now, or gone"):
            await pair.furnished()


async def test_an_end_is_down_until_it_is_furnished(container: str) -> None:
    async with KERNEL.pair(FIT, path(container), "eth0", MARK) as pair:
        await pair.made()
        (link,) = inside(container, "link", "show", "dev", "eth0")
        assert "UP" not in link["flags"]
        assert is_here()
    with pytest.raises(InterfaceExistsError):  # what was given up is there, for `remove`
        await make(container, replace(FIT, device=f"{DEVICE}x"))


async def test_a_veth_goes_with_its_namespace_and_not_before(container: str) -> None:
    """Whatever holds the namespace: what the reconciler takes for proof."""
    await make(container)
    with open(path(container), "rb"):  # noqa: ASYNC230, PTH123 - as a process in it would
        netns.delete([container])
        assert await KERNEL.namespace(path(container)) == ""
        assert (await KERNEL.links())[DEVICE] == MARK
    async with asyncio.timeout(30):
        while DEVICE in await KERNEL.links():  # noqa: ASYNC110 - the kernel does it by and by
            await asyncio.sleep(0.02)


async def test_only_what_bears_the_mark_is_removed(container: str) -> None:
    await make(container)
    await KERNEL.remove(DEVICE, mark="netwright container another")
    assert is_here()
    await KERNEL.remove(DEVICE, mark=MARK)
    assert not is_here()
