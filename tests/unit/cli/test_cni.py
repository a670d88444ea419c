"""`netwright cni install`: the plugin and its conflist, in directories of a test's."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from netwright.cli import application
from netwright.cni import installing
from netwright.model.settings import InvalidConfiguration


def install(tmp_path: Path, *more: str, labels: str = "env=prod") -> Path:
    """The conflist that was written. Raises what the command does."""
    directories = ("--bin-directory", f"{tmp_path}/bin", "--conf-directory", f"{tmp_path}/net.d")
    arguments = ["cni", "install", "--labels", labels, *directories, *more]
    application(arguments)(arguments, standalone_mode=False)
    (found,) = (tmp_path / "net.d").iterdir()
    return found


def ask_version(program: Path) -> dict[str, object]:
    done = subprocess.run(
        [program], input=b"{}", env={"CNI_COMMAND": "VERSION"}, capture_output=True, check=True
    )
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("is_compiled", [True, False])
def test_plugin_and_conflist_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_compiled: bool
) -> None:
    compiled = tmp_path / "compiled"
    monkeypatch.setattr(installing, "PROGRAM", compiled)
    if is_compiled:
        build = Path(__file__).parents[3] / "scripts/build-cni"
        subprocess.run([build, compiled], check=True, timeout=60)
    found = install(tmp_path)
    assert found.name == "10-netwright.conflist"
    assert json.loads(found.read_text()) == {
        "cniVersion": "1.0.0",
        "name": "netwright",
        "plugins": [
            {"type": "netwright", "labels": "env=prod", "capabilities": {"bandwidth": True}}
        ],
    }
    program = tmp_path / "bin" / "netwright"
    assert ask_version(program)["supportedVersions"]
    assert program.read_bytes().startswith(b"\x7fELF" if is_compiled else b"#!/usr/bin/python3 -IS")


def test_what_is_asked_for_otherwise_stands_in_the_conflist(tmp_path: Path) -> None:
    more = ("--wait-for", "active", "--agent-socket", "/run/x.sock", "--cni-version", "1.1.0")
    found = install(tmp_path, "--in-python", "--name", "pods", *more, labels="tier in (web)")
    content = json.loads(found.read_text())
    assert (found.name, content["name"], content["cniVersion"]) == (
        "10-pods.conflist",
        "pods",
        "1.1.0",
    )
    assert content["plugins"] == [
        {
            "type": "netwright",
            "labels": "tier in (web)",
            "agentSocket": "/run/x.sock",
            "waitFor": "active",
            "capabilities": {"bandwidth": True},
        }
    ]


def test_lasting_names_stand_in_the_conflist(tmp_path: Path) -> None:
    more = ("--port-name", "{cluster}/{labels.app}/{slot}", "--cluster", "c1", "--slots", "9")
    content = json.loads(install(tmp_path, "--in-python", *more, "--keep", "24h").read_text())
    (plugin,) = content["plugins"]
    assert {key: plugin.get(key) for key in ("portName", "cluster", "slots", "keep")} == {
        "portName": "{cluster}/{labels.app}/{slot}",
        "cluster": "c1",
        "slots": 9,
        "keep": "24h",
    }


def test_an_earlier_one_is_replaced_and_anothers_left(tmp_path: Path) -> None:
    install(tmp_path, "--in-python")
    found = install(tmp_path, "--in-python", labels="env=test")
    assert json.loads(found.read_text())["plugins"][0]["labels"] == "env=test"
    for foreign in ('{"plugins": [{"type": "bridge"}]}', "{", '{"plugins": 7}'):
        found.write_text(foreign)
        with pytest.raises(InvalidConfiguration, match="no conflist of this plugin"):
            install(tmp_path, "--in-python")
        assert found.read_text() == foreign


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (("--labels", "env=("), "--labels"),
        (("--cni-version", "0.1.0"), "--cni-version"),
        (("--name", "../x"), "--name"),
        (("--port-name", "{namespace}{pod}"), "portName"),
        (("--port-name", "{cluster}/{pod}"), "cluster"),
        (("--port-name", "{pod}/{slot}"), "slots"),
        (("--port-name", "{pod}", "--keep", "soon"), "keep"),
        (("--slots", "3"), "slots"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    tmp_path: Path, more: tuple[str, ...], named: str
) -> None:
    with pytest.raises(InvalidConfiguration, match=named):
        install(tmp_path, "--in-python", *more)
    assert not list(tmp_path.iterdir())


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "bin").write_text("a file")
    with pytest.raises(InvalidConfiguration, match=f"{os.fspath(tmp_path)}/bin"):
        install(tmp_path, "--in-python")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ((), "Neither --labels nor --conflist is given"),
        (("--labels", "a=b", "--conflist", "x.conflist"), "exclude each other"),
    ],
)
def test_labels_or_a_conflist_are_asked_for(more: tuple[str, ...], said: str) -> None:
    arguments = ["cni", "install", *more]
    with pytest.raises(InvalidConfiguration, match=said):
        application(arguments)(arguments, standalone_mode=False)


def install_conflist(tmp_path: Path, path: Path) -> None:
    directories = ("--bin-directory", f"{tmp_path}/bin", "--conf-directory", f"{tmp_path}/net.d")
    arguments = ["cni", "install", "--in-python", "--conflist", str(path), *directories]
    application(arguments)(arguments, standalone_mode=False)


def test_a_conflist_of_ones_own_is_written_as_it_is(tmp_path: Path) -> None:
    own = {"cniVersion": "1.0.0", "name": "n", "plugins": [{"type": "netwright", "keep": "1h"}]}
    path = tmp_path / "05-own.conflist"
    path.write_text(json.dumps(own))
    install_conflist(tmp_path, path)
    assert json.loads((tmp_path / "net.d" / "05-own.conflist").read_text()) == own
    assert (tmp_path / "bin" / "netwright").exists()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("own.conflist", "{"),
        ("own.conflist", '{"plugins": [{"type": "bridge"}]}'),
        ("own.conflist", '{"plugins": 7}'),
        ("own.json", '{"plugins": [{"type": "netwright"}]}'),
        ("gone.conflist", None),
    ],
)
def test_one_that_is_none_is_refused_before_anything_is_written(
    tmp_path: Path, name: str, text: str | None
) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(InvalidConfiguration, match=name):
        install_conflist(tmp_path, path)
    assert not (tmp_path / "bin").exists()
