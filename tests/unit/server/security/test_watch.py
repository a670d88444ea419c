"""Watching security groups: their snapshot, what follows, resuming, and who may; both databases."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any, TypeVar

import msgspec
import pytest
from tests.doubles.http import Client

from netwright.model.errors import Denied
from netwright.model.resources import NetworkType, Segment
from netwright.model.security import Direction, GroupMember, SecurityGroup, SecurityGroupRule
from netwright.model.wire import HostRegistration, Kind, LineType, WatchLine
from netwright.server.api.app import application
from netwright.server.api.edge import Edge
from netwright.server.auth import TokenAuthenticator
from netwright.server.commands import (
    AddressWish,
    Caller,
    CreateNetworks,
    CreatePorts,
    CreateSubnets,
    DeletePorts,
    NetworkDraft,
    PortChange,
    PortDraft,
    RegisterHost,
    SubnetDraft,
    UpdatePorts,
)
from netwright.server.core import Core
from netwright.server.metrics import Metrics
from netwright.server.security.commands import (
    AddSecurityGroupRules,
    CreateSecurityGroups,
    DeleteSecurityGroup,
    SecurityGroupDraft,
)
from netwright.server.store import events
from netwright.server.watch import OF_GROUPS

T = TypeVar("T")

ADMIN = Caller(project_id="p", is_admin=True)
WAIT_S = 20.0
_SEGMENT = Segment(network_type=NetworkType.VLAN, physical_network="physnet1", segmentation_id=100)


@pytest.fixture
async def filled(core: Core) -> Core:
    """Hosts h1 and h2; groups web and db; port `a` of web on h1, `b` of db unbound."""
    network = NetworkDraft(id="net", project_id="p", segment=_SEGMENT)
    subnet = SubnetDraft(
        id="sub", project_id="p", network_id="net", cidr="10.0.0.0/24", ip_version=4
    )
    await core.commit(CreateNetworks(caller=ADMIN, drafts=(network,)))
    await core.commit(CreateSubnets(caller=ADMIN, drafts=(subnet,)))
    for host in ("h1", "h2"):
        registration = HostRegistration(
            epoch="life1", driver="ovs", physical_networks={"physnet1": "br-bond"}
        )
        await core.commit(RegisterHost(caller=ADMIN, host=host, registration=registration))
    await core.commit(groups("web", "db"))
    await core.commit(port("a", 10, "web", host="h1"))
    await core.commit(port("b", 11, "db"))
    return core


def groups(*ids: str) -> CreateSecurityGroups:
    drafts = tuple(SecurityGroupDraft(id=id_, project_id="p", name=id_) for id_ in ids)
    return CreateSecurityGroups(caller=ADMIN, drafts=drafts)


def port(port_id: str, last: int, *in_groups: str, host: str = "") -> CreatePorts:
    draft = PortDraft(
        id=port_id,
        project_id="p",
        network_id="net",
        fixed_ips=(AddressWish(ip_address=f"10.0.0.{last}"),),
        security_groups=in_groups,
        host=host,
    )
    return CreatePorts(caller=ADMIN, drafts=(draft,))


def change(port_id: str, **attributes: Any) -> UpdatePorts:
    return UpdatePorts(caller=ADMIN, changes=(PortChange(id=port_id, **attributes),))


def rule(group_id: str, rule_id: str, remote: str | None = None) -> AddSecurityGroupRules:
    made = SecurityGroupRule(
        id=rule_id,
        direction=Direction.INGRESS,
        ethertype="IPv4",
        protocol=rule_id,
        remote_group_id=remote,
    )
    return AddSecurityGroupRules(caller=ADMIN, group_id=group_id, rules=(made,))


class Watch:
    """A watch that is read until it holds what is waited for."""

    def __init__(self, stream: AsyncIterator[bytes]) -> None:
        self._stream = stream
        self.lines: list[WatchLine] = []

    async def until(self, type_: LineType, id_: str | None = None) -> Sequence[WatchLine]:
        """The lines up to this one, as they came since the last was waited for."""
        decode = msgspec.json.Decoder(WatchLine).decode
        while True:
            for n, line in enumerate(self.lines):
                if line.type is type_ and line.id == id_:
                    found, self.lines = self.lines[: n + 1], self.lines[n + 1 :]
                    return found
            self.lines += [decode(line) for line in (await anext(self._stream)).splitlines()]


def watching(core: Core, *ids: str, after: str | None = None) -> Any:
    stream: Any = core.watch(after=after, kinds=OF_GROUPS, host=None, groups=frozenset(ids))
    return aclosing(stream)


def value(line: WatchLine, type_: type[T]) -> T:
    assert isinstance(line.object, msgspec.Raw)
    return msgspec.json.decode(line.object, type=type_)


def told(lines: Sequence[WatchLine]) -> list[tuple[LineType, str | None]]:
    quiet = {LineType.HEARTBEAT, LineType.SNAPSHOT_END}
    return [(line.type, line.id) for line in lines if line.type not in quiet]


async def test_a_snapshot_has_the_groups_asked_for_and_their_members(filled: Core) -> None:
    await filled.commit(port("c", 12, "web", "db", host="h2"))
    async with asyncio.timeout(WAIT_S), watching(filled, "web") as stream:
        lines = await Watch(stream).until(LineType.SNAPSHOT_END)
    by_id = {line.id: line for line in lines}
    assert by_id.keys() == {"web", "a@web", "c@web", None}
    group = value(by_id["web"], SecurityGroup)
    assert (group.name, len(group.rules)) == ("web", 2)
    member = value(by_id["c@web"], GroupMember)
    assert member == GroupMember(group_id="web", port_id="c", addresses=("10.0.0.12",))


async def test_what_follows_is_of_those_groups_alone_and_can_be_resumed(filled: Core) -> None:
    async with asyncio.timeout(WAIT_S):
        async with watching(filled, "web") as stream:
            watch = Watch(stream)
            (*_, end) = await watch.until(LineType.SNAPSHOT_END)
            await filled.commit(change("b", host="h2"))
            await filled.commit(rule("db", "101"))
            await filled.commit(change("b", security_groups=("web",)))
            assert told(await watch.until(LineType.PUT, "b@web")) == [(LineType.PUT, "b@web")]
            await filled.commit(rule("web", "102"))
            (*_, last) = await watch.until(LineType.PUT, "web")
        await filled.commit(change("a", security_groups=()))
        await filled.commit(rule("web", "103"))
        for after, wanted in (
            (last.cursor, [(LineType.DELETE, "a@web"), (LineType.PUT, "web")]),
            (
                end.cursor,
                [
                    (LineType.PUT, "b@web"),
                    (LineType.PUT, "web"),
                    (LineType.DELETE, "a@web"),
                    (LineType.PUT, "web"),
                ],
            ),
        ):
            async with watching(filled, "web", after=after) as stream:
                assert told(await Watch(stream).until(LineType.HEARTBEAT)) == wanted


async def test_a_group_that_goes_is_told_after_its_members(filled: Core) -> None:
    async with asyncio.timeout(WAIT_S), watching(filled, "web", "db") as stream:
        watch = Watch(stream)
        await watch.until(LineType.SNAPSHOT_END)
        await filled.commit(DeletePorts(caller=ADMIN, ids=("a",)))
        await filled.commit(DeleteSecurityGroup(caller=ADMIN, id="web"))
        assert told(await watch.until(LineType.DELETE, "web")) == [
            (LineType.DELETE, "a@web"),
            (LineType.DELETE, "web"),
        ]


async def test_a_cursor_that_is_too_old_gets_a_snapshot(
    filled: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asyncio.timeout(WAIT_S):
        async with watching(filled, "web") as stream:
            (*_, end) = await Watch(stream).until(LineType.SNAPSHOT_END)
        monkeypatch.setattr(events, "BACKLOG_MAX", 1)
        await filled.commit(rule("web", "101"))
        await filled.commit(rule("web", "102"))
        async with watching(filled, "web", after=end.cursor) as stream:
            lines = await Watch(stream).until(LineType.SNAPSHOT_END)
    assert {line.id for line in lines} == {"web", "a@web", None}


async def test_an_admins_watch_has_both_kinds_and_a_hosts_neither(filled: Core) -> None:
    async with asyncio.timeout(WAIT_S):
        everything = filled.watch(after=None, kinds=frozenset(Kind), host=None)
        async with aclosing(everything) as stream:  # type: ignore[type-var]
            watch = Watch(stream)
            lines = await watch.until(LineType.SNAPSHOT_END)
            assert {"web", "db", "a@web"} <= {line.id for line in lines}
            await filled.commit(change("b", host="h1"))
            await watch.until(LineType.PUT, "b@db")
        of_host = filled.watch(after=None, kinds=frozenset(Kind), host="h1")
        async with aclosing(of_host) as stream:  # type: ignore[type-var]
            watch = Watch(stream)
            lines = [*(await watch.until(LineType.SNAPSHOT_END))]
            await filled.commit(change("b", security_groups=("web",)))
            await filled.commit(rule("web", "101"))
            await filled.commit(change("b", name="last"))
            for _ in range(2):
                lines += await watch.until(LineType.PUT, "b")
    assert not {line.kind for line in lines} & OF_GROUPS


async def test_the_hub_finds_watchers_by_group_and_lets_them_go(filled: Core) -> None:
    hub, of = filled._hub, {"web": 1, "db": 2}
    async with asyncio.timeout(WAIT_S):
        async with watching(filled, "web", "db") as one, watching(filled, "db") as two:
            for stream in (one, two):
                await Watch(stream).until(LineType.SNAPSHOT_END)
            counts = {key: len(each) for key, each in hub._by_group.items()}
            assert counts == {(kind, id_): n for kind in OF_GROUPS for id_, n in of.items()}
            assert len(hub) == 2
    assert (len(hub), hub._by_group) == (0, {})


async def test_who_watches_rules_alone_is_told_of_no_members(filled: Core) -> None:
    """As agents do with the groups of their ports that no rule names."""
    async with asyncio.timeout(WAIT_S):
        rules = frozenset({Kind.SECURITY_GROUP})
        stream: Any = filled.watch(after=None, kinds=rules, host=None, groups=frozenset({"web"}))
        try:
            watch = Watch(stream)
            told = [*(await watch.until(LineType.SNAPSHOT_END))]
            await filled.commit(change("b", security_groups=("web",)))
            await filled.commit(rule("web", "101"))
            told += await watch.until(LineType.PUT, "web")
        finally:
            await stream.aclose()
    assert {line.kind for line in told} - {None} == rules


# -- who may


def client(core: Core, host: str | None) -> Client:
    authenticator = TokenAuthenticator("admin", b"x")
    token = "admin" if host is None else authenticator.host_credential(host)
    edge = Edge(core, authenticator, Metrics(), body_bytes_max=1 << 20)
    return Client(application(edge), {"x-auth-token": token})


async def refusal(core: Core, host: str | None, query: str) -> tuple[int, str]:
    answer = await client(core, host).get(f"/v1/watch?{query}")
    return answer.status, answer.error["type"]


async def test_an_agent_may_watch_what_its_ports_need(filled: Core) -> None:
    reader = filled.reader
    assert await reader.watchable_groups("h1") == {"web"}
    assert await reader.watchable_groups("h2") == frozenset()
    await filled.commit(rule("web", "104", remote="db"))
    assert await reader.watchable_groups("h1") == {"web", "db"}
    await filled.commit(change("a", host="h2"))  # h1 has not withdrawn it yet
    assert await reader.watchable_groups("h1") == {"web", "db"}
    assert await reader.watchable_groups("h2") == {"web", "db"}


async def test_what_is_refused_says_why(filled: Core) -> None:
    denied = (403, Denied.type)
    assert await refusal(filled, "h1", "group=db") == denied
    assert await refusal(filled, "h1", "group=web&group=db") == denied
    assert await refusal(filled, "h2", "group=web") == denied
    assert await refusal(filled, "h1", "group=nowhere") == denied
    answer = await client(filled, "h1").get("/v1/watch?group=db")
    assert "Host h1 may not watch db" in answer.error["message"]
    for query in ("group=web&host=h1", "group=web&host="):
        assert await refusal(filled, None, query) == (400, "HTTPBadRequest")
    assert await refusal(filled, None, "group=web&kinds=port") == (400, "InvalidInput")
    assert await refusal(filled, None, "group=web&after=a&after=b") == (400, "HTTPBadRequest")
    many = "&".join(f"group={n}" for n in range(1001))
    assert await refusal(filled, None, many) == (400, "HTTPBadRequest")
