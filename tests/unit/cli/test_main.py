"""The command line: lazy imports and exit codes."""

import subprocess
import sys
from importlib import import_module
from importlib.metadata import version

import pytest

from netwright import cli


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; sys.argv[0] = 'netwright'; from netwright.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_help_lists_every_command() -> None:
    done = _run("--help")
    assert done.returncode == 0
    assert all(name in done.stdout for name in cli.COMMANDS)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_registers_itself(name: str) -> None:
    assert callable(import_module(cli.COMMANDS[name].module).register)
    root = cli.application([name])
    registered = {command.name for command in root.registered_commands}
    registered |= {group.name for group in root.registered_groups}
    assert registered == set(cli.COMMANDS)


def test_help_imports_no_command() -> None:
    code = (
        "import sys; from netwright.cli import application; application(['--help'])\n"
        "sys.exit(any(name.startswith(('netwright.server', 'httptools')) for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=30, check=False).returncode == 0


def test_usage_errors_exit_with_2_and_say_what_next() -> None:
    assert _run("sevrer").returncode == 2
    done = _run("server", "--listen", "nowhere")
    assert done.returncode == 2
    assert "--listen is 'nowhere'" in done.stderr
    assert "Correct it there." in done.stderr
    assert done.stdout == ""


def test_the_version_is_the_packages() -> None:
    done = _run("--version")
    assert (done.returncode, done.stdout) == (0, f"netwright {version('netwright')}\n")


def test_a_bad_flag_says_what_was_given_and_what_may_be() -> None:
    done = _run("server", "--listen", "9696")
    assert done.stderr.startswith(
        "netwright: --listen is '9696', but must be HOST:PORT with an IPv6 host in brackets,"
        " such as 127.0.0.1:9696."
    )
