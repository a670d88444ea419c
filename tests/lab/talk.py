"""Who can talk to whom: echo servers in namespaces, and peers that ask them."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator

ANSWERS_S = 10.0
"""How long an answer that must come is waited for: TCP sends again after ever longer pauses."""

REFUSED_S = 0.7
"""How long one that must not come is."""

_SERVE = """
import asyncio, socket, sys
class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport): self.transport = transport
    def datagram_received(self, data, peer): self.transport.sendto(data, peer)
async def serve(reader, writer):
    while data := await reader.read(64):
        writer.write(data)
    writer.close()
async def main():
    loop = asyncio.get_running_loop()
    for port in map(int, sys.argv[1:]):
        await asyncio.start_server(serve, "::", port)
        await asyncio.start_server(serve, "0.0.0.0", port)
        for family, any_address in ((socket.AF_INET6, "::"), (socket.AF_INET, "0.0.0.0")):
            sock = socket.socket(family, socket.SOCK_DGRAM)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.setblocking(False)
            sock.bind((any_address, port))
            await loop.create_datagram_endpoint(Echo, sock=sock)
    print("ready", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
asyncio.run(main())
"""
_ASK = r'''
import socket, sys
kind, to, port, source, patience_s = sys.argv[1:]
family = socket.AF_INET6 if ":" in to else socket.AF_INET
peer = socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
peer.settimeout(float(patience_s))
if source: peer.bind((source, 0))
asked = 0
def echoed():
    """Whether this very word comes back: TCP may bring what was said before along with it."""
    global asked
    asked += 1
    word, heard = b";%d;" % asked, b""
    try:
        peer.send(word)
        while word not in heard:
            more = peer.recv(64)
            if not more:
                return False
            heard += more
        return True
    except OSError:
        return False
try:
    peer.connect((to, int(port)))
except OSError:
    print("no", flush=True)
    sys.exit()
for patience_s in iter(sys.stdin.readline, ""):
    peer.settimeout(float(patience_s))
    print("yes" if echoed() else "no", flush=True)
'''


def _enter(netns: str, script: str, *arguments: str) -> list[str]:
    return ["nsenter", f"--net=/run/netns/{netns}", sys.executable, "-c", script, *arguments]


@contextlib.contextmanager
def serving(netns: str, *ports: int) -> Iterator[None]:
    """Echo servers for TCP and UDP, IPv4 and IPv6."""
    with subprocess.Popen(
        _enter(netns, _SERVE, *map(str, ports)),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield
        process.communicate("", timeout=10)


class Conversation:
    """One peer's socket, connected to a server; it may be asked again and again."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def goes_on(self) -> bool:
        """Whether what is said now is answered, sooner or later."""
        return self._is_answered(ANSWERS_S)

    def is_cut(self) -> bool:
        """Whether what is said now is not answered."""
        return not self._is_answered(REFUSED_S)

    def _is_answered(self, patience_s: float) -> bool:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(f"{patience_s}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return False
        return self._process.stdout.readline() == "yes\n"


@contextlib.contextmanager
def conversation(
    netns: str, kind: str, to: str, port: int, source: str = "", *, patience_s: float = ANSWERS_S
) -> Iterator[Conversation]:
    with subprocess.Popen(
        _enter(netns, _ASK, kind, to, str(port), source, str(patience_s)),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        yield Conversation(process)
        with contextlib.suppress(BrokenPipeError):
            process.communicate(timeout=10)


def reaches(netns: str, kind: str, to: str, port: int = 0, source: str = "") -> bool:
    """Whether one packet, or connection, to a server is answered; `kind` icmp pings."""
    if kind == "icmp":
        ping = ["ping", "-n", "-q", "-c", "3", "-i", "0.1", "-W", "1", to]
        enter = ["nsenter", f"--net=/run/netns/{netns}"]
        return subprocess.run(enter + ping, check=False, stdout=subprocess.DEVNULL).returncode == 0
    with conversation(netns, kind, to, port, source) as asked:
        return asked.goes_on()


def is_refused(netns: str, kind: str, to: str, port: int = 0, source: str = "") -> bool:
    """Whether neither a packet nor a connection to a server is answered."""
    if kind == "icmp":
        return not reaches(netns, kind, to)
    with conversation(netns, kind, to, port, source, patience_s=REFUSED_S) as asked:
        return asked.is_cut()
