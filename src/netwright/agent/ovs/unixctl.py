"""ovs-vswitchd's own control socket, as ovs-appctl uses it: JSON-RPC, one command a connection.

Only for what no table can say: a state that shall not outlive ovs-vswitchd.
"""

import asyncio
from pathlib import Path

import msgspec

from netwright.agent.ovs.errors import OvsProtocolError, OvsUnreachableError
from netwright.agent.ovs.framing import FramingError, JsonFramer

PROGRAM = "ovs-vswitchd"


class _Reply(msgspec.Struct):
    result: str | None = None
    error: str | None = None


async def command(rundir: Path, name: str, *arguments: str, timeout_s: float = 2.0) -> str:
    """Run one command in ovs-vswitchd and return what it says.

    Raises OvsUnreachableError when there is no ovs-vswitchd, OvsProtocolError when it refuses.
    """
    try:
        async with asyncio.timeout(timeout_s):
            return await _command(_socket(rundir), name, arguments)
    except (OSError, TimeoutError) as error:
        raise OvsUnreachableError(
            f"ovs-vswitchd in {rundir} did not do {name}: {error!r}"
        ) from None


def _socket(rundir: Path) -> Path:
    pid = (rundir / f"{PROGRAM}.pid").read_text().strip()
    return rundir / f"{PROGRAM}.{pid}.ctl"


async def _command(path: Path, name: str, arguments: tuple[str, ...]) -> str:
    reader, writer = await asyncio.open_unix_connection(str(path))
    try:
        writer.write(msgspec.json.encode({"id": 0, "method": name, "params": arguments}))
        framer = JsonFramer()
        while chunk := await reader.read(65536):
            for message in framer.feed(chunk):
                reply = msgspec.json.decode(message, type=_Reply)
                if reply.error is not None:
                    raise OvsProtocolError(
                        f"ovs-vswitchd refused {name} {arguments}: {reply.error}"
                    )
                return reply.result or ""
    except (FramingError, msgspec.DecodeError) as error:
        raise OvsProtocolError(f"{path}: {error}") from error
    finally:
        writer.close()
    raise OvsUnreachableError(f"{path} closed without an answer")
