"""`netwright db`: the server's database, for those who run it. It needs no server."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar
from uuid import uuid4

import typer

from netwright.cli.connection import ConfigOption
from netwright.cli.output import Output, OutputOption, say, show_many, show_one
from netwright.cli.settings import load
from netwright.server.config import ServerSettings

T = TypeVar("T")

DatabaseOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="sqlite:////absolute, postgresql://…; default: the one of this machine's server.",
    ),
]


def register(root: typer.Typer) -> None:
    group = typer.Typer(
        no_args_is_help=True, help="The server's database: upgrade, check, backup, restore."
    )
    group.command("upgrade")(upgrade)
    group.command("check")(check)
    group.command("backup")(backup)
    group.command("restore")(restore)
    root.add_typer(group, name="db")


def upgrade(database: DatabaseOption = None, config: ConfigOption = None) -> None:
    """Bring the schema to this version of netwright: all of it or nothing.

    A SQLite database's server must be stopped; servers on PostgreSQL may run on.
    """
    url = _url(database, config)

    from netwright.server.store.existing import place_of  # noqa: PLC0415 - none is needed for --help
    from netwright.server.store.migrating import migrate  # noqa: PLC0415 - only here is alembic

    done = _run(lambda: migrate(url, _new_epoch()))
    if done.before == done.after:
        say(f"{place_of(url)} has schema version {done.after} already; nothing to do.")
    else:
        say(f"{place_of(url)}: schema version {done.before or 'none'} → {done.after}.")


def check(
    database: DatabaseOption = None,
    config: ConfigOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Say the database's version and sizes, and whether its rows agree; servers may run."""
    url = _url(database, config)

    from netwright.server.store.checking import check as look_over  # noqa: PLC0415

    found = _run(lambda: look_over(url))
    if output is Output.TABLE:
        show_one(output, None, {"schema version": found.version, "epoch": found.epoch})
        sizes = [{"table": table, "rows": rows} for table, rows in found.rows.items()]
        show_many(output, None, ("table", "rows"), sizes)
    else:
        show_one(output, found._asdict(), {})
    if not found.wrong_count:
        say("All rows agree.")
        return
    for words in found.wrong:
        say(words)
    if found.wrong_count > len(found.wrong):
        say(f"… and {found.wrong_count - len(found.wrong)} more.")
    say("Keep a copy of the database as it is, and report this; the server does not mend it.")
    raise typer.Exit(1)


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file.")],
    database: DatabaseOption = None,
    config: ConfigOption = None,
) -> None:
    """Copy the database to a file as it is at one moment; servers may run."""
    url = _url(database, config)

    from netwright.server.store.copies import back_up  # noqa: PLC0415

    size = back_up(url, file)
    say(f"{file}: {size / 1e6:,.1f} MB.")


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Made by netwright db backup.")],
    *,
    database: DatabaseOption = None,
    config: ConfigOption = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace all that the database holds now.")
    ] = False,
) -> None:
    """Make the database what a backup holds: all of it or nothing. Its servers must be stopped."""
    url = _url(database, config)

    from netwright.server.store.copies import restore as put_back  # noqa: PLC0415
    from netwright.server.store.existing import place_of  # noqa: PLC0415
    from netwright.server.store.schema import SCHEMA_VERSION  # noqa: PLC0415

    version = _run(lambda: put_back(url, file, _new_epoch(), force=force))
    say(f"{place_of(url)} is as {file} has it; agents and watchers will begin with a snapshot.")
    if version < SCHEMA_VERSION:
        say("It is from an older version; before the server starts: netwright db upgrade")
    elif version > SCHEMA_VERSION:
        say("It is from a newer version of netwright, which must serve it.")


def _url(database: str | None, config: Path | None) -> str:
    flags = {"database": database}
    return load(ServerSettings, "server", flags=flags, file=config).database_url


def _new_epoch() -> str:
    return uuid4().hex[:12]


def _run(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    return asyncio.run(work())
