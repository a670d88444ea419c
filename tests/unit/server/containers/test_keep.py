"""How long a named port outlives its container, and what ends it."""

import pytest
from tests.doubles.clock import Clock
from tests.doubles.sql import execute
from tests.unit.server.containers.scene import (
    ADMIN,
    SET,
    begin,
    claim,
    confirm,
    end,
    pod,
    stored,
    upkeep,
)

from netwright.model.containers import OwnerReference, keep_s
from netwright.model.resources import Port
from netwright.server.commands import DeletePorts, PortChange, UpdatePorts
from netwright.server.containers.owners import kept_owners, owners_gone
from netwright.server.core import Core
from netwright.server.store.checking import check


async def ended(core: Core, keep: str, name: str = "web-0", owner: OwnerReference = SET) -> Port:
    port = await core.commit(claim("h1", name, "a", keep=keep, pod=pod(name, owner)))
    await confirm(core, "h1")
    await core.commit(end("h1", name, "a"))
    await confirm(core, "h1")
    return port  # type: ignore[no-any-return]


async def rests(url: str, port: Port) -> bool:
    """Whether its address has no holder and is not free yet."""
    rows = await execute(url, "SELECT port_id, rests_until FROM allocation")
    assert port.fixed_ips, "it has an address"
    return [holder for holder, until in rows if until is not None] == [None]


@pytest.mark.parametrize(
    ("keep", "seconds"),
    [("90s", 90.0), ("10m", 600.0), ("24h", 86400.0), ("7d", 7 * 86400.0), ("forever", None)],
)
def test_how_long_a_word_means(keep: str, seconds: float | None) -> None:
    assert keep_s(keep) == seconds


@pytest.mark.parametrize(
    "keep", ["1", "0s", "-1h", "1.5h", "1h30m", "ever", "11y", "99999d", " 1s"]
)
def test_words_that_mean_nothing(keep: str) -> None:
    with pytest.raises(ValueError, match=keep):
        keep_s(keep)


async def test_it_goes_when_its_time_is_over_and_its_address_rests(
    core: Core, clock: Clock, database_url: str
) -> None:
    await begin(core, ["h1"])
    port = await ended(core, "90s")
    clock.now += 89.0
    await upkeep(core, clock)
    kept = await stored(core, "web-0")
    assert kept is not None
    assert kept.claim is not None
    assert kept.claim.kept_until == 1_090.0
    clock.now += 1.0
    await upkeep(core, clock)
    assert await stored(core, "web-0") is None
    assert await rests(database_url, port)
    assert (await check(database_url)).wrong == []
    assert await execute(database_url, "SELECT port_id FROM container_claim") == []
    last = (await core.reader.history(port.id))[-1]
    assert last.actor == "server"


async def test_a_clock_that_jumps_frees_nothing_that_lives(core: Core, clock: Clock) -> None:
    await begin(core, ["h1", "h2"])
    await ended(core, "90s")
    again = await core.commit(claim("h2", "web-0", "b", keep="90s"))
    clock.now += 1e9
    await upkeep(core, clock)
    assert await stored(core, "web-0") == again
    bound_by_hand = await ended(core, "90s", "web-1")
    change = PortChange(id=bound_by_hand.id, host="h2")
    await core.commit(UpdatePorts(caller=ADMIN, changes=(change,)))
    clock.now += 1e9
    await upkeep(core, clock)
    taken = await stored(core, "web-1")
    assert taken is not None
    assert taken.claim is not None
    assert not taken.claim.is_ended  # upkeep need not look at it again
    moved = await core.commit(claim("h1", "web-1", "c"))
    assert moved.active_binding.host == "h1"


@pytest.mark.parametrize("keep", ["90s", "while-owner-exists"])
async def test_what_became_anothers_device_is_no_containers_any_more(
    core: Core, clock: Clock, database_url: str, keep: str
) -> None:
    await begin(core, ["h1"])
    port = await ended(core, keep)
    change = PortChange(id=port.id, device_owner="compute:nova")
    await core.commit(UpdatePorts(caller=ADMIN, changes=(change,)))
    clock.now += 91.0
    await upkeep(core, clock)
    await owners_gone(core, "blue", {"u-set"})
    now = await core.reader.port(port.id)
    assert now is not None
    assert now.claim is None
    assert await execute(database_url, "SELECT port_id FROM container_claim") == []


