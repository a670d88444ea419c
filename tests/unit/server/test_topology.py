"""The inventory of the fabric: checked, and kept over a restart."""

import msgspec
import pytest
from msgspec.structs import replace
from tests.unit.server.trace.pictures import TREE

from netwright.model.errors import InvalidInput
from netwright.model.topology import Topology
from netwright.model.wire import Kind, LineType, WatchLine
from netwright.server.commands import Caller, ReplaceTopology
from netwright.server.core import Core

ADMIN = Caller(project_id="p", is_admin=True)
TOPOLOGY = frozenset({Kind.TOPOLOGY})


async def test_it_is_whole_or_as_before_and_durable(database_url: str) -> None:
    core = await Core.open(database_url)
    await core.start()
    try:
        assert await core.reader.topology() == Topology()
        assert await core.commit(ReplaceTopology(caller=ADMIN, topology=TREE)) == TREE
        wrong = replace(TREE, switches=())
        with pytest.raises(InvalidInput):
            await core.commit(ReplaceTopology(caller=ADMIN, topology=wrong))
    finally:
        await core.close()
    core = await Core.open(database_url)
    await core.start()
    try:
        assert await core.reader.topology() == TREE
        less = replace(TREE, gateways=())
        await core.commit(ReplaceTopology(caller=ADMIN, topology=less))
        assert await core.reader.topology() == less
    finally:
        await core.close()


async def test_it_is_told_whole_and_to_nobody_who_watches_a_host(core: Core) -> None:
    await core.commit(ReplaceTopology(caller=ADMIN, topology=TREE))
    lines = await first_lines(core, None, 2)
    assert [(line.type, line.kind, line.id) for line in lines] == [
        (LineType.PUT, Kind.TOPOLOGY, "fabric"),
        (LineType.SNAPSHOT_END, None, None),
    ]
    assert told(lines[0]) == TREE
    less = replace(TREE, gateways=())
    await core.commit(ReplaceTopology(caller=ADMIN, topology=less))
    (line,) = await first_lines(core, lines[1].cursor, 1)
    assert told(line) == less
    (line,) = await first_lines(core, None, 1, host="host1")
    assert line.type is LineType.SNAPSHOT_END


def told(line: WatchLine) -> Topology:
    assert isinstance(line.object, msgspec.Raw)
    return msgspec.json.decode(line.object, type=Topology)


async def first_lines(
    core: Core, after: str | None, count: int, host: str | None = None
) -> list[WatchLine]:
    found: list[WatchLine] = []
    async for chunk in core.watch(after=after, kinds=TOPOLOGY, host=host):
        found += [msgspec.json.decode(line, type=WatchLine) for line in chunk.splitlines()]
        if len(found) >= count:
            break
    return found[:count]
