"""Leaves of real FRR, each reached as another machine would be: by a pipe, and by OpenSSH.

The pipe's `ssh` enters the leaf's namespaces, where /run/frr is the leaf's; so does the sshd. What
runs there is `netwright switch serve`, which believes that the machine is its own.
"""

import asyncio
import json
import os
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.doubles.switch_configs import adding, removing
from tests.lab.fabric_rig import Rig, pings, reaches, run
from tests.lab.test_frr_driver import segment, vrf

from netwright.fabric.changes import Change, Verb
from netwright.fabric.config import AnycastGateway, Interface, SwitchConfig
from netwright.fabric.drivers.base import OvertakenError
from netwright.fabric.drivers.frr.driver import FrrDriver
from netwright.fabric.drivers.registry import driver_of
from netwright.fabric.drivers.remote.driver import RemoteDriver
from netwright.fabric.drivers.remote.ssh import Ways
from netwright.model.errors import DeviceError
from netwright.model.topology import Switch, SwitchKind

pytestmark = pytest.mark.lab

LEAVES = ("l1", "l2")
TOKEN = 7
_SOURCES = Path(__file__).parents[2] / "src"
# What precedes the command stands between options and a host that is known by its state.
_PIPE = """\
#!/bin/sh
for last; do :; done
exec nsenter -t "$(cat {directory}/pid)" -m -n -- sh -c "$last"
"""
_PROGRAM = """\
#!/bin/sh
export PYTHONPATH={sources}
exec {python} -m netwright "$@" --state-directory {directory}/state
"""


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    """A spine, two leaves, a host at each; on the leaves what an installer would have made."""
    directory = Path(tempfile.mkdtemp(prefix="nwr-"))
    directory.chmod(0o755)  # FRR has a user of its own
    rig = Rig("rem-t-", directory)
    try:
        rig.bring_up(spines=1, leaves=2)
        for number, leaf in enumerate(LEAVES, 1):
            rig.add_host(f"a{number}", leaf, "swp1")
            install(rig, leaf)
        yield rig
    finally:
        rig.tear_down()


def install(rig: Rig, leaf: str) -> None:
    directory = rig.routers[leaf].directory
    rig.inside(leaf, "mkdir", "-p", "/run/frr")
    rig.inside(leaf, "mount", "--bind", str(directory / "frr"), "/run/frr")
    words = {
        "directory": directory,
        "sources": _SOURCES,
        "python": shlex.quote(sys.executable),
    }
    for name, text in (("pipe", _PIPE), ("netwright", _PROGRAM)):
        (directory / name).write_text(text.format(**words))
        (directory / name).chmod(0o755)


def remote(rig: Rig, leaf: str, ssh: tuple[str, ...] | None = None) -> RemoteDriver:
    """By the pipe, unless an `ssh` is given."""
    router = rig.routers[leaf]
    switch = Switch(
        name=leaf,
        kind=SwitchKind.LEAF,
        driver="frr",
        address=f"ssh:root@{router.loopback}",
        loopback=router.loopback,
    )
    program = (str(router.directory / "netwright"),)
    driver = driver_of(switch, Ways(ssh=ssh or (str(router.directory / "pipe"),), program=program))
    assert isinstance(driver, RemoteDriver)
    return driver


@pytest.fixture
async def drivers(rig: Rig) -> AsyncIterator[dict[str, RemoteDriver]]:
    """One for each leaf; what a test leaves on a leaf goes with it."""
    made = {leaf: remote(rig, leaf) for leaf in LEAVES}
    yield made
    for driver in made.values():
        await driver.apply(removing((await driver.read()).config), token=TOKEN)
        assert (await driver.read()).config == SwitchConfig()
        await driver.close()


async def test_hosts_reach_each_other_by_what_was_applied_from_afar(
    rig: Rig, drivers: dict[str, RemoteDriver]
) -> None:
    """A VPC's network on two leaves; what is read is the same as by the driver on the spot."""
    gateway = AnycastGateway(addresses=("10.90.0.254/24",), mac_address="02:00:5e:00:00:01")
    for number, host in enumerate(("a1", "a2"), 1):
        rig.dress(host, f"10.90.0.{number}/24")
    assert not pings(rig.namespace("a1"), "10.90.0.2")
    for leaf, driver in drivers.items():
        await driver.apply(
            adding(
                vrf(rig, leaf, "vpc-r", 9099),
                segment(rig, leaf, 9001, vrf="vpc-r", gateway=gateway),
                Interface(name="swp1", untagged=9001),
            ),
            token=TOKEN,
        )
    assert await reaches(rig.namespace("a1"), "10.90.0.2")
    assert await reaches(rig.namespace("a1"), "10.90.0.254")
    for leaf, driver in drivers.items():
        router = rig.routers[leaf]
        local = FrrDriver(leaf, router.node, router.loopback)
        from_afar, on_the_spot = await driver.read(), await local.read()
        assert from_afar.config == on_the_spot.config
        assert from_afar.config.segments.keys() == {9001}
        assert from_afar.links == on_the_spot.links
        assert from_afar.isolation == on_the_spot.isolation
        assert from_afar.token == TOKEN
        assert await driver.learned([9001]) == await local.learned([9001])
        await local.close()
    other = rig.routers["l2"].loopback
    assert (await drivers["l1"].learned([9001]))[9001].remote_vteps == {other}
    rig.inside("l1", "ip", "netns", "exec", "vpc-r", "ip", "link", "show", "br9001")
    assert not Path("/run/netns/vpc-r").exists()


