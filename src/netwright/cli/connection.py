"""Where the server is and with which token, for commands that ask it something."""

import asyncio
import inspect
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from netwright.cli.settings import load
from netwright.client.api import Client
from netwright.client.token import read_token
from netwright.model.settings import InvalidConfiguration
from netwright.server.config import AuthMode, ServerSettings

TOKEN_VARIABLE = "NETWRIGHT_TOKEN"  # noqa: S105 - a variable's name
REQUEST_S_MAX = 30.0
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not listened on

ServerOption = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="URL",
        envvar="NETWRIGHT_URL",
        help="The server; default: where this machine's configuration says that one listens.",
    ),
]
TokenFileOption = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        metavar="FILE",
        envvar="NETWRIGHT_TOKEN_FILE",
        help="Holds the token; default: NETWRIGHT_TOKEN, else the admin token on this machine.",
    ),
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="Configuration file (TOML).")
]


def asking(command: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """The command with a client as its first argument: of the server that its options name.

    It has these options beside its own: `--server`, `--token-file`, `--config`.
    """

    def asked(
        *,
        server: ServerOption = None,
        token_file: TokenFileOption = None,
        config: ConfigOption = None,
        **own: Any,
    ) -> None:
        ask(lambda client: command(client, **own), server, token_file, config)

    every = inspect.signature(asked).parameters.values()
    reach = [one for one in every if one.kind is inspect.Parameter.KEYWORD_ONLY]
    _client, *own = inspect.signature(command).parameters.values()
    last = [one for one in own if one.name == "output"]  # as in every command's help
    parameters = [*(one for one in own if one not in last), *reach, *last]
    asked.__name__, asked.__doc__ = command.__name__, command.__doc__
    # What typer reads of a function.
    asked.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    asked.__annotations__ = {one.name: one.annotation for one in parameters}
    return asked


def ask(
    work: Callable[[Client], Awaitable[None]],
    server: str | None,
    token_file: Path | None,
    config: Path | None,
) -> None:
    """Run `work` with a client of the server that the options name."""

    async def session() -> None:
        async with connect(server, token_file, config) as client:
            await work(client)

    asyncio.run(session())


def connect(server: str | None, token_file: Path | None, config: Path | None) -> Client:
    """A client of the server that is meant; nothing is sent yet. Raises InvalidConfiguration."""
    here = load(ServerSettings, "server", flags={}, file=config)
    url = server or _url(here)
    if not url.startswith(("http://", "https://")):
        raise InvalidConfiguration(
            f"--server is {url!r}, but must be a URL.", next="Write http://HOST:PORT."
        )
    return Client(url, token=_token(token_file, here), timeout_s=REQUEST_S_MAX)


def _url(here: ServerSettings) -> str:
    host = _ANYWHERE.get(here.host, here.host)
    return f"http://[{host}]:{here.port}" if ":" in host else f"http://{host}:{here.port}"


def _token(token_file: Path | None, here: ServerSettings) -> str | None:
    if token_file is None:
        if token := os.environ.get(TOKEN_VARIABLE):
            return token
        if here.auth is AuthMode.NONE or not os.access(here.admin_token_file, os.R_OK):
            return None
    path = token_file or here.admin_token_file
    return read_token(path, next="Name another by --token-file, or set NETWRIGHT_TOKEN.")
