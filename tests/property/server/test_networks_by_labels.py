"""Whatever two processes do to networks, subnets and ports: labels lead where they should.

A port that names labels gets an address while any network that matches has one, and none where
nothing matches. What either process remembers of a selector is what the database would say.
"""

from collections.abc import Mapping

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from tests.doubles.store import ADMIN, Store

from netwright.ipam.ledger import Ledger
from netwright.model.errors import NoNetworkForLabels
from netwright.model.labels import parse_selector
from netwright.model.resources import NetworkType, Pool, Segment
from netwright.server.commands import (
    CreateNetworks,
    CreatePorts,
    CreateSubnets,
    DeleteNetwork,
    DeletePorts,
    DeleteSubnet,
    NetworkDraft,
    PortDraft,
    SubnetDraft,
    UpdateNetwork,
    UpdateSubnet,
)
from netwright.server.ports.network_choice import LabelWish
from netwright.server.store.memory import Memory
from netwright.server.store.selections import among

SELECTORS = ("app=web", "app in (web, db), !old", "old")
labels = st.dictionaries(st.sampled_from(("app", "old")), st.sampled_from(("web", "db")))
processes = st.integers(0, 1)
projects = st.sampled_from(("p", "q"))


class _Network:
    def __init__(self, project_id: str, *, shared: bool, labels: Mapping[str, str]) -> None:
        self.project_id = project_id
        self.shared = shared
        self.labels = labels
        self.addresses: dict[str, int] = {}  # by subnet
        self.ports: set[str] = set()

    def matches(self, project_id: str, selector: str) -> bool:
        usable = self.shared or self.project_id == project_id
        return usable and parse_selector(selector).matches(self.labels)

    @property
    def free(self) -> int:
        return sum(self.addresses.values()) - len(self.ports)