async def test_what_somebody_changes_there_is_told(
    rig: Rig, drivers: dict[str, RemoteDriver]
) -> None:
    driver = drivers["l1"]
    await driver.apply(adding(segment(rig, "l1", 9101)), token=TOKEN)
    told = asyncio.Event()

    async def listen() -> None:
        async for _ in driver.watch():
            told.set()

    listening = asyncio.create_task(listen())
    try:
        await quiet(told)
        for change in (
            ("ip", "link", "set", "vni9101", "mtu", "1400"),
            ("vtysh", "-c", "configure terminal", "-c", "router bgp 65001", "-c",
             "address-family l2vpn evpn", "-c", "vni 9101", "-c", "route-target export 1:1"),
        ):  # fmt: skip
            told.clear()
            rig.inside("l1", *change)
            async with asyncio.timeout(2.0):
                await told.wait()
            await quiet(told)
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    read = (await driver.read()).config.segments[9101]
    assert "1:1" in read.route_targets.exports


async def quiet(told: asyncio.Event) -> None:
    """Until nothing was told for longer than the watch looks."""
    async with asyncio.timeout(20):
        while True:
            told.clear()
            try:
                async with asyncio.timeout(1.5):
                    await told.wait()
            except TimeoutError:
                return


async def test_another_controllers_newer_token_overtakes(
    rig: Rig, drivers: dict[str, RemoteDriver]
) -> None:
    """Amid an apply: the older ends between two changes."""
    old, new = drivers["l1"], remote(rig, "l1")
    await old.read()
    vnis = range(9200, 9600)
    applying = asyncio.create_task(
        old.apply(adding(*(segment(rig, "l1", vni) for vni in vnis)), token=TOKEN)
    )
    try:
        await until(lambda: "vni9202" in rig.inside("l1", "ip", "-br", "link"))
        await new.apply((), token=TOKEN + 1)  # what a new holder of the lease does first
        made = (await new.read()).config.segments
        assert 2 <= len(made) < len(vnis)
        with pytest.raises(DeviceError, match=r"l1.*another connection to it was opened since"):
            await applying
        with pytest.raises(OvertakenError, match=r"l1 .*token 8, ours is 7"):
            await old.apply([Change(verb=Verb.REMOVE, before=made[9200])], token=TOKEN)
        with suppress(DeviceError):  # the overtaken one's connection ended ours: just once
            await new.read()
        assert (await new.read()).config.segments == made
        await new.apply(removing((await new.read()).config), token=TOKEN + 1)
    finally:
        await new.close()
        # The token outlives the test, as it should; the next one begins from none.
        rig.inside("l1", "ip", "link", "del", "netwright")


async def test_a_switch_whose_frr_is_away_says_so(
    rig: Rig, drivers: dict[str, RemoteDriver]
) -> None:
    socket = rig.routers["l2"].directory / "frr" / "bgpd.vty"
    socket.rename(socket.with_suffix(".away"))
    try:
        read = await drivers["l2"].read()
        assert read.is_partial
        assert "bgpd does not answer" in read.isolation
        with pytest.raises(
            DeviceError, match=r"switch l2 does not answer on its own machine: .*bgpd"
        ):
            await drivers["l2"].learned([9000])
    finally:
        socket.with_suffix(".away").rename(socket)
    assert not (await drivers["l2"].read()).is_partial


