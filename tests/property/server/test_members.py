"""Whatever happens to ports and groups, events tell of members what a snapshot would.

And the rows of memberships are those that the ports say.
"""

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.doubles.store import ADMIN, Store, create, delete, ipv4_subnet, register, report, reports
from tests.doubles.store import update as change

from netwright.model.errors import NetwrightError
from netwright.model.security import Direction, SecurityGroupRule
from netwright.model.wire import Kind, ReportStatus
from netwright.server.commands import (
    AddressWish,
    Command,
    CreatePorts,
    FenceHost,
    PairWish,
    UnfenceHost,
)
from netwright.server.security.commands import (
    AddSecurityGroupRules,
    CreateSecurityGroups,
    DeleteSecurityGroup,
    SecurityGroupDraft,
)
from netwright.server.security.members import groups_of
from netwright.server.store.events import picture
from netwright.server.watch import OF_GROUPS

PORTS, GROUPS, HOSTS = ("a", "b", "c"), ("web", "db", "third"), ("h1", "h2")
_groups = st.lists(st.sampled_from(GROUPS), max_size=3).map(tuple)
_port, _host = st.sampled_from(PORTS), st.sampled_from(HOSTS)

View = dict[tuple[Kind, str], Any]


def _rule(group_id: str, protocol: int, remote: str | None) -> Command:
    made = SecurityGroupRule(
        id=f"{group_id}/{protocol}/{remote}",
        direction=Direction.INGRESS,
        ethertype="IPv4",
        protocol=str(protocol),
        remote_group_id=remote,
    )
    return AddSecurityGroupRules(caller=ADMIN, group_id=group_id, rules=(made,))


def _make(group_id: str) -> Command:
    draft = SecurityGroupDraft(id=group_id, project_id="p", name=group_id)
    return CreateSecurityGroups(caller=ADMIN, drafts=(draft,))


STEPS = st.one_of(
    st.builds(lambda p, g, h: create(p, security_groups=g, host=h), _port, _groups, _host),
    st.builds(create, _port),
    st.builds(lambda p, g: change(p, security_groups=g), _port, _groups),
    st.builds(lambda p, h: change(p, host=h), _port, st.sampled_from([*HOSTS, ""])),
    st.builds(
        lambda p, n: change(p, fixed_ips=(AddressWish(ip_address=f"10.0.0.{n}"),)),
        _port,
        st.integers(20, 24),
    ),
    st.builds(
        lambda p, n: change(p, allowed_address_pairs=(PairWish(ip_address=f"192.0.2.{n}"),)),
        _port,
        st.integers(1, 2),
    ),
    st.builds(lambda p: change(p, port_security_enabled=False, security_groups=()), _port),
    st.builds(delete, _port),
    st.builds(lambda h: FenceHost(caller=ADMIN, host=h, reason="dead"), _host),
    st.builds(lambda h: UnfenceHost(caller=ADMIN, host=h), _host),
    st.builds(lambda h, n: register(h, f"life{n}"), _host, st.integers(1, 9)),
    st.builds(_rule, st.sampled_from(GROUPS), st.integers(6, 8), st.sampled_from(GROUPS)),
    st.builds(lambda g: DeleteSecurityGroup(caller=ADMIN, id=g), st.sampled_from(GROUPS)),
    st.tuples(_port, _host),  # its host has withdrawn the port
)


@settings(deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_members_are_told_as_they_are(steps: list[Any]) -> None:
    store = Store()
    try:
        store.make_network("net", 10, ipv4_subnet("net", "10.0.0.0/24"))
        for first in (*map(register, HOSTS), *map(_make, GROUPS)):
            store.do(first)
        for step in steps:
            command = _withdrawal(store, *step) if isinstance(step, tuple) else step
            if command is not None and not _is_there(store, command):
                _attempt(store, command)
            _check(store)
    finally:
        store.close()


def _is_there(store: Store, command: Command) -> bool:
    """Whether it would make a port by an id that one has or had, which no edge asks for."""
    if not isinstance(command, CreatePorts):
        return False
    port_id = command.drafts[0].id
    return store.port(port_id) is not None or bool(store.history(port_id))


def _attempt(store: Store, command: Command) -> None:
    (outcome,) = store.batch(command)
    if isinstance(outcome, Exception):
        assert isinstance(outcome, NetwrightError), outcome
        assert type(outcome).__name__ != "InternalError", outcome


def _withdrawal(store: Store, port_id: str, host: str) -> Command | None:
    port, known = store.port(port_id), store.host(host)
    binding = port.binding_on(host) if port is not None else None
    if port is None or binding is None or known is None:
        return None
    gone = report(port, host, ReportStatus.WITHDRAWN)
    gone = msgspec.structs.replace(gone, generation=binding.generation)
    return reports(host, gone, epoch=known.epoch)


def _check(store: Store) -> None:
    for wanted in (None, frozenset({"web"}), frozenset({"db", "third"})):
        view: View = {}
        for event in store.events:
            if event.kind not in OF_GROUPS:
                continue
            group_id = event.id.rpartition("@")[2]
            if wanted is not None and group_id not in wanted:
                continue
            if event.body is None:
                view.pop((event.kind, event.id), None)
            else:
                view[event.kind, event.id] = msgspec.json.decode(event.body)
        place = store.place
        _, _, snapshot = place.run(picture(place.tx, -1, OF_GROUPS, None, wanted))
        found = {(kind, id_): msgspec.json.decode(body) for kind, id_, body in snapshot or ()}
        assert view == found, wanted
    rows = set(store.rows("SELECT group_id, port_id FROM membership"))
    assert rows == {(group, port.id) for port in store.ports() for group in groups_of(port)}
