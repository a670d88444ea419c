"""Take a lab down: whatever state it is in, nothing of it stays.

Nothing is believed but what is there: the namespaces that bear the lab's name, whoever runs in
them, and the lab's directory. That also holds for a lab whose `up` or `down` was killed midway.
"""

import shutil
from pathlib import Path

from netwright.lab import netns, state


def take_down(name: str, root: Path = state.ROOT) -> None:
    """Like pulling all plugs: processes are killed, not asked. No error if there is no such lab.

    Raises LabError when another process builds or removes it now, or a process cannot be killed.
    """
    state.check_name(name)
    with state.exclusive(name):
        remove(name, root)


def remove(name: str, root: Path) -> None:
    """The caller holds the lab exclusively."""
    namespaces = netns.existing(state.namespace_prefix(name))
    netns.kill_processes_in(namespaces)
    netns.delete(namespaces)
    if (root / name).exists():
        shutil.rmtree(root / name)
