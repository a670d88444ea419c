"""VXLAN networks: their VNI, given or chosen, whose it is, and their MTU."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import pytest
from tests.doubles.places import SqlitePlace
from tests.doubles.postgres import Postgres
from tests.doubles.sql import execute
from tests.doubles.store import ADMIN, Store
from tests.unit.server.test_shared_races import held_before_its_turn

from netwright.ipam.ledger import Ledger
from netwright.model.errors import InvalidInput, NetwrightError, NoNetworkAvailable, TunnelIdInUse
from netwright.model.resources import Network, NetworkType, Segment
from netwright.model.segments import (
    SegmentRules,
    VniRange,
    parse_vlan_range,
    parse_vni_range,
    vni_key,
)
from netwright.server.commands import CreateNetworks, DeleteNetwork, NetworkDraft, UpdateNetwork
from netwright.server.core import Core
from netwright.server.segments import NeedsVnis, choose, vni_candidates, vni_stretches
from netwright.server.world import World

VXLAN = Segment(network_type=NetworkType.VXLAN)
RANGES = tuple(map(parse_vni_range, ("10:14", "100:104")))
ALL = {*range(10, 15), *range(100, 105)}
WIDE = SegmentRules(vni_ranges=(parse_vni_range("1:16777215"),))
WAIT_S = 20.0


def draft(name: str, vni: int | None = None, **given: Any) -> NetworkDraft:
    segment = Segment(network_type=NetworkType.VXLAN, segmentation_id=vni)
    return NetworkDraft(**{"id": name, "project_id": "p", "segment": segment, **given})


def create(*drafts: NetworkDraft) -> CreateNetworks:
    return CreateNetworks(caller=ADMIN, drafts=drafts)


def vnis(networks: Sequence[Network]) -> list[int | None]:
    return [network.segment.segmentation_id for network in networks]


@pytest.fixture
def store() -> Iterator[Store]:
    with closing(Store(segment_rules=SegmentRules(vni_ranges=RANGES))) as store:
        yield store


# -- pure


def test_candidates_are_of_the_ranges_and_of_the_networks_id() -> None:
    found = {vni for n in range(200) for vni in vni_candidates(f"n{n}", RANGES)}
    assert found == ALL
    assert vni_candidates("n", RANGES) == vni_candidates("n", RANGES)
    assert vni_candidates("n", ()) == ()


@pytest.mark.parametrize("start", sorted(ALL))
def test_stretches_go_around_all_vnis_once(start: int) -> None:
    found = [
        vni for each in vni_stretches(start, RANGES) for vni in range(each.first, each.last + 1)
    ]
    assert found[0] == start
    assert sorted(found) == sorted(ALL)


def test_more_are_asked_for_only_when_the_candidates_are_in_use() -> None:
    world = World(0.0, Ledger("server"), SegmentRules(vni_ranges=RANGES))
    first, *others = vni_candidates("n", RANGES)
    assert choose(world, "n", VXLAN).segmentation_id == first
    for vni in (first, *others):
        world.segments.load(vni_key(vni), "other")
    with pytest.raises(NeedsVnis):
        choose(world, "n", VXLAN)
    (free, *_) = ALL - {first, *others}
    world.free_vnis = [free, None]
    assert choose(world, "n", VXLAN).segmentation_id == free
    world.free_vnis = [None]
    with pytest.raises(NoNetworkAvailable, match="all VNIs in vni_ranges are in use"):
        choose(world, "n", VXLAN)


def test_without_ranges_it_is_said() -> None:
    world = World(0.0, Ledger("server"))
    with pytest.raises(NoNetworkAvailable, match=r"no vni_ranges") as told:
        choose(world, "n", VXLAN)
    assert "set vlan_ranges or vni_ranges" in told.value.next


def test_types_are_tried_in_order() -> None:
    types = (NetworkType.VLAN, NetworkType.VXLAN)
    rules = SegmentRules(
        vlan_ranges=(parse_vlan_range("physnet1:7:7"),),
        vni_ranges=(VniRange(first=10, last=10),),
        tenant_types=types,
    )
    with closing(Store(segment_rules=rules)) as store:
        made = [
            store.do(create(draft(name, segment=None)))[0].segment.network_type
            for name in ("one", "two")
        ]
        assert made == list(types)
        with pytest.raises(NoNetworkAvailable, match=r"all VLANs .* are in use; all VNIs"):
            store.do(create(draft("three", segment=None)))
        with pytest.raises(NoNetworkAvailable, match="allocation: all VNIs"):
            store.do(create(draft("three")))


@pytest.mark.parametrize("text", ["", "5", "5:", "0:9", "5:4", "1:16777216", "a:b", "net:1:2"])
def test_a_range_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="vni_ranges"):
        parse_vni_range(text)


# -- stored


def test_all_of_the_ranges_are_given_each_once_and_come_back(store: Store) -> None:
    one_by_one = [store.do(create(draft(f"n{n}")))[0] for n in range(4)]
    together = store.do(create(*(draft(f"m{n}") for n in range(6))))
    assert {*vnis(one_by_one), *vnis(together)} == ALL
    with pytest.raises(NoNetworkAvailable):
        store.do(create(draft("more")))
    gone = DeleteNetwork(caller=ADMIN, id="n2")
    _, (again,) = store.batch(gone, create(draft("more")))  # the store has not let go of it yet
    assert vnis([again]) == vnis(one_by_one)[2:3]


def test_a_batch_gives_none_twice(store: Store) -> None:
    outcomes = store.batch(*(create(draft(f"n{n}")) for n in range(12)))
    made = [outcome[0] for outcome in outcomes if isinstance(outcome, tuple)]
    assert set(vnis(made)) == ALL
    failed = [outcome for outcome in outcomes if not isinstance(outcome, tuple)]
    assert [type(each) for each in failed] == [NoNetworkAvailable] * 2


def test_one_that_is_in_use_is_refused_with_its_holder(store: Store) -> None:
    store.do(create(draft("n", 5_000)))  # a maker's own need not be in the ranges
    with pytest.raises(TunnelIdInUse, match=r"tunnel ID 5000 is in use by network n\."):
        store.do(create(draft("m", 5_000)))


def test_choosing_reads_no_more_than_its_candidates() -> None:
    """However many networks there are: by their keys, or along the index when those are in use."""
    place = SqlitePlace()
    with closing(Store(place, segment_rules=WIDE)) as store:
        with place.listening() as told:
            store.do(create(draft("n")))
        reads = [each for each in told if "FROM network" in each]
        assert reads
        assert all("segment_key" in each and "WHERE" in each for each in reads)
        plan = store.place.plan(
            "SELECT segmentation_id FROM network WHERE network_type = 'vxlan' "
            "AND segmentation_id >= 1 AND segmentation_id <= 9 ORDER BY segmentation_id LIMIT 9"
        )
        assert "SEARCH network USING COVERING INDEX network_segment" in plan
        assert "TEMP B-TREE" not in plan


def test_a_vlan_is_chosen_without_reading_vnis() -> None:
    with closing(Store(segment_rules=WIDE)) as store:
        plan = store.place.plan("SELECT segment_key, id FROM network WHERE network_type = 'vlan'")
        assert "SEARCH network USING INDEX network_segment (network_type=?)" in plan


async def test_a_long_run_of_used_ones_is_walked_past(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netwright.server.store.vnis._PAGE", 3)
    rules = SegmentRules(vni_ranges=(parse_vni_range("1:40"),))
    core = await Core.open(database_url, segment_rules=rules)
    await core.start()
    try:
        taken = tuple(draft(f"n{vni}", vni) for vni in range(1, 41) if vni not in {7, 33})
        await core.commit(create(*taken))
        made = await core.commit(create(draft("a"), draft("b")))
        assert set(vnis(made)) == {7, 33}
        with pytest.raises(NoNetworkAvailable):
            await core.commit(create(draft("c")))
    finally:
        await core.close()
    rows = await execute(database_url, "SELECT count(*) FROM network WHERE network_type = 'vxlan'")
    assert rows == [(40,)]


async def test_two_servers_give_no_vni_twice(postgres_server: Postgres) -> None:
    url = postgres_server.new_database()
    rules = SegmentRules(vni_ranges=(parse_vni_range("1:10"),))
    one = await Core.open(url, segment_rules=rules)
    other = await Core.open(url, segment_rules=rules)
    try:
        for core in (one, other):
            await core.start()
        async with asyncio.timeout(WAIT_S):
            async with held_before_its_turn(one) as reached:  # it has chosen
                late = asyncio.create_task(one.commit(create(draft("same"))))
                await reached.wait()
                first = vni_candidates("same", rules.vni_ranges)[0]
                await other.commit(create(draft("quick", first)))
            (made,) = await late
            assert made.segment.segmentation_id != first

            async def attempt(core: Core, name: str) -> Any:
                try:
                    return await core.commit(create(draft(name)))
                except NetwrightError as error:
                    return error

            tasks = [attempt((one, other)[n % 2], f"n{n}") for n in range(12)]
            outcomes = await asyncio.gather(*tasks)
        given = [vnis(each)[0] for each in outcomes if isinstance(each, tuple)]
        assert len(set(given)) == len(given) == 8
        assert sum(isinstance(each, NoNetworkAvailable) for each in outcomes) == 4
    finally:
        await one.close()
        await other.close()


# -- MTU


@pytest.mark.parametrize(
    ("fabric_mtu", "wanted", "got"),
    [(1500, None, 1450), (9000, None, 8950), (1500, 1400, 1400), (9000, 8950, 8950)],
)
def test_a_vxlan_networks_mtu(fabric_mtu: int, wanted: int | None, got: int) -> None:
    rules = SegmentRules(vni_ranges=RANGES, fabric_mtu=fabric_mtu)
    with closing(Store(segment_rules=rules)) as store:
        assert store.do(create(draft("n", mtu=wanted)))[0].mtu == got


def test_more_than_the_fabric_carries_is_refused(store: Store) -> None:
    with pytest.raises(InvalidInput, match=r"mtu\. Reason: 1451 is too big: 1450 is the most"):
        store.do(create(draft("n", mtu=1451)))
    store.do(create(draft("n", mtu=1400)))
    with pytest.raises(InvalidInput, match="1500 is too big"):
        store.do(UpdateNetwork(caller=ADMIN, id="n", mtu=1500))
    (reset,) = store.do(UpdateNetwork(caller=ADMIN, id="n", mtu=None))
    assert reset.mtu == 1450


def test_a_vlan_networks_mtu_is_as_it_was(store: Store) -> None:
    segment = Segment(network_type=NetworkType.VLAN, physical_network="physnet1", segmentation_id=5)
    assert store.do(create(draft("a", segment=segment)))[0].mtu == 1500
    (big,) = store.do(UpdateNetwork(caller=ADMIN, id="a", mtu=9000))
    assert big.mtu == 9000
