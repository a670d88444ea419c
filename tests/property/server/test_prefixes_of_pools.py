"""Whatever subnets come and go, in whatever batches: each gets the first prefix that is free.

Compared with a pool that looks at every address. The batches show that what is loaded ahead of the
decisions is enough for all of them.
"""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.doubles.store import ADMIN, Store

from netwright.ipam.addresses import AddressRange, cidr_range, from_key, to_key
from netwright.ipam.prefixes import largest, ranges_of, to_cidr, union
from netwright.model.addressing_errors import SubnetAllocationError
from netwright.model.resources import NetworkType, Segment
from netwright.server.addressing_commands import (
    CreateSubnetPools,
    SubnetPoolDraft,
    UpdateSubnetPool,
)
from netwright.server.commands import (
    Command,
    CreateNetworks,
    CreateSubnets,
    DeleteNetwork,
    DeleteSubnet,
    NetworkDraft,
    SubnetDraft,
)

PREFIXES = (("10.0.0.0/27", "10.0.0.64/27"), ("10.0.0.0/26", "10.0.0.64/26"))
lengths = st.integers(27, 31)
places = st.integers(0, 63)


class Pools(RuleBasedStateMachine):
    """Networks have one subnet each, so that any may have any prefix."""

    @initialize()
    def begin(self) -> None:
        self.store = Store()
        self.made = 0
        self.taken: dict[str, AddressRange] = {}
        self.prefixes = PREFIXES[0]
        draft = SubnetPoolDraft(
            id="pool", project_id="p", name="pool", ip_version=4, prefixes=PREFIXES[0]
        )
        self.store.do(CreateSubnetPools(caller=ADMIN, drafts=(draft,)))

    @rule(wishes=st.lists(st.one_of(lengths, st.tuples(lengths, places)), min_size=1, max_size=6),
          together=st.booleans())  # fmt: skip
    def take(self, wishes: list[int | tuple[int, int]], *, together: bool) -> None:
        drafts = [self._draft(wish) for wish in wishes]
        expected: dict[str, AddressRange] = {}
        fails = False
        for draft in drafts:
            found = self._expected(draft, expected)
            fails |= found is None
            if found is not None:
                expected[draft.id] = found
        if together:
            (outcome,) = self.store.batch(CreateSubnets(caller=ADMIN, drafts=tuple(drafts)))
            assert isinstance(outcome, SubnetAllocationError) is fails
            expected = {} if fails else expected
            outcomes = [] if fails else list(outcome)
        else:
            each = [CreateSubnets(caller=ADMIN, drafts=(draft,)) for draft in drafts]
            outcomes = [one[0] for one in self.store.batch(*each) if isinstance(one, tuple)]
        assert {one.id: one.cidr for one in outcomes} == {
            id_: to_cidr(found) for id_, found in expected.items()
        }
        self.taken |= expected

    @rule(data=st.data(), count=st.integers(1, 4))
    def give_back(self, data: st.DataObject, count: int) -> None:
        commands: list[Command] = []
        for _ in range(min(count, len(self.taken))):
            id_ = data.draw(st.sampled_from(sorted(self.taken)))
            del self.taken[id_]
            whole = data.draw(st.booleans())
            command = DeleteNetwork if whole else DeleteSubnet
            commands.append(command(caller=ADMIN, id=f"n{id_}" if whole else id_))
        if commands:
            assert self.store.batch(*commands) == [()] * len(commands)

    @rule(data=st.data(), wish=lengths)
    def give_back_and_take_at_once(self, data: st.DataObject, wish: int) -> None:
        if not self.taken:
            return
        id_ = data.draw(st.sampled_from(sorted(self.taken)))
        del self.taken[id_]
        draft = self._draft(wish)
        found = self._expected(draft, {})
        _, outcome = self.store.batch(
            DeleteSubnet(caller=ADMIN, id=id_), CreateSubnets(caller=ADMIN, drafts=(draft,))
        )
        assert found is not None or isinstance(outcome, SubnetAllocationError)
        if found is not None:
            assert outcome[0].cidr == to_cidr(found)
            self.taken[draft.id] = found

    @rule()
    def grow(self) -> None:
        self.prefixes = PREFIXES[1]
        self.store.do(UpdateSubnetPool(caller=ADMIN, id="pool", prefixes=PREFIXES[1]))

    @invariant()
    def what_is_stored_is_what_is_free(self) -> None:
        if not hasattr(self, "store"):
            return
        rows = self.store.rows("SELECT * FROM gap ORDER BY first_address")
        taken = {each for one in self.taken.values() for each in range(one.first, one.last + 1)}
        gaps = union(self._free(taken))
        expected = [("pool", to_key(g.first), to_key(g.last), largest(g)) for g in gaps]
        assert rows == expected
        assert all(from_key(first) <= from_key(last) for _, first, last, _ in rows)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()

    def _draft(self, wish: int | tuple[int, int]) -> SubnetDraft:
        self.made += 1
        id_ = f"s{self.made}"
        segment = Segment(
            network_type=NetworkType.VLAN, physical_network="physnet1", segmentation_id=self.made
        )
        network = NetworkDraft(id=f"n{id_}", project_id="p", segment=segment)
        self.store.do(CreateNetworks(caller=ADMIN, drafts=(network,)))
        where: dict[str, Any] = {"prefixlen": wish}
        if isinstance(wish, tuple):
            length, place = wish
            first = cidr_range("10.0.0.0/25").first + (place * 2 >> (32 - length) << (32 - length))
            where = {"cidr": to_cidr(AddressRange(first, first + (1 << (32 - length)) - 1))}
        return SubnetDraft(
            id=id_, project_id="p", network_id=f"n{id_}", ip_version=4, subnetpool_id="pool",
            **where,
        )  # fmt: skip

    def _free(self, taken: set[int]) -> list[AddressRange]:
        whole = ranges_of(self.prefixes)
        addresses = [one for each in whole for one in range(each.first, each.last + 1)]
        return [AddressRange(one, one) for one in addresses if one not in taken]

    def _expected(self, draft: SubnetDraft, others: dict[str, AddressRange]) -> AddressRange | None:
        held = [*self.taken.values(), *others.values()]
        taken = {each for one in held for each in range(one.first, one.last + 1)}
        free = {one.first for one in self._free(taken)}
        if draft.cidr:
            wish = cidr_range(draft.cidr)
            return wish if free.issuperset(range(wish.first, wish.last + 1)) else None
        size = 1 << (32 - (draft.prefixlen or 0))
        starts = [one for one in free if one % size == 0]
        fitting = [one for one in starts if free.issuperset(range(one, one + size))]
        return AddressRange(min(fitting), min(fitting) + size - 1) if fitting else None


TestPools = Pools.TestCase
TestPools.settings = settings(max_examples=60, stateful_step_count=15, deadline=None)
