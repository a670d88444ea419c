"""What is beside the groups themselves: `db check`, migrations, explanations."""

import pytest
from tests.doubles.filled import create, filled
from tests.doubles.sql import execute
from tests.doubles.values import port

from netwright.server.core import Core
from netwright.server.ports.explanation import compose
from netwright.server.store.checking import check
from netwright.server.store.migrating import migrate


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("DELETE FROM membership WHERE port_id = 'a'", "2 times in a security group, and 1 rows"),
        ("UPDATE membership SET port_id = 'zz' WHERE port_id = 'a'", "has port zz in it"),
        ("DELETE FROM security_group", "port a is in security group"),
        ("DELETE FROM security_group", "security group rule"),
    ],
)
async def test_memberships_that_do_not_agree_are_named(
    database_url: str, statement: str, words: str
) -> None:
    async with filled(database_url):
        pass
    assert (await check(database_url)).wrong == []
    await execute(database_url, statement)
    assert words in " ".join((await check(database_url)).wrong)


async def test_ports_from_before_there_were_groups_are_in_none(database_url: str) -> None:
    """A database goes back to the version before, and on again: its ports are not filtered."""
    async with filled(database_url):
        pass
    await migrate(database_url, "x", "0002")
    assert await execute(database_url, "SELECT id FROM event WHERE kind LIKE '%group%'") == []
    await migrate(database_url, "x")
    assert (await check(database_url)).wrong == []
    core = await Core.open(database_url)
    await core.start()
    try:
        old = await core.reader.port("a")
        assert old is not None
        assert old.security_groups is None
        await create(core, "new")
        new = await core.reader.port("new")
        assert new is not None
        assert len(new.security_groups or ()) == 1
    finally:
        await core.close()


@pytest.mark.parametrize(
    ("groups", "port_security", "said"),
    [
        (("g1", "g2"), True, "Its security groups: g1, g2."),
        ((), True, "It is in no security group: nothing passes"),
        (None, True, ""),
        ((), False, ""),
    ],
)
def test_an_explanation_says_which_groups(
    groups: tuple[str, ...] | None, said: str, *, port_security: bool
) -> None:
    one = port("a", security_groups=groups, port_security_enabled=port_security)
    text = compose(one, standing="It is.", cause="", waits=(), now=0.0).text
    assert said in text
    assert ("security group" in text) == bool(said)
