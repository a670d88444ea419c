"""Whatever happens to ports, to Nova's answers and to the process: what Nova hears last is true.

The machine drives the store, and sends as the sender does: a page at a time, in whose flight ports
may change, the answer may be lost, or the process may die. At the end Nova accepts everything.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from tests.doubles.store import ADMIN, Store, delete, register, report, reports, update

from netwright.db.transaction import Transaction
from netwright.model.resources import Port
from netwright.model.states import PortState
from netwright.model.wire import ReportStatus
from netwright.server.commands import CreatePorts, FenceHost, PortDraft, UnfenceHost
from netwright.server.nova.answers import Answer, Reception, judge
from netwright.server.nova.notices import Name, Notice, Status, Topic, instance_of
from netwright.server.store import outbox

T = TypeVar("T")

INSTANCES = ("11111111-2222-4333-8444-555555555555", "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee", "")
HOSTS = ("h1", "h2", "h3")  # "h3" never registers: bindings there are refused
PAGE = 2
PORTS_MAX = 5
codes = st.lists(st.sampled_from([200, 200, 422, 500, None]), min_size=PAGE, max_size=PAGE)
picks = st.integers(0, 2)
words = st.sampled_from([ReportStatus.UP, *ReportStatus, ReportStatus.UP])
hosts = st.sampled_from(["h1", "h2", "h1", "h3", ""])


def owned(instance: str) -> dict[str, Any]:
    return {"device_id": instance, "device_owner": "compute:nova" if instance else ""}


changes = st.one_of(
    st.builds(dict, host=hosts),
    st.sampled_from(INSTANCES).map(owned),
    st.just({"host": "", **owned("")}),  # as Nova unbinds
    st.builds(dict, admin_state_up=st.booleans()),
)


class Notices(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.store = Store(tells_nova=True)
        self.heard: list[Notice] = []
        self.owners: dict[str, set[str]] = {}  # of ports, whoever had them when they were deleted
        self.made = 0

    @initialize()
    def begin(self) -> None:
        self.store.make_network()
        for host in HOSTS[:2]:
            self.store.do(register(host))
        for _ in range(2):
            self.create(INSTANCES[0], "h1")
            self.speak(self.made - 1, [ReportStatus.UP])

    @precondition(lambda self: self.made < PORTS_MAX)
    @rule(instance=st.sampled_from(INSTANCES), host=hosts)
    def create(self, instance: str, host: str) -> None:
        self.made += 1
        draft = PortDraft(
            id=f"p{self.made}", project_id="p", network_id="net", host=host, **owned(instance)
        )
        self.store.batch(CreatePorts(caller=ADMIN, drafts=(draft,)))

    @rule(pick=picks, change=changes)
    def change(self, pick: int, change: dict[str, Any]) -> None:
        port = self._pick(pick)
        if port is not None:
            self.store.batch(update(port.id, **change))

    @rule(pick=picks, statuses=st.lists(words, min_size=1, max_size=2))
    def speak(self, pick: int, statuses: list[ReportStatus]) -> None:
        """An agent's words about a port, one batch or two that meet in one commit."""
        port = self._pick(pick)
        if port is None or port.active_binding is None:
            return
        host = port.active_binding.host
        self.store.batch(*(reports(host, report(port, host, status)) for status in statuses))

    @rule(host=st.sampled_from(HOSTS[:2]))
    def fence(self, host: str) -> None:
        self.store.do(FenceHost(caller=ADMIN, host=host, reason="burnt"))
        self.store.do(UnfenceHost(caller=ADMIN, host=host))
        self.store.do(register(host))

    @rule(pick=picks)
    def delete(self, pick: int) -> None:
        port = self._pick(pick)
        if port is not None:
            self.store.do(delete(port.id))
            self.owners.setdefault(port.id, set()).update({instance_of(port) or ""})

    @rule(seconds=st.sampled_from([1.0, 5.0, 70.0]))
    def wait(self, seconds: float) -> None:
        self.store.now += seconds

    @rule(
        codes=codes,
        trouble=st.sampled_from(["", "", "away", "lost", "dies"]),
        meanwhile=st.lists(st.tuples(picks, words), max_size=2),
    )
    def send(
        self, codes: list[int | None], trouble: str, meanwhile: list[tuple[int, ReportStatus]]
    ) -> None:
        """Nova takes it in, or not; what it says is lost, or the process dies before it is noted.

        And meanwhile things happen.
        """
        sent = self._do(lambda tx: outbox.due(tx, self.store.now, PAGE))
        given = [500 if trouble == "away" else code for code in codes][: len(sent)]
        self.heard += [each.notice for each, code in zip(sent, given, strict=True) if code == 200]
        for pick, word in meanwhile:
            self.speak(pick, [word])
        if trouble == "dies":
            return
        away = Answer(reception=Reception.AWAY, why="no answer")
        each = Answer(reception=Reception.EACH, codes=given, status=207)
        settled = judge(sent, away if trouble else each, self.store.now).settled
        self._do(partial(outbox.settle, settled=settled))

    @rule()
    def nova_accepts_everything(self) -> None:
        while self._do(outbox.next_due) is not None:
            self.store.now += 100.0
            sent = self._do(lambda tx: outbox.due(tx, self.store.now, PAGE))
            self.heard += [each.notice for each in sent]
            all_right = Answer(reception=Reception.EACH, codes=[200] * len(sent), status=200)
            settled = judge(sent, all_right, self.store.now).settled
            self._do(partial(outbox.settle, settled=settled))
        self._check()

    def teardown(self) -> None:
        self.nova_accepts_everything()
        self.store.close()

    def _check(self) -> None:
        last = {
            (each.port_id, each.server_uuid): (each.name, each.status)
            for each in self.heard
            if each.topic is Topic.DEVICE
        }
        for port in self._ports():
            instance = instance_of(port)
            if instance is not None and port.state in _LAST:
                assert last.get((port.id, instance)) == _LAST[port.state], port
        for port_id, instances in self.owners.items():
            for instance in instances - {""}:
                assert last[port_id, instance] == (Name.DELETED, Status.COMPLETED)

    def _pick(self, pick: int) -> Port | None:
        ports = self._ports()
        return ports[pick % len(ports)] if ports else None

    def _ports(self) -> list[Port]:
        return [port for port in self.store.ports() if port.state is not PortState.RELEASING]

    def _do(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        place = self.store.place
        place.begin()
        found = place.run(_run(work, place.tx))
        place.commit()
        return found


_LAST = {
    PortState.ACTIVE: (Name.PLUGGED, Status.COMPLETED),
    PortState.ERROR: (Name.PLUGGED, Status.FAILED),
}


async def _run(work: Callable[[Transaction], Awaitable[T]], tx: Transaction) -> T:
    return await work(tx)


TestNotices = Notices.TestCase
TestNotices.settings = settings(
    max_examples=200, stateful_step_count=50, deadline=None, derandomize=True
)