class Labels(RuleBasedStateMachine):
    """Each subnet has 2 addresses, or 5."""

    @initialize()
    def begin(self) -> None:
        self.store = Store()
        self.processes = [(Ledger("a"), Memory()), (Ledger("b"), Memory())]
        self.networks: dict[str, _Network] = {}
        self.made = 0

    @rule(process=processes, project_id=projects, shared=st.booleans(), labels=labels,
          subnets=st.integers(0, 2))  # fmt: skip
    def make(
        self,
        process: int,
        project_id: str,
        labels: Mapping[str, str],
        subnets: int,
        *,
        shared: bool,
    ) -> None:
        self._as(process)
        id_ = self._new("n")
        segment = Segment(
            network_type=NetworkType.VLAN, physical_network="physnet1", segmentation_id=self.made
        )
        draft = NetworkDraft(
            id=id_, project_id=project_id, segment=segment, shared=shared, labels=labels
        )
        self.store.do(CreateNetworks(caller=ADMIN, drafts=(draft,)))
        self.networks[id_] = _Network(project_id, shared=shared, labels=labels)
        for _ in range(subnets):
            self._add_subnet(id_)

    @rule(process=processes, data=st.data(), labels=labels)
    def relabel(self, process: int, data: st.DataObject, labels: Mapping[str, str]) -> None:
        self._as(process)
        if id_ := self._any(data):
            self.store.do(UpdateNetwork(caller=ADMIN, id=id_, labels=labels))
            self.networks[id_].labels = labels

    @rule(process=processes, data=st.data())
    def share(self, process: int, data: st.DataObject) -> None:
        self._as(process)
        if id_ := self._any(data):
            self.store.do(UpdateNetwork(caller=ADMIN, id=id_, shared=True))
            self.networks[id_].shared = True

    @rule(process=processes, data=st.data())
    def add_subnet(self, process: int, data: st.DataObject) -> None:
        self._as(process)
        if id_ := self._any(data):
            self._add_subnet(id_)

    @rule(process=processes, data=st.data())
    def widen(self, process: int, data: st.DataObject) -> None:
        self._as(process)
        small = [
            (id_, each)
            for id_, network in self.networks.items()
            for each, addresses in network.addresses.items()
            if addresses < 5
        ]
        if small:
            id_, subnet_id = data.draw(st.sampled_from(small))
            self.store.do(
                UpdateSubnet(caller=ADMIN, id=subnet_id, allocation_pools=(_pool(subnet_id, 5),))
            )
            self.networks[id_].addresses[subnet_id] = 5

    @rule(process=processes, data=st.data())
    def delete(self, process: int, data: st.DataObject) -> None:
        """A network without ports, or only its subnets."""
        self._as(process)
        empty = [id_ for id_, network in self.networks.items() if not network.ports]
        if not empty:
            return
        id_ = data.draw(st.sampled_from(empty))
        if data.draw(st.booleans()):
            self.store.do(DeleteNetwork(caller=ADMIN, id=id_))
            del self.networks[id_]
            return
        for subnet_id in self.networks[id_].addresses:
            self.store.do(DeleteSubnet(caller=ADMIN, id=subnet_id))
        self.networks[id_].addresses = {}

    @rule(process=processes, data=st.data(), count=st.integers(1, 4))
    def take_away(self, process: int, data: st.DataObject, count: int) -> None:
        self._as(process)
        held = [(id_, port) for id_, each in self.networks.items() for port in sorted(each.ports)]
        gone = (
            data.draw(st.lists(st.sampled_from(held), unique=True, max_size=count)) if held else ()
        )
        if gone:
            self.store.do(DeletePorts(caller=ADMIN, ids=tuple(port for _, port in gone)))
        for id_, port in gone:
            self.networks[id_].ports.discard(port)

    @rule(process=processes, project_id=projects, selector=st.sampled_from(SELECTORS),
          count=st.integers(1, 6), later=st.sampled_from((0, 60)), overtaken=st.booleans(),
    )  # fmt: skip
    def ask(
        self,
        process: int,
        project_id: str,
        selector: str,
        count: int,
        later: int,
        *,
        overtaken: bool,
    ) -> None:
        self._as(process)
        self.store.now += later
        commands = [self._asking(project_id, selector) for _ in range(count)]
        if overtaken:
            self.store.overtaken(*commands)
        outcomes = self.store.batch(*commands)
        matching = {
            id_ for id_, each in self.networks.items() if each.matches(project_id, selector)
        }
        free = sum(self.networks[id_].free for id_ in matching)
        ports = [one for outcome in outcomes if isinstance(outcome, tuple) for one in outcome]
        refused = [each for each in outcomes if isinstance(each, NoNetworkForLabels)]
        assert (len(ports), len(refused)) == (min(count, free), max(count - free, 0)), outcomes
        for port in ports:
            assert port.network_id in matching
            self.networks[port.network_id].ports.add(port.id)
        assert all(each.free >= 0 for each in self.networks.values())
        kept = [
            self.store.memory.selections.get(one) for one in among(LabelWish(project_id, selector))
        ]
        assert {id_ for each in kept if each for id_ in each.matches} == matching

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()

    def _as(self, process: int) -> None:
        self.store.ledger, self.store.memory = self.processes[process]

    def _asking(self, project_id: str, selector: str) -> CreatePorts:
        draft = PortDraft(
            id=self._new("p"), project_id=project_id, network_id="", network_labels=selector
        )
        return CreatePorts(caller=ADMIN, drafts=(draft,))

    def _add_subnet(self, network_id: str) -> None:
        id_ = self._new("s")
        draft = SubnetDraft(
            id=id_,
            project_id="p",
            network_id=network_id,
            cidr=f"{_prefix(id_)}.0/29",
            ip_version=4,
            allocation_pools=(_pool(id_, 2),),
        )
        self.store.do(CreateSubnets(caller=ADMIN, drafts=(draft,)))
        self.networks[network_id].addresses[id_] = 2

    def _any(self, data: st.DataObject) -> str | None:
        return data.draw(st.sampled_from(sorted(self.networks))) if self.networks else None

    def _new(self, kind: str) -> str:
        self.made += 1
        return f"{kind}{self.made}"


def _prefix(subnet_id: str) -> str:
    number = int(subnet_id[1:])
    return f"10.{number // 256}.{number % 256}"


def _pool(subnet_id: str, addresses: int) -> Pool:
    prefix = _prefix(subnet_id)
    return Pool(start=f"{prefix}.2", end=f"{prefix}.{1 + addresses}")


TestLabels = Labels.TestCase
TestLabels.settings = settings(max_examples=100, stateful_step_count=25, deadline=None)
