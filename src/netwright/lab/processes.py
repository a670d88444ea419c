"""Processes of a lab: started inside a node's namespace, remembered, told apart from reused pids.

A process is (pid, start time): the kernel gives a pid anew, but never both. Each is remembered in
NODE/processes/NAME.json with its command, so that `heal` can start it again.
"""

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from netwright.lab import netns
from netwright.lab.errors import LabError, UnknownLabObjectError
from netwright.lab.state import Lab, write_atomically

_DAEMON_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 10.0


class Command(Struct, frozen=True):
    """How a process is started. A daemon detaches once it is ready and writes `pidfile` itself."""

    argv: tuple[str, ...]
    environment: dict[str, str] = {}
    pidfile: str | None = None


class Process(Struct, frozen=True):
    """A started process; `start_ticks` is field 22 of proc_pid_stat(5)."""

    node: str
    name: str
    pid: int
    start_ticks: int
    command: Command


def start(lab: Lab, node: str, name: str, command: Command) -> Process:
    """Starts a process in the node; its output goes to NODE/NAME.log.

    A daemon is ready on return; of another process only its start is certain. Raises LabError
    when it cannot be started, or runs already.
    """
    lab.node(node)
    if (old := _find(lab, node, name)) is not None and is_alive(old):
        msg = f"lab {lab.name}: {name} runs on {node} already (pid {old.pid})"
        raise LabError(msg)
    log = lab.node_directory(node) / f"{name}.log"
    if command.pidfile is None:
        pid = netns.run_in(lab.namespace(node), lambda: spawn(command, log))
    else:
        pid = _start_daemon(lab, node, command)
    ticks = _start_ticks(pid)
    if ticks is None:
        msg = f"lab {lab.name}: {name} on {node} ended as soon as it started; see {log}"
        raise LabError(msg)
    process = Process(node, name, pid, ticks, command)
    record = _record(lab, node, name)
    record.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(record, msgspec.json.encode(process))
    return process


def spawn(command: Command, log: Path) -> int:
    """A process in the calling thread's namespace, which nothing remembers; its pid.

    It is a session leader, so that a Ctrl-C at the lab's terminal does not reach it.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    return os.posix_spawnp(
        command.argv[0],
        command.argv,
        {**os.environ, **command.environment},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )


def log_path(lab: Lab, process: Process) -> Path:
    """Where its output goes."""
    return lab.node_directory(process.node) / f"{process.name}.log"


def restart(lab: Lab, node: str, name: str) -> Process:
    """Starts a process again the way it was started first."""
    return start(lab, node, name, find(lab, node, name).command)


def find(lab: Lab, node: str, name: str) -> Process:
    """The remembered process, alive or not. Raises UnknownLabObjectError naming those there are."""
    process = _find(lab, node, name)
    if process is None:
        known = ", ".join(p.name for p in remembered(lab, node)) or "none"
        msg = f"lab {lab.name}: no process {name!r} was started on {node}; known there: {known}"
        raise UnknownLabObjectError(msg)
    return process


def remembered(lab: Lab, node: str) -> list[Process]:
    lab.node(node)
    folder = lab.node_directory(node) / "processes"
    records = sorted(folder.glob("*.json")) if folder.is_dir() else []
    return [msgspec.json.decode(path.read_bytes(), type=Process) for path in records]


def is_alive(process: Process) -> bool:
    return _start_ticks(process.pid) == process.start_ticks


def is_stopped(process: Process) -> bool:
    """Halted by SIGSTOP."""
    return is_alive(process) and _stat(process.pid)[0] == "T"


def send(process: Process, number: signal.Signals) -> bool:
    """Signals exactly this process; False when it is no more, even if its pid is used anew."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return False
    try:
        if not is_alive(process):
            return False
        signal.pidfd_send_signal(descriptor, number)
    finally:
        os.close(descriptor)
    return True


def halt(process: Process) -> None:
    """SIGSTOP, and until it has taken effect. LabError if that takes more than 10 s."""
    give_up = time.monotonic() + _STOP_TIMEOUT_S
    while send(process, signal.SIGSTOP) and not is_stopped(process):
        if time.monotonic() > give_up:
            msg = f"lab: {process.name} on {process.node} (pid {process.pid}) does not halt"
            raise LabError(msg)
        time.sleep(0.001)  # the kernel tells only a parent when a process has stopped


def stop(process: Process, number: signal.Signals, *, timeout_s: float = _STOP_TIMEOUT_S) -> None:
    """Signals and waits for the end. No error if it ended before; LabError if it outlives that."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    try:
        if not is_alive(process):
            return
        signal.pidfd_send_signal(descriptor, number)
        if not netns.wait_for_end(process.pid, descriptor, timeout_s=timeout_s):
            msg = (
                f"lab: {process.name} on {process.node} (pid {process.pid}) still runs "
                f"{timeout_s:g} s after {number.name}; a stopped process hears only SIGKILL"
            )
            raise LabError(msg)
    finally:
        os.close(descriptor)


def run(
    namespace: str,
    argv: list[str],
    *,
    stdin: str = "",
    environment: Mapping[str, str] | None = None,
    timeout_s: float = 30.0,
) -> str:
    """A program that ends by itself, inside a namespace: its output. Raises LabError otherwise."""
    variables = {**os.environ, **(environment or {})}
    try:
        done = netns.run_in(
            namespace,
            lambda: subprocess.run(
                argv,
                input=stdin,
                text=True,
                capture_output=True,
                check=False,
                timeout=timeout_s,
                env=variables,
            ),
        )
    except subprocess.TimeoutExpired:
        msg = f"lab: `{' '.join(argv)}` in {namespace} did not end within {timeout_s:g} s"
        raise LabError(msg) from None
    except FileNotFoundError:
        msg = f"lab: there is no program {argv[0]}; `make setup` installs what the lab needs"
        raise LabError(msg) from None
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        msg = f"lab: `{' '.join(argv)}` in {namespace} failed ({done.returncode}): {said}"
        raise LabError(msg)
    return done.stdout


def _start_daemon(lab: Lab, node: str, command: Command) -> int:
    run(
        lab.namespace(node),
        list(command.argv),
        environment=command.environment,
        timeout_s=_DAEMON_START_TIMEOUT_S,
    )
    assert command.pidfile is not None
    return int(Path(command.pidfile).read_text())


def _find(lab: Lab, node: str, name: str) -> Process | None:
    return next((p for p in remembered(lab, node) if p.name == name), None)


def _record(lab: Lab, node: str, name: str) -> Path:
    return lab.node_directory(node) / "processes" / f"{name}.json"


def _stat(pid: int) -> list[str]:
    """Fields of proc_pid_stat(5) after the command's name, which may hold spaces: state first."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _start_ticks(pid: int) -> int | None:
    """None for a process that has ended, be it reaped or not."""
    try:
        fields = _stat(pid)
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])