async def test_forever_no_time_ends_it(core: Core, clock: Clock, database_url: str) -> None:
    await begin(core, ["h1"])
    port = await ended(core, "forever")
    clock.now += 1e9
    await upkeep(core, clock)
    assert await stored(core, "web-0") is not None
    await core.commit(DeletePorts(caller=ADMIN, ids=(port.id,)))
    assert await rests(database_url, port)


async def test_it_is_kept_while_its_owner_exists(core: Core, clock: Clock) -> None:
    await begin(core, ["h1", "h2"])
    other = OwnerReference(api_version="apps/v1", kind="StatefulSet", name="db", uid="u-db")
    await ended(core, "while-owner-exists")
    await ended(core, "while-owner-exists", "db-0", other)
    alone = await core.commit(
        claim("h1", "alone", "c", keep="while-owner-exists", pod=pod("alone", None))
    )
    clock.now += 1e9
    await upkeep(core, clock)
    found = [(each.kind, each.name, each.uid) async for each in kept_owners(core, "blue")]
    assert found == [
        ("Pod", "alone", "u-alone"),
        ("StatefulSet", "db", "u-db"),
        ("StatefulSet", "web", "u-set"),
    ]
    assert [each async for each in kept_owners(core, "green")] == []
    assert await owners_gone(core, "green", {"u-set"}) == 0
    assert await owners_gone(core, "blue", {"u-set", "u-alone", "u-nobody"}) == 2
    assert await stored(core, "web-0") is None
    assert await stored(core, "db-0") is not None
    living = await stored(core, "alone")
    assert living is not None
    assert living.active_binding == alone.active_binding
    assert [each.uid async for each in kept_owners(core, "blue")] == ["u-db"]
    await core.commit(end("h1", "alone", "c"))
    assert await stored(core, "alone") is None


async def test_a_new_owner_of_the_name_is_not_the_one_that_went(core: Core) -> None:
    await begin(core, ["h1", "h2"])
    await ended(core, "while-owner-exists")
    new = OwnerReference(api_version="apps/v1", kind="StatefulSet", name="web", uid="u-new")
    await core.commit(claim("h2", "web-0", "b", keep="while-owner-exists", pod=pod("web-0", new)))
    assert await owners_gone(core, "blue", {"u-set"}) == 0
    await core.commit(end("h2", "web-0", "b"))
    assert await stored(core, "web-0") is not None


async def test_after_a_restart_nothing_is_forgotten(database_url: str) -> None:
    clock = Clock()
    core = await Core.open(database_url, clock)
    await core.start()
    await begin(core, ["h1"])
    await ended(core, "90s")
    await ended(core, "while-owner-exists", "web-1")
    await core.close()
    again = await Core.open(database_url, clock)
    await again.start()
    clock.now += 91.0
    await upkeep(again, clock)
    assert await stored(again, "web-0") is None
    assert await stored(again, "web-1") is not None
    assert await owners_gone(again, "blue", {"u-set"}) == 1
    assert await stored(again, "web-1") is None
    await again.close()


async def test_a_silent_hosts_old_wiring_holds_the_address_past_its_time(
    core: Core, clock: Clock, database_url: str
) -> None:
    await begin(core, ["h1"])
    port = await core.commit(claim("h1", "web-0", "a", keep="90s"))
    await confirm(core, "h1")
    await core.commit(end("h1", "web-0", "a"))
    clock.now += 91.0
    await upkeep(core, clock)
    assert await stored(core, "web-0") is None
    assert not await rests(database_url, port)
    await confirm(core, "h1")
    assert await rests(database_url, port)


async def test_rows_that_an_older_server_left_behind_are_put_right(
    core: Core, clock: Clock, database_url: str
) -> None:
    """One of before this schema writes a port without its claim, or deletes it."""
    await begin(core, ["h1"])
    port = await ended(core, "90s")
    whole = await core.reader.port(port.id)
    assert whole is not None
    await execute(
        database_url, "INSERT INTO container_claim (port_id, kept_until) VALUES ('gone', 1)"
    )
    await core.commit(claim("h1", "web-1", "c", keep="90s"))
    live = await stored(core, "web-1")
    assert live is not None
    await execute(
        database_url,
        f"INSERT INTO container_claim (port_id, kept_until) VALUES ('{live.id}', 1)",
    )
    await upkeep(core, clock)
    rows = await execute(database_url, "SELECT port_id FROM container_claim")
    assert rows == [(port.id,)]
    assert await stored(core, "web-1") == live
