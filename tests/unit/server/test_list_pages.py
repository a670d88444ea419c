"""Lists in pages: whole and in order whatever the page's size, and true while others write."""

from collections.abc import AsyncIterator
from itertools import product

import pytest
from tests.doubles.filled import ADMIN, create, filled

from netwright.model.errors import NetworkNotFound, PortNotFound
from netwright.model.resources import Network, Port
from netwright.server.commands import CreatePorts, DeletePorts, PortChange, PortDraft, UpdatePorts
from netwright.server.core import Core
from netwright.server.queries import Query
from netwright.server.store import lists


@pytest.fixture
async def core(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Core]:
    """Eleven ports in all; a first page holds two, the others three."""
    monkeypatch.setattr(lists, "FIRST_ROWS", 2)
    monkeypatch.setattr(lists, "PAGE_ROWS", 3)
    async with filled(database_url) as core:
        for n in range(9):
            project = "p" if n % 3 else "q"
            draft = PortDraft(
                id=f"p{n}", project_id=project, network_id="net", name=f"n{n % 4}", device_id="d"
            )
            await core.commit(CreatePorts(caller=ADMIN, drafts=(draft,)))
        yield core


async def _ids(core: Core, query: Query) -> list[str]:
    ids: list[str] = []
    async for page in core.reader.pages(Port, query, Port):
        assert [port.id for port in page.rows] == page.ids
        ids += page.ids
    return ids


SORTS = (
    (),
    (("id", False),),
    (("id", True), ("id", False)),
    (("name", True),),
    (("name", False), ("device_id", True)),
)
FILTERS = ((), (("device_id", ("d",)),), (("network_id", ("net",)), ("status", ("DOWN",))))


async def test_pages_make_the_list_that_is_read_at_once(core: Core) -> None:
    for sort, filters, project, marker, limit, back in product(
        SORTS, FILTERS, (None, "p"), (None, "p4"), (None, 2, 5), (False, True)
    ):
        query = Query(
            sort=sort,
            filters=filters,
            project_id=project,
            marker=marker,
            limit=limit,
            page_reverse=back,
        )
        at_once = [port.id for port in await core.reader.many(Port, query)]
        assert await _ids(core, query) == at_once, query


@pytest.mark.parametrize("filters", [(), (("device_id", ("d",)),)])
async def test_a_page_that_a_client_asks_for_is_one_piece(
    core: Core, filters: tuple[tuple[str, tuple[str, ...]], ...]
) -> None:
    page = await anext(core.reader.pages(Port, Query(filters=filters, limit=3), Port))
    assert (len(page.ids), page.more) == (3, False)


async def test_there_is_a_page_even_of_nothing(core: Core) -> None:
    for filters in ((), (("name", ("none",)),)):
        pages = core.reader.pages(Network, Query(filters=filters, project_id="x"), Network)
        assert [page async for page in pages] == [([], [], False)]


@pytest.mark.parametrize("sort", [(), (("name", True),)])
async def test_what_is_wrong_with_a_query_comes_with_its_first_page(
    core: Core, sort: tuple[tuple[str, bool], ...]
) -> None:
    with pytest.raises(PortNotFound, match="marker x could not be found"):
        await anext(core.reader.pages(Port, Query(marker="x", sort=sort), Port))
    with pytest.raises(NetworkNotFound):
        await anext(core.reader.pages(Network, Query(marker="net", project_id="q"), Network))


@pytest.mark.parametrize("query", [Query(), Query(filters=(("project_id", ("p", "q")),))])
async def test_what_stays_comes_once_while_others_come_and_go(core: Core, query: Query) -> None:
    before = await _ids(core, query)
    pages = core.reader.pages(Port, query, Port)
    found = list((await anext(pages)).ids)
    gone = "p5"
    await core.commit(DeletePorts(caller=ADMIN, ids=(gone, found[0])))
    await create(core, "a0")  # before what was read already
    async for page in pages:
        found += page.ids
    assert found == [id_ for id_ in before if id_ != gone]


async def test_a_page_holds_what_matches_when_it_is_read(core: Core) -> None:
    query = Query(filters=(("device_id", ("d",)),))
    pages = core.reader.pages(Port, query, Port)
    found = list((await anext(pages)).ids)
    await core.commit(UpdatePorts(caller=ADMIN, changes=(PortChange(id="p7", device_id="other"),)))
    await core.commit(UpdatePorts(caller=ADMIN, changes=(PortChange(id="p8", name="new"),)))
    rows: list[Port] = []
    async for page in pages:
        found += page.ids
        rows += page.rows
    assert found == [f"p{n}" for n in (0, 1, 2, 3, 4, 5, 6, 8)]
    assert rows[-1].name == "new"


async def test_a_row_may_be_read_as_less(core: Core) -> None:
    page = await anext(core.reader.pages(Port, Query(), dict))
    assert page.rows[0]["id"] == page.ids[0]
