"""Texts that are compared with files: NETWRIGHT_UPDATE_GOLDEN=1 writes them anew, for review."""

import os
from pathlib import Path

_FOLDER = Path(__file__).parent


def check(name: str, text: str) -> None:
    """`name` is the file's, below tests/golden."""
    path = _FOLDER / name
    if os.environ.get("NETWRIGHT_UPDATE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text(), f"{path}: NETWRIGHT_UPDATE_GOLDEN=1 writes it anew"
