"""`netwright db`, as a person runs it: words, exit codes, and what is loaded."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.doubles.filled import filled
from tests.doubles.sql import execute


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; sys.argv[0] = 'netwright'; from netwright.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, "db", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def test_backup_check_restore_upgrade(database_url: str, tmp_path: Path) -> None:
    file = str(tmp_path / "backup")
    async with filled(database_url):
        done = _run("backup", file, "--database", database_url)
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        assert file in done.stderr
        done = _run("check", "--database", database_url, "--output", "json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["rows"]["port"] == 2
        done = _run("restore", file, "--database", database_url, "--force")
        assert done.returncode == 1
        assert "in use" in done.stderr
    done = _run("restore", file, "--database", database_url)
    assert done.returncode == 1
    assert "--force" in done.stderr
    done = _run("restore", file, "--database", database_url, "--force")
    assert done.returncode == 0, done.stderr
    assert "will begin with a snapshot" in done.stderr
    done = _run("upgrade", "--database", database_url)
    assert done.returncode == 0, done.stderr
    assert "nothing to do" in done.stderr

    await execute(database_url, "DELETE FROM binding")
    done = _run("check", "--database", database_url)
    assert done.returncode == 1
    assert "port a has other bindings" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("check", "--database", "sqlite:////nowhere/n.db"), 3, "there is no database"),
        (("upgrade", "--database", "sqlite:////nowhere/n.db"), 3, "there is no database"),
        (("backup", "/nowhere/b", "--database", "sqlite:////nowhere/n.db"), 4, "be written"),
        (("restore", "/nowhere/b", "--database", "sqlite:////nowhere/n.db"), 3, "no backup"),
        (("check", "--database", "mysql://x"), 2, "--database is 'mysql://x'"),
        (("check", "--database", "postgresql://x@/x?host=/nowhere"), 4, "cannot be used"),
        (("upgrade", "--database", "postgresql://x@/x?host=/nowhere"), 4, "cannot be used"),
    ],
)
def test_errors_say_what_and_exit_as_they_should(
    arguments: tuple[str, ...], code: int, words: str
) -> None:
    done = _run(*arguments)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert words in done.stderr
    assert len(done.stderr.splitlines()) >= 2  # and what next
    assert "Traceback" not in done.stderr


def test_a_server_and_an_agent_load_no_migrations() -> None:
    code = (
        "import sys; import netwright.server.main, netwright.agent.main, netwright.cli.db\n"
        "sys.exit(any(name.split('.')[0] in ('alembic', 'mako') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=30, check=False).returncode == 0
