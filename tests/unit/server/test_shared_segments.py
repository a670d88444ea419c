"""Segments of servers that share one PostgreSQL: races, made to happen."""

import asyncio

import pytest
from tests.doubles.postgres import Postgres
from tests.unit.server.test_shared_database import ADMIN, WAIT_S, opened
from tests.unit.server.test_shared_pools import raced

from netwright.model.errors import VlanIdInUse
from netwright.model.resources import NetworkType, Segment
from netwright.model.segment_errors import NetworkIdsDontMatch, SegmentInUse
from netwright.server.commands import CreateNetworks, CreateSubnets, NetworkDraft, SubnetDraft
from netwright.server.network_segments.commands import (
    CreateSegments,
    DeleteSegment,
    SegmentDraft,
)

RACK = Segment(network_type=NetworkType.VLAN, physical_network="rack2", segmentation_id=20)
FIRST = Segment(network_type=NetworkType.VLAN, physical_network="rack1", segmentation_id=20)
FURTHER = CreateSegments(
    caller=ADMIN, drafts=(SegmentDraft(id="s2", network_id="wide", segment=RACK),)
)
GONE = DeleteSegment(caller=ADMIN, id="s2")
ON_IT = CreateSubnets(
    caller=ADMIN,
    drafts=(
        SubnetDraft(
            id="on-it",
            project_id="p",
            network_id="wide",
            cidr="10.2.0.0/24",
            ip_version=4,
            segment_id="s2",
        ),
    ),
)


def network(id_: str, segment: Segment) -> CreateNetworks:
    draft = NetworkDraft(id=id_, project_id="p", segment=segment)
    return CreateNetworks(caller=ADMIN, drafts=(draft,))


@pytest.fixture
def url(postgres_server: Postgres) -> str:
    return postgres_server.new_database()


async def test_a_vlan_is_one_networks_whoever_gets_it_how(url: str) -> None:
    async with opened(url, 2) as (a, b), asyncio.timeout(WAIT_S):
        await a.commit(network("wide", FIRST))
        mine, theirs = await raced(a, FURTHER, b, network("other", RACK))
        assert isinstance(mine, VlanIdInUse)
        assert isinstance(theirs, tuple)


async def test_a_segment_does_not_go_from_a_subnet_that_comes(url: str) -> None:
    async with opened(url, 2) as (a, b), asyncio.timeout(WAIT_S):
        await a.commit(network("wide", FIRST))
        await a.commit(FURTHER)
        mine, _ = await raced(a, GONE, b, ON_IT)
        assert isinstance(mine, SegmentInUse)


async def test_no_subnet_comes_to_a_segment_that_goes(url: str) -> None:
    async with opened(url, 2) as (a, b), asyncio.timeout(WAIT_S):
        await a.commit(network("wide", FIRST))
        await a.commit(FURTHER)
        mine, theirs = await raced(a, ON_IT, b, GONE)
        assert isinstance(mine, NetworkIdsDontMatch)
        assert theirs == ()
