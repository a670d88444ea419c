"""A private PostgreSQL 15 from Debian's package: its own directory, a unix socket.

It listens on TCP, on loopback alone, only when it is given a port. The real program; only where it
lives is private. Unless `durable`, it does not wait for the disk: for tests in which nothing
crashes. Root may not run it, so it runs as the package's own user.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

PROGRAMS = Path("/usr/lib/postgresql/15/bin")
USER = "postgres"
START_S_MAX = 20.0
STOP_S_MAX = 20.0
_PORT = 5432  # without TCP, of the socket's name only


class Postgres:
    """One server. `url(name)` is of a database of that name, made when it is asked for."""

    def __init__(
        self, directory: Path, *, durable: bool, settings: Sequence[str] = (), port: int = 0
    ) -> None:
        self.directory = directory
        self.port = port
        self.settings = tuple(settings)
        self.durable = durable
        self._names = count(1)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the running server; all its other processes are that one's children."""
        assert self._process is not None
        return self._process.pid

    def new_database(self, name: str = "") -> str:
        """The URL of an empty database."""
        name = name or f"netwright{next(self._names)}"
        self._run("createdb", *self._place(), "--template", "template0", name)
        return self.url(name)

    def url(self, name: str) -> str:
        if self.port:
            return f"postgresql://{USER}@127.0.0.1:{self.port}/{name}"
        return f"postgresql://{USER}@/{name}?host={self.directory}&port={_PORT}"

    def create(self) -> None:
        options = ("--auth", "trust", "--encoding", "UTF8", "--locale", "C.UTF-8")
        self._run("initdb", "--pgdata", str(self.directory / "data"), *options)

    def start(self) -> None:
        """Return when it answers."""
        settings: tuple[str, ...] = (
            f"listen_addresses={'127.0.0.1' if self.port else ''}",
            f"port={self.port or _PORT}",
            f"unix_socket_directories={self.directory}",
            "max_connections=200",
            *self.settings,
        )
        arguments = [str(PROGRAMS / "postgres"), "-D", str(self.directory / "data")]
        if not self.durable:
            settings += ("fsync=off", "full_page_writes=off")
        for setting in settings:
            arguments += ["-c", setting]
        with (self.directory / "log").open("ab") as output:
            self._process = subprocess.Popen(
                arguments, stdout=output, stderr=output, **_as_user(self.directory)
            )
        self._run(
            "pg_isready", *self._place(), "--timeout", str(round(START_S_MAX)),
            tries=round(START_S_MAX * 10),
        )  # fmt: skip

    def crash(self) -> None:
        """Kill it and all its children at once, as a power cut would."""
        self._signal_all(signal.SIGKILL)
        assert self._process is not None
        self._process.wait(STOP_S_MAX)
        self._process = None

    @contextmanager
    def silent(self) -> Iterator[None]:
        """It answers nothing meanwhile and closes nothing, as behind a link that drops all."""
        self._signal_all(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal_all(signal.SIGCONT)

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """SIGINT rolls back what is open; SIGQUIT is a crash."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(STOP_S_MAX)
            self._process = None

    def _signal_all(self, number: signal.Signals) -> None:
        """Itself first, so that it begins no child meanwhile."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        for pid in (self.pid, *map(int, children.read_text().split())):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _place(self) -> tuple[str, ...]:
        return ("--host", str(self.directory), "--port", str(self.port or _PORT))

    def _run(self, program: str, *arguments: str, tries: int = 1) -> None:
        command = [str(PROGRAMS / program), *arguments]
        for left in reversed(range(tries)):
            done = subprocess.run(
                command, capture_output=True, check=False, **_as_user(self.directory)
            )
            if done.returncode == 0:
                return
            if left:
                with_pause(self._process)
        raise AssertionError(f"{command}: {done.stderr.decode()}")


def with_pause(process: subprocess.Popen[bytes] | None) -> None:
    """A tenth of a second, unless the process ends before."""
    assert process is not None
    try:
        process.wait(0.1)
    except subprocess.TimeoutExpired:
        return
    raise AssertionError(f"PostgreSQL ended with {process.returncode}")


@contextmanager
def postgres(
    *, durable: bool = True, settings: Sequence[str] = (), port: int = 0
) -> Iterator[Postgres]:
    """A running server, which is stopped and removed at the end; `settings` are `name=value`."""
    directory = Path(tempfile.mkdtemp(prefix="nwp-", dir="/var/tmp"))
    if os.geteuid() == 0:
        shutil.chown(directory, USER)
    server = Postgres(directory, durable=durable, settings=settings, port=port)
    try:
        server.create()
        server.start()
        yield server
    finally:
        server.stop(signal.SIGQUIT)
        shutil.rmtree(directory)


def _as_user(directory: Path) -> dict[str, Any]:
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "PGUSER": USER}
    made: dict[str, Any] = {"cwd": directory, "env": environment}
    if os.geteuid() == 0:
        made |= {"user": USER, "group": pwd.getpwnam(USER).pw_gid, "extra_groups": []}
    return made
