"""Whatever is left of containers: the dead are ended, the living lose nothing, the rest is told."""

import asyncio
import tempfile
from pathlib import Path
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.doubles.cni_host import PROJECT, Ask, HostDouble

from netwright.agent.cni import asked
from netwright.agent.cni.records import Key, Stage

CONTAINERS = ("a", "b", "c")
LOOKS = 6


class Left(NamedTuple):
    """What is there of a container that was attached once."""

    record: bool
    row: bool
    link: bool
    port: bool
    namespace: str
    """"same", "other" or "gone"; where the link is, it is "same" or out of sight ("gone")."""


lefts = st.builds(
    Left,
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.sampled_from(("same", "other", "gone")),
).filter(lambda left: not (left.link and left.namespace == "other"))


async def leave(host: HostDouble, name: str, left: Left) -> None:
    netns, key = f"/netns/{name}", (name, "eth0")
    record = host.records.get(key)
    assert record is not None
    assert record.fit is not None
    device = record.fit.device
    if not left.record:
        host.records.drop(key)
    if not left.row:
        del host.plugs.devices[device]
    if not left.link:
        host.veths.interfaces.pop((netns, "eth0"))
        host.veths.marks.pop(device)
    if not left.port:
        del host.server.ports[record.unique_name]
        del host.loop.mirror.ports[record.port_id]
    if left.namespace == "gone":
        host.veths.namespaces.discard(netns)
    if left.namespace == "other":
        host.veths.identities[netns] = "another"


async def reconciled(host: HostDouble, lefts_: dict[str, Left]) -> dict[str, str]:
    """The devices that the containers had, by name, after another life has looked at them."""
    devices = {}
    for name in lefts_:
        host.veths.namespaces.add(f"/netns/{name}")
        ask = Ask(environment={"container_id": name, "netns": f"/netns/{name}"})
        result = await host.containers.add(asked.parse(ask.request()))
        devices[name] = result["interfaces"][0]["name"]
    for name, left in lefts_.items():
        await leave(host, name, left)
    host.live()
    telling = asyncio.create_task(host.containers.run())
    for _ in range(LOOKS):
        await host.reconciler.look()
        await asyncio.sleep(0)
    telling.cancel()
    return devices


def there(host: HostDouble, name: str, device: str) -> tuple[bool, bool, bool, bool]:
    key: Key = (name, "eth0")
    record = host.records.get(key)
    return (
        record is not None and record.stage is Stage.ATTACHED,
        device in host.plugs.devices,
        device in host.veths.marks,
        f"@h1/{name}/eth0/1" in host.server.ports,
    )


@settings(max_examples=150, deadline=None)
@given(st.fixed_dictionaries(dict.fromkeys(CONTAINERS, lefts)))
def test_what_is_left_is_ended_kept_or_told(found: dict[str, Left]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        host = HostDouble(Path(directory) / "records")
        devices = asyncio.run(reconciled(host, found))
        told = "".join(host.reconciler.conditions().values())
        for name, left in found.items():
            _require_right(name, left, there(host, name, devices[name]), told)
        assert host.server.ports.keys() <= {f"@h1/{name}/eth0/1" for name in found}
        assert all(port.project_id == PROJECT for port in host.server.ports.values())


def _require_right(name: str, left: Left, now: tuple[bool, bool, bool, bool], told: str) -> None:
    nothing = (False, False, False, False)
    if left.link and left.port and (left.row or left.record):  # it lives
        assert now == (True, True, True, True), (name, left)
    elif left.record and not left.link and left.namespace != "same":  # it is proven dead
        assert now == nothing, (name, left)
    elif left.record:  # it may live, and lacks something
        before = (left.record, left.row, left.link, left.port)
        assert now == before, (name, left)
        if not left.port or not left.link:
            assert f"container {name}" in told, (name, left)
    else:  # nobody could speak by what is there
        assert now == nothing, (name, left)
