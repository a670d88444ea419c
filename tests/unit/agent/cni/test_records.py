"""Records of containers: what a file holds at any moment is one record, whole."""

import errno
import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from netwright.agent.cni.records import PAGE, Record, Records, Stage

KEY = ("a", "eth0")


def record(stage: Stage = Stage.ADDING, netns: str = "/netns/a") -> Record:
    return Record(
        container_id=KEY[0],
        ifname=KEY[1],
        netns=netns,
        network="pods",
        project_id="p",
        unique_name="h/a/eth0",
        stage=stage,
    )


@pytest.mark.parametrize(
    "row",
    [
        (record(), record(Stage.ATTACHED), record(Stage.RELEASING)),
        (record(netns="/netns/" + "a" * 100), record(), record(Stage.ATTACHED)),  # shorter, longer
        (record(), record(netns="/" + "a" * PAGE), record(), record(Stage.ATTACHED)),  # too long
    ],
)
def test_what_was_put_last_is_what_the_next_life_reads(
    tmp_path: Path, row: tuple[Record, ...]
) -> None:
    records = Records(tmp_path)
    for one in row:
        records.put(one)
        assert Records(tmp_path).all() == {KEY: one}
    for one in row:  # in files of an earlier life
        records = Records(tmp_path)
        records.put(one)
        assert Records(tmp_path).all() == {KEY: one}
    assert len(list(tmp_path.iterdir())) == 1
    records.drop(KEY)
    assert not list(tmp_path.iterdir())
    records.put(row[0])
    assert Records(tmp_path).all() == {KEY: row[0]}


def test_a_file_is_changed_by_one_write_of_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that is killed has written it or not: never half of it."""
    records = Records(tmp_path)
    records.put(record(netns="/netns/" + "a" * 100))
    (path,) = tmp_path.iterdir()
    seen: list[bytes] = []
    write = os.write

    def watched(file: int, content: bytes) -> int:
        seen.append(path.read_bytes())
        return write(file, content)

    monkeypatch.setattr(os, "write", watched)
    before = path.read_bytes()
    records.put(replace(record(), stage=Stage.ATTACHED))
    assert seen == [before]
    assert len(path.read_bytes()) == len(before)
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_is_written_once_and_an_empty_one_is_known_to_say_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Renaming one more is what a container's start would wait for."""
    renamed: list[object] = []
    monkeypatch.setattr(os, "replace", lambda *paths: renamed.append(paths))
    records = Records(tmp_path)
    records.put(record())
    assert not renamed
    (path,) = tmp_path.iterdir()
    path.write_bytes(b"")  # its agent was killed before the write
    later = Records(tmp_path)
    assert later.unreadable == {KEY}
    monkeypatch.undo()
    later.put(record(Stage.ATTACHED))
    assert Records(tmp_path).all() == {KEY: record(Stage.ATTACHED)}
    assert not later.unreadable


def test_of_a_new_record_that_cannot_be_kept_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next life would take an empty file for a record that it cannot read."""

    def full(_file: int, _content: bytes) -> int:
        raise OSError(errno.ENOSPC, "no space")

    records = Records(tmp_path)
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="no space"):
        records.put(record())
    assert not list(tmp_path.iterdir())
    assert not records.all()
    monkeypatch.undo()
    records.put(record())
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="no space"):
        records.put(record(Stage.ATTACHED))
    assert Records(tmp_path).all() == {KEY: record()}


def test_what_is_not_ours_in_the_directory_stays(tmp_path: Path) -> None:
    """It may be a mount's, or be somebody else's as well: a path in the settings was mistaken."""
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "lost@found.new").mkdir()
    for name in ("netwright.toml", "notes.new", "cni-pods.json"):
        (tmp_path / name).write_text("somebody's")
    (tmp_path / "a@eth0.new").write_text("a draft")
    before = {path.name for path in tmp_path.iterdir()}
    records = Records(tmp_path)
    for key in records.unreadable:
        records.drop(key)
    assert not records.all()
    assert before - {path.name for path in tmp_path.iterdir()} == {"a@eth0.new"}