def wait_until(what: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 20
    while not what():
        assert time.monotonic() < give_up
        time.sleep(0.01)


@pytest.fixture
def ssh(rig: Rig) -> Iterator[tuple[str, ...]]:
    """An sshd on leaf 1, and the command of a client on the spine, with keys of their own."""
    router = rig.routers["l1"]
    directory = Path(tempfile.mkdtemp(prefix="nws-"))
    for name in ("host", "user"):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / name))
    shutil.copy(directory / "user.pub", directory / "authorized_keys")
    public = (directory / "host.pub").read_text()
    (directory / "known_hosts").write_text(f"{router.loopback} {public}")
    (directory / "sshd_config").write_text(
        f"ListenAddress {router.loopback}\nHostKey {directory}/host\nPidFile {directory}/pid\n"
        f"AuthorizedKeysFile {directory}/authorized_keys\nStrictModes no\nUsePAM no\n"
        "PermitRootLogin prohibit-password\n"
    )
    rig.inside("l1", "mkdir", "-p", "/run/sshd")
    rig.inside("l1", "/usr/sbin/sshd", "-f", str(directory / "sshd_config"))
    pid = directory / "pid"
    wait_until(lambda: pid.exists() and pid.read_text().endswith("\n"))  # it listens before
    yield (
        "ip", "netns", "exec", rig.namespace("s1"),
        "ssh", "-F", "none", "-i", str(directory / "user"),
        "-o", f"UserKnownHostsFile={directory}/known_hosts",
        "-o", f"BindAddress={rig.routers['s1'].loopback}",
    )  # fmt: skip
    os.kill(int(pid.read_text()), signal.SIGTERM)
    wait_until(lambda: not pid.exists())  # it takes it away once it listens no more
    shutil.rmtree(directory)


async def test_by_openssh(rig: Rig, ssh: tuple[str, ...]) -> None:
    """Over the fabric itself; then without its host key, without ours, without the program."""
    driver = remote(rig, "l1", ssh)
    made = segment(rig, "l1", 9401)
    await driver.apply(adding(made), token=TOKEN)
    assert (await driver.read()).config.segments == {9401: made}
    with pytest.raises(OvertakenError):
        await driver.apply((), token=TOKEN - 1)
    await driver.apply([Change(verb=Verb.REMOVE, before=made)], token=TOKEN)
    assert (await driver.read()).config == SwitchConfig()
    await driver.close()
    for wrong, said in (
        (("-o", "UserKnownHostsFile=/dev/null"), r"Host key verification failed.*ssh-keyscan"),
        (("-i", "/dev/null", "-o", "IdentitiesOnly=yes"), r"Permission denied \(publickey.*auth"),
        (("-o", "Port=9"), r"Connection refused.*sshd does not run"),
    ):
        at = ssh.index("none") + 1
        refused = remote(rig, "l1", (*ssh[:at], *wrong, *ssh[at:]))
        if "-i" in wrong:
            keyless = [each for each in ssh if each != "-i" and not each.endswith("/user")]
            refused = remote(rig, "l1", (*keyless, *wrong))
        with pytest.raises(DeviceError, match=rf"switch l1 \(ssh:root@.*not reached: .*{said}"):
            await refused.read()
        await refused.close()
    program = rig.routers["l1"].directory / "netwright"
    program.rename(program.with_suffix(".away"))
    try:
        with pytest.raises(DeviceError, match=r"netwright: No such file.*switch_program"):
            await driver.read()
    finally:
        program.with_suffix(".away").rename(program)
        await driver.close()


async def test_a_connection_that_is_cut_amid_an_apply_leaves_whole_changes(
    rig: Rig, ssh: tuple[str, ...]
) -> None:
    """The first reading afterwards is the last word: nothing goes on behind it."""
    driver = remote(rig, "l1", ssh)
    await driver.read()
    vnis = range(9300, 9700)
    wanted = {vni: segment(rig, "l1", vni) for vni in vnis}
    applying = asyncio.create_task(driver.apply(adding(*wanted.values()), token=TOKEN))
    await until(lambda: "vni9302" in rig.inside("l1", "ip", "-br", "link"))
    assert driver._connection is not None
    driver._connection._process.kill()
    with pytest.raises(DeviceError, match=r"switch l1 .*the connection broke"):
        await applying
    read = (await driver.read()).config
    assert 2 <= len(read.segments) < len(vnis)
    assert read.segments == {vni: wanted[vni] for vni in read.segments}
    links = links_of(rig, "l1")
    assert (await driver.read()).config == read
    assert links_of(rig, "l1") == links
    more = next(segment for vni, segment in wanted.items() if vni not in read.segments)
    await driver.apply(adding(more), token=TOKEN)
    whole = (await driver.read()).config
    assert whole.segments == {**read.segments, more.vni: more}
    await driver.apply(removing(whole), token=TOKEN)
    await driver.close()


def links_of(rig: Rig, switch: str) -> dict[str, tuple[str, str]]:
    """Name to MAC and bridge; no operational state, which the kernel settles when it likes."""
    return {
        link["ifname"]: (link["address"], link.get("master", ""))
        for link in json.loads(rig.inside(switch, "ip", "-json", "link"))
    }


async def until(what: Callable[[], bool]) -> None:
    await asyncio.to_thread(wait_until, what)
