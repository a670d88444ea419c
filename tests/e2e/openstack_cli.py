"""The unmodified `openstack` command line, as tests call it."""

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import IO, Any, cast

# Starting Python with the client's imports takes a second: one process runs all commands of a
# module, each through the client's own entry point.
_DRIVER = """
import contextlib, io, json, sys
from openstackclient.shell import main
for line in sys.stdin:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(json.loads(line))
        except SystemExit as exit:
            code = exit.code
    answer = {"code": code, "out": out.getvalue(), "err": err.getvalue()}
    print(json.dumps(answer), flush=True)
"""


VLAN = "--provider-network-type vlan --provider-physical-network physnet1 --provider-segment"


class Cli:
    """`openstack` with the options that lead to a server; `within` is a command to run it by."""

    def __init__(self, *options: str, within: Sequence[str] = ()) -> None:
        self._options = options
        self._process = subprocess.Popen(
            [*within, sys.executable, "-W", "ignore", "-c", _DRIVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, command: str) -> tuple[int, str, str]:
        stdin, stdout = (cast("IO[str]", s) for s in (self._process.stdin, self._process.stdout))
        stdin.write(json.dumps([*self._options, *command.split()]) + "\n")
        stdin.flush()
        answer = json.loads(stdout.readline())
        return answer["code"], answer["out"], answer["err"]

    def __call__(self, command: str) -> Any:
        """What the command shows, as JSON where it shows something; it has to succeed."""
        verb = set(command.split()) & {"create", "show", "list"}
        code, out, err = self.run(f"{command} -f json" if verb else command)
        assert code == 0, f"{command}: {out}{err}"
        return json.loads(out) if verb else out

    def refused(self, command: str) -> str:
        """What the command says when the server refuses it."""
        code, out, err = self.run(command)
        assert code != 0, f"{command}: {out}"
        return out + err

    def close(self) -> None:
        cast("IO[str]", self._process.stdin).close()
        cast("IO[str]", self._process.stdout).close()
        self._process.wait(30)
